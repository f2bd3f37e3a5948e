"""Nets looked into, layer by layer or block by block: Figure 7 of the paper, gradients, and lesions."""

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import median

from matplotlib.axes import Axes

from resnet_lib.evidence.effects import without_whole
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import PublishedStudy, RunRecord, Study
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show.figures.canvas import (
    BLUE,
    ORANGE,
    Figure,
    depth_color,
    draw_seeds,
    log_axis,
    new_figure,
    styled,
    write_missing,
)
from resnet_lib.show.grouping import by_net, grouped, studied


@styled
def per_layer(
    panels: dict[str, Sequence[Sequence[float]]],
    y: str,
    title: str,
    records: Sequence[RunRecord] | None,
    *,
    dashed: dict[str, Sequence[Sequence[float]]] | None = None,
    legend: str = "",
) -> Figure:
    """One number per 3x3 layer against the layer, in order of depth, on a logarithmic axis: two panels to a row.

    Args:
        panels: title -> numbers of some nets of basic blocks, which have one 3x3 layer fewer than they have layers.
            Nets of one depth are its seeds: the line is their median, the band reaches from the lowest to the highest.
        y: what the numbers are.
        title: the figure's message.
        records: the runs shown, or None: what a live cell has measured.
        dashed: title -> numbers to draw in the same panels as thin, black, dashed lines.
        legend: what else to write below.
    """
    rows = max(1, len(panels) // 2)
    depths = {len(net) + 1 for nets in panels.values() for net in nets}
    figure, all_axes = new_figure(len(panels), rows=rows)
    for axes, (panel, nets) in zip(all_axes, panels.items(), strict=True):
        draw_depths(axes, nets)
        draw_depths(axes, (dashed or {}).get(panel, ()), ", dashed", ls="--", lw=1.0, color="black")
        log_axis(axes)
        axes.set(title=panel, xlim=(0, max(depths, default=1)))
    for axes in all_axes[-2:]:
        axes.set_xlabel(IN_ORDER)
    for axes in all_axes[::2]:
        axes.set_ylabel(y)
    figure.depth_legend(depths)
    figure.headline(title)
    if records is None:
        figure.caption(legend)
    else:
        figure.from_runs(records, legend)
    return figure


IN_ORDER = "3×3 layer, from the image on"


def draw_depths(axes: Axes, nets: Sequence[Sequence[float]], suffix: str = "", **look: object) -> None:
    """One line per depth, for the nets of this depth, layer by layer; the shortest on top."""
    for depth, seeds in sorted(grouped(nets, lambda net: len(net) + 1).items(), reverse=True):
        line = {"color": depth_color(depth), "lw": 2.0, "label": f"{depth} layers{suffix}"}
        draw_seeds(axes, range(1, depth), seeds, **line | look)


@styled
def figure7(records: Mapping[str, Sequence[RunRecord]], title: str) -> Figure:
    """Figure 7: the deviation of each 3x3 layer's response in trained nets, in order of depth and sorted by size.

    Lines are medians of a net's seeds, in each layer or, sorted, in each rank. Each row has an axis of its own.

    Args:
        records: title -> runs: each gets a row of two panels, in which plain nets are dashed.
        title: the figure's message.
    """
    figure, all_axes = new_figure(2 * len(records), rows=len(records), sharey="row")
    shown = [record for runs in records.values() for record in runs]
    largest: dict[str, float] = {}
    for row, runs in enumerate(records.values()):
        in_order, by_size = all_axes[2 * row : 2 * row + 2]
        for net, group in by_net(record for record in runs if record.probes).items():
            seeds = [record.probes.response_std for record in group]
            line = {"ls": "--", "lw": 1.2, "zorder": 3} if net.shortcut == "none" else {"ls": "-", "lw": 2.0}
            line |= {"color": depth_color(net.depth), "label": net.name, "band": 0}
            places = range(1, len(seeds[0]) + 1)
            drawn = draw_seeds(in_order, places, seeds, **line)
            draw_seeds(by_size, places, [sorted(seed, reverse=True) for seed in seeds], **line)
            largest[net.name] = max(largest.get(net.name, 0), *drawn)
    name_responses(figure, all_axes, list(records), RESPONSES_SHOWN)
    looks = {"plain": {"ls": "--", "lw": 1.2}, "residual": {"lw": 2.0}}
    figure.depth_legend((record.config.net.depth for record in shown), looks)
    figure.headline(title)
    beyond = (
        f"{name} leaves the axis, up to {top:,.0f}. " for name, top in largest.items() if top > RESPONSES_SHOWN[1]
    )
    figure.from_runs(shown, "Medians over seeds. " + "".join(beyond))
    return figure


def name_responses(figure: Figure, all_axes: Sequence[Axes], rows: Sequence[str], shown: tuple[float, float]) -> None:
    """Titles, labels and scales of Figure 7: for each row one panel in order of depth and one sorted by size.

    The axis reaches from the lowest to the highest response of a row, but not beyond what is `shown` at most.
    """
    for axes, (row, order) in zip(all_axes, product(rows, ("in order of depth", "sorted")), strict=True):
        responses = [y for line in axes.lines for y in line.get_ydata()] or shown
        low, high = max(shown[0], 0.9 * min(responses)), min(shown[1], 1.1 * max(responses))
        axes.set(title=f"{row}, {order}", yscale="log")
        digits = (1, 2, 5) if high > 5 * low else (1, 1.5, 2, 3, 5, 7)
        ticks = [tick for power in (0.1, 1, 10) for digit in digits if low <= (tick := power * digit) <= high]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_ylim(low, high)
        axes.locator_params(axis="x", integer=True)
    for axes, order in zip(all_axes[-2:], (IN_ORDER, "rank of the layer"), strict=True):
        axes.set_xlabel(order)
    figure.supylabel("standard deviation of the response")


RESPONSES_SHOWN = (0.15, 50.0)  # what lies beyond is told below the figure; else it would leave no room for the rest


@styled
def lesions(profile: Profile, records: Records, depths: Sequence[int], title: str) -> Figure:
    """Test error of trained nets with one block deleted (left), or exchanged with the next (right); a row per depth.

    Lines are medians over seeds on bands from the lowest to the highest; dotted: the whole nets. Gaps are the blocks
    that change the shape, which cannot be taken out.
    """
    figure, all_axes = new_figure(2 * len(depths), rows=len(depths))
    records = records.noting()
    for row, depth in enumerate(depths):
        for axes, study in zip(all_axes[2 * row : 2 * row + 2], DAMAGE, strict=True):
            for setting, color in ((plain(depth), ORANGE), (resnet(depth), BLUE)):
                if found := studied(study, profile, records, [setting]):
                    draw_lesions(axes, found, depth, setting.name, color=color)
            if not axes.lines:
                write_missing(axes, (), alone=True)
            axes.set(title=f"{depth} layers: {DAMAGE[study]}", ylim=(0, 100), xlabel="block, from the image on")
        all_axes[2 * row].set_ylabel("test error (%)")
    figure.color_legend({"plain": ORANGE, "residual": BLUE})
    figure.headline(title)
    images = " and ".join(f"{number:,}" for number in sorted({study.num_images for study in records.given}))
    figure.from_runs(records.given, f"Dotted: the whole nets. Errors on {images} test images. " if images else "")
    return figure


DAMAGE = {"delete-block": "a block deleted", "swap-blocks": "two exchanged"}  # study -> what was done


def draw_lesions(
    axes: Axes, studies: Sequence[Study | PublishedStudy], depth: int, name: str, *, color: str, **look: object
) -> None:
    """The errors of one net's seeds, block by block, and of the whole net; stages are parted where blocks are."""
    per_stage = (depth - 2) // 6
    cases = [without_whole(study) for study in studies]
    axes.axhline(median(whole for _, whole in cases), color=color, ls=":", lw=1.2, label=f"{name}, whole")
    line = {"color": color, "marker": "o", "ms": 3, "lw": 1.5} | look
    for stage in (1, 2, 3):
        blocks = [block for block in cases[0][0] if block.startswith(f"layer{stage}")]
        places = [per_stage * (stage - 1) + int(block.partition(".")[2]) + 1 for block in blocks]
        seeds = [[errors[block] for block in blocks] for errors, _ in cases]
        draw_seeds(axes, places, seeds, label=f"{name}, layer{stage}", **line)
