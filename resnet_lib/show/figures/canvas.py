"""What all figures share: colours, style, and a figure that knows which runs it shows and can be read as numbers."""

import hashlib
import io
import pickle
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import Literal

import matplotlib.figure
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import LogFormatter, StrMethodFormatter

from resnet_lib.display import Html, Table, runs_line
from resnet_lib.runs.config import NetConfig
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.show.grouping import describe
from resnet_lib.show.pictures import WIDTHS, Panel, picture

# Okabe and Ito's colours, which colour-blind readers can tell apart; a depth has the same one in every figure.
DEPTH_COLORS = {20: "#0072B2", 32: "#009E73", 44: "#E69F00", 56: "#D55E00", 110: "#CC79A7", 1202: "#000000"}
BLUE, GREEN, ORANGE = DEPTH_COLORS[20], DEPTH_COLORS[32], DEPTH_COLORS[56]
MEASURED_ON_X = "measured-on-x"  # marks lines whose numbers lie on the horizontal axis, for `Figure.series`
styled = plt.rc_context(  # decorates what draws a figure
    {
        "font.size": 12,
        "axes.labelsize": 12,
        "axes.titlesize": 12,
        "xtick.labelsize": 11,
        "ytick.labelsize": 11,
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


@dataclass(frozen=True)
class Drawn:
    """A panel by itself, and which part of it the axes take: left, top, width, height, as shares."""

    panel: Panel
    place: tuple[float, float, float, float]


class Figure(matplotlib.figure.Figure):
    """A figure in the book's style, which carries the runs it shows and can be read as numbers.

    A notebook shows it panel by panel (`pictures.picture`); saved to a file it is one image.
    """

    made_from: tuple[RunRecord | Study, ...] | None = None  # None: runs have no part in it
    heights: Sequence[float] | None = (
        None  # of the panels, in inches, where a page shows them with heights of their own
    )

    def headline(self, message: str) -> None:
        """Writes the figure's message above it."""
        if message:
            self.suptitle(message, fontsize=12, x=0.01, ha="left", wrap=True)

    def caption(self, text: str) -> None:
        """Writes below the figure what it shows: a picture that is copied elsewhere keeps saying so."""
        self.supxlabel(text, fontsize=9, color="0.35", x=0.01, ha="left", wrap=True)

    def from_runs(self, records: Iterable[RunRecord | Study], legend: str = "") -> None:
        """Takes down that the figure shows these runs, and writes them below it, after what its lines are."""
        self.made_from = tuple(records)
        self.caption(legend + describe(self.made_from))

    def color_legend(self, colors: dict[str, str], looks: dict[str, dict[str, object]] | None = None) -> None:
        """Says outside the panels what each colour (its name first) stands for, and each look of a line."""
        looks = {name: {"color": color, "lw": 2} for name, color in colors.items()} | (looks or {})
        handles = [Line2D([], [], **{"color": "0.35", "label": name} | look) for name, look in looks.items()]
        self.legend(handles=handles, loc="outside right upper")

    def depth_legend(self, depths: Iterable[int], looks: dict[str, dict[str, object]] | None = None) -> None:
        """Says outside the panels which colours these depths have, and what else a line may look like."""
        self.color_legend({f"{depth} layers": depth_color(depth) for depth in sorted(set(depths))}, looks)

    @property
    def panels(self) -> list[Axes]:
        """The axes that are to be seen."""
        return [axes for axes in self.axes if axes.get_visible()]

    def drawn(self) -> list[Drawn]:
        """The panels one by one, each with names for its axes, since they do not always stand side by side."""
        return [self._drawn_alone(self.axes.index(axes)) for axes in self.panels]

    @styled
    def _drawn_alone(self, number: int) -> Drawn:
        copied: Figure = pickle.loads(pickle.dumps(self))
        rows, columns = self.shape
        axes, row, column = copied.axes[number], number // columns, number % columns
        title = axes.get_title(loc="left").replace("\n", " ")
        axes.set_title("", loc="left")
        axes.set_xlabel(axes.get_xlabel() or copied.axes[column - columns].get_xlabel())
        measured = axes.get_ylabel() or copied.axes[row * columns].get_ylabel() or self.get_supylabel()
        axes.set_ylabel("")
        axes.tick_params(labelleft=True)
        for other in set(copied.axes) - {axes}:
            other.remove()
        around = (copied._suptitle, copied._supxlabel, copied._supylabel, *copied.legends, axes.get_legend())
        for artist in filter(None, around):
            artist.remove()
        copied._suptitle = copied._supxlabel = copied._supylabel = None  # which `remove` leaves to the layout
        height = self.heights[number] if self.heights else self.get_figheight() / rows
        copied.set_size_inches(self.get_figwidth() / columns, height)
        axes.set_subplotspec(GridSpec(1, 1, figure=copied)[0])
        file = io.StringIO()
        with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "resnet_lib"}):
            copied.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
        nets = {str(artist.get_gid()) for artist in axes.get_children() if artist.get_gid()} - {MEASURED_ON_X}
        box = axes.get_position()
        panel = Panel(part_of_a_page(file.getvalue(), nets), title, measured)
        return Drawn(panel, (box.x0, 1 - box.y1, box.width, box.height))

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns of panels there are."""
        return self.axes[0].get_subplotspec().get_gridspec().get_geometry()

    def key(self) -> list[tuple[str, str]]:
        """What the legends say, as `pictures.picture` takes it."""
        legends = filter(None, (*self.legends, *(axes.get_legend() for axes in self.axes)))
        marks = {
            text.get_text(): swatch(handle)
            for legend in legends
            for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True)
        }
        return [(mark, name) for name, mark in marks.items()]

    def to_html(self) -> Html:
        """The figure as a notebook and a page show it."""
        panels = [drawn.panel for drawn in self.drawn()]
        words = {"headline": self.get_suptitle(), "footer": self.get_supxlabel()}
        runs = "" if self.made_from is None else runs_line(self.made_from)
        columns = min(self.shape[1], 3 if self.get_figwidth() / self.shape[1] < WIDTHS[2] / 72 else 2)
        return picture(panels, columns, key=self.key(), **words, runs=runs)

    def _ipython_display_(self) -> None:
        from IPython.display import display  # only a notebook comes here, and a notebook has it

        said = f"<Figure with {len(self.panels)} panel{'s' if len(self.panels) > 1 else ''}>"
        display({"text/html": str(self.to_html()), "text/plain": said}, raw=True)

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


def part_of_a_page(svg: str, nets: Iterable[str]) -> str:
    """An SVG file of matplotlib's as part of a page.

    It goes without what is for a file, is as wide as its place, its text is the page's, and what belongs to a net says
    so. Names are its own, since all pictures of a page share them.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    for what, instead in (
        (r"font: ([\d.]+px)[^;\"]*", r"font-size: \1"),  # as matplotlib 3.8 writes it
        (r"font-family: [^;\"]*;? ?", ""),
        (r' transform="rotate\(-?0 [^"]*"', ""),
        (r"xlink:href", "href"),
        (r"\s*\n\s*", " "),
        (r"(\d\.\d)\d+", r"\1"),
    ):
        svg = re.sub(r"<[^>]*>", lambda tag, what=what, instead=instead: re.sub(what, instead, tag[0]), svg)
    svg = re.sub(r">\s*\n\s*<", ">\n<", re.sub(r"<defs>\s*</defs>", "", svg))
    for net in nets:
        svg = svg.replace(f'<g id="{escape(net)}">', f'<g data-net="{escape(net)}">')
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    own = hashlib.sha256(svg.encode()).hexdigest()[:6]
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>d{own}-", svg)
    frame = re.search(r'viewBox="[^"]*"', svg)[0]
    look = 'width="100%" fill="#000000" stroke-linejoin="round" style="display: block; overflow: visible"'
    return re.sub(r"<svg[^>]*>", f"<svg {frame} {look}>", svg, count=1).strip()


def swatch(line: Line2D) -> str:
    """A piece of a line, with its marker, as an SVG of the height of a letter."""
    color, dashes = to_hex(line.get_color()), {"--": "6 3", ":": "2 3", "-.": "6 3 2 3"}.get(line.get_linestyle(), "")
    parts = ['<svg viewBox="0 0 28 12" width="28" height="12">']
    if line.get_linestyle() != "None":
        look = f'stroke="{color}" stroke-width="{line.get_linewidth():g}"' + (
            dashes and f' stroke-dasharray="{dashes}"'
        )
        parts.append(f'<path d="M1 6H27" {look}/>')
    style = MarkerStyle(line.get_marker())
    for corners in style.get_path().transformed(style.get_transform()).to_polygons(closed_only=False):
        points = " ".join(f"{14 + 7 * x:.1f},{6 - 7 * y:.1f}" for x, y in corners)
        fill = line.get_markerfacecolor()
        fill = "none" if fill == "none" or not style.is_filled() else to_hex(fill)
        parts.append(f'<polygon points="{points}" fill="{fill}" stroke="{color}"/>')
    return "".join([*parts, "</svg>"])


def new_figure(
    num_panels: int = 1, height: float = 3.2, rows: int = 1, sharey: bool | Literal["row"] = True
) -> tuple[Figure, list[Axes]]:
    """A figure with panels of this height (inches) side by side, in rows perhaps; their width is `pictures.WIDTHS`.

    `sharey`: whether they have one vertical axis, each its own, or one in each row.
    """
    columns = num_panels // rows
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(columns * WIDTHS.get(columns, WIDTHS[3]) / 72, rows * height),
        sharey=sharey,
        squeeze=False,
        layout="constrained",
        FigureClass=Figure,
    )
    plt.close(figure)  # shown when a cell returns it, and only then
    return figure, list(axes.flat)


def log_axis(axes: Axes) -> None:
    """A logarithmic vertical axis with numbers written out: exponents would be too small to read."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(LogFormatter())


def name_rows(axes: Iterable[Axes], names: Sequence[str]) -> None:
    """Names the rows of panels from the top down, each above what is drawn in it: a phone is too narrow for more."""
    box = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0}
    for one in axes:
        one.set_yticks([])
        one.set_ylim(max(len(names), 1) - 0.5, -0.75)
        for row, name in enumerate(names):
            one.text(0, row - 0.4, name, transform=one.get_yaxis_transform(), va="center", fontsize=11, bbox=box)


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
    """Says that nets have no run yet: in the panel if they are `alone` in it, else below it, clear of the curves."""
    lines = textwrap.wrap(
        ", ".join(name.replace(" ", "_") for name in names), 22 if alone else 36
    )  # a name on one line
    text = "\n".join(["no run yet" + (":" if lines else ""), *lines]).replace("_", " ")
    if not alone:
        axes.annotate(text, (0, 0), (0, -42), "axes fraction", "offset points", va="top", color="0.35", fontsize=11)
        return
    axes.text(0.98, 0.98, text, transform=axes.transAxes, ha="right", va="top", color="0.35", fontsize=11)
    axes.set_xticks([])
    axes.grid(visible=False)
