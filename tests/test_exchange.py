"""Records travel as one archive, and what arrives is checked before any of it is stored."""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from samples import made_up_record, tiny_config

from resnet_lib.cli import main
from resnet_lib.errors import UserError
from resnet_lib.jobs.campaign import weights_path
from resnet_lib.jobs.exchange import Imported, bring_in, export
from resnet_lib.jobs.weights import digest
from resnet_lib.nets.build import build
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import save_record
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
