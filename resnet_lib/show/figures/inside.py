"""Nets looked into, layer by layer or block by block: Figure 7 of the paper, gradients, and lesions."""

import textwrap
from collections.abc import Sequence
from statistics import median

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_lib.evidence.effects import without_whole
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show.figures.canvas import BLUE, ORANGE, STYLE, depth_color, new_figure, note, write_missing
from resnet_lib.show.grouping import by_net, studied


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
        largest = {net.name: max(drawn_values(all_axes, net.name)) for net in by_net(shown)}
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
    for net, group in by_net([record for record in records if record.probes]).items():
        seeds = [record.probes.response_std for record in group if record.probes]
        seeds = [sorted(seed, reverse=True) for seed in seeds] if largest_first else seeds
        middle = [median(column) for column in zip(*seeds, strict=True)]
        look = {"ls": "--", "lw": 1.2} if net.shortcut == "none" else {"ls": "-", "lw": 2.0}
        axes.plot(range(1, len(middle) + 1), middle, color=depth_color(net.depth), label=net.name, **look)


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
                for setting, color in ((plain(depth), ORANGE), (resnet(depth), BLUE)):
                    found = studied(study, profile, records, [setting])
                    if found:
                        draw_lesions(axes, found, setting.name, color)
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
