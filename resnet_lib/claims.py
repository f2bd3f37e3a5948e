"""The ledger: each claim with its source, the runs that decide it, a rule, and a verdict computed from records.

A rule compares one number per seed, the effect, with a threshold. Runs that are compared share their seeds (the same
initial weights where shapes agree, the same order of the same augmented images), so each effect is a paired
difference and few seeds decide. The verdict follows from the 95% Student interval of the mean effect over seeds:
supported if it lies above the threshold, refuted if it lies below, undecided if it holds it, and not yet run with
fewer than `MIN_SEEDS` seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy.stats import t as student_t

from resnet_lib.experiments import OPTIMIZERS, PROFILES, RESIDUAL_OPTIMIZERS, SUITES, Profile
from resnet_lib.runs import Records

MIN_SEEDS = 3
THRESHOLD = 0.5  # points of error: less would not change anybody's choice of a net

Errors = dict[int, float]  # seed -> error in percent


@dataclass(frozen=True)
class Verdict:
    """What the records of one profile say of a claim. Effect and interval are in points of error."""

    claim: str
    profile: str
    status: str  # supported, refuted, undecided, not yet run
    num_seeds: int
    effect: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Claim:
    """A statement that runs can support or refute.

    `effect` says in words what `effects` computes: one paired difference per seed that has all its runs.
    """

    name: str
    statement: str
    source: str
    effect: str
    effects: Callable[[Profile, Records], list[float]]
    threshold: float = THRESHOLD

    def verdict(self, profile: Profile, records: Records) -> Verdict:
        """The verdict under one profile, from the records there are."""
        return judge(self.name, profile.name, self.effects(profile, records), self.threshold)


def interval(effects: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95% Student interval of two or more values."""
    centre = mean(effects)
    half = float(student_t.ppf(0.975, len(effects) - 1)) * stdev(effects) / len(effects) ** 0.5
    return centre, centre - half, centre + half


def judge(claim: str, profile: str, effects: Sequence[float], threshold: float) -> Verdict:
    """The rule of every claim: see the module's own docstring."""
    if len(effects) < MIN_SEEDS:
        effect = mean(effects) if effects else None
        return Verdict(claim, profile, "not yet run", len(effects), effect, None, None)
    effect, low, high = interval(effects)
    status = "supported" if low > threshold else "refuted" if high < threshold else "undecided"
    return Verdict(claim, profile, status, len(effects), effect, low, high)


def training_errors(suite: str, setting: str, profile: Profile, records: Records) -> Errors:
    """Final training error, in percent and without augmentation, of each recorded seed of a setting."""
    found = records.select(SUITES[suite].setting(setting, profile))
    return {record.config.seed: record.final.train_error for record in found}


def paired(*settings: Errors) -> list[tuple[float, ...]]:
    """The errors of all settings, for each seed that every one of them has."""
    seeds = sorted(set.intersection(*(set(errors) for errors in settings)))
    return [tuple(errors[seed] for errors in settings) for seed in seeds]


def _deeper_is_worse(profile: Profile, records: Records) -> list[float]:
    deep, shallow = (training_errors("degradation", net, profile, records) for net in ("plain-56", "plain-20"))
    return [a - b for a, b in paired(deep, shallow)]


def _deeper_is_worse_after_3x(profile: Profile, records: Records) -> list[float]:
    deep, shallow = (
        training_errors("longer-training", f"{net}, 3x iterations", profile, records)
        for net in ("plain-56", "plain-20")
    )
    return [a - b for a, b in paired(deep, shallow)]


def _shortcuts_shrink_the_penalty(profile: Profile, records: Records) -> list[float]:
    nets = ("plain-56", "plain-20", "ResNet-56 A", "ResNet-20 A")
    errors = (training_errors("degradation", net, profile, records) for net in nets)
    return [(p56 - p20) - (r56 - r20) for p56, p20, r56, r20 in paired(*errors)]


def _deeper_resnet_is_better(profile: Profile, records: Records) -> list[float]:
    shallow, deep = (training_errors("degradation", net, profile, records) for net in ("ResNet-20 A", "ResNet-56 A"))
    return [a - b for a, b in paired(shallow, deep)]


def _tuned(net: str, names: Sequence[str], profile: Profile, records: Records) -> Errors:
    """The errors of the setting that served a net best on the mean: the paper's recipe, or one of `names`.

    The best is chosen on the very runs it is then judged by, which favours the net that has more to choose from.
    """
    candidates = [training_errors("degradation", net, profile, records)]
    candidates += [training_errors("optimizers", f"{net}, {name}", profile, records) for name in names]
    if not all(candidates):
        return {}  # "the best of all" needs all of them
    return min(candidates, key=lambda errors: mean(errors.values()))


def _no_optimizer_closes_the_gap(profile: Profile, records: Records) -> list[float]:
    best = _tuned("plain-56", list(OPTIMIZERS), profile, records)
    return [a - b for a, b in paired(best, training_errors("degradation", "ResNet-56 A", profile, records))]


def _tuning_both_leaves_the_gap(profile: Profile, records: Records) -> list[float]:
    plain = _tuned("plain-56", list(OPTIMIZERS), profile, records)
    residual = _tuned("ResNet-56 A", RESIDUAL_OPTIMIZERS, profile, records)
    return [a - b for a, b in paired(plain, residual)]


CLAIMS = {
    claim.name: claim
    for claim in (
        Claim(
            "degradation",
            "A deeper plain net fits its own training images worse, so its larger test error is not overfitting.",
            "section 1; reading note S1",
            "training error of plain-56 minus that of plain-20",
            _deeper_is_worse,
        ),
        Claim(
            "longer-training",
            "Three times the iterations do not cure it.",
            "section 4.1, footnote 3",
            "the same difference after three times the iterations",
            _deeper_is_worse_after_3x,
        ),
        Claim(
            "shortcuts-help",
            "Shortcuts take away most of what depth costs.",
            "section 4.2; reading note 1",
            "cost of depth (56 layers minus 20) in plain nets minus the same cost in residual nets",
            _shortcuts_shrink_the_penalty,
        ),
        Claim(
            "depth-helps-resnets",
            "With shortcuts the deeper net fits its training images better, not worse.",
            "sections 4.1 and 4.2",
            "training error of ResNet-20 minus that of ResNet-56",
            _deeper_resnet_is_better,
        ),
        Claim(
            "no-optimizer-cures",
            "Changing the optimiser or its learning rate does not do for the plain net what the shortcut does.",
            "reading note 1",
            "training error of plain-56 under its best optimiser minus that of ResNet-56 under the paper's recipe",
            _no_optimizer_closes_the_gap,
        ),
        Claim(
            "tuning-both",
            "With the learning rate tuned for both nets, the residual one still fits better.",
            "reading note 1",
            "training error of plain-56 under its best optimiser minus that of ResNet-56 under its best",
            _tuning_both_leaves_the_gap,
        ),
    )
}


def verdicts(records: Records) -> list[Verdict]:
    """Every claim under every profile, claims first."""
    return [claim.verdict(profile, records) for claim in CLAIMS.values() for profile in PROFILES.values()]
