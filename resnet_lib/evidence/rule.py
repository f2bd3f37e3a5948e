"""The rule that makes verdicts of effects.

A rule compares one number per seed, the effect, with a threshold. Runs that are compared share their seeds (the same
initial weights where shapes agree, the same order of the same augmented images), so each effect is a paired
difference, and its interval is valid whether or not the pairs are correlated. A claim is supported if the mean effect
lies above the threshold beyond chance, refuted if it lies below beyond chance, undecided otherwise, and not yet run
with fewer than `MIN_SEEDS` seeds. A claim that nothing happens asks the opposite: supported if the mean lies within
the threshold on both sides of zero, refuted if it lies outside.

"Beyond chance" means that the 95% Student interval of the mean excludes the threshold, and, from `MIN_FLIPS` seeds on,
that an exact test does, too: of all ways to flip the signs of the differences from the threshold, at most one in forty
gives a mean so far out. Student's interval alone takes effects to be normal, and nets that sometimes fail are not. A
share of right answers is judged by its exact binomial interval.

All verdicts of a scale together: see `chances_together`.

What no interval holds: that the test set is a sample too; that seeds were added until something was decided, so their
number is fixed by the profile before the first is run; and what no seed has shown. A failure of one run in ten is
missed by ten seeds a third of the time.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose
from statistics import mean, stdev
from typing import Literal

import numpy as np
from scipy.stats import binom, binomtest, nct
from scipy.stats import t as student_t

MIN_SEEDS = 3
MIN_FLIPS = 6  # with five seeds even the most extreme of the 32 ways has one in 32 against it
LEVEL = 0.05
POWER = 0.8  # how often the seeds that are said to decide a claim would do so
MOST_SEEDS = 1000  # of what would decide a claim; more are as good as never

Rule = Literal["above", "within"]
Status = Literal["supported", "refuted", "undecided", "did not start", "nothing to gain", "not yet run"]
DECIDED: tuple[Status, ...] = ("supported", "refuted")


@dataclass(frozen=True)
class Verdict:
    """What the records of one profile say of a claim. Effect and interval are in the claim's unit.

    `p` is the probability, by the weaker of the two tests and on both sides, of so decided a result by chance at the
    threshold; None without a verdict. `fresh_seeds` is how many new seeds, judged by themselves, would decide what
    is undecided in four cases of five, if the true mean and spread are those seen; None if it is decided, or if even
    `MOST_SEEDS` would not. `differences` are the effects' distances from the threshold, seed by seed, from the nearer
    of two; empty where seeds are not what is judged. `why` says what kept a claim from being asked.
    """

    claim: str
    profile: str
    status: Status
    num_seeds: int
    effect: float | None
    low: float | None
    high: float | None
    p: float | None = None
    fresh_seeds: int | None = None
    differences: tuple[float, ...] = ()
    why: str = ""

    def not_asked(self, status: Status, why: str) -> "Verdict":
        """The same numbers without a verdict: the nets did not start, or there is nothing to gain."""
        return replace(self, status=status, p=None, fresh_seeds=None, why=why)


def interval(effects: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95% Student interval of two or more values."""
    centre = mean(effects)
    half = _half_width(stdev(effects), len(effects))
    return centre, centre - half, centre + half


def _half_width(deviation: float, num_seeds: int) -> float:
    return float(student_t.ppf(1 - LEVEL / 2, num_seeds - 1)) * deviation / num_seeds**0.5


def chance_above(effects: Sequence[float], threshold: float) -> float:
    """How probable so high a mean is if the true one is at the threshold, by the weaker of the two tests; one-sided."""
    differences = np.asarray(effects) - threshold
    count, centre, deviation = len(differences), differences.mean(), differences.std(ddof=1)
    if isclose(deviation, 0, abs_tol=1e-12):
        by_student = 0.0 if centre > 0 else 1.0
    else:
        by_student = float(student_t.sf(centre / deviation * count**0.5, count - 1))
    return by_student if count < MIN_FLIPS else max(by_student, _chance_of_signs(differences))


def _chance_of_signs(differences: np.ndarray) -> float:
    """The share of all 2^n ways to flip signs that give a mean at least as high: exact for symmetric differences."""
    sums = _all_signs(len(differences)) @ differences
    return float(np.mean(sums >= differences.sum() - 1e-9))


def _all_signs(count: int) -> np.ndarray:
    """All ways to give so many seeds a sign, (2^count, count); the first leaves all as they are."""
    return 1 - 2 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)


def judge(claim: str, profile: str, effects: Sequence[float], threshold: float, rule: Rule = "above") -> Verdict:
    """The verdict on a claim: see the module's own docstring."""
    if len(effects) < MIN_SEEDS:
        effect = mean(effects) if effects else None
        return Verdict(claim, profile, "not yet run", len(effects), effect, None, None)
    effect, low, high = interval(effects)
    mirrored = [-value for value in effects]
    if rule == "above":
        for_it, against = chance_above(effects, threshold), chance_above(mirrored, -threshold)
    else:
        for_it = max(chance_above(effects, -threshold), chance_above(mirrored, -threshold))
        against = min(chance_above(effects, threshold), chance_above(mirrored, threshold))
    status = _status(for_it, against)
    edge = -threshold if rule == "within" and effect < 0 else threshold
    fresh = _fresh_seeds(abs(effect - edge), stdev(effects)) if status == "undecided" else None
    p, differences = min(1.0, 2 * min(for_it, against)), tuple(value - edge for value in effects)
    return Verdict(claim, profile, status, len(effects), effect, low, high, p, fresh, differences)


def judge_share(claim: str, profile: str, right: int, asked: int, num_seeds: int, threshold: float) -> Verdict:
    """The verdict on a share in percent, of so many right answers among those asked, by its exact binomial interval."""
    if num_seeds < MIN_SEEDS:
        effect = 100 * right / asked if asked else None
        return Verdict(claim, profile, "not yet run", num_seeds, effect, None, None)
    between = binomtest(right, asked).proportion_ci(1 - LEVEL, method="exact")
    share, low, high = 100 * right / asked, 100 * between.low, 100 * between.high
    for_it, against = _chances_of_share(right, asked, threshold)
    status = _status(for_it, against)
    fresh = _fresh_trials(right / asked, asked / num_seeds, threshold / 100) if status == "undecided" else None
    return Verdict(claim, profile, status, num_seeds, share, low, high, min(1.0, 2 * min(for_it, against)), fresh)


def _fresh_trials(share: float, per_seed: float, threshold: float) -> int | None:
    """The fewest seeds, with so many trials each, that tell a true share from a threshold as often as `POWER`."""
    for seeds in range(1, MOST_SEEDS + 1):
        trials = round(per_seed * seeds)
        above = binom.sf(binom.isf(LEVEL / 2, trials, threshold), trials, share)
        below = binom.cdf(binom.ppf(LEVEL / 2, trials, threshold) - 1, trials, share)
        if seeds >= MIN_SEEDS and (above if share > threshold else below) >= POWER:
            return seeds
    return None


def _chances_of_share(right: int, asked: int, threshold: float) -> tuple[float, float]:
    """How probable so high a share is if the true one is at the threshold, and how probable so low a one."""
    higher, lower = (binomtest(right, asked, threshold / 100, side).pvalue for side in ("greater", "less"))
    return float(higher), float(lower)


def _status(for_it: float, against: float) -> Status:
    return "supported" if for_it < LEVEL / 2 else "refuted" if against < LEVEL / 2 else "undecided"


def _fresh_seeds(distance: float, deviation: float) -> int | None:
    """The fewest seeds whose interval is on one side of a threshold so far from the true mean, as often as `POWER`.

    The exact test is left out, but for the number of seeds that it needs.
    """
    if distance == 0:
        return None
    enough = MIN_FLIPS  # or more: power grows with their number, but for many more than needed older scipys give NaN
    while power(distance, deviation, enough) < POWER:
        if enough == MOST_SEEDS:
            return None
        enough = min(2 * enough, MOST_SEEDS)
    seeds = range(max(MIN_FLIPS, enough // 2), enough + 1)
    return seeds[bisect_left(seeds, POWER, key=lambda num_seeds: power(distance, deviation, num_seeds))]


def power(distance: float, deviation: float, num_seeds: int) -> float:
    """How often Student's interval of so many seeds leaves out a threshold on the right side of a true mean so far off.

    Args:
        distance: of the true mean from the threshold, of either sign.
        deviation: of the differences over seeds.
        num_seeds: two or more.
    """
    bound = student_t.ppf(1 - LEVEL / 2, num_seeds - 1)
    return float(nct.sf(bound, num_seeds - 1, abs(distance) / deviation * num_seeds**0.5))


def asked_together(verdicts: Iterable[Verdict], num_seeds: int) -> list[Verdict]:
    """Those that the same seeds judge, all `num_seeds` of them; none if these are fewer than `MIN_FLIPS`."""
    if num_seeds < MIN_FLIPS:
        return []
    return [verdict for verdict in verdicts if verdict.p is not None and len(verdict.differences) == num_seeds]


def chances_together(differences: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """For each claim, how probable it is by chance that any claim as weak or weaker shows so much; on both sides.

    The same seeds judge all claims, so each flip of a seed's sign flips it in every claim: however claims depend on
    each other, the flips keep it. Each claim's differences are divided by their root mean square. What is left of the
    mean, from 0 to 1, grows with Student's t, and by it the claims are compared. For the strongest claim it is the
    largest of all under each of the 2^n flips that counts; for the next, the largest without the strongest, and so on
    (step-down maxT; Westfall & Young 1993). No chance is below that of a stronger claim.

    Args:
        differences: from the threshold, one for each seed, of the same seeds in the same order for every claim.
    """
    values = np.array(list(differences.values()), dtype=float)
    sizes = np.sqrt((values**2).mean(axis=1, keepdims=True))
    values = np.divide(values, sizes, out=np.zeros_like(values), where=sizes > 0)
    strengths = np.abs(values @ _all_signs(values.shape[1]).T) / values.shape[1]  # (claims, flips), first as they are
    strongest_first = np.argsort(-strengths[:, 0], kind="stable")
    names, chances, above = list(differences), {}, 0.0
    for rank, claim in enumerate(strongest_first):
        largest = strengths[strongest_first[rank:]].max(axis=0)
        above = max(above, float(np.mean(largest >= strengths[claim, 0] - 1e-9)))
        chances[names[claim]] = above
    return chances


def fallen_together(verdicts: Iterable[Verdict], num_seeds: int) -> dict[str, float]:
    """The claims of those decided that would not be if the chance of a single wrong verdict among all were 5%.

    Each with its chance, of those that can be `asked_together`.
    """
    asked = asked_together(verdicts, num_seeds)
    chances = chances_together({verdict.claim: verdict.differences for verdict in asked}) if asked else {}
    return {v.claim: chances[v.claim] for v in asked if v.status in DECIDED and chances[v.claim] > LEVEL}


def fallen_by_holm(verdicts: Iterable[Verdict]) -> set[str]:
    """Likewise by Holm's method, which does not know that claims share their seeds, and allows for the worst.

    The least probable verdict is held to 5% over the number of claims, the next to 5% over one less, and so on; from
    the first that fails, all fail.
    """
    judged = sorted((verdict for verdict in verdicts if verdict.p is not None), key=lambda verdict: verdict.p)
    standing = 0
    while standing < len(judged) and judged[standing].p <= LEVEL / (len(judged) - standing):
        standing += 1
    return {verdict.claim for verdict in judged[standing:] if verdict.status in DECIDED}
