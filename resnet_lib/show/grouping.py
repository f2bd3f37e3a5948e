"""Runs in groups, and what a group is called: by net, by setting, by what was measured on its nets."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from resnet_lib.display import NO_RUN, spread
from resnet_lib.runs.config import DataConfig, NetConfig, Recipe, RunConfig
from resnet_lib.runs.experiments import home
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.runs.settings import OPTIMIZER_NAMES, Setting
from resnet_lib.runs.store import Records

T, K = TypeVar("T"), TypeVar("K", bound=Hashable)


def recipe_name(recipe: Recipe) -> str:
    """The optimiser and its learning rate: SGD, lr 0.1. If gradients are cut, that too."""
    clipped = "" if recipe.clip_norm is None else f", gradients cut to {recipe.clip_norm:g}"
    return f"{OPTIMIZER_NAMES[recipe.optimizer]}, lr {recipe.lr:g}{clipped}"


def data_name(data: DataConfig) -> str:
    """The data set, and what part of its training images is used if not all: fashion-mnist-mini, 600 images."""
    kept = "" if data.num_train is None else f", {data.num_train:,} images"
    held = f", {data.validation:,} held back" if data.validation else ""
    return data.name + kept + held


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by what they have in common, in the order in which that first appears."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def by_net(records: Iterable[RunRecord]) -> dict[NetConfig, list[RunRecord]]:
    """Records by their net."""
    return grouped(records, lambda record: record.config.net)


def traits(record: RunRecord) -> tuple[str, str, str, str]:
    """What tells settings apart: net, optimiser, length and data."""
    config = record.config
    length = f"{config.recipe.iterations:,} iterations"
    return config.net.name, recipe_name(config.recipe), length, data_name(config.data)


def by_setting(*panels: Sequence[RunRecord]) -> list[dict[str, list[RunRecord]]]:
    """The records of each panel by setting.

    A setting is called by its net, and by optimiser, length and data where these differ within a panel.
    """
    told = [part for part in (1, 2, 3) if any(len({traits(r)[part] for r in panel}) > 1 for panel in panels)]
    return [grouped(panel, lambda r: ", ".join(traits(r)[part] for part in (0, *told))) for panel in panels]


def training_spread(records: Iterable[RunRecord]) -> str:
    """The final training errors in percent, mean ± deviation over seeds."""
    return spread([record.final.train_error for record in records])


def testing_spread(records: Iterable[RunRecord]) -> str:
    """The final test errors in percent, mean ± deviation over seeds."""
    return spread([record.final.test_error for record in records])


def describe(records: Sequence[RunRecord | Study]) -> str:
    """On which images, for how long, with how many seeds of each net these runs were made: a line for a caption."""
    if not records:
        return NO_RUN
    seeds: dict[str, dict[RunConfig, set[int]]] = {}
    for record in records:
        config = record.config
        place = home(config)
        profile = place and place.profile
        usual = profile and (config.data, config.recipe.iterations) == (profile.data, profile.recipe.iterations)
        what = profile.summary if usual else f"{data_name(config.data)}, {config.recipe.iterations:,} iterations"
        setting = config.model_copy(update={"seed": 0})
        seeds.setdefault(what, {}).setdefault(setting, set()).add(config.seed)
    return "; ".join(f"{what}; {_counted(map(len, of.values()))}" for what, of in seeds.items())


def _counted(seeds: Iterable[int]) -> str:
    """How many seeds settings have: 3 seeds, or 1 to 3 seeds."""
    counts = list(seeds)
    least, most = min(counts), max(counts)
    return f"{most} seed{'s' if most > 1 else ''}" if least == most else f"{least} to {most} seeds"


def longer_profiles(profile: Profile, records: Records, settings: Iterable[Setting]) -> dict[str, Profile]:
    """The profiles with more iterations on the same images, of which any of these settings has a run.

    By what a heading calls them, the longest first: 64,000 iterations.
    """
    settings = list(settings)
    return {
        f"{longer.recipe.iterations:,} iterations": longer
        for longer in reversed(PROFILES.values())
        if longer.data == profile.data
        if longer.recipe.iterations > profile.recipe.iterations
        if any(records.select(setting.runs(longer)) for setting in settings)
    }


def longer_runs(shown: Sequence[RunRecord], records: Records) -> dict[str, list[RunRecord]]:
    """What may stand beside the runs of a profile: longer ones of the same nets, which have fewer seeds.

    Args:
        shown: runs of one profile, as `campaign.collect` gives them.
        records: where the longer ones are looked for.

    Returns:
        The runs by what a panel calls them: 64,000 iterations, n=1. Empty if there are none.
    """
    homes = [place for record in shown if (place := home(record.config))]
    settings = list(dict.fromkeys(place.setting for place in homes))
    found = {}
    for name, profile in longer_profiles(homes[0].profile, records, settings).items() if homes else ():
        groups = [runs for setting in settings if (runs := records.select(setting.runs(profile)))]
        counts = sorted({len(runs) for runs in groups})
        seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        found[f"{name}, n={seeds}"] = [record for runs in groups for record in runs]
    return found


def studied(study: str, profile: Profile, records: Records, settings: Sequence[Setting]) -> list[Study]:
    """The studies there are of the nets of these settings, setting by setting, seeds in order."""
    configs = (config for setting in settings for config in setting.runs(profile))
    return [found for config in configs if (found := records.study(study, config)) is not None]
