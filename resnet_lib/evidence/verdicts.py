"""Verdicts on claims in words and numbers. Whatever shows one, page or terminal, takes its words from here.

Nothing here needs torch.
"""

from collections.abc import Iterator, Sequence
from statistics import mean

from resnet_lib.display import NO_RUN, Table, roughly
from resnet_lib.evidence.claims import CLAIMS, Claim
from resnet_lib.evidence.effects import added_by
from resnet_lib.evidence.rule import MIN_SEEDS, MOST_SEEDS, Verdict, judge
from resnet_lib.runs.experiments import FOLKLORE
from resnet_lib.runs.profiles import PROFILES, Profile, scale_of
from resnet_lib.runs.store import Records


def known(claim: Claim, records: Records) -> Iterator[Verdict]:
    """The verdicts on a claim under the profiles in which any seed has all its runs."""
    judged = (claim.verdict(profile, records) for profile in PROFILES.values())
    return (verdict for verdict in judged if verdict.effect is not None)


def number(value: float, unit: str) -> str:
    """A number of a claim, with the digits that its unit needs; a difference has its sign."""
    if unit == "percent":
        return f"{value:.0f}"
    return f"{value:+.1f}" if unit == "points" else f"{value:+.2f}" if not unit else f"{value:.2f}"


def amount(verdict: Verdict, unit: str) -> str:
    """The mean effect: +57.5 points."""
    return f"{number(verdict.effect, unit)} {unit}".rstrip()


def interval_text(verdict: Verdict, unit: str = "") -> str:
    """The 95% interval: +54.1 to +60.8. Empty without a verdict."""
    return "" if verdict.low is None else f"{number(verdict.low, unit)} to {number(verdict.high, unit)}"


def numbers(verdict: Verdict, unit: str) -> str:
    """Mean effect, 95% interval and number of seeds: +57.5 points (+54.1 to +60.8), n=5."""
    if verdict.effect is None:
        return ""
    between = interval_text(verdict, unit)
    return amount(verdict, unit) + (f" ({between})" if between else "") + f", n={verdict.num_seeds}"


def asked(claim: Claim) -> str:
    """What the effect and its whole interval have to be: more than 0.5."""
    return (
        f"less than {claim.threshold:g} on either side" if claim.rule == "within" else f"more than {claim.threshold:g}"
    )


def scale(verdict: Verdict) -> str:
    """Which images and how long: clothes, 400 steps."""
    return PROFILES[verdict.profile].label


def trained_on(claim: Claim, profile: Profile) -> str:
    """On what the nets of a claim are trained under a profile, and how long: digits, 400 steps.

    The profile's label, unless the claim is about other data or another length.
    """
    configs = (net.at(profile, 0) for net in claim.effect.compared(profile, Records.committed()))
    return " and ".join(dict.fromkeys(map(scale_of, configs)))


def brief(claim: Claim, verdict: Verdict) -> str:
    """A verdict in short, marked up: *supported* on CIFAR-10, in full: +57.5 points (+54.1 to +60.8), n=5."""
    said = verdict.why or numbers(verdict, claim.unit)
    return f"*{verdict.status}* on {trained_on(claim, PROFILES[verdict.profile])}: {said}"


def sentence(claim: Claim, verdict: Verdict, seconds: float | None = None) -> str:
    """A whole verdict: how many seeds, what was compared, the effect and its interval, and what the rule asks for.

    What is undecided is told with the seeds that would decide it, and how long they take if one takes `seconds`.
    """
    seeds = f"{verdict.num_seeds} seed{'s' if verdict.num_seeds > 1 else ''}"
    text = f"*{verdict.status}* on {trained_on(claim, PROFILES[verdict.profile])} ({seeds}): "
    text += f"{verdict.why}; " if verdict.why else ""
    text += f"{claim.effect.text}: {amount(verdict, claim.unit)}"
    if verdict.low is None:
        return f"{text}; a verdict needs {MIN_SEEDS} seeds."
    text += f", 95% interval {interval_text(verdict, claim.unit)}"
    text += "." if verdict.why else f"; {asked(claim)} needed."
    return text + (f" {would_decide(verdict, seconds)}" if verdict.status == "undecided" else "")


def would_decide(verdict: Verdict, seconds: float | None = None) -> str:
    """How many fresh seeds would decide what is undecided, and how long they take where the others were made."""
    if verdict.fresh_seeds is None:
        return f"Even {MOST_SEEDS:,} fresh seeds would hardly decide it, if its true mean and spread are these."
    took = "" if seconds is None else f" (about {roughly(verdict.fresh_seeds * seconds)})"
    return (
        f"{verdict.fresh_seeds:,} fresh seeds{took} would decide it in four cases of five, if its true mean and spread "
        "are these."
    )


def seconds_per_seed(claim: Claim, profile: Profile, records: Records) -> float:
    """How long the runs of one seed took, one after the other, on the machines that made them."""
    nets = dict.fromkeys(claim.effect.compared(profile, records))
    took = [[run.provenance.seconds for run in records.select(net.runs(profile))] for net in nets]
    return sum(mean(each) for each in took if each)


def table(profile: Profile, records: Records) -> Table:
    """The verdicts under one profile, with the effect and its 95% interval to two digits, for the terminal."""
    records = records.noting()
    judged = [claim.verdict(profile, records) for claim in CLAIMS.values()]
    return Table(
        {
            "claim": verdict.claim,
            "verdict": verdict.status,
            "effect": "" if verdict.effect is None else f"{verdict.effect:+.2f} {CLAIMS[verdict.claim].unit}".rstrip(),
            "95% interval": interval_text(verdict),
            "seeds": verdict.num_seeds,
        }
        for verdict in judged
    ).from_runs(records.given)


# ----------------------------------------------------------------------------- chapter 11: the price of a departure

BEST_EPOCH = "the best epoch chosen on the test set"
PRICES = {"supported": "costs", "refuted": "gains", "undecided": "makes no difference at this many seeds"}


def folklore_prices(profile: Profile, records: Records) -> dict[str, list[float]]:
    """What each departure of chapter 11 adds to the test error, in points, seed by seed.

    The best epoch is a departure of reporting: same runs, lower number. It can only seem to gain.
    """
    prices = {departure.name: added_by(departure).per_seed(profile, records) for departure in FOLKLORE}
    flattered = CLAIMS["best-epoch-flatters"].effect.per_seed(profile, records)
    return prices | {BEST_EPOCH: [0 - gap for gap in flattered]}


def price(departure: str, effects: Sequence[float]) -> tuple[Verdict, str]:
    """The verdict on "it adds to the test error", and in words: costs, gains, or makes no difference that shows."""
    verdict = judge(departure, "", effects, threshold=0.0)
    unknown = NO_RUN if verdict.effect is None else f"a verdict needs {MIN_SEEDS} seeds"
    return verdict, PRICES.get(verdict.status, unknown)
