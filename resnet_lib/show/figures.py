"""Figures made from records. Nothing here trains or needs torch.

Every figure can be read as numbers: `series` tabulates the lines that a figure really holds, so that a check of the
table is a check of the drawing.
"""

import hashlib
import textwrap
from collections.abc import Sequence
from statistics import mean, median

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from resnet_lib.display import Table
from resnet_lib.evidence.claims import MIN_SEEDS, interval
from resnet_lib.evidence.diagnosis import CONSTRUCTED, guessing_error, setting_names
from resnet_lib.runs.experiments import DEPTHS, SUITES, WARMED_UP_DEPTH, Profile
from resnet_lib.runs.paper import figure4_error, figure6_error
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.runs.store import Records
from resnet_lib.show.tables import by_setting, describe, folklore_prices, price_verdict, studied, without_whole

# Okabe and Ito's colours, which colour-blind readers can tell apart; a depth has the same one in every figure.
DEPTH_COLORS = {20: "#0072B2", 32: "#009E73", 44: "#E69F00", 56: "#D55E00", 110: "#CC79A7", 1202: "#000000"}
BLUE, ORANGE = DEPTH_COLORS[20], DEPTH_COLORS[56]  # also: with and without shortcuts
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


def new_figure(num_panels: int = 1, height: float = 3.4, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side, in rows perhaps, that share their vertical axis, in the book's style."""
    with plt.rc_context(STYLE):
        width = 7.2 if num_panels > 1 else 5.6
        figure, axes = plt.subplots(
            rows, num_panels // rows, figsize=(width, height), sharey=True, squeeze=False, layout="constrained"
        )
    plt.close(figure)  # shown when a cell returns it, and only then
    return figure, list(axes.flat)


def note(figure: Figure, records: Sequence[RunRecord | Study], legend: str = "") -> None:
    """Writes under the figure which runs it shows: a picture that is copied elsewhere keeps saying so.

    The figure also carries the records, for the table that `series` makes of it.
    """
    figure.made_from = tuple(records)
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
        draw_pair(axes, group, name, depth_color(group[0].config.net.depth))
    axes.set(title=title, xlabel="iteration", ylim=(0, None))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))


def draw_pair(axes: Axes, records: Sequence[RunRecord], name: str, color: str, held_out: str = "test") -> None:
    """The training and the test curve of one net: means over its seeds, on bands from the lowest to the highest.

    What belongs to a net carries its name as group id, by which `explore` finds it.
    """
    for curve, style in (("train", {"ls": "--", "lw": 1.0}), ("test", {"ls": "-", "lw": 2.0})):
        tables = [getattr(record, f"{curve}_curve") for record in records]
        columns = list(zip(*(table.error for table in tables), strict=True))
        iterations = tables[0].iteration
        label = f"{name}, {'training' if curve == 'train' else held_out}"
        axes.plot(iterations, [mean(column) for column in columns], color=color, label=label, gid=name, **style)
        if len(records) > 1:
            low, high = [min(column) for column in columns], [max(column) for column in columns]
            axes.fill_between(iterations, low, high, color=color, alpha=0.12, lw=0, gid=name)


def curves(
    panels: dict[str, Sequence[RunRecord]],
    *,
    title: str = "",
    missing: dict[str, Sequence[str]] | None = None,
    paper: bool = False,
) -> Figure:
    """One panel of training and test curves per title; below, which line is which and what the runs were.

    Args:
        panels: title -> records of the nets to draw. A panel without any says so.
        title: the figure's message, where those of the panels are not enough.
        missing: title -> names of nets that belong into the panel and have not been run; it names them.
        paper: mark the last test errors of the paper's Figure 6, which were read off the drawing.
    """
    figure, all_axes = new_figure(len(panels))
    figure.set_figwidth(max(figure.get_figwidth(), 3 * len(panels)))
    with plt.rc_context(STYLE):
        for axes, (panel, records) in zip(all_axes, panels.items(), strict=True):
            draw_curves(axes, records, panel)
            if paper:
                draw_paper_ends(axes, records)
            if not records or (missing or {}).get(panel):
                write_missing(axes, (missing or {}).get(panel, ()), alone=not records)
        all_axes[0].set_ylabel("error (%)")
        shown = sorted({record.config.net.depth for records in panels.values() for record in records})
        handles = [Line2D([], [], color=depth_color(depth), lw=2, label=f"{depth} layers") for depth in shown]
        figure.legend(handles=handles, loc="outside right upper")
        if title:
            figure.suptitle(textwrap.fill(title, round(11 * figure.get_figwidth())), fontsize=11, x=0.01, ha="left")
        legend = "solid: test, dashed: training. "
        if paper:
            legend += "Diamonds: the paper's last test errors, after 64,000 iterations, read off its Figure 6. "
        note(figure, [record for records in panels.values() for record in records], legend)
    return figure


def write_missing(axes: Axes, names: Sequence[str], alone: bool) -> None:
    """Says in a panel that nets have no run yet: `alone` in an empty one, else above the curves."""
    lines = textwrap.wrap(", ".join(name.replace(" ", "_") for name in names), 24)  # a name stays on one line
    text = "\n".join(["no run yet" + (":" if lines else ""), *lines]).replace("_", " ")
    box = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1}
    axes.text(0.98, 0.98, text, transform=axes.transAxes, ha="right", va="top", color="0.35", fontsize=8, bbox=box)
    if alone:
        axes.set_xticks([])
        axes.grid(visible=False)


def draw_paper_ends(axes: Axes, records: Sequence[RunRecord]) -> None:
    """Where the test curves of the paper's Figure 6 end, for the nets drawn: a diamond at the last iteration."""
    for name, group in by_net(records).items():
        net, last = group[0].config.net, group[0].config.recipe.iterations
        end = figure6_error("plain" if net.shortcut == "none" else "resnet", net.depth, "test")
        if end is not None:
            color, label = depth_color(net.depth), f"{name}, the paper's end (read off)"
            axes.plot(
                [last],
                [end],
                "D",
                color=color,
                mfc="white",
                mew=1.5,
                ms=6,
                label=label,
                gid=name,
                clip_on=False,
                zorder=5,
            )


FIGURE6 = {
    "plain": [f"plain-{depth}" for depth in DEPTHS],
    "residual": [f"ResNet-{depth} A" for depth in (*DEPTHS, WARMED_UP_DEPTH)],
    "110 and 1202 layers": [f"ResNet-{WARMED_UP_DEPTH} A", "ResNet-1202 A"],
}
"""Panel -> nets. The paper does not draw plain-110, whose error it gives as higher than 60%."""


def figure6(records: Sequence[RunRecord], title: str = "") -> Figure:
    """Figure 6 of the paper: plain nets, residual nets, and the two deepest. Nets without a run are named as such.

    Args:
        records: those of one profile; nets that the paper's figure does not show are left out. On CIFAR-10 diamonds
            mark where the paper's curves end.
        title: the figure's message.
    """
    groups = by_net(records)
    panels = {panel: [r for name in names for r in groups.get(name, ())] for panel, names in FIGURE6.items()}
    missing = {panel: [name for name in names if name not in groups] for panel, names in FIGURE6.items()}
    on_cifar = any(record.config.data.name == "cifar10" for record in records)
    return curves(panels, title=title, missing=missing, paper=on_cifar)


def figure4(title: str = "") -> Figure:
    """The ends of the paper's curves of Figure 4, read off the drawing: ImageNet, 18 and 34 layers. None is ours."""
    figure, (axes,) = new_figure()
    figure.set_figwidth(7.2)
    with plt.rc_context(STYLE):
        for kind, color, name in (("plain", ORANGE, "plain"), ("resnet", BLUE, "ResNet")):
            for curve, style, fill in (("train", "o--", "white"), ("validation", "D-", color)):
                ends = [figure4_error(kind, depth, curve) for depth in (18, 34)]
                label = f"{name}, {curve.replace('train', 'training')}"
                axes.plot((18, 34), ends, style, color=color, mfc=fill, label=label)
        axes.set(xlabel="layers", ylabel="top-1 error (%)", xticks=(18, 34), xlim=(14, 38))
        figure.legend(loc="outside right upper")
        figure.suptitle(textwrap.fill(title, round(11 * figure.get_figwidth())), fontsize=11, x=0.01, ha="left")
        text = "The paper's, on ImageNet: read off its Figure 4, not printed by the authors. None of it was run here."
        figure.supxlabel(textwrap.fill(text, 84), fontsize=8, color="0.35", x=0.01, ha="left")
    return figure


def final_errors(records: Sequence[RunRecord], title: str = "") -> Figure:
    """Training error at the end against depth, plain and residual nets: one dot per seed, a line through the means.

    Transformers with and without shortcuts, too: their depth is counted in blocks.
    """
    figure, (axes,) = new_figure()
    transformers = any(record.config.net.family == "transformer" for record in records)
    names = ("without shortcuts", "with shortcuts") if transformers else ("plain", "residual, option A")
    with plt.rc_context(STYLE):
        for plain, color, label in ((True, ORANGE, names[0]), (False, BLUE, names[1])):
            group = [record for record in records if (record.config.net.shortcut == "none") == plain]
            points: dict[int, list[float]] = {}
            for record in group:
                points.setdefault(record.config.net.depth, []).append(record.final.train_error)
            depths = sorted(points)
            axes.plot(depths, [mean(points[d]) for d in depths], color=color, label=label, lw=2)
            for depth in depths:
                axes.plot([depth] * len(points[depth]), points[depth], "o", color=color, ms=4, alpha=0.5)
        axes.set(xlabel="blocks" if transformers else "layers", ylabel="final training error (%)", ylim=(0, None))
        axes.set_xticks(sorted({record.config.net.depth for record in records}))
        axes.set_title(title)
        axes.legend()
        note(figure, records, "Dots: seeds; lines: their means. ")
    return figure


def cases(records: Sequence[RunRecord]) -> Figure:
    """Chapter 10: training and validation error of the runs built to be each case, one panel a case.

    The second run, the same net with a larger FC head, is grey; so is the error of guessing, dotted.

    Args:
        records: of the suite `diagnoses`, all of one profile.
    """
    figure, all_axes = new_figure(len(CONSTRUCTED), height=5.6, rows=2)
    with plt.rc_context(STYLE):
        for axes, (name, (case, second)) in zip(all_axes, CONSTRUCTED.items(), strict=True):
            for setting, headed in ((name, False), (second, True)):
                runs = [record for record in records if setting_names()[record.config] == setting]
                if runs:
                    net = runs[0].config.net
                    own = "#009E73" if net.family == "fully-connected" else depth_color(net.depth)
                    draw_pair(axes, runs, net.name, "0.5" if headed else own, "validation")
                    if not headed:
                        axes.axhline(guessing_error(runs[0]), color="0.5", ls=":", lw=1, label="guessing")
            axes.set(title=f"{case}: {name.partition(': ')[2]}", ylim=(0, 100))
        for axes in all_axes[len(all_axes) // 2 :]:
            axes.set_xlabel("iteration")
        for axes in all_axes[:: len(all_axes) // 2]:
            axes.set_ylabel("error (%)")
        message = "High training error with no gap has two causes; a second run tells them apart"
        figure.suptitle(message, fontsize=11, x=0.01, ha="left")
        legend = "Bold: validation, dashed: training; grey: the second run, with an FC head; dotted: guessing. "
        note(figure, records, legend)
    return figure


def settings(
    records: Sequence[RunRecord] | dict[str, Sequence[RunRecord]],
    which: Sequence[str] = ("training",),
    title: str = "",
) -> Figure:
    """Final errors of each setting: one dot per seed, a bar for the 95% interval of the mean.

    A row is named by its net and by what else differs between the runs of a panel; see `tables.by_setting`.

    Args:
        records: what to show, or title -> records, for panels side by side that share their rows.
        which: "training", "test" or both. With both, the first is hollow and lies above the other.
        title: the figure's message.
    """
    panels = records if isinstance(records, dict) else {"": records}
    shown = [record for group in panels.values() for record in group]
    rows: dict[str, int] = {}
    grouped = by_setting(*panels.values())
    for groups in grouped:
        for name in groups:
            rows.setdefault(name, len(rows))
    figure, all_axes = new_figure(len(panels), height=1.2 + 0.36 * len(rows))
    with plt.rc_context(STYLE):
        for axes, panel, groups in zip(all_axes, panels, grouped, strict=True):
            for name, group in groups.items():
                for number, error in enumerate(which):
                    offset = 0.3 * (number - (len(which) - 1) / 2)
                    label = name if len(which) == 1 else f"{name}, {error}"
                    draw_spread(axes, rows[name] + offset, group, error, label, hollow=error != which[-1])
            measure = "error" if len(which) > 1 else f"{which[0]} error"
            axes.set(title=panel, xlabel=f"final {measure} (%)", xlim=(0, min(axes.get_xlim()[1], 102)))
        all_axes[0].set_yticks(range(len(rows)), list(rows))
        all_axes[0].set_ylim(max(len(rows), 1) - 0.5, -0.5)
        if title:
            figure.suptitle(textwrap.fill(title, round(11 * figure.get_figwidth())), fontsize=11, x=0.01, ha="left")
        legend = "Dots: seeds; bars: 95% interval of their mean. "
        if len(which) > 1:
            legend = f"Hollow: {which[0]}, filled: {which[-1]}. " + legend
        if diverged := sum(record.diverged_at is not None for record in shown):
            plural = "s" if diverged > 1 else ""
            legend += f"{diverged} run{plural} diverged, drawn at the error of guessing. "
        note(figure, shown, legend)
    return figure


def draw_spread(
    axes: Axes, row: float, records: Sequence[RunRecord], error: str, label: str, hollow: bool = False
) -> None:
    """The final errors of one setting's seeds as dots on a row, on a bar for the 95% interval of their mean."""
    shortcut, family = records[0].config.net.shortcut, records[0].config.net.family
    color = "#009E73" if family == "fully-connected" else "#D55E00" if shortcut == "none" else "#0072B2"
    values = [r.final.train_error if error == "training" else r.final.test_error for r in records]
    fill = {"mfc": "none"} if hollow else {"alpha": 0.6}
    axes.plot(values, [row] * len(values), "o", color=color, ms=4, label=label, gid=MEASURED_ON_X, **fill)
    if len(values) >= MIN_SEEDS:
        _, low, high = interval(values)
        axes.plot([low, high], [row, row], color=color, lw=2, alpha=0.5)


def parity(features: np.ndarray, labels: np.ndarray) -> Figure:
    """The parity rule of `tabular`: its first two features, once with the third negative and once with it positive.

    Args:
        features: (N, F), F at least 3; the first 500 rows are drawn.
        labels: (N,), 0 or 1.
    """
    features, labels = features[:500], labels[:500]
    figure, all_axes = new_figure(2)
    with plt.rc_context(STYLE):
        for axes, title, chosen in (
            (all_axes[0], "third feature negative", features[:, 2] <= 0),
            (all_axes[1], "third feature positive", features[:, 2] > 0),
        ):
            for label, color, marker in ((0, "#0072B2", "o"), (1, "#D55E00", "x")):
                x, y = features[chosen & (labels == label), :2].T
                axes.plot(x, y, marker, color=color, ms=4, label=f"class {label}")
            axes.set(title=title, xlabel="first feature", aspect="equal")
        all_axes[0].set_ylabel("second feature")
        handles, names = all_axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right upper")
        figure.suptitle("No straight line separates the classes", fontsize=11, x=0.01, ha="left")
    return figure


def folklore(profile: Profile, records: Records) -> Figure:
    """Chapter 11's price list: what each departure adds to the test error, largest first; see `tables.folklore`.

    A dot per seed, a bar for the 95% interval of the mean. A mean whose interval leaves zero out is filled.
    """
    prices = {key: effects for key, effects in folklore_prices(profile, records).items() if effects}
    rows = sorted(prices, key=lambda key: mean(prices[key]), reverse=True)
    suite = SUITES["folklore"]
    shown = records.select(config for name in suite.settings for config in suite.setting(name, profile))
    figure, (axes,) = new_figure(height=1.3 + 0.32 * len(rows))
    figure.set_figwidth(7.2)
    with plt.rc_context(STYLE):
        axes.axvline(0, color="0.3", lw=1)
        for row, key in enumerate(rows):
            effects = prices[key]
            axes.plot(effects, [row] * len(effects), "o", color=BLUE, ms=3, alpha=0.45, label=key, gid=MEASURED_ON_X)
            fill = BLUE if price_verdict(effects) in ("costs", "gains") else "white"
            axes.plot(mean(effects), row, "D", color=BLUE, mfc=fill, ms=6, label=f"{key}, mean", gid=MEASURED_ON_X)
            if len(effects) >= MIN_SEEDS:
                _, low, high = interval(effects)
                axes.plot([low, high], [row, row], color=BLUE, lw=2, alpha=0.6, zorder=1)
        axes.set_yticks(range(len(rows)), rows)
        axes.set(ylim=(max(len(rows), 1) - 0.5, -0.5), xlabel="added to the test error (points)")
        verdicts = [price_verdict(effects) for effects in prices.values()]
        costs, gains = verdicts.count("costs"), verdicts.count("gains")
        title = f"Of {len(rows)} departures {costs} cost and {gains} gain; the others cannot be told from zero"
        figure.suptitle(title, fontsize=11, x=0.01, ha="left")
        note(figure, shown, "Dots: seeds; diamonds: means, filled if the 95% interval (bar) leaves zero out. ")
    return figure


def lines(
    values: dict[str, Sequence[float]], x: str, y: str, title: str, *, start: int = 0, log: bool = False
) -> Figure:
    """Lines of numbers that a live cell has made, such as learning rates by iteration.

    Args:
        values: name -> numbers; the first is blue, the second orange.
        x, y: the axes' names, with units.
        title: the figure's message.
        start: where the horizontal axis begins to count.
        log: a logarithmic vertical axis.
    """
    figure, (axes,) = new_figure()
    looks = ((BLUE, "-", 3), (ORANGE, "--", 2), ("#009E73", ":", 2), ("#000000", "-.", 1))
    with plt.rc_context(STYLE):
        for (name, numbers), (color, style, width) in zip(values.items(), looks, strict=False):
            axes.plot(range(start, start + len(numbers)), numbers, color=color, ls=style, lw=width, label=name)
        axes.set(xlabel=x, ylabel=y, title=title, yscale="log" if log else "linear")
        axes.legend()
    return figure


def per_layer(
    panels: dict[str, Sequence[Sequence[float]]],
    y: str,
    title: str,
    *,
    dashed: dict[str, Sequence[Sequence[float]]] | None = None,
    records: Sequence[RunRecord] = (),
    legend: str = "",
) -> Figure:
    """One number per 3x3 layer against the layer, in order of depth, on a logarithmic axis: two panels to a row.

    Args:
        panels: title -> numbers of some nets of basic blocks, which have one 3x3 layer fewer than they have layers.
            Nets of one depth are its seeds: the line is their median, the band reaches from the lowest to the highest.
        y: what the numbers are.
        title: the figure's message.
        dashed: title -> numbers to draw in the same panels as thin, black, dashed lines.
        records: the runs shown; none for what a live cell has measured.
        legend: what else to write below.
    """
    rows = max(1, len(panels) // 2)
    depths = sorted({len(net) + 1 for nets in panels.values() for net in nets})
    figure, all_axes = new_figure(len(panels), height=1.0 + 2.4 * rows, rows=rows)
    with plt.rc_context(STYLE):
        for axes, (panel, nets) in zip(all_axes, panels.items(), strict=True):
            draw_layers(axes, nets)
            draw_layers(axes, (dashed or {}).get(panel, ()), ", dashed", ls="--", lw=1.0, color="black")
            axes.set(title=panel, yscale="log", xlim=(0, max(depths, default=1)))
        for axes in all_axes[-2:]:
            axes.set_xlabel("3×3 layer, from the image on")
        for axes in all_axes[::2]:
            axes.set_ylabel(y)
        handles = [Line2D([], [], color=depth_color(depth), lw=2, label=f"{depth} layers") for depth in depths]
        figure.legend(handles=handles, loc="outside right upper")
        figure.suptitle(textwrap.fill(title, round(8.5 * figure.get_figwidth())), fontsize=11, x=0.01, ha="left")
        if records:
            note(figure, records, legend)
        elif legend:
            figure.supxlabel(legend, fontsize=8, color="0.35", x=0.01, ha="left")
    return figure


def draw_layers(axes: Axes, nets: Sequence[Sequence[float]], suffix: str = "", **look: object) -> None:
    """One line per depth: the median of its nets in each layer, on a band from the lowest to the highest."""
    depths: dict[int, list[Sequence[float]]] = {}
    for net in nets:
        depths.setdefault(len(net) + 1, []).append(net)
    for depth, group in sorted(depths.items(), reverse=True):  # the shortest line on top
        numbers, columns = range(1, depth), list(zip(*group, strict=True))
        color = depth_color(depth)
        middle = [median(column) for column in columns]
        axes.plot(numbers, middle, label=f"{depth} layers{suffix}", **{"color": color, "lw": 2.0} | look)
        if len(group) > 1:
            low, high = [min(column) for column in columns], [max(column) for column in columns]
            axes.fill_between(numbers, low, high, color=color, alpha=0.15, lw=0)


def responses(panels: dict[str, Sequence[RunRecord]], title: str = "") -> Figure:
    """Figure 7: the deviation of each 3x3 layer's response, in order of depth (left) and sorted (right).

    Solid lines are residual nets, dashed ones plain nets: the median of a net's seeds, in each layer and, on the
    right, in each rank.

    Args:
        panels: title -> records; each makes a row of two panels.
        title: the figure's message.
    """
    figure, all_axes = new_figure(2 * len(panels), height=1.0 + 2.6 * len(panels), rows=len(panels))
    shown = [record for records in panels.values() for record in records]
    with plt.rc_context(STYLE):
        for row, (panel, records) in enumerate(panels.items()):
            for axes, order in zip(all_axes[2 * row : 2 * row + 2], ("in order of depth", "sorted"), strict=True):
                draw_responses(axes, records, largest_first=order == "sorted")
                axes.set(title=f"{panel}, {order}", yscale="log", ylim=RESPONSES_SHOWN)
                axes.set_yticks((0.5, 1, 2, 5, 10, 20, 50), ("0.5", "1", "2", "5", "10", "20", "50"))
                axes.minorticks_off()
        for axes, order in zip(all_axes[-2:], ("3×3 layer, from the image on", "rank of the layer"), strict=True):
            axes.set_xlabel(order)
        figure.supylabel("standard deviation of the response", fontsize=10)
        depths = sorted({record.config.net.depth for record in shown})
        handles = [Line2D([], [], color=depth_color(depth), lw=2, label=f"{depth} layers") for depth in depths]
        figure.legend(handles=handles, loc="outside right upper")
        figure.suptitle(textwrap.fill(title, round(11 * figure.get_figwidth())), fontsize=11, x=0.01, ha="left")
        largest = {name: max(drawn_values(all_axes, name)) for name in by_net(shown)}
        beyond = [
            f"{name} leaves the axis, up to {top:,.0f}. " for name, top in largest.items() if top > RESPONSES_SHOWN[1]
        ]
        note(figure, shown, "Solid: residual, dashed: plain; medians over seeds. " + "".join(beyond))
    return figure


RESPONSES_SHOWN = (0.3, 50.0)  # what lies beyond is told below the figure; else it would leave no room for the rest


def drawn_values(all_axes: Sequence[Axes], label: str) -> list[float]:
    """The heights of all points of the lines with this label."""
    return [float(y) for axes in all_axes for line in axes.lines if line.get_label() == label for y in line.get_ydata()]


def draw_responses(axes: Axes, records: Sequence[RunRecord], largest_first: bool) -> None:
    """One line per net: the median over its seeds of each layer's response, or of each rank's."""
    for name, group in by_net([record for record in records if record.probes]).items():
        nets = [record.probes.response_std for record in group if record.probes]
        nets = [sorted(net, reverse=True) for net in nets] if largest_first else nets
        middle = [median(column) for column in zip(*nets, strict=True)]
        net = group[0].config.net
        look = {"ls": "--", "lw": 1.2} if net.shortcut == "none" else {"ls": "-", "lw": 2.0}
        axes.plot(range(1, len(middle) + 1), middle, color=depth_color(net.depth), label=name, **look)


def lesions(profile: Profile, records: Records, depths: Sequence[int], title: str = "") -> Figure:
    """Test error of trained nets with one block deleted (left), or exchanged with the next (right); a row per depth.

    Lines are medians over seeds on bands from the lowest to the highest; dotted: the whole nets. Gaps are the blocks
    that change the shape, which cannot be taken out.
    """
    figure, all_axes = new_figure(2 * len(depths), height=1.0 + 2.4 * len(depths), rows=len(depths))
    shown: list[Study] = []
    with plt.rc_context(STYLE):
        for row, depth in enumerate(depths):
            for axes, study, done in zip(
                all_axes[2 * row : 2 * row + 2],
                ("delete-block", "swap-blocks"),
                ("a block deleted", "two exchanged"),
                strict=True,
            ):
                for net, color in ((f"plain-{depth}", ORANGE), (f"ResNet-{depth} A", BLUE)):
                    found = studied(study, profile, records, [net])
                    if found:
                        draw_lesions(axes, found, net, color)
                        shown += found
                if not axes.lines:
                    write_missing(axes, (), alone=True)
                axes.set(title=f"{depth} layers: {done}", ylim=(0, 100), xlabel="block, from the image on")
            all_axes[2 * row].set_ylabel("test error (%)")
        handles = [Line2D([], [], color=c, lw=2, label=label) for c, label in ((ORANGE, "plain"), (BLUE, "residual"))]
        figure.legend(handles=handles, loc="outside right upper")
        figure.suptitle(textwrap.fill(title, round(11 * figure.get_figwidth())), fontsize=11, x=0.01, ha="left")
        images = " and ".join(f"{number:,}" for number in sorted({study.num_images for study in shown}))
        note(figure, shown, f"Dotted: the whole nets. Errors on {images} test images. " if shown else "")
    return figure


def draw_lesions(axes: Axes, studies: Sequence[Study], name: str, color: str) -> None:
    """The errors of one net's seeds, block by block, and of the whole net; stages are parted where blocks are."""
    per_stage = (studies[0].config.net.depth - 2) // 6
    cases = [without_whole(study) for study in studies]
    columns = {block: [errors[block] for errors, _ in cases] for block in cases[0][0]}
    axes.axhline(median(whole for _, whole in cases), color=color, ls=":", lw=1.2, label=f"{name}, whole")
    for stage in ("layer1", "layer2", "layer3"):
        blocks = [block for block in columns if block.startswith(stage)]
        places = [per_stage * (int(stage[-1]) - 1) + int(block.partition(".")[2]) + 1 for block in blocks]
        values = [columns[block] for block in blocks]
        axes.plot(places, [median(v) for v in values], "o-", color=color, ms=3, lw=1.5, label=f"{name}, {stage}")
        if len(studies) > 1:
            axes.fill_between(places, [min(v) for v in values], [max(v) for v in values], color=color, alpha=0.15, lw=0)


def gradient_shares(maps: dict[str, np.ndarray], reach: int) -> Figure:
    """Share of a gradient inside squares around the centre against their side, one line per net.

    Args:
        maps: net -> absolute gradient (H, W), square, with an odd side; see `geometry.gradient_map`.
        reach: the side of the receptive field in pixels.
    """
    figure, (axes,) = new_figure()
    with plt.rc_context(STYLE):
        for name, gradient in maps.items():
            middle = gradient.shape[0] // 2
            sides = range(1, gradient.shape[0] + 1, 4)
            whole = float(gradient.sum())
            squares = [slice(max(0, middle - side // 2), middle + side // 2 + 1) for side in sides]
            shares = [100 * float(gradient[square, square].sum()) / whole for square in squares]
            axes.plot(sides, shares, color="#D55E00" if name.startswith("plain") else "#0072B2", lw=2, label=name)
        axes.axvline(reach, color="0.35", ls=":", lw=1.5)
        axes.annotate("all that it can see", (reach, 8), ha="right", xytext=(-4, 0), textcoords="offset points")
        axes.set(xlabel="side of the square (pixels)", ylabel="share of the gradient (%)", ylim=(0, 102))
        axes.set_title("Most of what a position sees lies near the middle")
        axes.legend(loc="upper left")
    return figure


def series(figure: Figure) -> Table:
    """The lines of a figure as numbers, read off the drawing itself.

    Returns:
        One row per labelled line: panel, line, number of points, first and last value, and a digest of all its
        values. A curve that changes anywhere, by as little as a thousandth, changes the digest; on a logarithmic
        axis, by as little as the fourth significant digit.
    """
    rows = []
    for axes in figure.axes:
        brief, exact = (".2g", ".4g") if axes.get_yscale() == "log" else (".2f", ".3f")
        for line in axes.lines:
            label = str(line.get_label())
            if label.startswith("_"):
                continue
            points = [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]
            measured = [x if line.get_gid() == MEASURED_ON_X else y for x, y in points]
            text = ";".join(f"{x:.3f},{y:{exact}}" for x, y in points)
            rows.append(
                {
                    "panel": axes.get_title(loc="left"),
                    "line": label,
                    "points": len(points),
                    "first": f"{measured[0]:{brief}}" if points else "",
                    "last": f"{measured[-1]:{brief}}" if points else "",
                    "digest": hashlib.sha256(text.encode()).hexdigest()[:8],
                }
            )
    table = Table(rows, columns=["panel", "line", "points", "first", "last", "digest"])
    return table.from_runs(figure.made_from) if hasattr(figure, "made_from") else table
