"""The log of the claims says what they ask today, and nothing in it was ever changed."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from samples import ROOT, made_up_record

from resnet_lib.evidence import claims_log
from resnet_lib.evidence.claims import CLAIMS
from resnet_lib.evidence.claims_log import (
    FILE,
    Entry,
    Notice,
    asked,
    changes,
    entries,
    entry_for,
    log,
    notices,
    parsed,
    turned,
    written,
    written_after,
)
from resnet_lib.evidence.learning import LEARNED
from resnet_lib.files import PACKAGE
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import save_record
from resnet_lib.runs.settings import plain
from resnet_lib.runs.store import Records

LAST = {entry.claim: entry for entry in entries()}


@pytest.mark.parametrize("name", CLAIMS)
def test_the_last_entry_of_a_claim_is_what_it_asks(name: str) -> None:
    claim = CLAIMS[name]
    to_add = written(entry_for(claim, "2026-12-31", "Say why.", Records.committed()))
    same = (
        name in LAST and not LAST[name].withdrawn and LAST[name].model_dump(include=set(asked(claim))) == asked(claim)
    )
    assert same, f"add to the end of {FILE.name}, with the day and the reason:\n{to_add}"


def test_what_is_no_claim_any_more_is_withdrawn() -> None:
    gone = [entry for entry in LAST.values() if entry.claim not in CLAIMS and not entry.withdrawn]
    to_add = "".join(written(entry.model_copy(update={"withdrawn": True, "why": "Say why."})) for entry in gone)
    assert not gone, f"add to the end of {FILE.name}, with the day and the reason:\n{to_add}"


def test_days_only_rise() -> None:
    days = [entry.date for entry in log() if entry.date > claims_log.BEGUN]
    assert days == sorted(days)


def history() -> list[str]:
    """The log as each commit of the main line had it, oldest first; empty where there is no history."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""

    path = FILE.relative_to(PACKAGE.parent).as_posix()
    commits = git("log", "--first-parent", "--format=%H", "--reverse", "--diff-filter=AM", "--", path).split()
    return [git("show", f"{commit}:{path}") for commit in commits]


def test_the_log_was_only_ever_added_to() -> None:
    versions = [parsed(text) for text in history()]
    if not versions:
        pytest.skip("no history here to hold the log against")
    for before, after in zip(versions, [*versions[1:], log()], strict=True):
        assert after[: len(before)] == before


def test_a_changed_threshold_or_wording_needs_an_entry() -> None:
    claim = CLAIMS["degradation"]
    for other in (
        replace(claim, threshold=5.0),
        replace(claim, statement="Another."),
        replace(claim, effect=replace(claim.effect, text="another difference")),
        replace(claim, of_learned=False),
    ):
        assert asked(other) != asked(claim)


def test_an_entry_says_how_many_seeds_were_recorded_and_comes_back_as_written(tmp_path: Path) -> None:
    for seed in range(2):
        for net in (plain(20), plain(56)):
            save_record(made_up_record(net.at(PROFILES["quick"], seed)), tmp_path)
    entry = entry_for(CLAIMS["degradation"], "2026-12-01", "Why: because.", Records(tmp_path))
    assert entry.recorded == {"quick": 2}
    assert parsed(written(entry)) == (entry,)


def test_reasons_name_no_chapter_by_its_number_which_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry(
        date="2026-12-01", claim="new", statement="New.", effect="", rule="above", threshold=0.0, why="See chapter 15."
    )
    monkeypatch.setattr(claims_log, "log", lambda: (entry,))
    assert list(claims_log.changes()["why"]) == ["See its chapter."]


def test_the_table_of_changes_has_no_claim_that_stands_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(date: str, claim: str, **more: object) -> Entry:
        return Entry(date=date, claim=claim, statement=claim, effect="", rule="above", threshold=0.0, why="", **more)

    made_up = (
        entry("2026-11-24", "kept"),
        entry("2026-11-24", "changed"),
        entry("2026-12-01", "changed", recorded={"smoke": 5, "quick": 3}),  # a scale that is gone, and one that is not
        entry("2026-12-01", "new"),
        entry("2026-12-02", "changed", withdrawn=True),
        Notice(date="2026-12-03", notice="a scale", verdicts={"kept": "refuted", "new": "supported"}, why="So."),
    )
    monkeypatch.setattr(claims_log, "log", lambda: made_up)
    scale, *rows = changes().to_dict("records")
    assert scale["why"] == "So. Its verdicts were, refuted: kept; supported: new."
    assert [(row["claim"], row["what"]) for row in rows] == [
        ("changed", "withdrawn"),
        ("new", "added"),
        ("changed", "changed"),
    ]
    assert [row["seeds recorded by then"] for row in rows] == [
        "none",
        "none",
        "clothes, 200 steps: 5, CIFAR-10, a tenth: 3",
    ]


def test_what_counts_as_learned_is_what_the_log_says() -> None:
    values = [notice.value for notice in notices() if notice.notice.startswith("A net has learned")]
    assert values[-1] == pytest.approx(LEARNED, abs=1e-12), f"add a notice to the end of {FILE.name}"


def test_a_rule_counts_as_written_when_it_last_changed_and_not_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(date: str, threshold: float, statement: str, seeds: int) -> Entry:
        recorded = {"small": seeds} if seeds else {}
        rest = {"effect": "", "rule": "above", "why": "", "recorded": recorded}
        return Entry(date=date, claim="one", statement=statement, threshold=threshold, **rest)

    first, before = entry("2026-11-24", 0.5, "a", 5), entry("2026-12-01", 0.6, "a", 0)
    after, words = entry("2026-12-02", 0.7, "a", 10), entry("2026-12-03", 0.7, "b", 12)
    for made_up, seeds in (((first,), 0), ((first, before), 0), ((first, after), 10), ((first, after, words), 10)):
        monkeypatch.setattr(claims_log, "log", lambda made_up=made_up: made_up)
        assert written_after("one", "small") == seeds
    assert (written_after("one", "quick"), written_after("other", "small")) == (0, 0)


def test_claims_that_a_withdrawn_scale_decided_otherwise_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = {"degradation": "supported", "other-images": "undecided", "a claim that is gone": "refuted"}
    notice = Notice(date="2026-12-03", notice="a scale", verdicts=lost, why="So.")
    monkeypatch.setattr(claims_log, "log", lambda: (notice,))
    (row,) = turned(Records()).to_dict("records")
    assert (row["a scale"], row["clothes, 400 steps"]) == ("supported", "not yet run")
