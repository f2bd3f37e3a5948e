"""What claims are judged by: an effect says in words what it computes, and computes it, one number per seed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from resnet_lib.evidence import diagnosis
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.runs.settings import Setting, resnet
from resnet_lib.runs.store import Records

Values = dict[int, float]  # seed -> error in percent, or what else is compared
Measure = Callable[[RunRecord], float] | Callable[[Study], float]

# ------------------------------------------------------------------------------------------------- measures of one run


def train_error(record: RunRecord) -> float:
    """Final training error, in percent and without augmentation."""
    return record.final.train_error


def test_error(record: RunRecord) -> float:
    """Final test error in percent."""
    return record.final.test_error


def halfway_error(record: RunRecord) -> float:
    """Training error halfway through the run, on augmented images."""
    curve = record.train_curve
    half = record.config.recipe.iterations / 2
    return next(error for iteration, error in zip(curve.iteration, curve.error, strict=True) if iteration >= half)


def flattery(record: RunRecord) -> float:
    """By how much the lowest test error of all evaluations lies below that of the last iteration."""
    return record.final.test_error - min(record.test_curve.error)


def weakest_gradient(record: RunRecord) -> float:
    """Smallest gradient norm of a layer, relative to the median layer's; 0 for a net that has none to measure."""
    norms = record.probes.gradient_norm if record.probes else (0.0,)
    return min(norms) / median(norms) if median(norms) else 0.0


def mean_response(record: RunRecord) -> float:
    """Mean over the 3x3 layers of the deviation of their responses (Figure 7)."""
    return mean(record.probes.response_std) if record.probes else 0.0


def without_whole(study: Study) -> tuple[dict[str, float], float]:
    """The errors of the damaged nets of a study, by block, and that of the whole net."""
    errors = dict(zip(study.label, study.value, strict=True))
    whole = errors.pop("whole net")
    return errors, whole


def lesion_cost(study: Study) -> float:
    """The median over blocks of what deleting one adds to the test error; of a study "delete-block"."""
    errors, whole = without_whole(study)
    return median(errors.values()) - whole


# ------------------------------------------------------------------------------------------------- from runs to values


def measured(
    setting: Setting, profile: Profile, records: Records, of: Measure = train_error, study: str | None = None
) -> Values:
    """A number of each seed of a setting that is recorded; with the name of a study, one of what was found there."""
    runs = setting.runs(profile)
    found = records.select(runs) if study is None else filter(None, (records.study(study, run) for run in runs))
    return {each.config.seed: of(each) for each in found}


def paired(*settings: Values) -> list[tuple[float, ...]]:
    """The values of all settings, for each seed that every one of them has."""
    seeds = sorted(set.intersection(*(set(values) for values in settings)))
    return [tuple(values[seed] for values in settings) for seed in seeds]


@dataclass(frozen=True)
class BestOf:
    """The one of these settings that has the lowest mean: "the best of all" needs all of them to have been run.

    The best is chosen on the very runs it is then judged by, which favours the net that has more to choose from.
    """

    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class WorstOf:
    """In each seed the one of these settings with the largest value."""

    settings: tuple[Setting, ...]


Side = Setting | BestOf | WorstOf


def _values(side: Side, read: Callable[[Setting], Values]) -> Values:
    if isinstance(side, Setting):
        return read(side)
    candidates = [read(setting) for setting in side.settings]
    if isinstance(side, WorstOf):
        return {seed: max(values[seed] for values in candidates) for seed in set.intersection(*map(set, candidates))}
    return min(candidates, key=lambda values: mean(values.values())) if all(candidates) else {}


# -------------------------------------------------------------------------------------------------------------- effects


@dataclass(frozen=True)
class Effect(ABC):
    """`text` says for readers what `per_seed` computes."""

    text: str

    @abstractmethod
    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """One number for each seed that has all its runs."""


@dataclass(frozen=True)
class Level(Effect):
    """A number of one setting by itself."""

    setting: Setting
    of: Measure

    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """See `Effect`."""
        return list(measured(self.setting, profile, records, self.of).values())


@dataclass(frozen=True)
class Difference(Effect):
    """The worse side's number minus the better's; if they are of a study on the trained nets, `study` names it."""

    worse: Side
    better: Side
    of: Measure = train_error
    study: str | None = None

    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """See `Effect`."""

        def read(setting: Setting) -> Values:
            return measured(setting, profile, records, self.of, self.study)

        return [a - b for a, b in paired(_values(self.worse, read), _values(self.better, read))]


@dataclass(frozen=True)
class MeanDifference(Effect):
    """The mean of such differences over several pairs, each of a worse and a better setting."""

    pairs: Sequence[tuple[Setting, Setting]]
    of: Measure = train_error

    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """See `Effect`."""
        values = (measured(setting, profile, records, self.of) for pair in self.pairs for setting in pair)
        rows = (zip(row[::2], row[1::2], strict=True) for row in paired(*values))
        return [sum(a - b for a, b in row) / len(self.pairs) for row in rows]


@dataclass(frozen=True)
class DifferenceInDifferences(Effect):
    """What the first pair differs by, minus what the second does: such as the cost of depth without and with shortcuts.

    From the number of a pair's first setting that of its second is taken.
    """

    first: tuple[Setting, Setting]
    second: tuple[Setting, Setting]
    of: Measure = train_error

    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """See `Effect`."""
        values = (measured(setting, profile, records, self.of) for setting in (*self.first, *self.second))
        return [(a - b) - (c - d) for a, b, c, d in paired(*values)]


@dataclass(frozen=True)
class RightDiagnoses(Effect):
    """The share of the constructed cases that are diagnosed rightly, in percent."""

    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """See `Effect`, on seeds that were held back."""
        return diagnosis.right(profile, records)


def price(departure: Setting) -> Difference:
    """What a departure of chapter 11 costs in points of test error, against the book's recipe."""
    recipe = resnet(20, departure.net.shortcut)
    return Difference("test error with it minus test error without", worse=departure, better=recipe, of=test_error)
