"""The rule that makes verdicts of effects.

A rule compares one number per seed, the effect, with a threshold. Runs that are compared share their seeds (the same
initial weights where shapes agree, the same order of the same augmented images), so each effect is a paired
difference and few seeds decide. The verdict follows from the 95% Student interval of the mean effect over seeds:
supported if it lies above the threshold, refuted if it lies below, undecided if it holds it, and not yet run with
fewer than `MIN_SEEDS` seeds. A claim that nothing happens asks the opposite: supported if the interval lies within
the threshold on both sides of zero, refuted if it lies wholly outside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Literal

from scipy.stats import t as student_t

MIN_SEEDS = 3

Rule = Literal["above", "within"]
Status = Literal["supported", "refuted", "undecided", "not yet run"]


@dataclass(frozen=True)
class Verdict:
    """What the records of one profile say of a claim. Effect and interval are in the claim's unit."""

    claim: str
    profile: str
    status: Status
    num_seeds: int
    effect: float | None
    low: float | None
    high: float | None


def interval(effects: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95% Student interval of two or more values."""
    centre = mean(effects)
    half = float(student_t.ppf(0.975, len(effects) - 1)) * stdev(effects) / len(effects) ** 0.5
    return centre, centre - half, centre + half


def judge(claim: str, profile: str, effects: Sequence[float], threshold: float, rule: Rule = "above") -> Verdict:
    """The verdict on a claim: see the module's own docstring."""
    if len(effects) < MIN_SEEDS:
        effect = mean(effects) if effects else None
        return Verdict(claim, profile, "not yet run", len(effects), effect, None, None)
    effect, low, high = interval(effects)
    if rule == "above":
        status = "supported" if low > threshold else "refuted" if high < threshold else "undecided"
    else:
        inside, outside = -threshold < low and high < threshold, low > threshold or high < -threshold
        status = "supported" if inside else "refuted" if outside else "undecided"
    return Verdict(claim, profile, status, len(effects), effect, low, high)
