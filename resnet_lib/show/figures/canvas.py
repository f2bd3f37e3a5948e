"""What all figures share: colours, style, and a figure that knows which runs it shows and can be read as numbers."""

import hashlib
import textwrap
from collections.abc import Callable, Iterable, Sequence
from statistics import median

import matplotlib.figure
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from resnet_lib.display import Table
from resnet_lib.runs.config import NetConfig
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.show.grouping import describe

# Okabe and Ito's colours, which colour-blind readers can tell apart; a depth has the same one in every figure.
DEPTH_COLORS = {20: "#0072B2", 32: "#009E73", 44: "#E69F00", 56: "#D55E00", 110: "#CC79A7", 1202: "#000000"}
BLUE, GREEN, ORANGE = DEPTH_COLORS[20], DEPTH_COLORS[32], DEPTH_COLORS[56]
MEASURED_ON_X = "measured-on-x"  # marks lines whose numbers lie on the horizontal axis, for `Figure.series`
styled = plt.rc_context(  # decorates what draws a figure
    {
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
)


def depth_color(depth: int) -> str:
    """The colour of a depth: its own for the paper's, one of five muted ones for a reader's."""
    return DEPTH_COLORS.get(depth, ("#56B4E9", "#8C564B", "#7F7F7F", "#BCBD22", "#6A3D9A")[depth // 6 % 5])


def kind_color(net: NetConfig) -> str:
    """Where depth is told otherwise: orange for nets without shortcuts, blue with them, green if fully connected."""
    return GREEN if net.family == "fully-connected" else ORANGE if net.shortcut == "none" else BLUE


class Figure(matplotlib.figure.Figure):
    """A figure in the book's style, which carries the runs it shows and can be read as numbers."""

    made_from: tuple[RunRecord | Study, ...] | None = None  # None: runs have no part in it

    def headline(self, message: str, per_inch: float = 11) -> None:
        """Writes the figure's message above it, broken into lines of so many letters to an inch."""
        if message:
            self.suptitle(textwrap.fill(message, round(per_inch * self.get_figwidth())), fontsize=11, x=0.01, ha="left")

    def caption(self, text: str) -> None:
        """Writes in small letters below the figure: a picture that is copied elsewhere keeps saying so."""
        self.supxlabel(text, fontsize=8, color="0.35", x=0.01, ha="left")

    def from_runs(self, records: Iterable[RunRecord | Study], legend: str = "") -> None:
        """Takes down that the figure shows these runs, and writes them below it, after what its lines are."""
        self.made_from = tuple(records)
        self.caption(textwrap.fill(legend + describe(self.made_from), round(15 * self.get_figwidth())))

    def color_legend(self, colors: dict[str, str]) -> None:
        """Says outside the panels what each colour (its name first) stands for."""
        handles = [Line2D([], [], color=color, lw=2, label=name) for name, color in colors.items()]
        self.legend(handles=handles, loc="outside right upper")

    def depth_legend(self, depths: Iterable[int]) -> None:
        """Says outside the panels which colours these depths have."""
        self.color_legend({f"{depth} layers": depth_color(depth) for depth in sorted(set(depths))})

    def series(self) -> Table:
        """The lines of the figure as numbers, read off the drawing itself: to check them is to check the drawing.

        Returns:
            One row per labelled line: panel, line, number of points, first and last value, and a digest of all its
            values. A curve that changes anywhere, by as little as a thousandth, changes the digest; on a logarithmic
            axis, by as little as the fourth significant digit.
        """
        rows = []
        for axes in self.axes:
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
        return table if self.made_from is None else table.from_runs(self.made_from)


def new_figure(num_panels: int = 1, height: float = 3.4, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side, in rows perhaps, that share their vertical axis."""
    figure, axes = plt.subplots(
        rows,
        num_panels // rows,
        figsize=(7.2 if num_panels > 1 else 5.6, height),
        sharey=True,
        squeeze=False,
        layout="constrained",
        FigureClass=Figure,
    )
    plt.close(figure)  # shown when a cell returns it, and only then
    return figure, list(axes.flat)


def draw_seeds(
    axes: Axes,
    x: Sequence[float],
    seeds: Sequence[Sequence[float]],
    middle: Callable[[Sequence[float]], float] = median,
    *,
    band: float = 0.15,
    **look: object,
) -> list[float]:
    """One line for all seeds, the `middle` of their numbers at each place x, on a band from the lowest to the highest.

    The band is as opaque as `band` says, of 1. Returns the heights of the line.
    """
    columns = list(zip(*seeds, strict=True))
    heights = [middle(column) for column in columns]
    axes.plot(x, heights, **look)
    if len(seeds) > 1 and band:
        low, high = [min(column) for column in columns], [max(column) for column in columns]
        axes.fill_between(x, low, high, color=look["color"], alpha=band, lw=0, gid=look.get("gid"))
    return heights


def write_missing(axes: Axes, names: Sequence[str], alone: bool) -> None:
    """Says in a panel that nets have no run yet: `alone` in an empty one, else above the curves."""
    lines = textwrap.wrap(", ".join(name.replace(" ", "_") for name in names), 24)  # a name stays on one line
    text = "\n".join(["no run yet" + (":" if lines else ""), *lines]).replace("_", " ")
    box = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1}
    axes.text(0.98, 0.98, text, transform=axes.transAxes, ha="right", va="top", color="0.35", fontsize=8, bbox=box)
    if alone:
        axes.set_xticks([])
        axes.grid(visible=False)
