"""What all figures share: colours, style, a note of the runs below, and the drawing read as numbers.

Every figure can be read as numbers: `series` tabulates the lines that a figure really holds, so that a check of the
table is a check of the drawing.
"""

import hashlib
import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_lib.display import Table
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.show.grouping import describe

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


def write_missing(axes: Axes, names: Sequence[str], alone: bool) -> None:
    """Says in a panel that nets have no run yet: `alone` in an empty one, else above the curves."""
    lines = textwrap.wrap(", ".join(name.replace(" ", "_") for name in names), 24)  # a name stays on one line
    text = "\n".join(["no run yet" + (":" if lines else ""), *lines]).replace("_", " ")
    box = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1}
    axes.text(0.98, 0.98, text, transform=axes.transAxes, ha="right", va="top", color="0.35", fontsize=8, bbox=box)
    if alone:
        axes.set_xticks([])
        axes.grid(visible=False)


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
