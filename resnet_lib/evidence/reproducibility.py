"""What reproducing the paper cost and what of it was reproduced, summed up from all records of a folder."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from resnet_lib.display import Html, Table
from resnet_lib.evidence.ledger import best_verdict, cell, page_table, paper_claims, statement
from resnet_lib.evidence.rule import Verdict
from resnet_lib.evidence.verdicts import scale
from resnet_lib.runs.records import STUDIES, PublishedStudy, RunRecord, Study, load_published, load_study
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
    return sum(made.seconds * made.threads * made.processes for made in (each.provenance for each in measured)) / 3600


def studies(folder: Path) -> list[Study | PublishedStudy]:
    """Everything that was measured on trained nets afterwards."""
    found: list[Study | PublishedStudy] = [load_study(path) for path in sorted((folder / STUDIES).glob("*.json"))]
    return found + [load_published(path) for path in sorted((folder / PUBLISHED).glob("*.json"))]


def cost(folder: Path | None = None) -> Table:
    """Core-hours by what was trained on, and the energy that they took if a core draws `WATTS`.

    Times are those that the clock showed, so runs that shared a core with others count it more than once.
    """
    folder = folder or committed_dir()
    records = list(Records(folder))
    groups: dict[str, Sequence[Measured]] = {}
    for record in records:
        data = record.config.data.name
        what = TITLES.get(data, "tables of features")
        if data == "cifar10":
            what += ", in full" if record.config.recipe.iterations >= FULL else ", shortened"
        groups.setdefault(f"training on {what}", []).append(record)
    groups |= {"measuring trained nets": studies(folder)}
    rows = sorted((_cost(what, group) for what, group in groups.items()), key=lambda row: row["what"])
    everything = [each for group in groups.values() for each in group]
    return Table([*rows, _cost("all", everything)])


def _cost(what: str, group: Sequence[Measured]) -> dict[str, object]:
    hours = core_hours(group)
    return {
        "what": what,
        "records": f"{len(group):,}",
        "core-hours": f"{hours:,.1f}",
        f"kWh at {WATTS:g} W a core": f"{hours * WATTS / 1000:.2f}",
    }


def not_reproduced(records: Records) -> Html:
    """The paper's claims that the nearest runs to its schedule do not support, and what they say instead."""
    rows = []
    for claim in paper_claims():
        verdict = best_verdict(claim, records)
        if verdict.status != "supported":
            rows.append(f"<tr>{statement(claim)}{cell(verdict, claim.unit, _where(verdict), word=word(verdict))}</tr>")
    return page_table(["claim", "nearest to the paper's schedule"], rows)


def word(verdict: Verdict) -> str:
    """A verdict as a word about the paper: only runs by its own schedule can contradict it."""
    return NOT_SEEN if verdict.status == "refuted" and verdict.profile != "paper" else verdict.status


def _where(verdict: Verdict) -> str:
    return "; ".join(filter(None, (scale(verdict), verdict.why)))


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
