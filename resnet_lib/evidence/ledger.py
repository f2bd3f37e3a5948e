"""The whole ledger: what runs decide (`claims`) and what arithmetic decides (`facts`), side by side.

How a verdict is put into words is in `verdicts`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape

from resnet_lib.display import Html, Markdown, Table, runs_line
from resnet_lib.errors import lookup
from resnet_lib.evidence.claims import CLAIMS, PAPER_CLAIMS, TO_COVER, Claim
from resnet_lib.evidence.claims_log import written_after
from resnet_lib.evidence.facts import FACTS, Fact, checked
from resnet_lib.evidence.rule import DECIDED, Verdict, asked_together, fallen_by_holm, fallen_together
from resnet_lib.evidence.verdicts import (
    asked,
    brief,
    known,
    numbers,
    seconds_per_seed,
    sentence,
    trained_on,
    would_decide,
)
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.store import Records

STATUSES = ("supported", "refuted", "undecided", "did not start", "nothing to gain", "not yet run")
FALLS = "†"  # marks a verdict that would fall if all were to hold together
NOT_TOGETHER = "Not asked together."


def statement(entry: Claim | Fact, link: str = "") -> str:
    """A row's first cell: the statement, then in small where it is made, and a link to the chapter that tests it."""
    chapter = f'<a href="{entry.chapter}.html">chapter {int(entry.chapter[:2])}</a>'
    return f"<td>{escape(entry.statement)}{link}<br><small>{escape(entry.source)}; {chapter}</small></td>"


def _row(entry: Claim | Fact, cells: str) -> str:
    """A row of the ledger's page, which has an address of its own."""
    at = anchor(entry.name)
    link = f' <a class="own-address" href="#{at}" aria-label="Link to the claim {escape(entry.name)}">#</a>'
    return f'<tr id="{at}">{statement(entry, link)}{cells}</tr>'


def page_table(heads: Sequence[str], rows: Sequence[str], below: str = "") -> Html:
    """A table of the ledger's page, and what stands below it."""
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    return Html("\n".join(['<table class="ledger">', f"<thead><tr>{head}</tr></thead>", *rows, "</table>", below]))


def cell(verdict: Verdict, unit: str, note: str = "", mark: str = "", word: str = "") -> str:
    """One verdict as a table cell, in a word of its own if need be, with what is to be noted of it in small.

    It carries the numbers that rows are sorted by.
    """
    word = word or verdict.status
    shown = numbers(verdict, unit)
    below = f"<br><small>{escape(note)}</small>" if note else ""
    known = "" if verdict.effect is None else f' data-seeds="{verdict.num_seeds}"'
    known += f' data-effect="{verdict.effect:.4g}"' if known and unit == "points" else ""  # other units do not compare
    text = f"<b>{word}{mark}</b>{f'<br>{shown}' if shown else ''}{below}"
    return f'<td class="verdict {word.replace(" ", "-")}" data-verdict="{word}"{known}>{text}</td>'


def told(entry: Claim | Fact, records: Records, wording: Callable[[Claim, Verdict], str]) -> list[str]:
    """What is known of a claim or fact, marked up; of a claim one text for each profile that has runs, so worded."""
    if isinstance(entry, Fact):
        holds, evidence = checked(entry)
        return [f"*{entry.word(holds)}*: {evidence}"]
    return [wording(entry, verdict) for verdict in known(entry, records)]


def _in_full(records: Records) -> Callable[[Claim, Verdict], str]:
    """How a verdict is worded where it is told whole."""

    def wording(claim: Claim, verdict: Verdict) -> str:
        profile = PROFILES[verdict.profile]
        undecided = verdict.status == "undecided"
        return sentence(claim, verdict, seconds_per_seed(claim, profile, records) if undecided else None)

    return wording


def findings(names: Sequence[str], records: Records) -> Markdown:
    """One paragraph per claim or fact: what it says, and what the records or the check say of it.

    Raises:
        UserError: a name is neither a claim's nor a fact's.
    """
    lines = []
    for entry in (lookup(CLAIMS | FACTS, name, "claim") for name in names):
        lines += [f"**{entry.statement}** ({entry.source})"]
        lines += [*(f"- {text}" for text in told(entry, records, _in_full(records)) or ["*not yet run*"]), ""]
    return Markdown("\n".join(lines))


def table(records: Records) -> Html:
    """Every claim that runs decide: statement, source, chapter, and per profile verdict, effect, interval, threshold.

    The paper's schedule comes first. `FALLS` marks the verdicts of a profile that would fall if all were to hold
    together, and what cannot be asked that says so. On a page, book/_static/explore.js filters and sorts it.
    """
    records = records.noting()
    columns = {}
    for profile in scales():
        judged = {claim.name: claim.verdict(profile, records) for claim in CLAIMS.values()}
        columns[profile] = judged, fallen_together(judged.values(), profile.num_seeds)
    rows = []
    for claim in CLAIMS.values():
        cells = []
        for profile, (judged, fallen) in columns.items():
            verdict = judged[claim.name]
            note = f"{verdict.why}." if verdict.why else ""
            if verdict.status == "undecided":
                note = would_decide(verdict, seconds_per_seed(claim, profile, records))
            elif verdict.status in DECIDED and not asked_together([verdict], profile.num_seeds):
                note = NOT_TOGETHER
            needs = "" if verdict.why or verdict.effect is None else f"Needs {asked(claim)}."
            where = trained_on(claim, profile)
            at = "" if verdict.effect is None or where == profile.label else f"On {where}."
            seeds = 0 if verdict.p is None else written_after(claim.name, profile.name)
            late = f"Rule written after its runs ({seeds} seeds)." if seeds else ""
            told = " ".join(filter(None, (at, needs, note, late)))
            cells.append(cell(verdict, claim.unit, told, FALLS if claim.name in fallen else ""))
        rows.append(_row(claim, "".join(cells)))
    return page_table(["claim", *(profile.label for profile in columns)], rows, runs_line(records.given))


def scales() -> list[Profile]:
    """The paper's schedule first."""
    return list(reversed(PROFILES.values()))


def together(records: Records) -> Table:
    """For each profile, how many verdicts stand if all are to hold together, and how many would under Holm's method."""
    records = records.noting()
    rows = []
    for profile in scales():
        judged = [claim.verdict(profile, records) for claim in CLAIMS.values()]
        decided = [verdict for verdict in judged if verdict.status in DECIDED]
        asked = asked_together(judged, profile.num_seeds)
        together = len(asked_together(decided, profile.num_seeds))
        rows.append(
            {
                "runs on": profile.label,
                "decided": len(decided),
                NOT_TOGETHER: len(decided) - together,
                "asked together": together,
                "stand": together - len(fallen_together(asked, profile.num_seeds)),
                "stand by Holm's method": together - len(fallen_by_holm(asked)),
            }
        )
    return Table(rows).from_runs(records.given)


def fallen(records: Records) -> Table:
    """The verdicts that would fall if all of their profile were to hold together, by their chance."""
    records = records.noting()
    rows = []
    for profile in scales():
        judged = {claim.name: claim.verdict(profile, records) for claim in CLAIMS.values()}
        found = fallen_together(judged.values(), profile.num_seeds)
        for name, chance in sorted(found.items(), key=lambda item: item[1]):
            claim, verdict = CLAIMS[name], judged[name]
            row = {"claim": claim.statement, "runs on": profile.label, "alone": verdict.status}
            rows.append(row | {"effect": numbers(verdict, claim.unit), "chance together": f"{100 * chance:.1f}%"})
    return Table(rows).from_runs(records.given)


def shared(profile: Profile, records: Records, most: int = 5) -> Table:
    """The nets whose runs the most verdicts of a profile rest on, and how many that are of those there are."""
    records = records.noting()
    judged = [claim for claim in CLAIMS.values() if claim.verdict(profile, records).p is not None]
    counts: Counter[RunConfig] = Counter()
    for claim in judged:
        nets = claim.effect.compared(profile, records)
        counts.update(dict.fromkeys(net.at(profile, profile.first_seed) for net in nets).keys())
    rows = [{"runs of": f"{run.net.name}, lr {run.recipe.lr:g}", "claims": n} for run, n in counts.most_common(most)]
    return Table(row | {"of": len(judged)} for row in rows).from_runs(records.given)


def had_it_meant_less(records: Records, shares: Sequence[float] = (0.6, 0.5)) -> Table:
    """The verdicts that would not be asked for if a net had learned only below such shares of the error of guessing."""
    records = records.noting()
    rows = []
    for claim, profile in ((claim, profile) for claim in CLAIMS.values() if claim.of_learned for profile in scales()):
        verdict = claim.verdict(profile, records)
        if verdict.p is None:
            continue
        words = ["did not start" if claim.not_learned(profile, records, share) else verdict.status for share in shares]
        if "did not start" in words:
            row = {"claim": claim.statement, "runs on": profile.label, "below two thirds": verdict.status}
            rows.append(row | {f"below {share:.0%}": word for share, word in zip(shares, words, strict=True)})
    return Table(rows).from_runs(records.given)


def fact_table() -> Html:
    """Every claim that needs no run: statement, source, chapter, whether it holds, and the evidence."""
    rows = []
    for fact in FACTS.values():
        holds, evidence = checked(fact)
        kind = ("consistent" if fact.consistency else "supported") if holds else "refuted"
        found = f'<td class="verdict {kind}"><b>{fact.word(holds)}</b></td><td>{escape(evidence)}</td>'
        rows.append(_row(fact, found))
    return page_table(["claim", "by construction", "evidence"], rows)


def anchor(name: str) -> str:
    """Where a claim stands on the ledger's page."""
    return "claim-" + "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def score(records: Records) -> Table:
    """How many claims have which verdict, per profile, the paper's schedule first; facts in a row of their own."""
    records = records.noting()
    rows = [{"decided by": f"runs on {profile.label}"} | _counted(profile, records) for profile in scales()]
    rows.append({"decided by": "construction or arithmetic"} | {status: held()[status] for status in STATUSES})
    return Table(rows).from_runs(records.given)


def _counted(profile: Profile, records: Records, claims: Iterable[Claim] | None = None) -> dict[str, int]:
    claims = CLAIMS.values() if claims is None else claims
    counts = Counter(claim.verdict(profile, records).status for claim in claims)
    return {status: counts[status] for status in STATUSES}


def held() -> Counter[str]:
    """How many facts hold, which counts as supported, and how many fail; without those that are mere consistency."""
    counted = (fact for fact in FACTS.values() if not fact.consistency)
    return Counter("supported" if checked(fact)[0] else "refuted" for fact in counted)


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


def scoreboard(records: Records) -> Html:
    """A line for each profile with a verdict on any of the paper's claims, the paper's schedule first.

    And one for what needs no run. `score` counts all claims.
    """
    lines = []
    for profile in scales():
        counts = _counted(profile, records, paper_claims())
        if counts["not yet run"] < len(paper_claims()):
            lines.append(_score_line(profile.label, counts))
    lines.append(_score_line("by construction or arithmetic", held()))
    return Html("\n".join(['<dl class="scoreboard">', *lines, "</dl>"]))


def paper_claims() -> list[Claim]:
    """Those that test something the paper claims (`claims.PAPER_CLAIMS`)."""
    return [claim for claim in CLAIMS.values() if PAPER_CLAIMS.keys() & claim.covers]


def _score_line(what: str, counts: Mapping[str, int]) -> str:
    """Under a heading the statuses that occur, each with its number."""
    there = [status for status in STATUSES if counts[status]]
    items = (f'<li class="{status.replace(" ", "-")}"><b>{counts[status]}</b> {status}</li>' for status in there)
    return f"<dt>{what}</dt><dd><ul>{''.join(items)}</ul></dd>"


def best_verdict(claim: Claim, records: Records) -> Verdict:
    """The verdict nearest to the paper's schedule: of the longest profile that can say anything of the claim."""
    judged = [claim.verdict(profile, records) for profile in scales()]
    return next((verdict for verdict in judged if verdict.p is not None), judged[-1])
