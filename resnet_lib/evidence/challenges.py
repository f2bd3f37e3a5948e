"""What readers could decide: the undecided claims, the runs that would do it, and what readers' runs say.

A claim is never decided by seeds that are added until it is (see `rule`). New seeds are judged by themselves, with the
same rule: as many as would be enough in four cases of five, if the book's mean and spread are the true ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from shlex import quote
from statistics import mean

from resnet_lib.display import Html, clock
from resnet_lib.errors import UserError, lookup
from resnet_lib.evidence.claims import CLAIMS, Claim
from resnet_lib.evidence.effects import OF_STUDIES, Difference, Level
from resnet_lib.evidence.ledger import cell, page_table, scales, statement
from resnet_lib.evidence.rule import DECIDED
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.contributions import BLOCK, Credit, contributions
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.settings import Setting
from resnet_lib.runs.store import Records


@dataclass(frozen=True)
class Challenge:
    """An undecided claim at a scale.

    `num_seeds` new seeds would decide it in four cases of five, at the book's mean and spread; their runs took
    `seconds` in all, one after the other, at the pace of the book's own.
    """

    claim: Claim
    profile: Profile
    num_seeds: int
    seconds: float

    @property
    def command(self) -> str:
        """What trains it, quoted for a shell: names of claims have spaces and apostrophes."""
        return (
            f'python -m resnet_lib contribute train {quote(self.claim.name)} --profile {self.profile.name} --by "You"'
        )

    def by(self, name: str) -> Credit:
        """The credit of who takes it on."""
        return Credit(by=name, claim=self.claim.name, profile=self.profile.name, num_seeds=self.num_seeds)


def settings(claim: Claim) -> list[Setting]:
    """All that a claim needs trained, also what its effect may not choose in the end."""
    nothing, any_profile = Records(), PROFILES["small"]
    found = claim.effect.compared(any_profile, nothing)
    return list(dict.fromkeys(found + (claim.room.compared(any_profile, nothing) if claim.room else [])))


def can_be_taken_on(claim: Claim) -> bool:
    """Whether records of new seeds alone decide it, without studies of trained nets or cases that were held back."""
    return isinstance(claim.effect, Level | Difference) and claim.effect.of not in OF_STUDIES


def open_challenges(records: Records) -> Iterator[Challenge]:
    """The undecided claims that a contributor's seeds could decide: by scale, the paper's first, and then by time."""
    decided: set[str] = set()  # nearer to the paper's schedule, which makes the question idle
    for profile in scales():
        found = []
        for claim in filter(can_be_taken_on, CLAIMS.values()):
            verdict = claim.verdict(profile, records)
            if claim.name in decided or verdict.status in DECIDED:
                decided.add(claim.name)
                continue
            if (needed := verdict.fresh_seeds) is None or needed > BLOCK:
                continue
            took = [[run.provenance.seconds for run in records.select(s.runs(profile))] for s in settings(claim)]
            found.append(Challenge(claim, profile, needed, needed * sum(mean(each) for each in took if each)))
        yield from sorted(found, key=lambda challenge: challenge.seconds)


def challenge(claim: str, profile: str, records: Records) -> Challenge:
    """The open challenge of this claim at this scale.

    Raises:
        UserError: an unknown name, or no such challenge is open.
    """
    lookup(CLAIMS, claim, "claim")
    lookup(PROFILES, profile, "profile")
    there = (each for each in open_challenges(records) if (each.claim.name, each.profile.name) == (claim, profile))
    if (found := next(there, None)) is None:
        raise UserError(f"{claim} at {profile} is no open challenge; `contribute list` prints those that are")
    return found


def runs(credit: Credit) -> list[RunConfig]:
    """What a contribution has to hold, seed by seed.

    Raises:
        UserError: its claim or profile is not known, or cannot be decided by runs alone.
    """
    claim, profile = lookup(CLAIMS, credit.claim, "claim"), lookup(PROFILES, credit.profile, "profile")
    if not can_be_taken_on(claim):
        raise UserError(f"{credit.claim} needs more than runs")
    return [setting.at(profile, seed) for seed in credit.seeds for setting in settings(claim)]


def table(records: Records) -> Html:
    """All open challenges: the claim, the scale, and what it takes to decide it."""
    rows = [
        f"<tr>{statement(each.claim)}<td>{each.profile.label}</td><td>{each.num_seeds}</td>"
        f"<td>{clock(each.seconds)}</td><td><code>{escape(each.command)}</code></td></tr>"
        for each in open_challenges(records)
    ]
    return page_table(["claim", "runs on", "new seeds", "of one core about", "command"], rows)


def from_readers(records: Records, folder: Path | None = None) -> Html:
    """What readers' runs say by themselves, beside the book's verdicts, and to whom they are owed."""
    rows = []
    for place, credit in contributions(folder).items():
        claim, profile = CLAIMS.get(credit.claim), PROFILES.get(credit.profile)
        if claim is None or profile is None:  # a claim that was withdrawn since
            continue
        theirs = replace(profile, first_seed=credit.first_seed, num_seeds=credit.num_seeds)
        cells = cell(claim.verdict(profile, records), claim.unit, profile.label)
        cells += cell(claim.verdict(theirs, Records(place)), claim.unit, "readers' seeds alone")
        rows.append(f"<tr>{statement(claim)}{cells}<td>{escape(credit.by)}</td></tr>")
    if not rows:
        return Html("<p>None yet.</p>")
    return page_table(["claim", "the book's runs", "readers' runs", "trained by"], rows)
