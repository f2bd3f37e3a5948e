"""What reproducing the paper cost and what of it was reproduced, summed up from all records of a folder."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from resnet_lib.display import Html, Table
from resnet_lib.evidence.claims import CLAIMS, Claim
from resnet_lib.evidence.ledger import best_verdict, cell, page_table, paper_claims, scales, statement
from resnet_lib.evidence.rule import DECIDED, Verdict
from resnet_lib.evidence.verdicts import scale, trained_on
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import (
    STUDIES,
    Provenance,
    PublishedStudy,
    RunRecord,
    Segment,
    Study,
    load_published,
    load_study,
)
from resnet_lib.runs.store import PUBLISHED, Records, committed_dir

WATTS = 10.0  # of a busy core, an assumption
"""A server of 200 to 300 W with 24 to 32 cores, all of it shared out over them. No record measures it."""
TITLES = {
    "cifar10": "CIFAR-10",
    "fashion-mnist-mini": "images of clothes",
    "tiny-imagenet-25": "Tiny ImageNet",
    "tiny-imagenet-100": "Tiny ImageNet",
}
NOT_SEEN = "not seen at this scale"
FULL = 64_000  # iterations of the paper's schedule on CIFAR-10

Measured = RunRecord | Study | PublishedStudy


def core_hours(measured: Iterable[Measured]) -> float:
    """Hours times the threads that were at work, of all that were made on a processor."""
    return sum(each.provenance.core_hours for each in measured)


def studies(folder: Path) -> list[Study | PublishedStudy]:
    """Everything that was measured on trained nets afterwards."""
    found: list[Study | PublishedStudy] = [load_study(path) for path in sorted((folder / STUDIES).glob("*.json"))]
    return found + [load_published(path) for path in sorted((folder / PUBLISHED).glob("*.json"))]


def cost(folder: Path | None = None) -> Table:
    """Core-hours by what was trained on, and the energy that they took if a core draws `WATTS`.

    Times are those that the clock showed, so runs that shared a core with others count it more than once.
    """
    groups = _groups(folder or committed_dir())
    rows = [_cost(what, group) for what, group in groups.items()]
    everything = [each for group in groups.values() for each in group]
    return Table([*rows, _cost("all", everything)])


def _groups(folder: Path) -> dict[str, Sequence[Measured]]:
    """All records and measurements of a folder, by what was trained on or done."""
    groups: dict[str, Sequence[Measured]] = {}
    for record in Records(folder):
        data = record.config.data.name
        what = TITLES.get(data, "tables of features")
        if data == "cifar10":
            what += ", in full" if record.config.recipe.iterations >= FULL else ", shortened"
        groups.setdefault(f"training on {what}", []).append(record)
    return dict(sorted((groups | {"measuring trained nets": studies(folder)}).items()))


def _cost(what: str, group: Sequence[Measured]) -> dict[str, object]:
    hours = core_hours(group)
    return {
        "what": what,
        "records": f"{len(group):,}",
        "core-hours": f"{hours:,.1f}",
        f"kWh at {WATTS:g} W a core": f"{hours * WATTS / 1000:.2f}",
    }


def processor(made: Provenance | Segment) -> str:
    """On what a record or a part of one was made, with its units for bf16.

    Before records named these units, bf16 was chosen on an Intel processor only if it had AMX.
    """
    unnamed = "Intel" in made.device and made.precision == "bf16" and not re.search("AMX|AVX", made.device)
    return f"{made.device}, AMX" if unnamed else made.device


def processors(measured: Iterable[Measured]) -> set[str]:
    """All that records were made on, also those on which a part of a run was."""
    return {processor(part) for each in measured for part in (each.provenance.segments or (each.provenance,))}


def made_on(folder: Path | None = None) -> Table:
    """How many records of what came from which processor; one whose run moved counts for each."""
    groups = _groups(folder or committed_dir())
    kinds = sorted(processors(each for group in groups.values() for each in group))
    return Table(
        {"what": what} | {kind: f"{sum(kind in processors([each]) for each in group):,}" for kind in kinds}
        for what, group in groups.items()
    )


def decided_on(records: Records) -> Html:
    """The claims that were decided on more than one processor, with the verdict from each, and how many rest on one.

    Of several scales on one processor the nearest to the paper's schedule counts.
    """
    decided: dict[str, dict[str, Verdict]] = {}
    for claim in CLAIMS.values():
        for profile in scales():
            noted = records.noting()
            verdict = claim.verdict(profile, noted)
            if verdict.status in DECIDED and noted.given:
                kinds = " and ".join(sorted(processors(noted.given)))
                decided.setdefault(claim.name, {}).setdefault(kinds, verdict)
    several = {name: found for name, found in decided.items() if len(found) > 1 or " and " in next(iter(found))}
    columns = sorted({kinds for found in several.values() for kinds in found})
    rows = []
    for claim, found in ((CLAIMS[name], found) for name, found in several.items()):
        cells = (
            cell(found[each], claim.unit, scale(found[each])) if each in found else "<td></td>" for each in columns
        )
        rows.append(f"<tr>{statement(claim)}{''.join(cells)}</tr>")
    same = sum(len({verdict.status for verdict in found.values()}) == 1 for found in several.values())
    alone = Counter(kinds for name, found in decided.items() if name not in several for kinds in found).most_common()
    below = f"<p>Claims decided on more than one processor: {len(several)}, with the same verdict on each: {same}. "
    below += f"Decided on one alone: {'; '.join(f'{count} on {escape(kind)}' for kind, count in alone) or 'none'}.</p>"
    return page_table(["claim", *map(escape, columns)], rows, below)


def not_reproduced(records: Records) -> Html:
    """The paper's claims that the nearest runs to its schedule do not support, and what they say instead."""
    rows = []
    for claim in paper_claims():
        verdict = best_verdict(claim, records)
        if verdict.status != "supported":
            found = cell(verdict, claim.unit, _where(claim, verdict), word=word(verdict))
            rows.append(f"<tr>{statement(claim)}{found}</tr>")
    return page_table(["claim", "nearest to the paper's schedule"], rows)


def word(verdict: Verdict) -> str:
    """A verdict as a word about the paper: only runs by its own schedule can contradict it."""
    return NOT_SEEN if verdict.status == "refuted" and verdict.profile != "paper" else verdict.status


def _where(claim: Claim, verdict: Verdict) -> str:
    return "; ".join(filter(None, (trained_on(claim, PROFILES[verdict.profile]), verdict.why)))


def reproduced(records: Records) -> Table:
    """How many of the paper's claims have which verdict by the nearest runs to its schedule, by the scale of these."""
    judged = [best_verdict(claim, records) for claim in paper_claims()]
    labels = dict.fromkeys(scale(verdict) for verdict in judged)
    return Table(
        {"decided on": label, "claims": len(here)}
        | {said: sum(word(v) == said for v in here) for said in dict.fromkeys(map(word, judged))}
        for label in labels
        if (here := [verdict for verdict in judged if scale(verdict) == label])
    )
