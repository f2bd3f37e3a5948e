"""The log of the claims: what each said, from when on, and why it was changed, with what was recorded by then.

A claim that is sharpened after its runs are known can be made to hold. The log does not prevent that, and shows it. It
is only ever added to, which a test holds against the history of its file.
"""

import re
from functools import cache

import yaml
from pydantic import Field

from resnet_lib.display import Table
from resnet_lib.evidence.claims import CLAIMS, Claim
from resnet_lib.evidence.rule import DECIDED
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


class Notice(Frozen):
    """What concerns many claims at once: a number that their rules share, or a scale withdrawn with its runs."""

    date: Day
    notice: str
    value: Finite | None = None
    verdicts: dict[str, str] = Field(default_factory=dict)  # of what was withdrawn: claim -> status
    why: str


@cache
def log() -> tuple[Entry | Notice, ...]:
    """The whole log, as it was written."""
    return parsed(FILE.read_text(encoding="utf-8"))


def parsed(text: str) -> tuple[Entry | Notice, ...]:
    """What stands in a log."""
    return tuple(
        Notice.model_validate(entry) if "notice" in entry else Entry.model_validate(entry)
        for entry in yaml.safe_load(text)
    )


def entries() -> tuple[Entry, ...]:
    """What the log has of single claims."""
    return tuple(entry for entry in log() if isinstance(entry, Entry))


def notices() -> tuple[Notice, ...]:
    """What the log has of many claims at once."""
    return tuple(entry for entry in log() if isinstance(entry, Notice))


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


RULE = {"effect", "rule", "threshold", "of_learned"}  # what decides; the rest are words


def written_after(claim: str, profile: str) -> int:
    """How many seeds of a profile were recorded when the rule that a claim has now was written.

    None are known of what stands since the log was `BEGUN`.
    """
    rule, seeds = None, 0
    for entry in entries():
        if entry.claim == claim and entry.model_dump(include=RULE) != rule:
            rule = entry.model_dump(include=RULE)
            seeds = entry.recorded.get(profile, 0) if entry.date > BEGUN else 0
    return seeds


def turned(records: Records) -> Table:
    """The claims that a scale which is withdrawn had decided, and whose verdict on clothes is another now."""
    records = records.noting()
    rows = []
    for notice in notices():
        for name, status in notice.verdicts.items():
            if name in CLAIMS and status in DECIDED:
                now = CLAIMS[name].verdict(PROFILES["small"], records).status
                row = {"claim": CLAIMS[name].statement, notice.notice: status, PROFILES["small"].label: now}
                rows += [row] if now != status else []
    return Table(rows).from_runs(records.given)


def _of_notice(notice: Notice) -> dict[str, str]:
    """Its row among the changes, with the verdicts that went with it, by status."""
    by_status: dict[str, list[str]] = {}
    for claim, status in notice.verdicts.items():
        by_status.setdefault(status, []).append(claim)
    lost = "; ".join(f"{status}: {', '.join(names)}" for status, names in by_status.items())
    why = f"{notice.why} Its verdicts were, {lost}." if lost else notice.why
    what = "withdrawn" if lost else "set"
    return {"date": notice.date, "claim": notice.notice, "what": what, "why": why, "seeds recorded by then": ""}


def changes() -> Table:
    """What changed a claim or many, withdrew one, or added one after others had been judged: newest first."""
    labels = GONE | {profile.name: profile.label for profile in PROFILES.values()}
    known: set[str] = set()
    rows = []
    for entry in log():
        if isinstance(entry, Notice):
            rows.append(_of_notice(entry))
            continue
        if entry.claim in known or entry.date > BEGUN:
            what = "withdrawn" if entry.withdrawn else "changed" if entry.claim in known else "added"
            seeds = ", ".join(f"{labels[name]}: {n}" for name, n in entry.recorded.items()) or "none"
            why = re.sub(r"chapter \d+", "its chapter", entry.why)  # numbers of chapters change, the log does not
            row = {"date": entry.date, "claim": entry.statement, "what": what, "why": why}
            rows.append(row | {"seeds recorded by then": seeds})
        known.add(entry.claim)
    return Table(reversed(rows))
