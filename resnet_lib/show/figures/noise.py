"""How much is noise, for chapter 16: scatter over seeds and its parts, twins, seeds needed, and the best of n."""

from collections.abc import Sequence
from itertools import chain
from math import inf
from statistics import mean

import numpy as np

from resnet_lib.evidence import noise
from resnet_lib.evidence.rule import MIN_SEEDS
from resnet_lib.runs.literature import paper_error
from resnet_lib.runs.paper import table6_error
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show.figures.canvas import (
    BLUE,
    GREEN,
    MEASURED_ON_X,
    ORANGE,
    Figure,
    depth_color,
    draw_seeds,
    log_axis,
    name_rows,
    new_figure,
    styled,
)
from resnet_lib.show.grouping import grouped, studied

KINDS = {"plain": (plain(20), plain(56)), "residual": (resnet(20), resnet(56))}
TWINS = {"another seed": "#000000", "one bit of bf16": ORANGE, "one bit": BLUE}
ARITHMETIC = {"one-bit": "trained in fp32", "one-bit-bf16": "trained in bf16"}
INVISIBLE = 1e-10  # a distance below which the axis does not go: nets that are equal have none


@styled
def seed_scatter(records: Records, title: str) -> Figure:
    """Test error of each seed minus the mean over seeds, of plain and residual nets of 20 and 56 layers, by scale."""
    shown: list[RunRecord] = []
    rows = {
        f"{depth} layers, {profile.label}": (depth, profile)
        for depth in (20, 56)
        for profile in PROFILES.values()
        if any(len(records.select(kind[depth == 56].runs(profile))) >= MIN_SEEDS for kind in KINDS.values())
    }
    figure, all_axes = new_figure(2, height=0.7 + 0.45 * len(rows))
    for axes, (kind, settings) in zip(all_axes, KINDS.items(), strict=True):
        axes.axvline(0, color="0.5", lw=0.8)
        for row, (name, (depth, profile)) in enumerate(rows.items()):
            runs = records.select(settings[depth == 56].runs(profile))
            errors = [run.final.test_error for run in runs]
            shown += runs
            apart = sorted(error - mean(errors) for error in errors)
            look = {"color": depth_color(depth), "ms": 4, "alpha": 0.6, "gid": MEASURED_ON_X}
            axes.plot(apart, [row] * len(apart), "o", label=name, **look)
        axes.set_xscale("symlog", linthresh=1, linscale=0.8)
        axes.set_xticks((-10, -3, -1, 0, 1, 3, 10), ("−10", "−3", "−1", "0", "1", "3", "10"))
        axes.minorticks_off()
        axes.set(title=kind, xlim=(-25, 35), xlabel="test error minus its mean (points)")
    name_rows(all_axes, list(rows))
    figure.headline(title)
    figure.from_runs(shown, "A dot per seed; the axis is linear from −1 to 1 and logarithmic beyond. ")
    return figure


@styled
def how_often_wrong(records: Sequence[RunRecord], title: str) -> Figure:
    """Of the test images in percent, those that so many of the seeds get wrong: a line for each net."""
    figure, (axes,) = new_figure()
    for net, group in grouped(records, lambda run: run.config.net).items():
        wrong = noise.wrong_images(group)
        times = 100 * np.bincount(wrong.sum(axis=0), minlength=len(wrong) + 1) / wrong.shape[1]
        look = {"color": depth_color(net.depth), "ls": "--" if net.shortcut == "none" else "-"}
        axes.plot(range(len(times)), times, marker="o", ms=4, label=net.name, **look)
    axes.set(xlabel="seeds that get an image wrong", ylabel="share of the test images (%)")
    log_axis(axes)
    axes.legend()
    figure.headline(title)
    figure.from_runs(records)
    return figure


@styled
def parts_of_scatter(records: Sequence[RunRecord], title: str) -> Figure:
    """Deviation of the test error over seeds, with its interval, beside that which the test set's sampling gives."""
    groups = grouped(records, lambda run: run.config.net.name)
    figure, (axes,) = new_figure(height=0.9 + 0.5 * len(groups))
    for row, (name, group) in enumerate(groups.items()):
        errors, parts = [run.final.test_error for run in group], noise.scatter(noise.wrong_images(group))
        color = depth_color(group[0].config.net.depth)
        axes.plot(noise.deviation_interval(errors), [row, row], color=color, lw=2, alpha=0.5)
        axes.plot([parts.total**0.5], [row], "o", color=color, ms=6, gid=MEASURED_ON_X, label=f"{name}, measured")
        look = {"color": color, "mfc": "white", "ms": 7, "gid": MEASURED_ON_X, "label": f"{name}, sampling alone"}
        axes.plot([parts.sampling**0.5], [row], "D", **look)
    axes.set_xscale("log")
    ticks = (0.3, 0.5, 1, 2, 5, 10)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("deviation over seeds (points)")
    name_rows([axes], list(groups))
    figure.headline(title)
    legend = "Dots: of the test error over seeds, with its 95% interval; diamonds: what sampling alone would give. "
    figure.from_runs(records, legend)
    return figure


def distances(study: Study, twin: str) -> dict[int, float]:
    """How far a twin was from the run's net after so many iterations; see `twins.distance`."""
    found = zip(study.label, study.value, strict=True)
    head = f"{twin}, distance: "
    return {int(label.removeprefix(head)): value for label, value in found if label.startswith(head)}


@styled
def twins(profile: Profile, records: Records, title: str) -> Figure:
    """Relative distance of the weights of a run from those of its twins, by iteration, in both arithmetics."""
    figure, all_axes = new_figure(2)
    shown = []
    for axes, (name, panel) in zip(all_axes, ARITHMETIC.items(), strict=True):
        found = studied(name, profile, records, [resnet(20)])
        for twin, color in TWINS.items():
            each = [distances(study, twin) for study in found]
            if all(each) and each:
                x = [max(iteration, 0.5) for iteration in each[0]]
                heights = [[max(value, INVISIBLE) for value in one.values()] for one in each]
                draw_seeds(axes, x, heights, color=color, label=twin, lw=2)
        axes.set(title=panel, xscale="log", yscale="log", xlabel="iteration", ylim=(INVISIBLE * 10, 5))
        axes.set_xticks((0.5, 1, 10, 100), ("0", "1", "10", "100"))
        axes.set_yticks((1e-8, 1e-6, 1e-4, 1e-2, 1), ("1e-8", "1e-6", "0.0001", "0.01", "1"))
        axes.minorticks_off()
        shown += found
    all_axes[0].set_ylabel("distance / norm of the weights")
    handles = {
        text: handle for axes in all_axes for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), loc="outside right upper")
    figure.headline(title)
    figure.from_runs(shown, "Medians over seeds; bands: lowest to highest. ")
    return figure


@styled
def seeds_needed(records: Records, title: str, often: float = 0.95) -> Figure:
    """How many seeds of each net it takes to find a difference that often, by its size, at each scale."""
    figure, (axes,) = new_figure(height=3.8)
    pairs = noise.compared(records)
    sizes = [float(size) for size in np.geomspace(0.1, 10, 41)]
    looks = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), ("#000000", "-"))
    for (scale, deviation), (color, style) in zip(noise.deviations(pairs).items(), looks, strict=False):
        needed = {size: noise.seeds_needed(size, deviation, often) for size in sizes}
        known = {size: seeds for size, seeds in needed.items() if seeds < inf}
        axes.plot(list(known), list(known.values()), style, color=color, lw=2, label=scale)
    axes.axvline(0.5, color="0.5", ls=":", lw=1.2)
    axes.set(xscale="log", xlabel="true difference (points)", ylabel="seeds of each net")
    log_axis(axes)
    axes.set_ylim(2, 3000)
    axes.set_xticks((0.1, 0.2, 0.5, 1, 2, 5, 10), ("0.1", "0.2", "0.5", "1", "2", "5", "10"))
    axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    axes.legend()
    figure.headline(title)
    figure.from_runs(chain.from_iterable(chain(*pairs.values())), "Dotted: half a point. ")
    return figure


@styled
def others_runs(depth: int, title: str) -> Figure:
    """Test errors on CIFAR-10 in full of residual nets that others trained several times, and the paper's."""
    rows = {report.source: report for report in noise.repeated_by_others(depth)}
    figure, (axes,) = new_figure(height=0.7 + 0.5 * (len(rows) + 1))
    for row, (source, report) in enumerate(rows.items()):
        error, single = report.error(depth), report.errors[depth]
        ends = [error.mean - error.deviation, error.mean + error.deviation]
        axes.plot(ends, [row, row], color=BLUE, lw=2, alpha=0.4)
        dots = sorted(single) if isinstance(single, tuple) else [error.mean]
        look = {"marker": "o" if isinstance(single, tuple) else "|", "ms": 5, "mew": 1.5, "mfc": "white"}
        axes.plot(dots, [row] * len(dots), ls="", color=BLUE, gid=MEASURED_ON_X, label=source, **look)
    name = "the paper, Table 6"
    axes.plot([paper_error(depth).mean], [len(rows)], "k*", ms=9, gid=MEASURED_ON_X, label=name)
    axes.set_xlabel(f"test error of ResNet-{depth} (%)")
    name_rows([axes], [*(f"{source} ({report.runs})" for source, report in rows.items()), name])
    figure.headline(title)
    figure.caption("Circles: a run each; bars: mean ± deviation; in brackets the number of runs. None was made here.")
    return figure


@styled
def best_of(title: str, most: int = 20) -> Figure:
    """The lowest error that is to be expected of n runs of the paper's ResNet-110, and what the paper prints."""
    drawn, printed = paper_error(110), float(table6_error(110).partition("(")[0])
    figure, (axes,) = new_figure()
    counts = range(1, most + 1)
    expected = [drawn.mean - noise.best_of(count)[0] * drawn.deviation for count in counts]
    around = [noise.best_of(count)[1] * drawn.deviation for count in counts]
    low, high = ([e + side * a for e, a in zip(expected, around, strict=True)] for side in (-1, 1))
    axes.fill_between(counts, low, high, color=BLUE, alpha=0.15, lw=0)
    axes.plot(counts, expected, color=BLUE, lw=2, label="lowest of n, expected")
    axes.plot([drawn.runs], [printed], "k*", ms=10, label="printed, best of 5")
    axes.axhline(drawn.mean, color="0.5", ls=":", lw=1.2)
    axes.set(xlabel="runs", ylabel="test error (%)", xticks=(1, 5, 10, 15, 20))
    axes.legend()
    figure.headline(title)
    text = f"ResNet-110 on CIFAR-10, the paper's mean and deviation ({drawn}, {drawn.runs} runs), taken for normal. "
    figure.caption(text + "Band: one deviation of the lowest. Dotted: the mean.")
    return figure
