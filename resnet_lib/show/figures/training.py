"""Curves of nets in training: Figure 6 of the paper and what is drawn like it."""

import textwrap
from collections.abc import Sequence
from statistics import mean

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from resnet_lib.evidence.diagnosis import guessing_error, of_setting
from resnet_lib.runs.experiments import CASES
from resnet_lib.runs.paper import figure6_error
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.settings import DEPTHS, plain, resnet
from resnet_lib.show.figures.canvas import STYLE, depth_color, new_figure, note, write_missing
from resnet_lib.show.grouping import by_net


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


def draw_curves(axes: Axes, records: Sequence[RunRecord], title: str) -> None:
    """Training error (thin, dashed) and test error (bold) against the iteration, as in Figure 6.

    One line per net: the mean over its seeds, on a band from the lowest to the highest seed.
    """
    for net, group in by_net(records).items():
        draw_pair(axes, group, net.name, depth_color(net.depth))
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


def draw_paper_ends(axes: Axes, records: Sequence[RunRecord]) -> None:
    """Where the test curves of the paper's Figure 6 end, for the nets drawn: a diamond at the last iteration."""
    for net, group in by_net(records).items():
        end = figure6_error("plain" if net.shortcut == "none" else "resnet", net.depth, "test")
        if end is not None:
            axes.plot(
                [group[0].config.recipe.iterations],
                [end],
                "D",
                color=depth_color(net.depth),
                mfc="white",
                mew=1.5,
                ms=6,
                label=f"{net.name}, the paper's end (read off)",
                gid=net.name,
                clip_on=False,
                zorder=5,
            )


FIGURE6 = {
    "plain": [plain(depth).net for depth in DEPTHS],
    "residual": [resnet(depth).net for depth in (*DEPTHS, 110)],
    "110 and 1202 layers": [resnet(110).net, resnet(1202).net],
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
    panels = {panel: [r for net in nets for r in groups.get(net, ())] for panel, nets in FIGURE6.items()}
    missing = {panel: [net.name for net in nets if net not in groups] for panel, nets in FIGURE6.items()}
    on_cifar = any(record.config.data.name == "cifar10" for record in records)
    return curves(panels, title=title, missing=missing, paper=on_cifar)


def cases(records: Sequence[RunRecord]) -> Figure:
    """Chapter 10: training and validation error of the runs built to be each case, one panel a case.

    The second run, the same net with a larger FC head, is grey; so is the error of guessing, dotted.

    Args:
        records: of the suite `diagnoses`, all of one profile.
    """
    figure, all_axes = new_figure(len(CASES), height=5.6, rows=2)
    with plt.rc_context(STYLE):
        for axes, case in zip(all_axes, CASES, strict=True):
            for setting, headed in ((case.setting, False), (case.second, True)):
                if runs := list(of_setting(records, setting).values()):
                    net = runs[0].config.net
                    own = "#009E73" if net.family == "fully-connected" else depth_color(net.depth)
                    draw_pair(axes, runs, net.name, "0.5" if headed else own, "validation")
                    if not headed:
                        axes.axhline(guessing_error(runs[0]), color="0.5", ls=":", lw=1, label="guessing")
            axes.set(title=case.setting.name, ylim=(0, 100))
        for axes in all_axes[len(all_axes) // 2 :]:
            axes.set_xlabel("iteration")
        for axes in all_axes[:: len(all_axes) // 2]:
            axes.set_ylabel("error (%)")
        message = "High training error with no gap has two causes; a second run tells them apart"
        figure.suptitle(message, fontsize=11, x=0.01, ha="left")
        legend = "Bold: validation, dashed: training; grey: the second run, with an FC head; dotted: guessing. "
        note(figure, records, legend)
    return figure
