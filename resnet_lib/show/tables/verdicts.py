"""What the records say of claims."""

from collections.abc import Sequence

from resnet_lib.display import Markdown, Table, number
from resnet_lib.errors import lookup
from resnet_lib.evidence.claims import CLAIMS
from resnet_lib.evidence.rule import MIN_SEEDS, Verdict
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.store import Records


def ledger(records: Records, names: Sequence[str] | None = None) -> Table:
    """What the records say of each claim, profile by profile: verdict, mean effect in points, number of seeds.

    Args:
        records: what to judge by.
        names: the claims to show, by default all.

    Raises:
        UserError: a name is no claim's.
    """
    records = records.noting()
    rows = []
    for claim in (lookup(CLAIMS, name, "claim") for name in names or CLAIMS):
        row = {"claim": claim.statement, "source": claim.source}
        for profile in PROFILES.values():
            verdict = claim.verdict(profile, records)
            effect = "" if verdict.effect is None else f": {number(verdict.effect, claim.unit)} (n={verdict.num_seeds})"
            row[profile.name] = verdict.status + effect
        rows.append(row)
    return Table(rows).from_runs(records.given)


def verdict_table(profile: Profile, records: Records) -> Table:
    """The verdicts under one profile, with the effect in points of error and its 95% interval."""
    records = records.noting()
    judged = [claim.verdict(profile, records) for claim in CLAIMS.values()]
    rows = [
        {
            "claim": verdict.claim,
            "verdict": verdict.status,
            "effect": "" if verdict.effect is None else f"{verdict.effect:+.2f} {CLAIMS[verdict.claim].unit}".rstrip(),
            "95% interval": "" if verdict.low is None else f"{verdict.low:+.2f} to {verdict.high:+.2f}",
            "seeds": verdict.num_seeds,
        }
        for verdict in judged
    ]
    return Table(rows).from_runs(records.given)


def effect_text(verdict: Verdict, unit: str) -> str:
    """Mean effect and 95% interval: +57.5 points, 95% interval +54.1 to +60.8."""
    text = f"{number(verdict.effect, unit)} {unit}".rstrip()
    if verdict.low is not None:
        text += f", 95% interval {number(verdict.low, unit)} to {number(verdict.high, unit)}"
    return text


def findings(names: Sequence[str], records: Records) -> Markdown:
    """One paragraph per claim: what it says, and what the records say of it.

    Raises:
        UserError: a name is no claim's.
    """
    lines = []
    for name in names:
        claim = lookup(CLAIMS, name, "claim")
        lines.append(f"**{claim.statement}** ({claim.source})")
        for profile in PROFILES.values():
            verdict = claim.verdict(profile, records)
            if verdict.effect is None:
                continue
            seeds = f"{verdict.num_seeds} seed{'s' if verdict.num_seeds > 1 else ''}"
            text = f"- *{verdict.status}* at `{profile.name}` ({seeds}): {claim.effect.text}: "
            text += effect_text(verdict, claim.unit)
            if verdict.low is None:
                text += f"; a verdict needs {MIN_SEEDS} seeds"
            elif claim.rule == "within":
                text += f"; less than {claim.threshold:g} on either side needed"
            else:
                text += f"; more than {claim.threshold:g} needed"
            lines.append(text + ".")
        lines.append("")
    return Markdown("\n".join(lines))
