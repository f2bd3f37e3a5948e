"""Studies of trained nets: what they measure, where nets come from, what is repeated and what is not."""

import copy
import dataclasses
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import safetensors.torch
import torch
from samples import tiny_config, tiny_dataset

from resnet_lib import data, training
from resnet_lib.cli import main
from resnet_lib.cli import study as cli_study
from resnet_lib.evidence.rule import MIN_SEEDS
from resnet_lib.jobs import campaign, studies
from resnet_lib.jobs.studies import WHOLE, Trained
from resnet_lib.jobs.twins import FROM_THE_START
from resnet_lib.nets import models, surgery
from resnet_lib.runs.experiments import LESIONED
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import load_study
from resnet_lib.runs.seal import read_seal, renew
from resnet_lib.runs.settings import Setting, plain, resnet
from resnet_lib.runs.store import Records, committed_dir, local_dir
from resnet_lib.show import tables

CPU = training.Hardware(torch.device("cpu"), "fp32", False)


TINY = dataclasses.replace(
    tiny_dataset(), test_images=tiny_dataset().test_images[:100], test_labels=tiny_dataset().test_labels[:100]
)


@cache
def hardly_trained(setting: Setting) -> Trained:
    config = tiny_config(setting)
    return Trained(training.train(config, TINY, CPU)[1], TINY, CPU, config)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    """A ResNet-14 that was hardly trained."""
    monkeypatch.setattr(data, "load", lambda *_: TINY)
    return copy.deepcopy(hardly_trained(resnet(14)))


def test_train_now_trains_and_keeps_so_many_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "load", lambda *_: TINY)
    made, expected = studies.train_now(tiny_config(), num_images=30), hardly_trained(plain(8))
    assert torch.equal(made.dataset.test_images, TINY.test_images[:30])
    assert len(made.dataset.train_images) == len(TINY.train_images)
    for name, value in expected.net.state_dict().items():
        assert torch.equal(made.net.state_dict()[name], value), name


def test_lesions_are_errors_of_the_nets_without(trained: Trained) -> None:
    before = copy.deepcopy(trained.net.state_dict())
    errors = studies.delete_block(trained)
    assert list(errors) == [WHOLE, "layer1.0", "layer1.1", "layer2.1", "layer3.1"]
    images = trained.dataset.normalize(TINY.test_images)
    for label, error in errors.items():
        net = trained.net if label == WHOLE else surgery.delete_blocks(trained.net, label)
        wrong = net.eval()(images).argmax(dim=1) != TINY.test_labels
        assert error == pytest.approx(100 * wrong.double().mean().item()), label
    swaps = studies.swap_blocks(trained)
    assert list(swaps) == [WHOLE, "layer1.0"]
    assert all(torch.equal(value, before[name]) for name, value in trained.net.state_dict().items())


def test_blocks_deleted_at_random_are_named_and_are_the_same_for_all_nets_of_a_depth(trained: Trained) -> None:
    errors = studies.delete_at_random(trained)
    assert next(iter(errors)) == WHOLE
    drawn = [tuple(label.split("+")) for label in errors if label != WHOLE]
    assert [len(gone) for gone in drawn] == [2] * 5  # a ResNet-14 has four blocks to lose, and keeps one at least
    assert len(set(drawn)) == 5
    images = trained.dataset.normalize(TINY.test_images)
    for gone in drawn:
        wrong = surgery.delete_blocks(trained.net, *gone).eval()(images).argmax(dim=1) != TINY.test_labels
        assert errors["+".join(gone)] == pytest.approx(100 * wrong.double().mean().item()), gone
    other = dataclasses.replace(trained, net=copy.deepcopy(hardly_trained(plain(14)).net))
    assert list(studies.delete_at_random(other)) == list(errors)


def test_the_curve_of_deletions_goes_from_one_block_to_nearly_all(trained: Trained) -> None:
    errors = studies.deletion_curve(trained)
    counts = [label.count("+") + 1 for label in errors if label != WHOLE]
    assert counts == [1] * 4 + [2] * 5 + [3] * 4  # all ways there are, if they are few
    single = studies.delete_block(trained)
    assert {label: errors[label] for label in single} == single


def test_error_as_in_training_takes_each_batchs_own_statistics(trained: Trained) -> None:
    net, size = trained.net, trained.config.recipe.batch_size
    before = copy.deepcopy(net.state_dict())
    error = studies.error_as_in_training(trained, net)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    images = trained.dataset.normalize(trained.dataset.test_images)
    train_net = copy.deepcopy(net).train()
    guesses = torch.cat([train_net(batch).argmax(dim=1) for batch in images.split(size)])
    assert error == pytest.approx(100 * (guesses != trained.dataset.test_labels).double().mean().item())


def test_growth_keeps_the_residual_net_and_erases_the_plain_one(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "GROWN_DEPTH", 20)
    monkeypatch.setattr(studies, "GROWTH_ITERATIONS", 2)
    values = studies.growth(trained)
    assert values["zero"] == values[WHOLE]
    assert values["zero, as in training"] == values[f"{WHOLE}, as in training"]
    assert set(values) == {s + t for s in (WHOLE, "zero", "random") for t in ("", ", as in training", ", trained on")}
    values = studies.growth(copy.deepcopy(hardly_trained(plain(14))))
    assert values["dirac"] == values["dirac, settled"] == values[WHOLE]
    assert values["zero"] == values["zero, trained on"]  # no gradient passes a ReLU that sees nothing but zeros
    assert {label.removesuffix(", trained on") for label in values} >= set(tables.GROWTH)


def test_training_on_is_training() -> None:
    """From the first weights, at the recipe's rate, `train_on` does what `training.train` does."""
    config = tiny_config(milestones=())
    _, expected = training.train(config, TINY, CPU)
    net = training.build(config.net, in_channels=1).to(memory_format=torch.channels_last)
    models.initialize(net, config.seed)
    losses = studies.train_on(Trained(net, TINY, CPU, config), net, config.recipe.iterations, config.recipe.lr)
    assert len(losses) == config.recipe.iterations
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(net.state_dict()[name], value, msg=name)


def test_nets_come_from_stored_weights_and_else_are_trained(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = trained.config
    asked = []

    def work(configs: list, **_: object) -> None:
        asked.extend(configs)
        path = campaign.weights_path(configs[0])
        path.parent.mkdir(parents=True)
        safetensors.torch.save_file({k: v.contiguous() for k, v in trained.net.state_dict().items()}, path)

    monkeypatch.setattr(campaign, "work", work)
    for _ in range(2):
        loaded = studies.load_trained(config, num_images=100)
        assert all(torch.equal(v, loaded.net.state_dict()[k]) for k, v in trained.net.state_dict().items())
    assert asked == [config]  # once
    study = studies.make_study("delete-block", config, num_images=100)
    assert dict(zip(study.label, study.value, strict=True)) == pytest.approx(studies.delete_block(trained))
    assert (study.num_images, study.provenance.precision) == (100, "fp32")


def test_weights_beside_the_records_come_first() -> None:
    config = resnet(56).at(PROFILES["quick"], 0)
    weights = Records.all().weights(config)
    assert weights is not None
    assert weights.with_suffix(".json").exists()
    assert weights.is_relative_to(committed_dir())


def test_weights_that_are_gone_are_told(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "work", lambda *_, **__: [])
    with pytest.raises(studies.UserError, match="recorded, but its weights are gone"):
        studies.load_trained(trained.config)


def test_what_is_stored_is_not_made_again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made = []

    def make(name: str, config: object, num_images: int | None) -> object:
        made.append((name, config))
        return committed().model_copy(update={"study": name, "config": config, "num_images": num_images or 7})

    monkeypatch.setattr(studies, "make_study", make)
    monkeypatch.setattr(Records, "all", lambda: Records(local_dir()))
    command = ["study", "swap-blocks", "growth", "--net", "plain-20", "--seeds"]
    assert main([*command, "2"]) == 0
    assert len(made) == 4
    capsys.readouterr()
    assert main([*command, "3", "--json"]) == 0
    assert len(made) == 6
    config = plain(20).at(PROFILES["small"], 2)
    assert made[-1] == ("growth", config)
    assert Records(local_dir()).study("growth", config).num_images == 7
    told = json.loads(capsys.readouterr().out)
    assert [(study["study"], study["config"]["seed"]) for study in told] == [(name, each.seed) for name, each in made]
    assert main([*command, "1"]) == 0
    swapped, grown = capsys.readouterr().out.splitlines()
    whole, *others = committed().value
    expected = f": test error {whole:.2f}%, of the changed nets {min(others):.2f}% to {max(others):.2f}%"
    assert swapped.startswith("swap-blocks_plain-20_") and swapped.endswith(expected)
    assert grown.startswith("growth_plain-20_")


def test_studies_go_into_the_book_and_its_seal_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that this machine had made before, too."""
    book = tmp_path / "book"
    book.mkdir()
    renew(book)

    def make(name: str, config: object, _: int | None) -> object:
        return committed().model_copy(update={"study": name, "config": config})

    monkeypatch.setattr(studies, "make_study", make)
    monkeypatch.setattr(Records, "all", lambda: Records(local_dir()))
    monkeypatch.setattr(cli_study, "committed_dir", lambda: book)
    assert main(["study", "growth", "--net", "plain-20", "--seeds", "1"]) == 0
    assert main(["study", "growth", "--net", "plain-20", "--seeds", "2", "--into-book"]) == 0
    stored = sorted((book / "studies").iterdir())
    assert len(stored) == 2
    assert sorted(read_seal(book)) == [path.relative_to(book).as_posix() for path in stored]


def test_the_commands_help_names_every_study(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # no name is broken at its hyphen
    with pytest.raises(SystemExit):
        main(["study", "--help"])
    words = set(re.split(r"[\s,;:()]+", capsys.readouterr().out))
    assert words >= set(studies.EVERY)


def committed() -> object:
    return load_study(next(iter(sorted((committed_dir() / "studies").glob("*.json")))))


def test_committed_studies_are_of_the_recorded_nets() -> None:
    """Where a study used all test images, its whole net has exactly the error that the run recorded."""
    compared: Counter[str] = Counter()
    for path in sorted((committed_dir() / "studies").glob("*.json")):
        study = load_study(path)
        record = Records.committed().get(study.config)
        assert record is not None
        assert study.provenance.data_digest == record.provenance.data_digest
        wanted = record.provenance.precision if study.study in studies.STUDIES else "fp32"
        if study.study in FROM_THE_START:
            wanted = FROM_THE_START[study.study].precision
        assert study.provenance.precision == wanted
        trained_alike = (study.provenance.device, wanted) == (record.provenance.device, record.provenance.precision)
        whole_set = study.num_images == 2000 and study.config.data.name == "fashion-mnist-mini"
        if whole_set and (study.study in studies.STUDIES or trained_alike):
            whole = dict(zip(study.label, study.value, strict=True))[WHOLE]
            assert whole == pytest.approx(record.final.test_error, abs=1e-4), path.name
            compared[study.study] += 1
    small = PROFILES["small"]
    assert compared["delete-block"] == compared["swap-blocks"] == len(LESIONED) * small.num_seeds
    assert compared["growth"] >= 2 * MIN_SEEDS
