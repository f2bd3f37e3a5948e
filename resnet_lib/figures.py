"""Figures made from records. Nothing here trains or needs torch.

Every figure can be read as numbers: `series` tabulates the lines that a figure really holds, so that a check of the
table is a check of the drawing.
"""

import hashlib
import textwrap
from collections.abc import Sequence
from statistics import mean

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from resnet_lib.claims import interval
from resnet_lib.runs import RunRecord
from resnet_lib.tables import Table, describe, recipe_name

# Okabe and Ito's colours, which colour-blind readers can tell apart; a depth has the same one in every figure.
DEPTH_COLORS = {20: "#0072B2", 32: "#009E73", 44: "#E69F00", 56: "#D55E00", 110: "#CC79A7", 1202: "#000000"}
MEASURED_ON_X = "measured-on-x"  # marks lines whose numbers lie on the horizontal axis, for `series`
STYLE = {
    "figure.dpi": 110,
    "savefig.bbox": "tight",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}


def depth_color(depth: int) -> str:
    """The colour of a depth: its own for the paper's, one of five muted ones for a reader's."""
    return DEPTH_COLORS.get(depth, ("#56B4E9", "#8C564B", "#7F7F7F", "#BCBD22", "#6A3D9A")[depth // 6 % 5])


def new_figure(num_panels: int = 1, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side that share their vertical axis, in the book's style."""
    with plt.rc_context(STYLE):
        width = 7.2 if num_panels > 1 else 5.6
        figure, axes = plt.subplots(
            1, num_panels, figsize=(width, height), sharey=True, squeeze=False, layout="constrained"
        )
    plt.close(figure)  # shown when a cell returns it, and only then
    return figure, list(axes[0])


def note(figure: Figure, records: Sequence[RunRecord], legend: str = "") -> None:
    """Writes under the figure which runs it shows: a picture that is copied elsewhere keeps saying so."""
    text = textwrap.fill(legend + describe(records), round(15 * figure.get_figwidth()))
    figure.supxlabel(text, fontsize=8, color="0.35", x=0.01, ha="left")


def by_net(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Records grouped by net, in the order in which the nets first appear."""
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(record.config.net.name, []).append(record)
    return groups


def draw_curves(axes: Axes, records: Sequence[RunRecord], title: str) -> None:
    """Training error (thin, dashed) and test error (bold) against the iteration, as in Figure 6.

    One line per net: the mean over its seeds, on a band from the lowest to the highest seed.
    """
    for name, group in by_net(records).items():
        color = depth_color(group[0].config.net.depth)
        for curve, style in (("train", {"ls": "--", "lw": 1.0}), ("test", {"ls": "-", "lw": 2.0})):
            tables = [getattr(record, f"{curve}_curve") for record in group]
            columns = list(zip(*(table.error for table in tables), strict=True))
            iterations = tables[0].iteration
            label = f"{name}, {'training' if curve == 'train' else 'test'}"
            axes.plot(iterations, [mean(column) for column in columns], color=color, label=label, **style)
            if len(group) > 1:
                low, high = [min(column) for column in columns], [max(column) for column in columns]
                axes.fill_between(iterations, low, high, color=color, alpha=0.12, lw=0)
    axes.set(title=title, xlabel="iteration", ylim=(0, None))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))


def curves(panels: dict[str, Sequence[RunRecord]]) -> Figure:
    """One panel of training and test curves per title; below, which line is which and what the runs were.

    Args:
        panels: title -> records of the nets to draw.
    """
    figure, all_axes = new_figure(len(panels))
    with plt.rc_context(STYLE):
        for axes, (title, records) in zip(all_axes, panels.items(), strict=True):
            draw_curves(axes, records, title)
        all_axes[0].set_ylabel("error (%)")
        shown = sorted({record.config.net.depth for records in panels.values() for record in records})
        handles = [Line2D([], [], color=depth_color(depth), lw=2, label=f"{depth} layers") for depth in shown]
        figure.legend(handles=handles, loc="outside right upper")
        note(figure, [record for records in panels.values() for record in records], "solid: test, dashed: training. ")
    return figure


def final_errors(records: Sequence[RunRecord]) -> Figure:
    """Training error at the end against depth, plain and residual nets: one dot per seed, a line through the means."""
    figure, (axes,) = new_figure()
    with plt.rc_context(STYLE):
        for plain, color, label in ((True, "#D55E00", "plain"), (False, "#0072B2", "residual, option A")):
            group = [record for record in records if (record.config.net.shortcut == "none") == plain]
            points: dict[int, list[float]] = {}
            for record in group:
                points.setdefault(record.config.net.depth, []).append(record.final.train_error)
            depths = sorted(points)
            axes.plot(depths, [mean(points[d]) for d in depths], color=color, label=label, lw=2)
            for depth in depths:
                axes.plot([depth] * len(points[depth]), points[depth], "o", color=color, ms=4, alpha=0.5)
        axes.set(xlabel="layers", ylabel="final training error (%)", ylim=(0, None))
        axes.set_xticks(sorted({record.config.net.depth for record in records}))
        axes.legend()
        note(figure, records, "Dots: seeds; lines: their means. ")
    return figure


def settings(records: Sequence[RunRecord]) -> Figure:
    """Final training error of each setting: one dot per seed, a bar for the 95% interval of the mean."""
    groups: dict[str, list[float]] = {}
    for record in records:
        name = f"{record.config.net.name}, {recipe_name(record.config.recipe)}"
        groups.setdefault(name, []).append(record.final.train_error)
    figure, (axes,) = new_figure(height=1.2 + 0.32 * len(groups))
    with plt.rc_context(STYLE):
        for row, (name, values) in enumerate(groups.items()):
            color = "#0072B2" if name.startswith("ResNet") else "#D55E00"
            axes.plot(values, [row] * len(values), "o", color=color, ms=4, alpha=0.6, label=name, gid=MEASURED_ON_X)
            if len(values) > 1:
                _, low, high = interval(values)
                axes.plot([low, high], [row, row], color=color, lw=2, alpha=0.5)
        axes.set_yticks(range(len(groups)), list(groups))
        axes.invert_yaxis()
        axes.set(xlabel="final training error (%)", xlim=(0, None))
        note(figure, records, "Dots: seeds; bars: 95% interval of their mean. ")
    return figure


def series(figure: Figure) -> Table:
    """The lines of a figure as numbers, read off the drawing itself.

    Returns:
        One row per labelled line: panel, line, number of points, first and last value, and a digest of all its
        values. A curve that changes anywhere, by as little as a thousandth, changes the digest.
    """
    rows = []
    for axes in figure.axes:
        for line in axes.lines:
            label = str(line.get_label())
            if label.startswith("_"):
                continue
            points = [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]
            measured = [x if line.get_gid() == MEASURED_ON_X else y for x, y in points]
            text = ";".join(f"{x:.3f},{y:.3f}" for x, y in points)
            rows.append(
                {
                    "panel": axes.get_title(loc="left"),
                    "line": label,
                    "points": len(points),
                    "first": f"{measured[0]:.2f}" if points else "",
                    "last": f"{measured[-1]:.2f}" if points else "",
                    "digest": hashlib.sha256(text.encode()).hexdigest()[:8],
                }
            )
    return Table(rows, columns=["panel", "line", "points", "first", "last", "digest"])
