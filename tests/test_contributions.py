"""Readers' runs go the whole way from an open challenge to the ledger, or are refused by name, and stay apart."""

import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import safetensors.torch
from samples import complaint, made_up_record, tiny

from resnet_lib.cli import main
from resnet_lib.evidence import challenges
from resnet_lib.evidence.claims import CLAIMS, Claim
from resnet_lib.evidence.effects import Difference
from resnet_lib.jobs import campaign, contributions
from resnet_lib.jobs.campaign import run_here
from resnet_lib.jobs.weights import digest
from resnet_lib.nets.build import build
from resnet_lib.runs import contributions as places
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.contributions import CREDIT, Credit
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord, save_record
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import WEIGHTS, Records
from resnet_lib.training import provenance

PLAIN, RESNET = (tiny(setting).with_data(num_train=100, validation=100) for setting in (plain(8), resnet(8)))
SMALL = PROFILES["small"]
CLAIM = Claim(
    name="a-tiny-claim",
    statement="Eight layers <are> worse without shortcuts.",
    source="made up",
    chapter="01_degradation",
    effect=Difference("plain minus residual", worse=PLAIN, better=RESNET),
)
BY = "Ada Lovelace"


@pytest.fixture(autouse=True)
def _claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLAIMS, CLAIM.name, CLAIM)
    monkeypatch.setattr(provenance, "git_state", lambda: ("ab" * 20, False))


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    """The book's records, from which the claim is undecided, if only just."""
    for seed, effect in enumerate((0.3, 0.9, 1.2, 1.5, 1.6)):
        for setting, error in ((PLAIN, 50 + effect), (RESNET, 50)):
            save_record(made_up_record(setting.at(SMALL, seed), train_error=error), tmp_path / "book")
    monkeypatch.setattr(Records, "committed", classmethod(lambda cls: cls(tmp_path / "book")))
    return Records.committed()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one contribution lies that all tests share, once the first has trained it."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def archive(book: Records, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `contribute train` leaves."""

    def work(configs: Sequence[RunConfig], **_: object) -> None:  # here, not in processes of its own
        for config in configs:
            run_here(config, None, False, None, lambda _: None)

    if not any(kept.iterdir()):
        monkeypatch.setattr(campaign, "work", work)
        assert main(["contribute", "train", CLAIM.name, "--by", BY, "--out", str(kept)]) == 0
    (path,) = kept.iterdir()
    return Path(shutil.copy(path, tmp_path))


def test_a_contribution_is_trained_checked_accepted_and_credited_and_stays_apart(
    archive: Path, book: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = CLAIM.verdict(SMALL, book)
    assert (before.status, before.fresh_seeds) == ("undecided", 9)
    assert main(["contribute", "check", str(archive)]) == 0
    assert f"{CLAIM.name}, small, 9 seeds by {BY}" in capsys.readouterr().out

    folder = tmp_path / "contributed"
    monkeypatch.setattr("resnet_lib.cli.contribute.contributed_dir", lambda: folder)
    assert challenges.from_readers(book, folder) == "<p>None yet.</p>"
    assert main(["contribute", "accept", str(archive)]) == 0
    ((place, credit),) = places.contributions(folder).items()
    assert credit.by == BY
    contributions.check(place, challenges.runs)  # as a test holds those that were accepted

    assert CLAIM.verdict(SMALL, book) == before
    shown = challenges.from_readers(book, folder)
    assert "Eight layers &lt;are&gt; worse" in shown
    assert f"<td>{BY}</td>" in shown
    assert "readers' seeds alone" in shown.replace("&#x27;", "'")
    assert "n=5" in shown
    assert "n=9" in shown
    assert f"{place} is there already" in complaint(lambda: contributions.accept(archive, challenges.runs, folder))


def test_seeds_follow_from_the_name_and_are_none_of_the_books() -> None:
    def seeds(by: str) -> range:
        return Credit(by=by, claim="x", profile="small", num_seeds=1000).seeds

    assert seeds("Ada  lovelace") == seeds(BY)
    assert not set(seeds(BY)) & set(seeds("Grace Hopper"))
    assert min(seeds(BY)) >= 1000
    assert max(seeds(BY)) < 2**32


def rewritten(archive: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    """Gives the archive another content."""
    with zipfile.ZipFile(archive) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    change(contents)
    with zipfile.ZipFile(archive, "w") as new:
        for name, content in contents.items():
            new.writestr(name, content)


def one(contents: dict[str, bytes], ending: str) -> str:
    return next(name for name in contents if name.endswith(ending))


def foreign(contents: dict[str, bytes]) -> None:
    """The weights of an untrained net of the same shape."""
    name = one(contents, WEIGHTS)
    record = record_of(contents, name)
    state = build(record.config.net, 1, 10, 16).state_dict()
    contents[name] = safetensors.torch.save({key: value.contiguous() for key, value in state.items()})


def record_of(contents: dict[str, bytes], name: str) -> RunRecord:
    return RunRecord.model_validate_json(contents[name.removesuffix(WEIGHTS) + ".json"])


def edited(**provenance: object) -> Callable[[dict[str, bytes]], None]:
    """A record of another provenance."""

    def change(contents: dict[str, bytes]) -> None:
        name = one(contents, ".json")
        record = RunRecord.model_validate_json(contents[name])
        made = record.provenance.model_copy(update=provenance)
        contents[name] = record.model_copy(update={"provenance": made}).to_json().encode()

    return change


def with_foreign_weights_that_the_record_knows(contents: dict[str, bytes]) -> None:
    foreign(contents)
    name = one(contents, WEIGHTS)
    record = record_of(contents, name).model_copy(update={"weights_sha256": digest(contents[name])})
    contents[name.removesuffix(WEIGHTS) + ".json"] = record.to_json().encode()


def under_another_name(contents: dict[str, bytes]) -> None:
    contents[CREDIT] = contents[CREDIT].replace(BY.encode(), b"Grace Hopper")


@pytest.mark.fault("file from a stranger")
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (foreign, "these are not the weights that the record's run left: their digest is another"),
        (with_foreign_weights_that_the_record_knows, "with these weights the test error is "),
        (lambda contents: contents.pop(one(contents, WEIGHTS)), "is missing: it must be the runs of a-tiny-claim"),
        (lambda contents: contents.pop(one(contents, ".json")), "is missing: it must be the runs of a-tiny-claim"),
        (lambda contents: contents.update({"../evil": b"x"}), "../evil should not be in it"),
        (under_another_name, "those of Grace Hopper"),
        (lambda contents: contents.pop(CREDIT), f"it has no {CREDIT}"),
        (lambda contents: contents.update({CREDIT: b"by: ["}), f"{CREDIT}: it is no {CREDIT} ("),
        (edited(git_dirty=True), "it was not made by committed code"),
        (edited(git_commit=None), "it was not made by committed code"),
        (edited(data_digest="0123"), "it was made from other images: their digest is 0123, and here "),
        (lambda contents: contents.update({one(contents, ".json"): b"{}"}), "format: Field required"),
    ],
)
def test_a_contribution_that_is_not_what_it_claims_is_refused_by_name(
    change: Callable[[dict[str, bytes]], object], problem: str, archive: Path, tmp_path: Path
) -> None:
    rewritten(archive, change)
    line = complaint(lambda: contributions.accept(archive, challenges.runs, tmp_path / "contributed"))
    assert line.startswith(f"{archive}: ")
    assert problem in line
    if change in (foreign, with_foreign_weights_that_the_record_knows):
        assert WEIGHTS in line
    assert not (tmp_path / "contributed").exists()


def test_what_is_no_open_challenge_or_has_no_name_is_refused(book: Records, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contribute", "train", CLAIM.name]) == 2
    assert "--by NAME" in capsys.readouterr().err
    assert main(["contribute", "train", "degradation", "--by", BY]) == 2
    assert "degradation at small is no open challenge" in capsys.readouterr().err
    assert main(["contribute", "train", "a-tiny-clam", "--by", BY]) == 2
    assert "did you mean a-tiny-claim" in capsys.readouterr().err


def test_changed_code_trains_nothing_for_the_book(
    book: Records, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(provenance, "git_state", lambda: ("ab" * 20, True))
    assert main(["contribute", "train", CLAIM.name, "--by", BY]) == 2
    assert "a clone without changes" in capsys.readouterr().err


def test_challenges_say_what_decides_them(book: Records) -> None:
    (found,) = challenges.open_challenges(book)
    assert (found.claim, found.profile, found.num_seeds) == (CLAIM, SMALL, 9)
    assert found.seconds == 18.0  # of a second each, by the made-up records
    assert f"<td>9</td><td>18 s</td><td><code>{CLAIM.name}</code> <code>small</code></td>" in challenges.table(book)


@pytest.mark.parametrize("place", places.contributions(), ids=lambda place: place.name)
def test_each_accepted_contribution_is_what_it_claims(place: Path) -> None:
    contributions.check(place, challenges.runs)


def test_no_challenge_needs_more_than_runs() -> None:
    """Studies of trained nets, and cases that were held back, nobody can send in."""
    needs_more = {name for name, claim in CLAIMS.items() if not challenges.can_be_taken_on(claim)}
    assert {"lesion-cheap", "one-bit-a-new-seed", "diagnosis-right"} <= needs_more
    assert "degradation" not in needs_more
