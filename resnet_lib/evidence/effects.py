"""What claims are judged by: an effect says in words what it computes, and computes it, one number per seed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import comb, log
from statistics import linear_regression, mean, median

from resnet_lib.evidence import diagnosis
from resnet_lib.evidence.learning import LEARNED, guessing_error
from resnet_lib.evidence.rule import Rule, Verdict, judge, judge_share
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import PublishedStudy, RunRecord, Study
from resnet_lib.runs.settings import DEPTHS, Setting, resnet
from resnet_lib.runs.store import Records

Values = dict[int, float]  # seed -> error in percent, or what else is compared
Measure = Callable[[RunRecord], float | None] | Callable[[Study], float]  # None: the record has no such number


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


def time_to_learn(record: RunRecord) -> float:
    """Iterations until the error on training images falls to 60% (of ten classes), or all that there are.

    That is the error at which a net counts as having learned (`learning`). The curve begins with guessing, and runs
    straight from point to point.
    """
    level, curve = LEARNED * guessing_error(record), record.train_curve
    before, above = 0, guessing_error(record)
    for iteration, error in zip(curve.iteration, curve.error, strict=True):
        if error <= level:
            return before + (iteration - before) * (above - level) / (above - error)
        before, above = iteration, error
    return record.config.recipe.iterations


def flattery(record: RunRecord) -> float:
    """By how much the lowest test error of all evaluations lies below that of the last iteration."""
    return record.final.test_error - min(record.test_curve.error)


def weakest_gradient(record: RunRecord) -> float | None:
    """Smallest gradient norm of a layer, relative to the median layer's."""
    if record.probes is None:
        return None
    norms = record.probes.gradient_norm
    return min(norms) / median(norms) if median(norms) else 0.0


def median_response(record: RunRecord) -> float | None:
    """Median over the 3x3 layers of the deviation of their responses (Figure 7).

    The median, since in a net that trains badly a few layers that explode would make the mean.
    """
    return median(record.probes.response_std) if record.probes else None


def branch_ratio(record: RunRecord) -> float | None:
    """Median over the blocks of the deviation of F(x), before the addition, over that of what the shortcut carries."""
    if record.probes is None or record.probes.blocks is None:
        return None
    ratios = [ratio for ratio in record.probes.blocks.branch_ratio if ratio is not None]
    return median(ratios) if ratios else None


def without_whole(study: Study | PublishedStudy) -> tuple[dict[str, float], float]:
    """The errors of the damaged nets of a study, by block, and that of the whole net."""
    errors = dict(zip(study.label, study.value, strict=True))
    whole = errors.pop("whole net")
    return errors, whole


def lesion_cost(study: Study) -> float:
    """The median over blocks of what deleting one adds to the test error; of a study "delete-block"."""
    errors, whole = without_whole(study)
    return median(errors.values()) - whole


def by_count(errors: dict[str, float]) -> dict[int, list[float]]:
    """Number of blocks that were deleted at random -> the errors of all draws."""
    counts: dict[int, list[float]] = {}
    for label, error in errors.items():
        counts.setdefault(label.count("+") + 1, []).append(error)
    return counts


def share_of_the_first(study: Study) -> float:
    """What deleting one block adds to the test error over what deleting most of them adds; of "deletion-curve"."""
    errors, whole = without_whole(study)
    drawn = by_count(errors)
    return (mean(drawn[min(drawn)]) - whole) / (mean(drawn[max(drawn)]) - whole)


def path_shares(study: PublishedStudy | Study) -> list[float]:
    """Percent of the gradient that comes through paths with 0, 1, 2, ... residual branches; of "gradient-paths".

    The norm on one path of a length, from the study, times the number of such paths; shares of the sum of these.
    """
    blocks = len(study.value) - 1
    parts = [norm * comb(blocks, length) for length, norm in enumerate(study.value)]
    return [100 * part / sum(parts) for part in parts]


def short_paths(study: PublishedStudy | Study) -> float:
    """Percent of the gradient that takes the branches of no more than a third of the blocks; of "gradient-paths"."""
    shares = path_shares(study)
    return sum(shares[: (len(shares) - 1) // 3 + 1])


def steps_downhill(study: Study) -> float:
    """Share of the blocks whose step points down the loss, in the mean over images; of "gradient-step"."""
    return mean(cosine > 0 for cosine in study.value)


def last_step_steepest(study: Study) -> float:
    """The last block's cosine with the way down minus the largest of the others'; of "gradient-step"."""
    *others, last = study.value
    return last - max(others)


def reset_cost(study: Study) -> float:
    """The median over blocks of what its weights from before training add to the test error; of "reset-block"."""
    errors, _ = without_whole(study)
    settled = errors.pop("batch norm re-estimated")
    return median(error for name, error in errors.items() if name.startswith("layer")) - settled


def falls_outward(study: Study) -> float:
    """Share of the steps away from the trained weights at which the loss falls; of "filter-line"."""
    lines: dict[str, dict[float, float]] = {}
    for label, loss in zip(study.label, study.value, strict=True):
        direction, _, position = label.partition(": ")
        lines.setdefault(direction, {})[float(position)] = loss
    falls = []
    for line in lines.values():
        for sign in (1, -1):
            losses = [line[position] for position in sorted(line, key=abs) if position * sign >= 0]
            falls += [farther < nearer for nearer, farther in pairwise(losses)]
    return mean(falls)


def one_bit_apart(study: Study) -> float:
    """How many test images one changed bit answers differently, over how many another seed does; of "one-bit"."""
    values = dict(zip(study.label, study.value, strict=True))
    return values["one bit, differ"] / values["another seed, differ"]


OF_STUDIES = {
    lesion_cost: "delete-block",
    share_of_the_first: "deletion-curve",
    short_paths: "gradient-paths",
    steps_downhill: "gradient-step",
    last_step_steepest: "gradient-step",
    reset_cost: "reset-block",
    falls_outward: "filter-line",
    one_bit_apart: "one-bit",
}
"""Measures of studies -> of which."""


def measured(setting: Setting, profile: Profile, records: Records, of: Measure) -> Values:
    """A number of each seed of a setting that is recorded, or whose net was studied if the number is of that."""
    runs = setting.runs(profile)
    if of in OF_STUDIES:
        found = filter(None, (records.study(OF_STUDIES[of], run) for run in runs))
    else:
        found = records.select(runs)
    return {each.config.seed: number for each in found if (number := of(each)) is not None}


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


def half_gap(pair: Sequence[float]) -> float:
    """Half of the first number minus the second."""
    return gap(pair) / 2


def quotient(pair: Sequence[float]) -> float:
    """The first number divided by the second."""
    return pair[0] / pair[1]


def nearer_to_exponential(times: Sequence[float]) -> float:
    """How much better exponential growth fits the times of nets of `DEPTHS` layers than a power of the depth does.

    Both are straight lines through the logarithms of the times, over the depth or over its logarithm; what they leave,
    as a root mean square, is compared.
    """
    over_powers, over_depth = (
        _left_by_line([scale(depth) for depth in DEPTHS], [log(time) for time in times]) for scale in (log, float)
    )
    return over_powers - over_depth


def _left_by_line(x: Sequence[float], y: Sequence[float]) -> float:
    slope, start = linear_regression(x, y)
    return mean((b - start - slope * a) ** 2 for a, b in zip(x, y, strict=True)) ** 0.5


def _values(side: Side, read: Callable[[Setting], Values]) -> Values:
    if isinstance(side, Setting):
        return read(side)
    found = [_values(part, read) for part in side.parts]
    if isinstance(side, BestOf):
        return min(found, key=lambda values: mean(values.values())) if all(found) else {}
    return {seed: side.by(values) for seed, values in paired(*found).items()}


def _compared(side: Side, read: Callable[[Setting], Values]) -> list[Setting]:
    """The settings that a side's numbers are of: of several to choose from only the chosen one."""
    if isinstance(side, Setting):
        return [side]
    if isinstance(side, BestOf) and all(found := [_values(part, read) for part in side.parts]):
        means = [mean(values.values()) for values in found]
        return _compared(side.parts[means.index(min(means))], read)
    return [setting for part in side.parts for setting in _compared(part, read)]


@dataclass(frozen=True)
class Effect(ABC):
    """`text` says for readers what `per_seed` computes."""

    text: str

    @abstractmethod
    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """One number for each seed that has all its runs."""

    @abstractmethod
    def compared(self, profile: Profile, records: Records) -> list[Setting]:
        """The settings that the numbers are of."""

    def judged(self, claim: str, profile: Profile, records: Records, threshold: float, rule: Rule) -> Verdict:
        """The verdict on a claim that has this effect."""
        return judge(claim, profile.name, self.per_seed(profile, records), threshold, rule)


@dataclass(frozen=True)
class Level(Effect):
    """A number of one side by itself."""

    side: Side
    of: Measure

    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """See `Effect`."""
        return list(_values(self.side, lambda setting: measured(setting, profile, records, self.of)).values())

    def compared(self, profile: Profile, records: Records) -> list[Setting]:
        """See `Effect`."""
        return _compared(self.side, lambda setting: measured(setting, profile, records, self.of))


@dataclass(frozen=True)
class Difference(Effect):
    """The worse side's number minus the better's."""

    worse: Side
    better: Side
    of: Measure = train_error

    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """See `Effect`."""
        return self._as_level().per_seed(profile, records)

    def compared(self, profile: Profile, records: Records) -> list[Setting]:
        """See `Effect`."""
        return self._as_level().compared(profile, records)

    def _as_level(self) -> Level:
        return Level(self.text, Together((self.worse, self.better), by=gap), self.of)


@dataclass(frozen=True)
class RightDiagnoses(Effect):
    """The share of the constructed cases that are diagnosed rightly, in percent."""

    def per_seed(self, profile: Profile, records: Records) -> list[float]:
        """See `Effect`, on seeds that were held back."""
        return [100 * mean(cases) for cases in diagnosis.right(profile, records).values()]

    def compared(self, profile: Profile, records: Records) -> list[Setting]:
        """See `Effect`."""
        return [setting for case in diagnosis.CASES for setting in (case.setting, case.second) if setting]

    def judged(self, claim: str, profile: Profile, records: Records, threshold: float, rule: Rule) -> Verdict:
        """By the cases, not by the seeds, since a share has an exact interval."""
        seeds = diagnosis.right(profile, records)
        cases = [right for seed in seeds.values() for right in seed]
        return judge_share(claim, profile.name, sum(cases), len(cases), len(seeds), threshold)


def added_by(departure: Setting) -> Difference:
    """What a departure of chapter 11 adds to the test error, in points, against the book's recipe."""
    recipe = resnet(20, departure.net.shortcut)
    return Difference("test error with it minus test error without", worse=departure, better=recipe, of=test_error)
