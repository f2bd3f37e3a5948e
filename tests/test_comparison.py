"""What moved between two sets of records: beyond what chance explains, within it, or not at all."""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest
from samples import made_up_record

from resnet_lib.cli import main
from resnet_lib.errors import UserError
from resnet_lib.evidence import comparison
from resnet_lib.evidence.comparison import TOLERANCE, compare, opened
from resnet_lib.files import PACKAGE
from resnet_lib.jobs.exchange import export
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import save_record
from resnet_lib.runs.settings import Setting, plain, resnet
from resnet_lib.runs.store import Records, local_dir

SMALL = PROFILES["small"]


def fill(folder: Path, errors: dict[Setting, list[float]]) -> Records:
    """Records of settings, one a seed, with these training errors; the test error is ten points more."""
    for setting, values in errors.items():
        for seed, error in enumerate(values):
            made = made_up_record(setting.at(SMALL, seed), train_error=error, test_error=error + 10)
            save_record(made, folder)
    return Records(folder)


BEFORE = {plain(20): [10.0, 12.0, 14.0], plain(56): [50.0, 52.0, 54.0]}  # a spread of 2 points each


def test_equal_records_are_the_same(tmp_path: Path) -> None:
    found = compare(fill(tmp_path / "a", BEFORE), fill(tmp_path / "b", BEFORE))
    assert (found.same, found.changes, found.gone, found.new, found.verdicts) == (2, (), (), (), ())
    assert not found.alarming


def test_a_change_is_told_in_points_and_in_spreads_of_seeds(tmp_path: Path) -> None:
    after = BEFORE | {plain(20): [11.0, 12.0, 16.0]}
    found = compare(fill(tmp_path / "a", BEFORE), fill(tmp_path / "b", after))
    assert found.same == 1
    assert [change.error for change in found.changes] == ["training", "test"]
    change = found.changes[0]
    assert change.setting == "plain-20_fashion-mnist-mini-16px_sgd-0.02_400it"
    assert (change.num_seeds, change.before, change.after, change.spread) == (3, 12, 13, 2)
    assert change.in_spreads == pytest.approx(0.5)
    assert not change.moved
    assert not found.alarming


@pytest.mark.parametrize(("beyond", "moved"), [(0.99, False), (1.01, True), (-1.01, True)])
@pytest.mark.parametrize("seeds", [1, 3])
def test_what_chance_explains_shrinks_with_the_number_of_seeds(
    seeds: int, beyond: float, moved: bool, tmp_path: Path
) -> None:
    """The mean of n runs has a deviation of s / sqrt(n), and a difference of two such means sqrt(2) times that."""
    shift = beyond * TOLERANCE * 2 * (2 / seeds) ** 0.5
    after = {plain(56): [value + shift for value in BEFORE[plain(56)][:seeds]]}
    found = compare(fill(tmp_path / "a", {plain(56): BEFORE[plain(56)]}), fill(tmp_path / "b", after))
    assert [change.moved for change in found.changes] == [moved, moved]
    assert len(found.gone) == 3 - seeds


def test_without_a_spread_any_change_counts(tmp_path: Path) -> None:
    found = compare(fill(tmp_path / "a", {plain(20): [10.0]}), fill(tmp_path / "b", {plain(20): [10.1]}))
    assert [(change.in_spreads, change.moved) for change in found.changes] == [(None, True)] * 2


def test_runs_that_are_gone_alarm_and_new_ones_do_not(tmp_path: Path) -> None:
    more = fill(tmp_path / "more", BEFORE | {plain(32): [20.0]})
    less = fill(tmp_path / "less", BEFORE)
    name = plain(32).at(SMALL, 0).name
    assert (compare(more, less).gone, compare(more, less).alarming) == ((name,), True)
    assert (compare(less, more).new, compare(less, more).alarming) == ((name,), False)


def test_a_verdict_that_changes_is_told_and_alarms_if_it_turned_over(tmp_path: Path) -> None:
    before = fill(tmp_path / "a", BEFORE)
    after = fill(tmp_path / "b", BEFORE | {plain(56): [10.1, 12.1, 14.1]})  # no degradation
    changed = {(claim, old, new) for claim, _, old, new in compare(before, after).verdicts}
    assert ("degradation", "supported", "refuted") in changed
    fewer = fill(tmp_path / "c", {net: values[:2] for net, values in BEFORE.items()})
    reached = {(claim, old): new for claim, _, old, new in compare(fewer, before).verdicts}
    assert reached["degradation", "not yet run"] == "supported"
    assert {old for _, old in reached} == {"not yet run"}
    assert not compare(fewer, before).alarming


def test_an_interval_that_comes_to_lie_beside_its_threshold_is_no_alarm(tmp_path: Path) -> None:
    """Another processor's runs are new draws: a verdict that three seeds leave open may be decided by three others."""
    before = fill(tmp_path / "a", {plain(20): [10.0, 11.0, 12.0], plain(56): [11.0, 11.4, 14.0]})
    after = fill(tmp_path / "b", {plain(20): [10.0, 11.0, 12.0], plain(56): [11.5, 12.4, 13.7]})
    changed = {(claim, old, new) for claim, _, old, new in compare(before, after).verdicts}
    assert ("degradation", "undecided", "supported") in changed
    assert not compare(before, after).alarming
    over = compare(before, fill(tmp_path / "c", {plain(20): [10.0, 11.0, 12.0], plain(56): [50.0, 51.0, 52.0]}))
    assert over.alarming, "the number moved beyond chance"


# Where the records come from.


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_a_folder_an_archive_and_a_commit_hold_the_same_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    records = fill(package / "records", BEFORE)
    git(tmp_path, "init", "-q", "package")
    git(package, "add", "-A")
    git(package, "commit", "-qm", "records")
    monkeypatch.setattr(comparison, "PACKAGE", package)
    archive = export([record.config for record in records], records, tmp_path / "out")
    for name in (package / "records", archive, "HEAD"):
        with opened(str(name)) as found:
            assert compare(records, found).same == 2
            assert not compare(records, found).alarming


def test_local_is_the_book_with_this_machines_runs_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "book", BEFORE)
    monkeypatch.setattr("resnet_lib.evidence.comparison.committed_dir", lambda: tmp_path / "book")
    monkeypatch.setattr("resnet_lib.runs.store.committed_dir", lambda: tmp_path / "book")
    fill(local_dir(), {plain(20): [10.5]})
    with opened("book") as before, opened("local") as after:
        found = compare(before, after)
    assert [(change.num_seeds, change.before, change.after) for change in found.changes] == [
        (3, 12, pytest.approx(12 + 0.5 / 3)),
        (3, 22, pytest.approx(22 + 0.5 / 3)),
    ]


@pytest.mark.parametrize("name", ["nonsense", "EMPTY", "DAMAGED"])
def test_what_holds_no_records_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "DAMAGED").write_bytes(b"PK\x03\x04 not quite")
    with pytest.raises(UserError) as caught, opened(name if name.islower() else str(tmp_path / name)):
        pass
    assert "\n" not in str(caught.value)


# The command.


def test_the_commands_status_says_whether_it_is_alarming(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "a", BEFORE)
    save_record(made_up_record(resnet(20).at(SMALL, 0), train_error=9), tmp_path / "a")
    fill(tmp_path / "b", BEFORE | {plain(20): [40.0, 42.0, 44.0]})
    save_record(made_up_record(resnet(20).at(SMALL, 0), train_error=9), tmp_path / "b")
    words = ["report", "--against", os.fspath(tmp_path / "a"), "--of"]
    assert main([*words, os.fspath(tmp_path / "a")]) == 0
    assert "3 settings the same to the last digit; 0 errors moved" in capsys.readouterr().out
    assert main([*words, os.fspath(tmp_path / "b")]) == 1
    printed = capsys.readouterr().out
    assert "2 settings the same to the last digit; 2 errors moved beyond chance, 0 within it" in printed
    assert "+30.00" in printed and "+15.0" in printed
    assert main([*words, os.fspath(tmp_path / "b"), "--markdown"]) == 1
    assert "| +30.00   | +15.0 " in capsys.readouterr().out
    assert main([*words, os.fspath(tmp_path / "b"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["alarming"] is True
    assert told["changes"][0]["in_spreads"] == pytest.approx(15)
    assert main(["report", "--against", "nonsense"]) == 2


@pytest.mark.parametrize("name", ["", " ", "--output=stolen", "--remote=x", "no-such-commit"])
def test_what_names_no_records_is_refused_and_is_no_option_of_gits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", f"--against={name}"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "stolen").exists()
    assert not (PACKAGE / "stolen").exists()


# Pieces that mean something to git, to a shell or to a terminal, and words of no meaning.
PIECES = ("", "-", "--output=F", "HEAD", "@", "^{tree}", "^{/x}", ":", ":/", "..", "~9999", "@{-1}", "@{99 years ago}")
PIECES += (
    "refs/",
    "*",
    "$(touch F)",
    "`touch F`",
    "|",
    ";",
    "\n",
    "\0",
    "\x1b[2J",
    "\udcff",
    "é",
    " ",
    "deadbeef",
    "0" * 40,
)


@pytest.mark.fault("file from a stranger")
def test_whatever_is_typed_for_a_commit_is_looked_up_or_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    for _ in range(100):
        name = "".join(draw.choices(PIECES, k=draw.randint(1, 3)))
        try:
            with opened(name) as found:
                assert next(iter(found))
        except UserError as error:
            assert str(error).isprintable(), name
            assert len(str(error)) < 500, name
    assert not [path for path in tmp_path.iterdir() if path.name != "cache"]
