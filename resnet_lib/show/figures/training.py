"""Curves of nets in training: Figure 6 of the paper and what is drawn like it."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from resnet_lib.evidence.diagnosis import of_setting
from resnet_lib.evidence.learning import guessing_error
from resnet_lib.runs.config import NetConfig
from resnet_lib.runs.experiments import CASES
from resnet_lib.runs.paper import figure6_error
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.settings import DEPTHS, plain, resnet
from resnet_lib.show.figures.canvas import GREEN, Figure, depth_color, draw_seeds, new_figure, styled, write_missing
from resnet_lib.show.grouping import by_net


def color_of_depth(net: NetConfig) -> str:
    """A depth has the same colour in every figure."""
    return depth_color(net.depth)


@styled
def curves(
    panels: dict[str, Sequence[RunRecord]],
    *,
    title: str = "",
    missing: dict[str, Sequence[str]] | None = None,
    paper: bool = False,
    rows: int = 1,
) -> Figure:
    """One panel of training and test curves per title; below, which line is which and what the runs were.

    Args:
        panels: title -> records of the nets to draw. A panel without any says so.
        title: the figure's message, where those of the panels are not enough.
        missing: title -> names of nets that belong into the panel and have not been run; it names them.
        paper: mark the last test errors of the paper's Figure 6, which were read off the drawing.
        rows: of panels; behind the first row, a panel without any records is not shown.
    """
    figure, all_axes = new_figure(len(panels), rows=rows)
    for axes, (panel, records) in zip(all_axes, panels.items(), strict=True):
        draw_curves(axes, records, panel)
        if paper:
            draw_paper_ends(axes, records)
        if not records or (missing or {}).get(panel):
            write_missing(axes, (missing or {}).get(panel, ()), alone=not records)
    columns = len(panels) // rows
    for axes in all_axes[::columns]:
        axes.set_ylabel("error (%)")
    for axes, records in list(zip(all_axes, panels.values(), strict=True))[columns:]:
        axes.set_visible(bool(records))
    shown = list(chain(*panels.values()))
    figure.depth_legend(record.config.net.depth for record in shown)
    figure.headline(title)
    legend = "solid: test, dashed: training. "
    if paper:
        legend += "Diamonds: the paper's last test errors, after 64,000 iterations, read off its Figure 6. "
    figure.from_runs(shown, legend)
    return figure


def draw_curves(
    axes: Axes, records: Sequence[RunRecord], title: str, color: Callable[[NetConfig], str] = color_of_depth
) -> None:
    """Training error (thin, dashed) and test error (bold) against the iteration, as in Figure 6; a line per net."""
    for net, group in by_net(records).items():
        draw_pair(axes, group, net.name, color(net))
    axes.set(title=title, xlabel="iteration", ylim=(0, None))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def draw_pair(
    axes: Axes, records: Sequence[RunRecord], name: str, color: str, held_out: str = "test", band: float = 0.15
) -> None:
    """The training and the test curve of one net: means over its seeds, the latter on a band from lowest to highest.

    What belongs to a net carries its name as group id, by which `explore` finds it.
    """
    for curve, style in (("train", {"ls": "--", "lw": 1.0, "band": 0}), ("test", {"ls": "-", "lw": 2.0, "band": band})):
        tables = [getattr(record, f"{curve}_curve") for record in records]
        line = {"color": color, "gid": name, "label": f"{name}, {'training' if curve == 'train' else held_out}"}
        draw_seeds(axes, tables[0].iteration, [table.error for table in tables], mean, **line, **style)


def draw_paper_ends(axes: Axes, records: Sequence[RunRecord]) -> None:
    """Where the test curves of the paper's Figure 6 end, for the nets drawn: a diamond behind the last iteration.

    Several stand side by side, since many are of nearly one height.
    """
    for number, (net, group) in enumerate(by_net(records).items()):
        last = group[0].config.recipe.iterations * (1.04 + 0.05 * number)
        end = figure6_error("plain" if net.shortcut == "none" else "resnet", net.depth, "test")
        if end is not None:
            look = {"color": depth_color(net.depth), "mfc": "white", "mew": 1.5, "ms": 6, "clip_on": False, "zorder": 5}
            axes.plot([last], [end], "D", label=f"{net.name}, the paper's end (read off)", gid=net.name, **look)


FIGURE6 = {
    "plain": [plain(depth).net for depth in DEPTHS],
    "residual": [resnet(depth).net for depth in (*DEPTHS, 110)],
    "110 and 1202 layers": [resnet(110).net, resnet(1202).net],
}
"""Panel -> nets. The paper does not draw plain-110, whose error it gives as higher than 60%."""


def figure6(
    records: Sequence[RunRecord], title: str = "", longer: Mapping[str, Sequence[RunRecord]] | None = None
) -> Figure:
    """Figure 6 of the paper: plain nets, residual nets, and the two deepest. Nets without a run are named as such.

    Args:
        records: those of one profile; nets that the paper's figure does not show are left out. On CIFAR-10 diamonds
            mark where the paper's curves end.
        title: the figure's message.
        longer: name -> longer runs, of fewer seeds perhaps, for rows of their own (see `grouping.longer_runs`).
    """
    panels: dict[str, list[RunRecord]] = {}
    missing: dict[str, list[str]] = {}
    rows = {"": records} | dict(longer or {})
    for label, runs in rows.items():
        groups = by_net(runs)
        for panel, nets in FIGURE6.items():
            name = f"{panel},\n{label}" if label else panel
            panels[name] = [record for net in nets for record in groups.get(net, ())]
            missing[name] = [net.name for net in nets if net not in groups]
    on_cifar = any(record.config.data.name == "cifar10" for record in records)
    return curves(panels, title=title, missing=missing, paper=on_cifar, rows=len(rows))


@styled
def cases(records: Sequence[RunRecord]) -> Figure:
    """Chapter 10: training and validation error of the runs built to be each case, one panel a case.

    The second run, the same net with a larger FC head, is grey; so is the error of guessing, dotted.

    Args:
        records: of the suite `diagnoses`, all of one profile.
    """
    figure, all_axes = new_figure(len(CASES), rows=2)
    for axes, case in zip(all_axes, CASES, strict=True):
        for setting, headed in ((case.setting, False), (case.second, True)):
            if runs := list(of_setting(records, setting).values()):
                net = runs[0].config.net
                own = GREEN if net.family == "fully-connected" else depth_color(net.depth)
                look = ("0.5", "validation", 0) if headed else (own, "validation")  # two bands would hide each other
                draw_pair(axes, runs, net.name, *look)
                if not headed:
                    axes.axhline(guessing_error(runs[0]), color="0.5", ls=":", lw=1, label="guessing")
        axes.set(title=case.setting.name, ylim=(0, 100))
    for axes in all_axes[len(all_axes) // 2 :]:
        axes.set_xlabel("iteration")
    for axes in all_axes[:: len(all_axes) // 2]:
        axes.set_ylabel("error (%)")
    figure.headline("High training error with no gap has two causes; a second run tells them apart")
    legend = "Bold: validation, dashed: training; grey: the second run, with an FC head; dotted: guessing. "
    figure.from_runs(records, legend)
    return figure
