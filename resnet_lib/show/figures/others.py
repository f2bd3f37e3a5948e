"""Nets that others trained, looked into at full length, and the errors that others report beside ours.

Nets that others trained have open markers, and theirs alone: each is one net for a depth, and in no mean over seeds.
"""

import textwrap
from collections.abc import Sequence
from statistics import mean

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_lib.runs.experiments import PROFILES, Profile
from resnet_lib.runs.literature import Kind
from resnet_lib.runs.published import PublishedNet
from resnet_lib.runs.records import PublishedStudy
from resnet_lib.runs.store import Records
from resnet_lib.show.figures.canvas import (
    BLUE,
    MEASURED_ON_X,
    ORANGE,
    STYLE,
    depth_color,
    new_figure,
    note,
    write_missing,
)
from resnet_lib.show.figures.inside import draw_lesions
from resnet_lib.show.grouping import without_whole
from resnet_lib.show.others import PAPER, Reported, by_count, reported, studied_of_others

FULL_LENGTH = (PROFILES["paper"],)
RESPONSES_SHOWN = (0.1, 3.0)
SKY = "#56B4E9"  # Okabe and Ito's; a second author's nets


def look_of(net: PublishedNet) -> dict[str, object]:
    """How the net of another is drawn: open squares on dashes if it is plain, open circles if it is residual."""
    plain = net.config.shortcut == "none"
    return {"marker": "s" if plain else "o", "mfc": "white", "mew": 0.8, "ms": 3.5, "lw": 0.9} | (
        {"ls": "--"} if plain else {}
    )


def kind_color(net: PublishedNet) -> str:
    """Orange for plain nets and blue for residual ones, as in all figures; lighter for those of the second author."""
    return ORANGE if net.config.shortcut == "none" else BLUE if net.author == "a-martyn" else SKY


def note_others(figure: Figure, shown: Sequence[tuple[PublishedNet, PublishedStudy]], legend: str) -> None:
    """Writes under the figure whose nets it shows: a picture that is copied elsewhere keeps saying so."""
    authors = list(dict.fromkeys(net.publisher.repository for net, _ in shown))
    text = f"{legend}Trained by others, one net per depth: {', '.join(authors) or 'none measured yet'}."
    text = textwrap.fill(text, round(15 * figure.get_figwidth()))
    figure.supxlabel(text, fontsize=8, color="0.35", x=0.01, ha="left")


def others_responses(records: Records, depths: Sequence[int] = (20, 56), title: str = "") -> Figure:
    """Figure 7 at full length, on nets that others trained: each layer's response, in order of depth and sorted.

    A row of panels for each author. Squares on dashes are plain nets, circles residual ones.
    """
    shown = [(net, s) for net, s in studied_of_others("whole-net", records) if net.config.depth in depths]
    authors = list(dict.fromkeys(net.author for net, _ in shown)) or ["others"]
    figure, all_axes = new_figure(2 * len(authors), height=1.0 + 2.6 * len(authors), rows=len(authors))
    with plt.rc_context(STYLE):
        for row, author in enumerate(authors):
            for axes, order in zip(all_axes[2 * row : 2 * row + 2], ("in order of depth", "sorted"), strict=True):
                for net, study in (pair for pair in shown if pair[0].author == author):
                    values = study.probes.response_std
                    values = sorted(values, reverse=True) if order == "sorted" else values
                    color, numbers = depth_color(net.config.depth), range(1, len(values) + 1)
                    axes.plot(numbers, values, color=color, label=net.config.name, **look_of(net))
                axes.set(title=f"{author}, {order}", yscale="log", ylim=RESPONSES_SHOWN)
                axes.set_yticks((0.1, 0.2, 0.5, 1, 2), ("0.1", "0.2", "0.5", "1", "2"))
                axes.minorticks_off()
        for axes, name in zip(all_axes[-2:], ("3×3 layer, from the image on", "rank of the layer"), strict=True):
            axes.set_xlabel(name)
        figure.supylabel("standard deviation of the response", fontsize=10)
        handles = [Line2D([], [], color=depth_color(depth), lw=2, label=f"{depth} layers") for depth in depths]
        figure.legend(handles=handles, loc="outside right upper")
        figure.suptitle(textwrap.fill(title, round(11 * figure.get_figwidth())), fontsize=11, x=0.01, ha="left")
        note_others(figure, shown, "Squares: plain, circles: residual. ")
    return figure


def others_lesions(records: Records, depths: Sequence[int] = (20, 56), title: str = "") -> Figure:
    """Test error of nets that others trained, damaged: without a block, with two exchanged, without several at random.

    A row of panels for each depth. Dotted: the whole nets.
    """
    figure, all_axes = new_figure(3 * len(depths), height=1.0 + 2.4 * len(depths), rows=len(depths))
    figure.set_figwidth(9)
    shown: list[tuple[PublishedNet, PublishedStudy]] = []
    with plt.rc_context(STYLE):
        for row, depth in enumerate(depths):
            panels = dict(zip(LESIONS, all_axes[3 * row :], strict=False))
            for study, axes in panels.items():
                found = [pair for pair in studied_of_others(study, records) if pair[0].config.depth == depth]
                for net, one in found:
                    if study == "delete-at-random":
                        draw_deletions(axes, one, net)
                    else:
                        draw_lesions(axes, [one], depth, net.name, color=kind_color(net), **look_of(net))
                if found:
                    axes.locator_params(axis="x", integer=True)
                else:
                    write_missing(axes, (), alone=True)
                shown += found
                axes.set(title=f"{depth} layers: {LESIONS[study]}", ylim=(0, 100), xlabel="block, from the image on")
            panels["delete-at-random"].set_xlabel("blocks deleted")
            panels["delete-block"].set_ylabel("test error (%)")
        nets = {kind_color(net): net for net, _ in shown}
        handles = [
            Line2D([], [], color=color, label=f"{net.net.partition('-')[0]}, {net.author}", **look_of(net))
            for color, net in nets.items()
        ]
        figure.legend(handles=handles, loc="outside right upper")
        figure.suptitle(textwrap.fill(title, round(11 * figure.get_figwidth())), fontsize=11, x=0.01, ha="left")
        images = " and ".join(f"{number:,}" for number in sorted({study.num_images for _, study in shown}))
        note_others(figure, shown, f"Dotted: the whole nets. Errors on {images} test images. " if shown else "")
    return figure


LESIONS = {"delete-block": "one deleted", "swap-blocks": "two exchanged", "delete-at-random": "several deleted"}


def draw_deletions(axes: Axes, study: PublishedStudy, net: PublishedNet) -> None:
    """The errors of a net without some blocks drawn at random: a marker for each draw, a line through their means."""
    errors, whole = without_whole(study)
    counts, look, color = by_count(errors), look_of(net), kind_color(net)
    axes.axhline(whole, color=color, ls=":", lw=1.2, label=f"{net.name}, whole")
    axes.plot(list(counts), [mean(drawn) for drawn in counts.values()], color=color, **look | {"marker": ""})
    for count, drawn in counts.items():
        label = f"{net.name}, {count} deleted"
        axes.plot([count] * len(drawn), drawn, color=color, label=label, **look | {"ls": "none"})


def literature(
    records: Records,
    kind: Kind = "residual",
    depths: Sequence[int] = (20, 56, 110),
    profiles: Sequence[Profile] = FULL_LENGTH,
    title: str = "",
) -> Figure:
    """What others report for nets of one kind beside the paper (dotted line) and our means over seeds (coloured).

    A panel for each depth, a row for each source. Bars are 95% intervals of means over runs, where the deviation over
    runs is known; an open marker is a single run, or the source does not tell how many.

    Args:
        records: with our runs.
        kind: of the nets.
        depths: of the panels.
        profiles: under which to show our runs; those shorter than the paper's lie far off.
        title: the figure's message.
    """
    noted = records.noting()
    rows = [row for row in reported(kind, noted, profiles) if row.errors.keys() & set(depths)]
    figure, all_axes = new_figure(len(depths), height=1.6 + 0.24 * len(rows))
    figure.set_figwidth(9)
    with plt.rc_context(STYLE):
        for axes, depth in zip(all_axes, depths, strict=True):
            for place, row in enumerate(rows):
                draw_reported(axes, place, row, depth, ORANGE if kind == "plain" else BLUE)
            axes.set(title=f"{depth} layers", xlabel="test error (%)")
        all_axes[0].set_yticks(range(len(rows)), [name_of(row) for row in rows])
        all_axes[0].set_ylim(len(rows) - 0.5, -0.5)
        figure.suptitle(textwrap.fill(title, round(11 * figure.get_figwidth())), fontsize=11, x=0.01, ha="left")
        legend = (
            "Diamonds: the paper; grey: others; coloured: this book. Triangles: the epoch was chosen on the test set. "
        )
        shown = [record for record in noted.given if record.config.net.depth in depths]
        note(figure, shown, f"{legend}Open: a single run, or it is not told how many; bars: 95% intervals. Ours: ")
    return figure


def name_of(row: Reported) -> str:
    """What a row of the forest plot is called."""
    return f"{row.source}, {row.shortcut}" if row.shortcut in ("A", "B", "C") else row.source


def draw_reported(axes: Axes, place: int, row: Reported, depth: int, color: str) -> None:
    """One source's error of one depth: a marker, and a bar for the interval of a mean."""
    if (error := row.errors.get(depth)) is None:
        return
    paper = row.source.startswith(PAPER)
    if paper:
        axes.axvline(error.mean, color="0.6", ls=":", lw=1.2)
    color = color if row.ours else "black" if paper else "0.35"
    marker = "D" if paper else "<" if row.epoch == "best on test" else "o"
    fill = color if error.deviation is not None or paper else "white"
    axes.plot(error.mean, place, marker, color=color, mfc=fill, ms=5, label=name_of(row), gid=MEASURED_ON_X)
    if error.interval is not None:
        axes.plot(error.interval, [place, place], color=color, lw=2, alpha=0.6, zorder=1)
