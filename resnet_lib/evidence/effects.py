"""What claims are judged by: an effect says in words what it computes, and computes it, one number per seed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from resnet_lib.evidence import diagnosis
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import PublishedStudy, RunRecord, Study
from resnet_lib.runs.settings import Setting, resnet
from resnet_lib.runs.store import Records

Values = dict[int, float]  # seed -> error in percent, or what else is compared
Measure = Callable[[RunRecord], float] | Callable[[Study], float]


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


def without_whole(study: Study | PublishedStudy) -> tuple[dict[str, float], float]:
    """The errors of the damaged nets of a study, by block, and that of the whole net."""
    errors = dict(zip(study.label, study.value, strict=True))
    whole = errors.pop("whole net")
    return errors, whole


def lesion_cost(study: Study) -> float:
    """The median over blocks of what deleting one adds to the test error; of a study "delete-block"."""
    errors, whole = without_whole(study)
    return median(errors.values()) - whole


def measured(setting: Setting, profile: Profile, records: Records, of: Measure) -> Values:
    """A number of each seed of a setting that is recorded, or whose net was studied if the number is of that."""
    runs = setting.runs(profile)
    studies = (records.study("delete-block", run) for run in runs)
    found = filter(None, studies) if of is lesion_cost else records.select(runs)
    return {each.config.seed: of(each) for each in found}


def paired(*several: Values) -> dict[int, tuple[float, ...]]:
    """All the values of each seed that every one of several has."""
    return {seed: tuple(values[seed] for values in several) for seed in sorted(set.intersection(*map(set, several)))}


@dataclass(frozen=True)
class BestOf:
    """The one of these settings that has the lowest mean: "the best of all" needs all of them to have been run.

    The best is chosen on the very runs it is then judged by, which favours the net that has more to choose from.
    """

    parts: "tuple[Side, ...]"


@dataclass(frozen=True)
class Together:
    """Settings of whose numbers one is made for each seed that all of them have: the mean, the largest, the gap."""

    parts: "tuple[Side, ...]"
    by: Callable[[Sequence[float]], float]


Side = Setting | BestOf | Together


def gap(pair: Sequence[float]) -> float:
    """The first number minus the second."""
    return pair[0] - pair[1]


def _values(side: Side, read: Callable[[Setting], Values]) -> Values:
    if isinstance(side, Setting):
        return read(side)
    found = [_values(part, read) for part in side.parts]
    if isinstance(side, BestOf):
        return min(found, key=lambda values: mean(values.values())) if all(found) else {}
    return {seed: side.by(values) for seed, values in paired(*found).items()}


@dataclass(frozen=True)
class Effect(ABC):
    """`text` says for readers what `per_seed` computes."""

    text: str

    @abstractmethod
    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """One number for each seed that has all its runs."""


@dataclass(frozen=True)
class Level(Effect):
    """A number of one side by itself."""

    side: Side
    of: Measure

    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """See `Effect`."""
        return list(_values(self.side, lambda setting: measured(setting, profile, records, self.of)).values())


@dataclass(frozen=True)
class Difference(Effect):
    """The worse side's number minus the better's."""

    worse: Side
    better: Side
    of: Measure = train_error

    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """See `Effect`."""
        both = Together((self.worse, self.better), by=gap)
        return Level(self.text, both, self.of).per_seed(profile, records)


@dataclass(frozen=True)
class RightDiagnoses(Effect):
    """The share of the constructed cases that are diagnosed rightly, in percent."""

    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """See `Effect`, on seeds that were held back."""
        return diagnosis.right(profile, records)


def added_by(departure: Setting) -> Difference:
    """What a departure of chapter 11 adds to the test error, in points, against the book's recipe."""
    recipe = resnet(20, departure.net.shortcut)
    return Difference("test error with it minus test error without", worse=departure, better=recipe, of=test_error)
