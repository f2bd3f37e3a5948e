"""Nets that others trained, looked into at full length, and the errors that others report beside ours.

Nets that others trained have open markers, and theirs alone: each is one net for a depth, and in no mean over seeds.
"""

import re
from collections.abc import Sequence
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from resnet_lib.evidence.effects import by_count, without_whole
from resnet_lib.runs.literature import Kind
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.published import PublishedNet
from resnet_lib.runs.records import PublishedStudy
from resnet_lib.runs.store import Records
from resnet_lib.show.figures.canvas import (
    BLUE,
    MEASURED_ON_X,
    ORANGE,
    Figure,
    depth_color,
    kind_color,
    new_figure,
    styled,
    write_missing,
)
from resnet_lib.show.figures.inside import DAMAGE, draw_lesions, name_responses
from resnet_lib.show.grouping import grouped
from resnet_lib.show.others import PAPER, Reported, reported, studied_of_others

RESPONSES_SHOWN = (0.1, 3.0)
SKY = "#56B4E9"  # Okabe and Ito's; the nets of a second author


def look_of(net: PublishedNet) -> dict[str, object]:
    """How the net of another is drawn: open squares on dashes if it is plain, open circles on a line if residual."""
    look = {"marker": "o", "ls": "-", "mfc": "white", "mew": 0.8, "ms": 3.5, "lw": 0.9}
    return look | {"marker": "s", "ls": "--"} if net.config.shortcut == "none" else look


def color_of(net: PublishedNet) -> str:
    """That of its kind, as in all figures, but lighter for the nets of the second author."""
    return kind_color(net.config) if net.author == "a-martyn" else SKY


def say_whose(figure: Figure, shown: Sequence[tuple[PublishedNet, PublishedStudy]], legend: str) -> None:
    """Writes below the figure whose nets it shows."""
    authors = ", ".join(dict.fromkeys(net.publisher.repository for net, _ in shown)) or "none measured yet"
    text = f"{legend}Trained by others, one net per depth: {authors}."
    figure.caption(text)


@styled
def others_responses(records: Records, depths: Sequence[int], title: str) -> Figure:
    """Figure 7 at full length, on nets that others trained: each layer's response, in order of depth and sorted.

    A row of panels for each author. Squares on dashes are plain nets, circles residual ones.
    """
    shown = [(net, study) for net, study in studied_of_others("whole-net", records) if net.config.depth in depths]
    authors = grouped(shown, lambda pair: pair[0].author) or {"others": []}
    figure, all_axes = new_figure(2 * len(authors), rows=len(authors), sharey="row")
    for row, found in enumerate(authors.values()):
        in_order, by_size = all_axes[2 * row : 2 * row + 2]
        for net, study in found:
            responses = study.probes.response_std
            line = {"color": depth_color(net.config.depth), "label": net.config.name} | look_of(net)
            in_order.plot(range(1, len(responses) + 1), responses, **line)
            by_size.plot(range(1, len(responses) + 1), sorted(responses, reverse=True), **line)
    name_responses(figure, all_axes, list(authors), RESPONSES_SHOWN)
    nets = {"plain" if net.config.shortcut == "none" else "residual": net for net, _ in shown}
    figure.depth_legend(depths, {kind: look_of(net) for kind, net in nets.items()})
    figure.headline(title)
    say_whose(figure, shown, "")
    return figure


@styled
def others_lesions(records: Records, depths: Sequence[int], title: str) -> Figure:
    """Test error of nets that others trained, damaged: without a block, with two exchanged, without several at random.

    A row of panels for each depth. Dotted: the whole nets.
    """
    figure, all_axes = new_figure(3 * len(depths), height=2.8, rows=len(depths))
    damage = DAMAGE | {"delete-at-random": "several deleted"}
    shown: list[tuple[PublishedNet, PublishedStudy]] = []
    for row, depth in enumerate(depths):
        panels = dict(zip(damage, all_axes[3 * row :], strict=False))
        for study, axes in panels.items():
            found = [pair for pair in studied_of_others(study, records) if pair[0].config.depth == depth]
            for net, one in found:
                if study == "delete-at-random":
                    draw_deletions(axes, one, net)
                else:
                    draw_lesions(axes, [one], depth, net.name, color=color_of(net), **look_of(net))
            if found:
                axes.locator_params(axis="x", integer=True)
            else:
                write_missing(axes, (), alone=True)
            shown += found
            axes.set(title=f"{depth} layers:\n{damage[study]}", ylim=(0, 100), xlabel="block, in order")
        panels["delete-at-random"].set_xlabel("blocks deleted")
        panels["delete-block"].set_ylabel("test error (%)")
    nets = {color_of(net): net for net, _ in shown}
    handles = [
        Line2D([], [], color=color, label=f"{net.net.partition('-')[0]}, {net.author}", **look_of(net))
        for color, net in nets.items()
    ]
    figure.legend(handles=handles, loc="outside right upper")
    figure.headline(title)
    images = " and ".join(f"{number:,}" for number in sorted({study.num_images for _, study in shown}))
    say_whose(figure, shown, f"Dotted: the whole nets. Errors on {images} test images. " if shown else "")
    return figure


def draw_deletions(axes: Axes, study: PublishedStudy, net: PublishedNet) -> None:
    """The errors of a net without some blocks drawn at random: a marker for each draw, a line through their means."""
    errors, whole = without_whole(study)
    counts, look, color = by_count(errors), look_of(net), color_of(net)
    axes.axhline(whole, color=color, ls=":", lw=1.2, label=f"{net.name}, whole")
    axes.plot(list(counts), [mean(drawn) for drawn in counts.values()], color=color, **look | {"marker": ""})
    for count, drawn in counts.items():
        label = f"{net.name}, {count} deleted"
        axes.plot([count] * len(drawn), drawn, color=color, label=label, **look | {"ls": "none"})


@styled
def literature(records: Records, kind: Kind, depths: Sequence[int], title: str) -> Figure:
    """What others report for nets of one kind beside the paper (dotted line) and our means over seeds (coloured).

    Ours are those of full length: of shorter runs the errors lie far off.

    A panel for each depth, in it a row for each source that has this depth. Bars are 95% intervals of means over runs,
    where the deviation over runs is known; an open marker is a single run, or the source does not tell how many.

    Args:
        records: with our runs.
        kind: of the nets.
        depths: of the panels.
        title: the figure's message.
    """
    records = records.noting()
    rows = names_of(reported(kind, records, [PROFILES["paper"]]))
    shown = {depth: {name: row for name, row in rows.items() if depth in row.errors} for depth in depths}
    heights = [0.65 + 0.27 * len(found) for found in shown.values()]
    figure, all_axes = new_figure(len(depths), max(heights), sharey=False)
    figure.heights = heights
    for axes, (depth, found) in zip(all_axes, shown.items(), strict=True):
        for place, (name, row) in enumerate(found.items()):
            draw_reported(axes, place, name, row, depth, ORANGE if kind == "plain" else BLUE)
        axes.set(title=f"{depth} layers", xlabel="test error (%)", ylim=(len(found) - 0.5, -0.5))
        axes.set_yticks(range(len(found)), list(found))
        axes.locator_params(axis="x", nbins=4)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    figure.headline(title)
    legend = (
        "Diamonds and dotted lines: the paper; grey: others; coloured: this book. Triangles: the epoch was chosen on "
        "the test set. Open: a single run, or it is not told how many; bars: 95% intervals. Ours: "
    )
    figure.from_runs([record for record in records.given if record.config.net.depth in depths], legend)
    return figure


def names_of(rows: Sequence[Reported]) -> dict[str, Reported]:
    """Rows of the forest plot by a name short enough to stand beside them: who reports, in full only in the table.

    Several rows of one source are told apart by their option, and by the epoch if it was the best.
    """
    names = {}
    for source, own in grouped(rows, lambda row: re.sub(OF_A_SOURCE, "", row.source)).items():
        for row in own:
            told = (row.shortcut, "best" if row.epoch == BEST else "") if len(own) > 1 else ()
            names[", ".join(filter(None, (source, *told)))] = row
    return names


OF_A_SOURCE = r"/[^,]*|arXiv [\d.]+, |, (Table|read off|profile|example) .*"  # which work of theirs
BEST = "best on test"  # an epoch


def draw_reported(axes: Axes, place: int, name: str, row: Reported, depth: int, color: str) -> None:
    """One source's error of one depth: a marker, and a bar for the interval of a mean."""
    error, paper = row.errors[depth], row.source.startswith(PAPER)
    if paper:
        axes.axvline(error.mean, color="0.35", ls=":", lw=1.2)
    color = color if row.ours else "black" if paper else "0.35"
    marker = "D" if paper else "<" if row.epoch == BEST else "o"
    fill = color if error.deviation is not None or paper else "white"
    axes.plot(error.mean, place, marker, color=color, mfc=fill, ms=6, mew=1.3, label=name, gid=MEASURED_ON_X)
    if error.interval is not None:
        axes.plot(error.interval, [place, place], color=color, lw=2, alpha=0.6, zorder=1)
