"""The log of the claims: what each said, from when on, and why it was changed, with what was recorded by then.

A claim that is sharpened after its runs are known can be made to hold. The log does not prevent that, and shows it. It
is only ever added to, which a test holds against the history of its file.
"""

from functools import cache

import yaml
from pydantic import Field

from resnet_lib.display import Table
from resnet_lib.evidence.claims import Claim
from resnet_lib.files import PACKAGE
from resnet_lib.runs.config import Finite, Frozen, Positive
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import Day
from resnet_lib.runs.store import Records

FILE = PACKAGE / "evidence" / "claims_log.yml"
BEGUN = "2026-11-24"  # the first entry of each claim of that day is how it stood
GONE = {"smoke": "clothes, 200 steps"}  # scales that entries name, and that no run is made at any more


class Entry(Frozen):
    """What a claim asked from a day on. One that is withdrawn asks nothing any more, and the rest is what it asked."""

    date: Day
    claim: str
    statement: str
    effect: str
    rule: str
    threshold: Finite
    of_learned: bool = False
    withdrawn: bool = False
    recorded: dict[str, Positive] = Field(default_factory=dict)  # by then: profile -> seeds that have all its runs
    why: str


@cache
def entries() -> tuple[Entry, ...]:
    """The whole log, as it was written."""
    return parsed(FILE.read_text(encoding="utf-8"))


def parsed(text: str) -> tuple[Entry, ...]:
    """The entries that a log has."""
    return tuple(Entry.model_validate(entry) for entry in yaml.safe_load(text))


def asked(claim: Claim) -> dict[str, object]:
    """What the log holds a claim to."""
    return {
        "statement": claim.statement,
        "effect": claim.effect.text,
        "rule": claim.rule,
        "threshold": float(claim.threshold),
        "of_learned": claim.of_learned,
    }


def entry_for(claim: Claim, date: str, why: str, records: Records) -> Entry:
    """The entry to be added for a new or a changed claim."""
    seeds = {profile.name: len(claim.effect.per_seed(profile, records)) for profile in PROFILES.values()}
    recorded = {profile: count for profile, count in seeds.items() if count}
    return Entry(date=date, claim=claim.name, **asked(claim), recorded=recorded, why=why)


def written(entry: Entry) -> str:
    """An entry as it stands in the file."""
    return yaml.safe_dump([entry.model_dump(exclude_defaults=True)], sort_keys=False, allow_unicode=True, width=116)


def changes() -> Table:
    """The entries that changed a claim, withdrew one, or added one after others had been judged: newest first."""
    labels = GONE | {profile.name: profile.label for profile in PROFILES.values()}
    known: set[str] = set()
    rows = []
    for entry in entries():
        if entry.claim in known or entry.date > BEGUN:
            what = "withdrawn" if entry.withdrawn else "changed" if entry.claim in known else "added"
            seeds = ", ".join(f"{labels[name]}: {n}" for name, n in entry.recorded.items()) or "none"
            row = {"date": entry.date, "claim": entry.statement, "what": what, "why": entry.why}
            rows.append(row | {"seeds recorded by then": seeds})
        known.add(entry.claim)
    return Table(reversed(rows))
