"""Errors at the end of training: by depth, by setting, and what a departure from the recipe adds."""

from collections.abc import Sequence
from itertools import chain
from statistics import mean

from matplotlib.axes import Axes

from resnet_lib.evidence.rule import MIN_SEEDS, interval
from resnet_lib.evidence.verdicts import folklore_prices, price
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.paper import figure4_error
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.store import Records
from resnet_lib.show.figures.canvas import (
    BLUE,
    MEASURED_ON_X,
    ORANGE,
    Figure,
    depth_color,
    kind_color,
    name_rows,
    new_figure,
    styled,
)
from resnet_lib.show.grouping import by_net, by_setting, grouped


@styled
def figure4(title: str) -> Figure:
    """The ends of the paper's curves of Figure 4, read off the drawing: ImageNet, 18 and 34 layers. None is ours."""
    figure, (axes,) = new_figure()
    for kind, color, name in (("plain", ORANGE, "plain"), ("resnet", BLUE, "ResNet")):
        for curve, style, fill in (("train", "o--", "white"), ("validation", "D-", color)):
            ends = [figure4_error(kind, depth, curve) for depth in (18, 34)]
            label = f"{name}, {curve.replace('train', 'training')}"
            axes.plot((18, 34), ends, style, color=color, mfc=fill, label=label)
    axes.set(xlabel="layers", ylabel="top-1 error (%)", xticks=(18, 34), xlim=(14, 38))
    figure.legend(loc="outside right upper")
    figure.headline(title)
    text = "The paper's, on ImageNet: read off its Figure 4, not printed by the authors. None of it was run here."
    figure.caption(text)
    return figure


@styled
def final_errors(records: Sequence[RunRecord], title: str = "") -> Figure:
    """Training error at the end against depth, plain and residual nets: one dot per seed, a line through the means.

    Transformers with and without shortcuts, too: their depth is counted in blocks.
    """
    figure, (axes,) = new_figure()
    transformers = any(record.config.net.family == "transformer" for record in records)
    names = ("without shortcuts", "with shortcuts") if transformers else ("plain", "residual, option A")
    for plain, color, label in ((True, ORANGE, names[0]), (False, BLUE, names[1])):
        kind = [record for record in records if (record.config.net.shortcut == "none") == plain]
        depths = sorted(grouped(kind, lambda record: record.config.net.depth).items())
        errors = {depth: [record.final.train_error for record in group] for depth, group in depths}
        axes.plot(list(errors), [mean(seeds) for seeds in errors.values()], color=color, label=label, lw=2)
        for depth, seeds in errors.items():
            axes.plot([depth] * len(seeds), seeds, "o", color=color, ms=4, alpha=0.5)
    axes.set(xlabel="blocks" if transformers else "layers", ylabel="final training error (%)", ylim=(0, None))
    axes.set_xticks(sorted({record.config.net.depth for record in records}))
    axes.set_title(title)
    axes.legend()
    figure.from_runs(records, "Dots: seeds; lines: their means. ")
    return figure


@styled
def rates(panels: dict[str, Sequence[RunRecord]], title: str = "") -> Figure:
    """Training error at the end against the learning rate: a dot per seed, a line per depth.

    Runs that are warmed up stand apart, to the right.

    Args:
        panels: title -> records of nets that differ in depth alone.
        title: what the figure shows.
    """
    records = list(chain.from_iterable(panels.values()))
    places = {name: place for place, name in enumerate(sorted({_rate(record) for record in records}))}
    figure, all_axes = new_figure(len(panels), height=3.6)
    for axes, (panel, shown) in zip(all_axes, panels.items(), strict=True):
        for net, group in by_net(shown).items():
            errors = {rate: [run.final.train_error for run in runs] for rate, runs in grouped(group, _rate).items()}
            color = depth_color(net.depth)
            for warm, style in ((False, "-"), (True, "--")):
                line = [(places[rate], mean(errors[rate])) for rate in sorted(errors) if rate[0] == warm]
                label = f"{net.name}{', warmed up' if warm else ''}"
                if line:
                    axes.plot(*zip(*line, strict=True), style, color=color, label=label, lw=2)
            for rate, seeds in errors.items():
                axes.plot([places[rate]] * len(seeds), seeds, "o", color=color, ms=4)
        names = [f"{lr:g}" + ("\nwarm" if warm else "") for warm, lr in places]
        axes.set_xticks(list(places.values()), names)
        axes.set(title=panel, xlabel="learning rate", ylim=(0, 92))
    all_axes[0].set_ylabel("final training error (%)")
    figure.depth_legend(record.config.net.depth for record in records)
    figure.headline(title)
    figure.from_runs(records, "Dots: seeds; lines: their means; dashed, warm: warmed up for a tenth of the run. ")
    return figure


def _rate(record: RunRecord) -> tuple[bool, float]:
    """Whether a run was warmed up, and its learning rate."""
    return record.config.recipe.warmup_iterations > 0, record.config.recipe.lr


@styled
def settings(
    records: Sequence[RunRecord] | dict[str, Sequence[RunRecord]],
    which: Sequence[str] = ("training",),
    title: str = "",
    up_to: float | None = None,
) -> Figure:
    """Final errors of each setting: one dot per seed, a diamond for their mean on a bar for its 95% interval.

    A row is named by its net and by what else differs between the runs of a panel; see `grouping.by_setting`.

    Args:
        records: what to show, or title -> records, for panels side by side that share their rows.
        which: "training", "test" or both. With both, the first is hollow and lies above the other.
        title: the figure's message.
        up_to: the error, in percent, at which the axis ends. Means beyond are written where it does.
    """
    panels = records if isinstance(records, dict) else {"": records}
    shown = list(chain(*panels.values()))
    by_panel = by_setting(*panels.values())
    rows = {name: row for row, name in enumerate(dict.fromkeys(chain(*by_panel)))}
    figure, all_axes = new_figure(len(panels), height=0.7 + 0.5 * len(rows))
    for axes, panel, groups in zip(all_axes, panels, by_panel, strict=True):
        for name, group in groups.items():
            for number, error in enumerate(which):
                offset = 0.3 * (number - (len(which) - 1) / 2)
                label = name if len(which) == 1 else f"{name}, {error}"
                draw_spread(axes, rows[name] + offset, group, error, label, hollow=error != which[-1], up_to=up_to)
        measure = "error" if len(which) > 1 else f"{which[0]} error"
        axes.set(title=panel, xlabel=f"final {measure} (%)", xlim=(0, up_to or min(axes.get_xlim()[1], 102)))
    name_rows(all_axes, list(rows))
    figure.headline(title)
    means = any(len(group) >= MIN_SEEDS for groups in by_panel for group in groups.values())
    legend = "Dots: seeds; diamonds: their means, on 95% intervals. " if means else "Dots: seeds. "
    if up_to is not None:
        legend += "With an arrow: means beyond the axis. "
    if len(which) > 1:
        legend = f"Hollow: {which[0]}, filled: {which[-1]}. " + legend
    if diverged := sum(record.diverged_at is not None for record in shown):
        plural = "s" if diverged > 1 else ""
        legend += f"{diverged} run{plural} diverged, drawn at the error of guessing. "
    figure.from_runs(shown, legend)
    return figure


def draw_spread(
    axes: Axes,
    row: float,
    records: Sequence[RunRecord],
    error: str,
    label: str,
    *,
    hollow: bool,
    up_to: float | None = None,
) -> None:
    """The final errors of one setting's seeds on a row: faint dots, and their mean on a bar for its 95% interval."""
    color = kind_color(records[0].config.net)
    values = [r.final.train_error if error == "training" else r.final.test_error for r in records]
    few = len(values) < MIN_SEEDS
    dots = {"mfc": "none" if hollow else color, "ms": 4, "alpha": 1 if few else 0.35}
    axes.plot(values, [row] * len(values), "o", color=color, label=label, gid=MEASURED_ON_X, **dots)
    if not few:
        middle, low, high = interval(values)
        look = {"markevery": [1], "mfc": "white" if hollow else color, "ms": 5.5, "lw": 2}
        axes.plot([low, middle, high], [row] * 3, "D-", color=color, **look)
    if up_to is not None and mean(values) > up_to:
        place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
        axes.text(1, row, f"{mean(values):.0f} →", color=color, fontsize=11, **place)


@styled
def folklore(profile: Profile, records: Records) -> Figure:
    """Chapter 11's price list: what each departure adds to the test error, largest first; see `tables.folklore`.

    A dot per seed, a bar for the 95% interval of the mean. A mean whose interval leaves zero out is filled.
    """
    prices = {
        key: (effects, *price(key, effects)) for key, effects in folklore_prices(profile, records).items() if effects
    }
    rows = sorted(prices, key=lambda key: prices[key][1].effect, reverse=True)
    shown = records.select(run for setting in SUITES["folklore"].settings for run in setting.runs(profile))
    figure, (axes,) = new_figure(height=0.7 + 0.5 * max(2, len(rows)))
    axes.axvline(0, color="0.3", lw=1)
    for row, key in enumerate(rows):
        effects, verdict, word = prices[key]
        axes.plot(effects, [row] * len(effects), "o", color=BLUE, ms=3, alpha=0.45, label=key, gid=MEASURED_ON_X)
        fill = BLUE if word in ("costs", "gains") else "white"
        axes.plot(verdict.effect, row, "D", color=BLUE, mfc=fill, ms=6, label=f"{key}, mean", gid=MEASURED_ON_X)
        if verdict.low is not None:
            axes.plot([verdict.low, verdict.high], [row, row], color=BLUE, lw=2, alpha=0.6, zorder=1)
    name_rows([axes], rows)
    axes.set(xlabel="added to the test error (points)")
    words = [word for _, _, word in prices.values()]
    costs, gains = words.count("costs"), words.count("gains")
    figure.headline(f"Of {len(rows)} departures {costs} cost and {gains} gain; the others cannot be told from zero")
    figure.from_runs(shown, "Dots: seeds; diamonds: means, filled if the 95% interval (bar) leaves zero out. ")
    return figure
