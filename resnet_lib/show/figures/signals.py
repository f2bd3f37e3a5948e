"""What a signal meets on its way, for chapter 15: steps, gradients, paths, what is read off, and the loss around."""

from collections.abc import Iterable, Mapping, Sequence
from math import comb, log10, nan
from statistics import geometric_mean, mean

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from resnet_lib.evidence.effects import by_count, measured, path_shares, time_to_learn, without_whole
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.published import PublishedNet
from resnet_lib.runs.records import PublishedStudy, Study
from resnet_lib.runs.settings import DEPTHS, Setting, plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show.figures.canvas import BLUE, GREEN, ORANGE, Figure, depth_color, log_axis, new_figure, styled
from resnet_lib.show.figures.others import SKY, color_of, look_of, say_whose
from resnet_lib.show.grouping import describe
from resnet_lib.show.others import studied_of_others

PAPER = PROFILES["paper"]
OURS = {"marker": "o", "ms": 5, "lw": 2.0, "ls": "-"}  # filled: a net of this book
OURS_PLAIN = "#E69F00"  # Okabe and Ito's; our plain nets beside those of others


def steps_of_trained(records: Records) -> dict[str, list[float]]:
    """The relative steps std F(x) / std x, block by block, of every residual net that was trained to the end.

    Those of others by their names, then the first seed of ours.
    """
    found = {
        net.name: list(study.probes.blocks.branch_ratio)
        for net, study in studied_of_others("whole-net", records)
        if net.config.shortcut != "none" and study.probes.blocks
    }
    run = records.get(resnet(20).at(PAPER, 0))
    if run is not None and run.probes.blocks:
        found["this book/ResNet-20"] = list(run.probes.blocks.branch_ratio)
    return found


@styled
def sums_of_steps(started: Mapping[int, Sequence[float]], records: Records, title: str) -> Figure:
    """The sum of the relative steps of residual nets, untrained and trained to the end, by number of blocks.

    Args:
        started: number of blocks -> the steps of an untrained net, as a live cell has measured them.
        records: where trained nets are looked for.
        title: the figure's message.
    """
    figure, (axes,) = new_figure()
    records = records.noting()
    axes.plot(list(started), [sum(steps) for steps in started.values()], label="untrained", color=ORANGE, **OURS)
    trained = steps_of_trained(records)
    for author in dict.fromkeys(name.partition("/")[0] for name in trained):
        of = {len(steps): sum(steps) for name, steps in trained.items() if name.startswith(f"{author}/")}
        look = LOOKS.get(author, {"color": SKY, **OTHERS})
        axes.plot(list(of), list(of.values()), label=f"trained, {author}", **look)
    axes.set(xlabel="residual blocks", ylabel="sum of std F(x) / std x", ylim=(0, None))
    axes.set_xticks(list(started))
    axes.legend(loc="upper left")
    figure.headline(title)
    figure.from_runs(records.given, "Open circles: trained by others, one net per depth. Untrained: seed 0. ")
    return figure


OTHERS = {"marker": "o", "ls": "-", "mfc": "white", "mew": 1.0, "ms": 5, "lw": 1.0}
LOOKS = {"this book": {"color": GREEN, **OURS}, "a-martyn": {"color": BLUE, **OTHERS}}


@styled
def steps_in_training(records: Records, title: str) -> Figure:
    """The steps of our nets of 20 layers, block by block, at the points at which their long runs were measured."""
    figure, all_axes = new_figure(2)
    runs = [run for of in (plain(20), resnet(20)) if (run := records.get(of.at(PAPER, 0))) is not None]
    for axes, run in zip(all_axes, runs, strict=False):
        moments = [(probes.iteration, probes) for probes in run.probes_on_the_way]
        moments.append((run.config.recipe.iterations, run.probes))
        for (iteration, probes), color in zip(moments, MOMENTS, strict=False):
            steps = probes.blocks.branch_ratio
            axes.plot(range(1, len(steps) + 1), steps, color=color, lw=2, label=f"{iteration:,} iterations")
        axes.set(title=run.config.net.name, xlabel="block, from the image on", ylim=(0, None))
        _stages(axes, run.config.net.depth)
    all_axes[0].set_ylabel("std F(x) / std x")
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside right upper")
    figure.headline(title)
    figure.from_runs(runs, "Grey lines: where a stage begins. ")
    return figure


MOMENTS = ("#000000", "#56B4E9", "#009E73", "#E69F00", "#D55E00")  # from new to finished


@styled
def per_block(
    panels: Mapping[str, Mapping[int, Sequence[float]]],
    y: str,
    title: str,
    *,
    log: bool = False,
    dotted: Mapping[str, Sequence[float]] | None = None,
    legend: str = "",
) -> Figure:
    """One number for each block against the block, as a live cell has measured it: two panels side by side.

    Args:
        panels: title -> depth -> numbers.
        y: what the numbers are.
        title: the figure's message.
        log: a logarithmic vertical axis.
        dotted: panel -> numbers that theory gives, a dotted line.
        legend: what to write below.
    """
    figure, all_axes = new_figure(len(panels))
    shown = [number for nets in panels.values() for numbers in nets.values() for number in numbers]
    shown += [number for numbers in (dotted or {}).values() for number in numbers]
    limits = (min(shown) / 2, 2 * max(shown)) if log else (0, 1.1 * max(shown))  # of all panels, also one by one
    for axes, (panel, nets) in zip(all_axes, panels.items(), strict=True):
        for depth, numbers in nets.items():
            x = range(1, len(numbers) + 1)
            axes.plot(x, numbers, color=depth_color(depth), lw=2, label=f"{depth} layers")
        if numbers := (dotted or {}).get(panel):
            axes.plot(range(1, len(numbers) + 1), numbers, color="black", ls=":", lw=1.5, label="theory")
        if log:
            log_axis(axes)
        axes.set(title=panel, xlabel="block, from the image on", ylim=limits)
    all_axes[0].set_ylabel(y)
    figure.depth_legend(depth for nets in panels.values() for depth in nets)
    figure.headline(title)
    figure.caption(legend)
    return figure


@styled
def shattering(panels: Mapping[str, Mapping[int, Sequence[float]]], points: int, title: str, legend: str) -> Figure:
    """Autocorrelation of the gradients along a line of images, against the distance: a panel for each kind of net.

    Args:
        panels: title -> depth -> mean cosine at each distance, in steps.
        points: of the line, both ends included.
        title: the figure's message.
        legend: what to write below.
    """
    figure, all_axes = new_figure(len(panels))
    for axes, (panel, nets) in zip(all_axes, panels.items(), strict=True):
        for depth, cosines in nets.items():
            x = [100 * step / (points - 1) for step in range(len(cosines))]
            axes.plot(x, cosines, color=depth_color(depth), lw=2, label=f"{depth} layers")
        axes.set(title=panel, xlabel="distance (% of the line)", ylim=(-0.2, 1.02))
    all_axes[0].set_ylabel("cosine of the gradients")
    figure.depth_legend(depth for nets in panels.values() for depth in nets)
    figure.headline(title)
    figure.caption(legend)
    return figure


Found = tuple[PublishedNet | None, PublishedStudy | Study]  # None: a net of ours


def at_full_length(study: str, records: Records, settings: Iterable[Setting], depths: Iterable[int]) -> list[Found]:
    """A study of nets trained to the end: those of others with these depths, then the first seeds of these settings."""
    depths = set(depths)
    found: list[Found] = [pair for pair in studied_of_others(study, records) if pair[0].config.depth in depths]
    ours = (records.study(study, setting.at(PAPER, 0)) for setting in settings)
    return found + [(None, one) for one in ours if one is not None]


def _name(net: PublishedNet | None, study: PublishedStudy | Study) -> str:
    return f"{study.config.net.name.removesuffix(' A')}, this book" if net is None else net.name


def _look(net: PublishedNet | None, study: PublishedStudy | Study) -> dict[str, object]:
    if net is not None:
        return {"color": color_of(net)} | look_of(net)
    ours = {"marker": "o", "ms": 4, "lw": 1.5, "color": GREEN}
    return ours | ({"marker": "s", "ls": "--"} if study.config.net.shortcut == "none" else {})


def _finish(figure: Figure, found: Sequence[Found], legend: str, title: str) -> Figure:
    """Legend, message, and whose nets they are: those of ours are runs, those of others are not."""
    entries = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if len(figure.axes) == 1:
        figure.axes[0].legend()
    else:
        figure.legend(entries.values(), entries.keys(), loc="outside right upper")
    figure.headline(title)
    ours = tuple(study for net, study in found if net is None)
    if ours:
        figure.from_runs(ours, legend)
    if others := [pair for pair in found if pair[0] is not None]:
        say_whose(figure, others, legend + (f"This book: {describe(ours)}. " if ours else ""))
    return figure


def _stages(axes: Axes, depth: int) -> None:
    """Marks where the second and the third stage begin."""
    for stage in (1, 2):
        axes.axvline(stage * (depth - 2) // 6 + 0.5, color="0.5", alpha=0.4, lw=0.8)


@styled
def refinement(records: Records, depths: Sequence[int], title: str) -> Figure:
    """Residual nets trained to the end, block by block: error read off after it, and the cosine of its step.

    A row of panels for each depth.
    """
    figure, all_axes = new_figure(2 * len(depths), rows=len(depths))
    shown: list[Found] = []
    for row, depth in enumerate(depths):
        per_stage = (depth - 2) // 6
        for column, study in enumerate(("read-off", "gradient-step")):
            axes = all_axes[2 * row + column]
            found = at_full_length(study, records, [resnet(depth)], [depth])
            for net, one in found:
                values = {label: value for label, value in zip(one.label, one.value, strict=True) if "." in label}
                places = [per_stage * (int(b[5]) - 1) + int(b[7:]) + 1 for b in values]  # layer2.3
                heights = [100 * value if column else value for value in values.values()]
                axes.plot(places, heights, label=_name(net, one), **_look(net, one))
            axes.set_title(f"{depth} layers: " + ("cosine × 100" if column else "read off (%)"))
            axes.set_xlabel("block, from the image on")
            if column:
                axes.axhline(0, color="0.5", alpha=0.4, lw=0.8)
            else:
                axes.set_ylim(0, 100)
            _stages(axes, depth)
            shown += found
        all_axes[2 * row].set_ylabel("test error (%)")
    return _finish(figure, shown, "Grey lines: where a stage begins. ", title)


@styled
def path_lengths(records: Records, depths: Sequence[int], title: str) -> Figure:
    """Share of the gradient that paths of each length bring, beside the share of the paths that are so long.

    A panel for each depth.
    """
    figure, all_axes = new_figure(len(depths))
    shown: list[Found] = []
    for axes, depth in zip(all_axes, depths, strict=True):
        found = at_full_length("gradient-paths", records, [resnet(depth)], [depth])
        blocks = (depth - 2) // 2
        counts = [100 * comb(blocks, length) / 2**blocks for length in range(blocks + 1)]
        axes.plot(range(blocks + 1), counts, color="black", ls=":", lw=1.5, label="number of paths")
        for net, study in found:
            axes.plot(range(blocks + 1), path_shares(study), label=_name(net, study), **_look(net, study))
        axes.set(title=f"{depth} layers, {blocks} blocks", xlabel="residual branches on the path")
        shown += found
    all_axes[0].set_ylabel("share (%)")
    return _finish(figure, shown, "", title)


@styled
def deletions(records: Records, depths: Sequence[int], title: str) -> Figure:
    """Test error of nets trained to the end without so many blocks, drawn at random: a panel for each depth.

    A marker for each draw, a line through their means, which begins with the whole net. Squares: plain.
    """
    figure, all_axes = new_figure(len(depths))
    shown: list[Found] = []
    for axes, depth in zip(all_axes, depths, strict=True):
        found = at_full_length("deletion-curve", records, [plain(depth), resnet(depth)], [depth])
        for net, study in found:
            errors, whole = without_whole(study)
            drawn = {0: [whole]} | by_count(errors)
            look = _look(net, study)
            if net is None and study.config.net.shortcut == "none":
                look |= {"color": OURS_PLAIN}
            for count, each in drawn.items():
                axes.plot([count] * len(each), each, **look | {"ls": "none", "ms": 2.5})
            means = [mean(each) for each in drawn.values()]
            axes.plot(list(drawn), means, label=_name(net, study), **look | {"marker": ""})
        axes.set(title=f"{depth} layers", xlabel="blocks deleted", ylim=(0, 100))
        axes.locator_params(axis="x", integer=True)
        shown += found
    all_axes[0].set_ylabel("test error (%)")
    return _finish(figure, shown, "Dots: single draws. ", title)


@styled
def times_to_learn(profiles: Sequence[Profile], records: Records, title: str) -> Figure:
    """Iterations until the training error falls to 60%, by depth, on a logarithmic axis: a panel for each profile.

    A marker for each seed, a line through their geometric means. Grey: the whole run, where those are that never did.
    """
    figure, all_axes = new_figure(len(profiles))
    records = records.noting()
    for axes, profile in zip(all_axes, profiles, strict=True):
        for kind, net, color in (("plain", plain, ORANGE), ("residual", resnet, BLUE)):
            seeds = {d: list(measured(net(d), profile, records, time_to_learn).values()) for d in (*DEPTHS, 110)}
            means = {depth: geometric_mean(times) for depth, times in seeds.items() if times}
            for depth in means:
                axes.plot([depth] * len(seeds[depth]), seeds[depth], "o", color=color, ms=3, alpha=0.4)
            axes.plot(list(means), list(means.values()), color=color, lw=2, label=kind)
        axes.axhline(profile.recipe.iterations, color="0.5", ls=":", lw=1.2)
        log_axis(axes)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set(title=profile.label, xlabel="layers", xticks=(*DEPTHS, 110))
    all_axes[0].set_ylabel("iterations")
    figure.color_legend({"plain": ORANGE, "residual": BLUE})
    figure.headline(title)
    figure.from_runs(records.given, "Dots: seeds; dotted: the end of the run. ")
    return figure


@styled
def resets(records: Records, title: str) -> Figure:
    """Test error of our nets of 20 layers with one block as it was before training, by block."""
    figure, (axes,) = new_figure()
    found = at_full_length("reset-block", records, [plain(20), resnet(20)], [])
    for net, study in found:
        values = dict(zip(study.label, study.value, strict=True))
        names = ["stem", *(label for label in values if "." in label), "fc"]
        color = ORANGE if study.config.net.shortcut == "none" else BLUE
        look = _look(net, study) | {"color": color}
        name = _name(net, study)
        axes.plot(range(len(names)), [values[name] for name in names], label=name, **look)
        axes.axhline(values["batch norm re-estimated"], color=color, ls=":", lw=1.2, label=f"{name}, nothing reset")
    axes.set(ylim=(0, 100), ylabel="test error (%)", xlabel="0: stem, 1–9: block, 10: classifier")
    return _finish(figure, found, "", title)


LEVELS = {0.1: BLUE, 1.0: GREEN, 3.0: "#E69F00", 6.0: ORANGE, 10.0: "#CC79A7"}  # of the loss, and their colours


@styled
def loss_plane(records: Records, depth: int, title: str) -> Figure:
    """Where the training loss is so large, on a plane through trained weights; filters are as long as the net's own.

    A panel for each net: plain, then residual.
    """
    found = sorted(at_full_length("filter-plane", records, [], [depth]), key=lambda one: one[0].config.shortcut == "A")
    figure, all_axes = new_figure(max(len(found), 1), height=3.6)
    for axes, (net, study) in zip(all_axes, found, strict=False):
        losses: dict[float, dict[float, float]] = {}  # by the second direction, then by the first
        for label, loss in zip(study.label, study.value, strict=True):
            x, y = map(float, label.split())
            losses.setdefault(y, {})[x] = loss
        across, heights = list(losses[0.0]), [[log10(loss) for loss in row.values()] for row in losses.values()]
        contours = axes.contour(across, list(losses), heights, levels=[log10(level) for level in LEVELS])
        contours.remove()  # they are drawn as lines, which a figure can tell as numbers
        for (level, color), pieces in zip(LEVELS.items(), contours.allsegs, strict=True):
            points = [point for piece in pieces for point in (*piece.tolist(), (nan, nan))]
            axes.plot(*zip(*points[:-1], strict=True), color=color, lw=1.5, label=f"loss {level:g}")
        axes.plot(0, 0, "k+", label="trained weights")
        axes.set(title=net.config.name.removesuffix(" A"), xlabel="distance α", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        axes.set_aspect("equal")
    all_axes[0].set_ylabel("distance β")
    return _finish(figure, found, "", title)


@styled
def landscape(records: Records, depths: Sequence[int], title: str) -> Figure:
    """Training loss on random lines through trained weights, filters being as long as the net's own: mean of the lines.

    A panel for each depth; thin lines are single directions.
    """
    figure, all_axes = new_figure(len(depths))
    shown: list[Found] = []
    for axes, depth in zip(all_axes, depths, strict=True):
        found = at_full_length("filter-line", records, [plain(depth), resnet(depth)], [depth])
        for net, study in found:
            values = list(zip(study.label, study.value, strict=True))
            lines = {}
            for label, loss in values:
                direction, _, position = label.partition(": ")
                lines.setdefault(direction, {})[float(position)] = loss
            look = _look(net, study)
            if net is None and study.config.net.shortcut == "none":
                look |= {"color": OURS_PLAIN}
            for losses in lines.values():
                axes.plot(list(losses), list(losses.values()), color=look["color"], lw=0.5, alpha=0.5)
            middle = [mean(losses[x] for losses in lines.values()) for x in lines["0"]]
            axes.plot(list(lines["0"]), middle, label=_name(net, study), **look | {"ms": 3})
        axes.set(title=f"{depth} layers", xlabel="distance α", xticks=(-0.5, 0, 0.5))
        log_axis(axes)
        shown += found
    all_axes[0].set_ylabel("training loss")
    return _finish(figure, shown, "", title)
