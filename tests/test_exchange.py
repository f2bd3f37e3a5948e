"""Records travel as one archive, and what arrives is checked before any of it is stored."""

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from samples import made_up_record, same_tensors, tiny_config
from torch import Tensor

from resnet_lib.cli import main
from resnet_lib.errors import UserError
from resnet_lib.jobs import exchange
from resnet_lib.jobs.campaign import run_here, weights_path
from resnet_lib.jobs.exchange import Imported, bring_in, export
from resnet_lib.jobs.weights import digest
from resnet_lib.nets.build import build
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord, save_record
from resnet_lib.runs.settings import resnet
from resnet_lib.runs.store import Records, local_dir

PLAIN_8 = tiny_config()
RECORDS = [made_up_record(tiny_config(seed=seed), train_error=10 + seed) for seed in range(3)]


def exported(tmp_path: Path) -> Path:
    """The archive of `RECORDS`."""
    for record in RECORDS:
        save_record(record, tmp_path / "there")
    return export([record.config for record in RECORDS], Records(tmp_path / "there"), tmp_path / "out")


def test_what_is_exported_arrives_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    archive = exported(tmp_path)
    assert bring_in(archive, tmp_path / "here") == Imported(new=3, known=0)
    assert list(Records(tmp_path / "here")) == sorted(RECORDS, key=lambda record: record.config.name)
    assert bring_in(archive, tmp_path / "here") == Imported(new=0, known=3)


def test_another_machines_record_of_the_same_numbers_is_no_conflict(tmp_path: Path) -> None:
    elsewhere = RECORDS[0].provenance.model_copy(update={"device": "another", "seconds": 99.0})
    save_record(RECORDS[0].model_copy(update={"provenance": elsewhere}), tmp_path / "here")
    assert bring_in(exported(tmp_path), tmp_path / "here") == Imported(new=2, known=1)


def test_a_conflict_is_refused_and_nothing_is_imported(tmp_path: Path) -> None:
    save_record(made_up_record(tiny_config(seed=2), test_error=21), tmp_path / "here")
    with pytest.raises(UserError, match=r"seed2_\w+ differs from the record .* test error 20 against 21"):
        bring_in(exported(tmp_path), tmp_path / "here")
    assert len(list(Records(tmp_path / "here"))) == 1


def malformed(path: Path) -> None:
    content = json.loads(RECORDS[1].to_json())
    content["final"]["train_error"] = 101
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x/y.json", json.dumps(content))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:200]), "cannot be read as an archive of records"),
    "something else": (lambda path: path.write_text("no archive"), "cannot be read as an archive of records"),
    "gone": (lambda path: path.unlink(), "cannot be read as an archive of records"),
    "malformed": (malformed, "x/y.json: final.train_error: .*less than or equal to 100; nothing was imported"),
}


@pytest.mark.fault("file from a stranger")
@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_archive_is_refused_whole(damage: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    archive = exported(tmp_path)
    damage(archive)
    with pytest.raises(UserError, match=message) as caught:
        bring_in(archive, tmp_path / "here")
    assert "\n" not in str(caught.value)
    assert not list(Records(tmp_path / "here"))


# Weights.

RESNET_20 = resnet(20).at(PROFILES["quick"], 0)


def weights_of(config: RunConfig) -> bytes:
    return safetensors.torch.save({k: v.contiguous() for k, v in build(config.net).state_dict().items()})


@pytest.fixture
def with_weights(tmp_path: Path) -> Path:
    """An archive with a net that chapters look into, its weights, and a seed of it whose weights nobody needs."""
    configs = [resnet(20).at(PROFILES["quick"], seed) for seed in (0, 1)]
    for config in configs:
        weights = weights_of(config)
        save_record(made_up_record(config).model_copy(update={"weights_sha256": digest(weights)}), local_dir())
        weights_path(config).write_bytes(weights)
    return export(configs, Records(local_dir()), tmp_path / "out")


def test_weights_of_another_training_stay_behind(with_weights: Path, tmp_path: Path) -> None:
    save_record(made_up_record(RESNET_20, test_error=12), tmp_path / "book")
    archive = export([RESNET_20], Records(tmp_path / "book", local_dir()), tmp_path / "out")
    assert zipfile.ZipFile(archive).namelist() == [f"cifar10/{RESNET_20.name}.json"]


def test_weights_of_the_nets_that_chapters_look_into_come_along(with_weights: Path, tmp_path: Path) -> None:
    assert bring_in(with_weights, tmp_path / "here") == Imported(new=2, known=0)
    here = Records(tmp_path / "here")
    (found,) = (tmp_path / "here").rglob("*.safetensors")
    assert found == here.weights(RESNET_20)
    assert found.read_bytes() == weights_path(RESNET_20).read_bytes()

    found.write_bytes(b"mine")
    assert bring_in(with_weights, tmp_path / "here") == Imported(new=0, known=2)
    assert found.read_bytes() == b"mine", "what is there stays"


def not_finite() -> bytes:
    tensors = safetensors.torch.load(weights_of(RESNET_20))
    tensors["fc.bias"][3] = torch.nan
    return safetensors.torch.save(tensors)


BAD_WEIGHTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "cut short": (lambda: weights_of(RESNET_20)[:5000], "no safetensors file"),
    "a pickle": (lambda: pickle.dumps(build(RESNET_20.net).state_dict()), "no safetensors file"),
    "another net's": (lambda: weights_of(PLAIN_8), "not the weights of ResNet-20"),
    "not finite": (not_finite, "fc.bias is not finite"),
}


@pytest.mark.fault("file from a stranger")
@pytest.mark.parametrize(("content", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights_are_refused_and_nothing_is_imported(
    content: Callable[[], bytes], message: str, with_weights: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(with_weights, "w") as archive:
        archive.writestr("a.json", made_up_record(RESNET_20).to_json())
        archive.writestr("a.safetensors", content())
    with pytest.raises(UserError, match=rf"a.safetensors: {message}.*; nothing was imported"):
        bring_in(with_weights, tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_the_command_line_exports_imports_and_plans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite, paper = SUITES["longer-training"], PROFILES["paper"]
    for config in suite.runs(paper, range(1)):
        save_record(made_up_record(config), local_dir())
    command = ["train", "--suite", suite.name, "--profile", "paper", "--seeds"]
    assert main([*command, "1", "--out", str(tmp_path)]) == 0
    assert "2 records in" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "records.zip"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"new": 0, "known": 2}
    assert main([*command, "2", "--plan", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert [row["run"] for row in planned] == [config.name for config in suite.runs(paper, range(1, 2))]
    assert planned[1]["seconds"] > planned[0]["seconds"] > 0


# Weights that are tested before they are taken.


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, dict[str, Tensor]]:
    """The record and the weights of a run that was really made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNET_LIB_CACHE", str(tmp_path_factory.mktemp("trained")))
        record = run_here(PLAIN_8, "cpu", False, None, lambda _: None)
        return record, safetensors.torch.load_file(weights_path(PLAIN_8))


@pytest.fixture
def with_any_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Packs a record and weights, of whichever net they are."""
    monkeypatch.setattr(exchange, "keeps_weights", lambda _: True)

    def pack(record: RunRecord, weights: dict[str, Tensor]) -> Path:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a.json", record.to_json())
            archive.writestr("a.safetensors", safetensors.torch.save(weights))
        return tmp_path / "a.zip"

    return pack


@pytest.mark.parametrize("known", [True, False])
def test_weights_with_the_error_that_their_record_says_are_verified(
    known: bool, trained: tuple[RunRecord, dict[str, Tensor]], with_any_weights: Callable[..., Path]
) -> None:
    record, weights = trained
    record = record if known else record.model_copy(update={"weights_sha256": None})
    archive = str(with_any_weights(record, weights))
    assert main(["import", archive]) == (0 if known else 2), "without a digest they have to be tested"
    assert main(["import", archive, "--verify"]) == 0
    assert Records(local_dir()).get(PLAIN_8) == record
    assert same_tensors(safetensors.torch.load_file(Records(local_dir()).weights(PLAIN_8)), weights)


@pytest.mark.fault("file from a stranger")
def test_weights_with_another_error_than_their_record_says_are_refused(
    trained: tuple[RunRecord, dict[str, Tensor]], with_any_weights: Callable[..., Path], tmp_path: Path
) -> None:
    record, weights = trained
    foreign = weights | {name: weights[name].roll(1, dims=0) for name in ("fc.weight", "fc.bias")}  # of other classes
    archive = with_any_weights(record.model_copy(update={"weights_sha256": None}), foreign)
    says = rf"the test error is \d\d\.\d\d%, and the record says {record.final.test_error:g}%; nothing was imported"
    with pytest.raises(UserError, match=says):
        bring_in(archive, tmp_path / "here", verify=True)
    assert not (tmp_path / "here").exists()


def test_weights_that_cannot_be_tested_are_not_taken_for_verified(
    with_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESNET_LIB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"safetensors: they cannot be tested \(.*no folder.*\); nothing was imported"):
        bring_in(with_weights, tmp_path / "here", verify=True)
    assert not (tmp_path / "here").exists()


# What a stranger may try.


def packed(path: Path, *records: str, name: str = "{}.json") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, text in enumerate(records):
            archive.writestr(name.format(number), text)
    return path


def forged(place: str, value: object) -> str:
    content = json.loads(RECORDS[0].to_json())
    *above, last = place.split(".")
    inside = content
    for key in above:
        inside = inside[key]
    inside[last] = value
    return json.dumps(content)


@pytest.mark.fault("file from a stranger")
@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("config.data.name", "../../outside"),
        ("config.data.name", "/tmp/outside"),
        ("config.data.name", "no-such-set"),
        ("config.data.name", "\x1b[2Jcleared"),
        ("config.data.image_size", 17),
        ("config.net.depth", 9),
        ("config.net.depth", 10**9),
        ("config.seed", 10**30),
        ("provenance.device", "<script>"),
        ("provenance.torch", "a\nb"),
        ("probes.layer", ["a"] * len(RECORDS[0].probes.layer)),
    ],
)
def test_a_record_of_no_run_is_refused_in_one_line_and_written_nowhere(
    place: str, value: object, tmp_path: Path
) -> None:
    archive = packed(tmp_path / "a.zip", RECORDS[1].to_json(), forged(place, value))
    with pytest.raises(UserError, match="nothing was imported") as caught:
        bring_in(archive, tmp_path / "deep" / "here")
    assert str(caught.value).isprintable()
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["a.zip"]


@pytest.mark.fault("file from a stranger")
def test_a_path_in_an_archive_is_no_path_here(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", RECORDS[0].to_json(), name="../../../outside{}.json")
    assert bring_in(archive, tmp_path / "deep" / "here") == Imported(new=1, known=0)
    found = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "deep").rglob("*.json")}
    assert found == {f"deep/here/{PLAIN_8.data.name}/{RECORDS[0].config.name}.json"}


@pytest.mark.fault("file from a stranger")
def test_two_records_of_one_run_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    other = made_up_record(RECORDS[0].config, test_error=3)
    archive = packed(tmp_path / "a.zip", RECORDS[0].to_json(), other.to_json())
    with pytest.raises(UserError, match=r"differs from another one in it: test error 3 against 20; .*nothing was"):
        bring_in(archive, tmp_path / "here")
    assert not (tmp_path / "here").exists()


@pytest.mark.fault("file from a stranger")
def test_what_unpacks_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", " " * (17 << 20))
    assert archive.stat().st_size < 100_000
    with pytest.raises(UserError, match=r"0.json has 17,825,792 bytes unpacked, more than"):
        bring_in(archive, tmp_path / "here")


@pytest.mark.fault("file from a stranger")
def test_other_weights_than_the_records_are_refused(with_weights: Path, tmp_path: Path) -> None:
    tensors = safetensors.torch.load(weights_of(RESNET_20))
    tensors["fc.bias"] += 1
    known = Records(local_dir()).get(RESNET_20)
    for record, message in ((known, "their digest is another"), (made_up_record(RESNET_20), "add --verify")):
        with zipfile.ZipFile(with_weights, "w") as archive:
            archive.writestr("a.json", record.to_json())
            archive.writestr("a.safetensors", safetensors.torch.save(tensors))
        with pytest.raises(UserError, match=f"{message}.*; nothing was imported"):
            bring_in(with_weights, tmp_path / "here")


@pytest.mark.fault("full disk")
def test_an_import_that_fails_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, replace, replaced = exported(tmp_path), os.replace, []

    def full(source: object, target: object) -> None:
        replaced.append(target)
        if len(replaced) == 3:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"No space left on device\); nothing was imported"):
        bring_in(archive, tmp_path / "here")
    assert not [path for path in (tmp_path / "here").rglob("*") if path.is_file()]


@pytest.mark.fault("file from a stranger")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(UserError, match="it is no file"):
        bring_in(tmp_path / "a.zip", tmp_path / "here")
