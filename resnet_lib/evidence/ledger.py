"""The whole ledger: what runs decide (`claims`) and what arithmetic decides (`facts`), side by side.

How a verdict is put into words is in `verdicts`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from html import escape

from resnet_lib.display import Html, Markdown, Table, runs_line
from resnet_lib.errors import lookup
from resnet_lib.evidence.claims import CLAIMS, TO_COVER, Claim
from resnet_lib.evidence.facts import FACTS, Fact, checked
from resnet_lib.evidence.rule import Verdict
from resnet_lib.evidence.verdicts import brief, known, number, numbers, sentence
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.store import Records

STATUSES = ("supported", "refuted", "undecided", "not yet run")


def statement(entry: Claim | Fact) -> str:
    """A row's first cell: the statement, then in small where it is made, and a link to the chapter that tests it."""
    chapter = f'<a href="{entry.chapter}.html">chapter {int(entry.chapter[:2])}</a>'
    return f"<td>{escape(entry.statement)}<br><small>{escape(entry.source)}; {chapter}</small></td>"


def page_table(heads: Sequence[str], rows: Sequence[str], below: str = "") -> Html:
    """A table of the ledger's page, and what stands below it."""
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    return Html("\n".join(['<table class="ledger">', f"<thead><tr>{head}</tr></thead>", *rows, "</table>", below]))


def cell(verdict: Verdict, unit: str) -> str:
    """One verdict as a table cell."""
    kind = verdict.status.replace(" ", "-")
    shown = numbers(verdict, unit)
    return f'<td class="verdict {kind}"><b>{verdict.status}</b>{f"<br>{shown}" if shown else ""}</td>'


def told(entry: Claim | Fact, records: Records, wording: Callable[[Claim, Verdict], str]) -> list[str]:
    """What is known of a claim or fact, marked up; of a claim one text for each profile that has runs, so worded."""
    if isinstance(entry, Fact):
        holds, evidence = checked(entry)
        return [f"*{'holds' if holds else 'fails'}*: {evidence}"]
    return [wording(entry, verdict) for verdict in known(entry, records)]


def findings(names: Sequence[str], records: Records) -> Markdown:
    """One paragraph per claim or fact: what it says, and what the records or the check say of it.

    Raises:
        UserError: a name is neither a claim's nor a fact's.
    """
    lines = []
    for entry in (lookup(CLAIMS | FACTS, name, "claim") for name in names):
        lines += [f"**{entry.statement}** ({entry.source})"]
        lines += [*(f"- {text}" for text in told(entry, records, sentence)), ""]
    return Markdown("\n".join(lines))


def summary(names: Sequence[str], records: Records) -> Table:
    """What the records say of some claims, profile by profile: verdict, mean effect and number of seeds.

    Raises:
        UserError: a name is no claim's.
    """
    records = records.noting()
    rows = []
    for claim in (lookup(CLAIMS, name, "claim") for name in names):
        row = {"claim": claim.statement, "source": claim.source}
        for profile in PROFILES.values():
            verdict = claim.verdict(profile, records)
            effect = "" if verdict.effect is None else f": {number(verdict.effect, claim.unit)} (n={verdict.num_seeds})"
            row[profile.name] = verdict.status + effect
        rows.append(row)
    return Table(rows).from_runs(records.given)


def table(records: Records) -> Html:
    """Every claim that runs decide: statement, source, chapter, and per profile the verdict, effect and interval."""
    records = records.noting()
    rows = []
    for claim in CLAIMS.values():
        judged = "".join(cell(claim.verdict(profile, records), claim.unit) for profile in PROFILES.values())
        rows.append(f'<tr id="{anchor(claim.name)}">{statement(claim)}{judged}</tr>')
    return page_table(["claim", *(f"<code>{name}</code>" for name in PROFILES)], rows, runs_line(records.given))


def fact_table() -> Html:
    """Every claim that needs no run: statement, source, chapter, whether it holds, and the evidence."""
    rows = []
    for fact in FACTS.values():
        holds, evidence = checked(fact)
        kind, word = ("supported", "holds") if holds else ("refuted", "fails")
        found = f'<td class="verdict {kind}"><b>{word}</b></td><td>{escape(evidence)}</td>'
        rows.append(f'<tr id="{anchor(fact.name)}">{statement(fact)}{found}</tr>')
    return page_table(["claim", "by construction", "evidence"], rows)


def anchor(name: str) -> str:
    """Where a claim stands on the ledger's page."""
    return "claim-" + "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def score(records: Records) -> Table:
    """How many claims have which verdict, per profile; facts in a row of their own."""
    records = records.noting()
    rows = []
    for profile in PROFILES.values():
        counts = Counter(claim.verdict(profile, records).status for claim in CLAIMS.values())
        rows.append({"decided by": f"runs, {profile.name}"} | {status: counts[status] for status in STATUSES})
    counts = held()
    rows.append({"decided by": "construction or arithmetic"} | {status: counts[status] for status in STATUSES})
    return Table(rows).from_runs(records.given)


def held() -> Counter[str]:
    """How many facts hold, which counts as supported, and how many fail."""
    return Counter("supported" if checked(fact)[0] else "refuted" for fact in FACTS.values())


def covering(what: str) -> Iterator[Claim | Fact]:
    """The claims and facts that test one note, or one claim of the paper."""
    for entry in (*CLAIMS.values(), *FACTS.values()):
        if what in entry.covers:
            yield entry


def verdicts_on(what: str, records: Records) -> Markdown:
    """All verdicts on one of `claims.TO_COVER`, such as "note 3", one line each.

    Raises:
        UserError: there is no such note or claim.
    """
    lookup(dict.fromkeys(TO_COVER), what, "note")
    lines = []
    for entry in covering(what):
        found = "; ".join(told(entry, records, brief)) or "*not yet run*"
        lines.append(f"- {entry.statement} {found} (chapter {int(entry.chapter[:2])})")
    return Markdown("\n".join(lines))


def best_verdict(claim: Claim, records: Records) -> Verdict:
    """The verdict nearest to the paper's schedule: that of the longest profile with enough seeds."""
    judged = [claim.verdict(profile, records) for profile in reversed(PROFILES.values())]
    return next((verdict for verdict in judged if verdict.status != "not yet run"), judged[-1])


def scoreboard(records: Records) -> Html:
    """How many claims have which verdict, each counted once: the score in one line, for the first page."""
    counts = held() + Counter(best_verdict(claim, records).status for claim in CLAIMS.values())
    items = [f'<li class="{status.replace(" ", "-")}"><b>{counts[status]}</b> {status}</li>' for status in STATUSES]
    return Html("\n".join(['<ul class="scoreboard">', *items, "</ul>"]))
