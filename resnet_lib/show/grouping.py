"""Runs in groups, and what a group is called: by net, by setting, by what was measured on its nets."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from resnet_lib.display import NO_RUN, spread
from resnet_lib.runs.config import DataConfig, Recipe
from resnet_lib.runs.experiments import PROFILES, SUITES, Profile, home
from resnet_lib.runs.records import PublishedStudy, RunRecord, Study
from resnet_lib.runs.store import Records

T, K = TypeVar("T"), TypeVar("K", bound=Hashable)


def recipe_name(recipe: Recipe) -> str:
    """The optimiser and its learning rate: SGD, lr 0.1."""
    names = {"sgd": "SGD", "adam": "Adam", "rmsprop": "RMSprop"}
    return f"{names[recipe.optimizer]}, lr {recipe.lr:g}"


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


def by_net(records: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    """Records by the name of their net."""
    return grouped(records, lambda record: record.config.net.name)


def setting(record: RunRecord) -> tuple[str, str, str, str]:
    """What tells settings apart: net, optimiser, length and data."""
    config = record.config
    length = f"{config.recipe.iterations:,} iterations"
    return config.net.name, recipe_name(config.recipe), length, data_name(config.data)


def by_setting(*panels: Sequence[RunRecord]) -> list[dict[str, list[RunRecord]]]:
    """The records of each panel by setting.

    A setting is called by its net, and by optimiser, length and data where these differ within a panel.
    """
    told = [part for part in (1, 2, 3) if any(len({setting(r)[part] for r in panel}) > 1 for panel in panels)]
    return [grouped(panel, lambda r: ", ".join(setting(r)[part] for part in (0, *told))) for panel in panels]


def training_spread(records: Iterable[RunRecord]) -> str:
    """The final training errors in percent, mean ± deviation over seeds."""
    return spread([record.final.train_error for record in records])


def testing_spread(records: Iterable[RunRecord]) -> str:
    """The final test errors in percent, mean ± deviation over seeds."""
    return spread([record.final.test_error for record in records])


def describe(records: Sequence[RunRecord | Study]) -> str:
    """On which images, for how long, with how many seeds these runs were made: one line, as a caption needs it."""
    if not records:
        return NO_RUN
    seeds: dict[tuple[str, str], set[int]] = {}
    for record in records:
        config = record.config
        place = home(config)
        profile = place and PROFILES[place.profile]
        usual = profile and (config.data, config.recipe.iterations) == (profile.data, profile.recipe.iterations)
        what = profile.summary if usual else f"{data_name(config.data)}, {config.recipe.iterations:,} iterations"
        seeds.setdefault((what, f" (profile {profile.name})" if profile else ""), set()).add(config.seed)
    parts = (f"{what}; {len(of)} seed{'s' if len(of) > 1 else ''}{profile}" for (what, profile), of in seeds.items())
    return "; ".join(parts)


def studied(study: str, profile: Profile, records: Records, nets: Sequence[str]) -> list[Study]:
    """The studies there are of these nets of the suite degradation, net by net, seeds in order."""
    configs = (config for net in nets for config in SUITES["degradation"].setting(net, profile))
    return [found for config in configs if (found := records.study(study, config)) is not None]


def without_whole(study: Study | PublishedStudy) -> tuple[dict[str, float], float]:
    """The errors of the damaged nets, by block, and that of the whole net."""
    errors = dict(zip(study.label, study.value, strict=True))
    whole = errors.pop("whole net")
    return errors, whole
