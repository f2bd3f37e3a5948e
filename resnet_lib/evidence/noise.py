"""How much of a difference is noise, for chapter 16: the parts of a scatter, the seeds that it takes, the best of n.

Nothing here needs torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf
from statistics import stdev

import numpy as np
from scipy.integrate import quad
from scipy.stats import chi2, norm

from resnet_lib.evidence.rule import LEVEL, MIN_SEEDS, power
from resnet_lib.runs.literature import Report, paper_error, reports
from resnet_lib.runs.paper import table6_error
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.settings import resnet
from resnet_lib.runs.store import Records

MOST_SEEDS = 10_000
DRAWS = 20_000


def deviation_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of the standard deviation of what some normal values were drawn from."""
    freedom = len(values) - 1
    squares = freedom * stdev(values) ** 2
    low, high = (float(chi2.ppf(level, freedom)) for level in (1 - LEVEL / 2, LEVEL / 2))
    return (squares / low) ** 0.5, (squares / high) ** 0.5


def wrong_images(records: Sequence[RunRecord]) -> np.ndarray | None:
    """Which test images the net of each run gets wrong, bool (runs, images); None if a record does not tell."""
    if not records or any(record.test_images is None for record in records):
        return None
    return np.array([~record.test_images.unpacked() for record in records])


@dataclass(frozen=True)
class Scatter:
    """Variances of the test error over seeds, in squared points: `total` = `between` + `sampling`.

    `between` is what would be left on ever so many test images: how much nets truly differ. It is estimated without
    bias, and may come out below zero. `sampling` comes from images that are now right, now wrong, each by itself.
    """

    total: float
    between: float
    sampling: float


def scatter(wrong: np.ndarray) -> Scatter:
    """The parts of the scatter over seeds, from which images each net gets wrong: bool (seeds, images).

    `between` is the covariance of the error on one half of the images with that on the other, over seeds, averaged
    over all ways to halve. That is the mean covariance of two different images, which needs no halving (Jordan 2023).
    """
    errors = 100 * wrong.astype(float)
    images = errors.shape[1]
    total = float(errors.mean(axis=1).var(ddof=1))
    each = float(errors.var(axis=0, ddof=1).mean())  # variance of one image's error over seeds, mean over images
    between = (images * total - each) / (images - 1)
    return Scatter(total, between, total - between)


def share_of_one_right(wrong: np.ndarray) -> float:
    """Of the test images in percent, those that only one of two nets gets right; mean over all pairs of seeds."""
    seeds = len(wrong)
    pairs = [(wrong[one] != wrong[two]).mean() for one in range(seeds) for two in range(one)]
    return 100 * float(np.mean(pairs))


def seeds_needed(difference: float, deviation: float, often: float = 0.95) -> float:
    """The least number of seeds of each net that finds a true difference that often: 3 or more, infinite beyond 10,000.

    Args:
        difference: in points, of either sign.
        deviation: of the differences of pairs, over seeds. Of nets that are independent it is the square root of the
            sum of the squares of their own deviations.
        often: the power wanted.
    """
    low, high = MIN_SEEDS - 1, MOST_SEEDS  # too few for a verdict, enough
    if power(difference, deviation, high) < often:
        return inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(difference, deviation, middle) >= often else (middle, high)
    return high


@cache
def best_of(count: int) -> tuple[float, float]:
    """By how much the best of so many normal draws is expected to beat their mean, and its deviation; in deviations."""

    def moment(exponent: int) -> float:
        return quad(lambda x: count * x**exponent * norm.pdf(x) * norm.cdf(x) ** (count - 1), -9, 9)[0]

    return moment(1), (moment(2) - moment(1) ** 2) ** 0.5


def two_largest(values: Sequence[float]) -> tuple[float, float]:
    """What is left of the sum of squares about the mean without the two largest values, and how little is too little.

    Tietjen and Moore's test for two outliers at once, which may hide each other from a test for one: too little is what
    fewer than 5% of as many normal draws leave, found by simulation.
    """
    drawn = np.random.default_rng(0).standard_normal((DRAWS, len(values)))

    def left(rows: np.ndarray) -> np.ndarray:
        rows = np.sort(rows)
        return rows[:, :-2].var(axis=1) * (rows.shape[1] - 2) / (rows.var(axis=1) * rows.shape[1])

    return float(left(np.array([values]))[0]), float(np.quantile(left(drawn), LEVEL))


def repeated_by_others(depth: int) -> list[Report]:
    """Who reports errors of several runs of a residual net of this depth."""
    told = [report for report in reports() if report.kind == "residual" and report.error(depth)]
    return [report for report in told if report.error(depth).deviation is not None]


Pair = tuple[RunRecord, RunRecord]


def compared(records: Records) -> dict[str, list[Pair]]:
    """The runs of ResNet-20 and ResNet-56 that share a seed, by scale, where there are seeds enough."""
    found = {}
    for profile in PROFILES.values():
        first, second = ({run.config.seed: run for run in records.select(resnet(d).runs(profile))} for d in (20, 56))
        pairs = [(first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]
        if len(pairs) >= MIN_SEEDS:
            found[profile.label] = pairs
    return found


def deviations(pairs: Mapping[str, Sequence[Pair]]) -> dict[str, float]:
    """Deviation over seeds of the difference between the test errors of ResNet-20 and 56, in points, by scale.

    For the paper's schedule it is from what others report of both nets, as if they were independent.
    """
    found = {
        scale: stdev(one.final.test_error - other.final.test_error for one, other in runs)
        for scale, runs in pairs.items()
    }
    others = next(report for report in repeated_by_others(56) if report in repeated_by_others(20))
    both = [others.error(depth).deviation for depth in (20, 56)]
    return found | {OF_OTHERS: sum(value**2 for value in both) ** 0.5}


OF_OTHERS = f"{PROFILES['paper'].label} (others)"


def best_of_five() -> tuple[bool, str]:
    """The paper's printed error of ResNet-110 against what the best of five draws is expected to be."""
    printed, drawn = float(table6_error(110).partition("(")[0]), paper_error(110)
    by, give_or_take = best_of(drawn.runs)
    expected, deviation = drawn.mean - by * drawn.deviation, give_or_take * drawn.deviation
    evidence = (
        f"of {drawn.runs} normal draws with mean and deviation {drawn} the lowest is expected at {expected:.2f}, give "
        f"or take {deviation:.2f}. The paper prints {printed:.2f}, which does not contradict it. Nearly any draws "
        f"would pass: their lowest never lies more than {(drawn.runs - 1) / drawn.runs**0.5:.2f} deviations below "
        "their mean."
    )
    return abs(printed - expected) < deviation, evidence


def no_outlier() -> tuple[bool, str]:
    """The two largest errors that others report of a single ResNet-56 among all such errors."""
    single = (report.errors[56] for report in repeated_by_others(56))
    runs = sorted(error for errors in single if isinstance(errors, tuple) for error in errors)
    left, bound = two_largest(runs)
    evidence = (
        f"without the two largest of {len(runs)} errors, {runs[-2]:.2f} and {runs[-1]:.2f}, the sum of squares about "
        f"the mean is {left:.2f} of what it is with them. Of as many normal draws 5% leave less than {bound:.2f} "
        "(Tietjen and Moore)."
    )
    return left > bound, evidence
