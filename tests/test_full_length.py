"""Studies of nets trained to the end: what each number is, and which are stored."""

import copy
from dataclasses import replace

import pytest
import torch
from samples import tiny_config, tiny_dataset
from torch import nn

from resnet_lib.evidence import why
from resnet_lib.evidence.facts import FACTS
from resnet_lib.jobs import full_length, published, studies
from resnet_lib.jobs.examined import WHOLE, Trained, test_error
from resnet_lib.nets import models, probes, signals
from resnet_lib.nets.models import CifarNet
from resnet_lib.runs.config import changed
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.published import published_nets
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.training import Hardware

error_on_test = test_error  # which pytest would take for a test
del test_error
CPU = Hardware(torch.device("cpu"), "fp32", False)


@pytest.fixture(scope="module")
def trained() -> Trained:
    """A residual net of 14 layers, of which it is said that it was trained; its weights are not those of its start."""
    config = tiny_config(resnet(14))
    tiny = tiny_dataset()
    few = replace(tiny, test_images=tiny.test_images[:20], test_labels=tiny.test_labels[:20])
    net = CifarNet(14, "A", 1)
    models.initialize(net, config.seed + 1)
    signals.settle(net, few.normalize(tiny.train_images[:50]))
    return Trained(net.eval(), few, CPU, config)


BLOCKS = [f"layer{i}.{j}" for i in (1, 2, 3) for j in (0, 1)]


def test_the_last_block_says_what_the_whole_net_says(trained: Trained) -> None:
    errors = full_length.read_off(trained)
    assert list(errors) == [WHOLE, *BLOCKS]
    assert errors[WHOLE] == errors[BLOCKS[-1]] == pytest.approx(error_on_test(trained, trained.net))


def test_steps_are_compared_in_every_block_that_keeps_the_shape(trained: Trained) -> None:
    images = trained.dataset.normalize(trained.dataset.test_images)
    cosines = full_length.gradient_step(trained)
    assert list(cosines) == ["layer1.0", "layer1.1", "layer2.1", "layer3.1"]
    single = signals.step_cosines(trained.net, images, trained.dataset.test_labels)
    assert cosines == pytest.approx(single, abs=1e-3)
    assert trained.net.conv1.weight.dtype == torch.float32


def test_paths_of_no_and_of_all_branches_are_one_each(trained: Trained) -> None:
    images, labels = trained.dataset.normalize(trained.dataset.test_images), trained.dataset.test_labels
    norms = full_length.gradient_paths(trained)
    assert list(norms) == [f"{length}" for length in range(7)]
    for length, branches in (("0", []), ("6", BLOCKS)):
        found = signals.path_gradients(trained.net, branches, images, labels)
        assert norms[length] == pytest.approx(found.log().mean().exp().item(), rel=1e-4)


def test_each_seed_draws_paths_of_its_own(trained: Trained) -> None:
    other = replace(trained, config=changed(trained.config, seed=trained.config.seed + 1))
    norms, others = full_length.gradient_paths(trained), full_length.gradient_paths(other)
    assert {length for length in norms if norms[length] == others[length]} == {"0", "6"}  # there is one such path


def test_lines_begin_at_the_trained_net(trained: Trained) -> None:
    losses = full_length.filter_line(trained)
    assert len(losses) == full_length.DIRECTIONS * len(full_length.POSITIONS)
    images, labels = trained.dataset.normalize(trained.dataset.train_images[:20]), trained.dataset.train_labels[:20]
    here = signals.loss_at(trained.net, images, labels)
    assert [losses[f"{number}: +0.0"] for number in range(full_length.DIRECTIONS)] == pytest.approx([here] * 2)
    assert losses["0: +0.5"] != pytest.approx(losses["1: +0.5"])


def test_the_plane_holds_the_lines(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_length, "ON_A_PLANE", (-0.5, 0.0, 0.5))
    lines, plane = full_length.filter_line(trained), full_length.filter_plane(trained)
    assert len(plane) == 9
    for at in ("-0.5", "+0.0", "+0.5"):
        assert plane[f"{at} +0.0"] == pytest.approx(lines[f"0: {at}"], rel=1e-4)
        assert plane[f"+0.0 {at}"] == pytest.approx(lines[f"1: {at}"], rel=1e-4)
    assert plane["+0.5 +0.5"] != pytest.approx(plane["+0.5 -0.5"])


def test_a_reset_block_has_the_weights_that_the_run_began_with(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[nn.Module] = []
    monkeypatch.setattr(full_length, "test_error", lambda _, net: kept.append(copy.deepcopy(net)) or 0.0)
    assert list(full_length.reset_block(trained)) == [WHOLE, full_length.SETTLED, "stem", *BLOCKS, "fc"]
    start = CifarNet(14, "A", 1)
    models.initialize(start, trained.config.seed)
    reset = kept[4]  # layer1.1
    for name, weight in reset.named_parameters():
        before = start if name.startswith("layer1.1.") else trained.net
        assert torch.equal(weight, before.get_parameter(name)), name
    assert not torch.equal(reset.layer1[0].conv1.weight, start.layer1[0].conv1.weight)
    assert not torch.equal(reset.bn1.running_mean, trained.net.bn1.running_mean)  # taken anew


def test_own_nets_of_full_length_have_every_study() -> None:
    records = Records.committed()
    for name, (_, settings) in studies.AT_FULL_LENGTH.items():
        for setting in {plain(20), resnet(20)}.intersection(settings):
            study = records.study(name, setting.at(PROFILES["paper"], 0))
            assert study is not None, (name, setting.name)
            assert study.num_images == full_length.MEASURES[name].images
            assert study.provenance.precision == "fp32"


def test_what_needs_shortcuts_or_a_known_start_is_not_asked_of_nets_that_lack_it() -> None:
    nets = published_nets()
    plain_ones, residual = (set(published.studies_of(nets[f"a-martyn/{net}"])) for net in ("plain-56", "ResNet-56"))
    assert residual - plain_ones == {"read-off", "gradient-step", "gradient-paths"}
    assert "reset-block" not in plain_ones | residual
    assert studies.AT_FULL_LENGTH["reset-block"][1] == (plain(20), resnet(20), plain(56), resnet(56))
    assert studies.AT_FULL_LENGTH["read-off"][1] == (resnet(20),)
    assert studies.AT_FULL_LENGTH["gradient-paths"][1] == (resnet(20), resnet(56))


# Facts about new nets.


@pytest.mark.parametrize("name", ["branch-shrinks-with-depth", "gradients-grow-in-plain", "gradients-shatter"])
def test_facts_of_the_chapter_hold(name: str) -> None:
    holds, evidence = FACTS[name].check()
    assert holds, evidence


def test_facts_fail_where_plain_nets_are_like_residual_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why, "SEEDS", range(3))
    for kinds in ({"plain": "A", "residual": "A"}, {"plain": "none", "residual": "none"}):
        monkeypatch.setattr(why, "KINDS", kinds)
        assert not why.gradients_shatter()[0]


def test_a_start_is_told_in_the_numbers_of_its_probes() -> None:
    images, labels = why.images_and_labels(8)
    told = why.at_the_start(why.untrained(20, "A", 3), images, labels)
    steps = probes.branch_ratios(why.untrained(20, "A", 3), images)
    assert told["mean step"] == pytest.approx(sum(steps) / 9)
    identity = why.at_the_start(why.untrained(20, "A", 3, batch_norm=False, init="skipinit"), images, labels)
    assert identity["mean step"] == 0
    assert 0.9 < identity["cosine of neighbours"] <= 1 and identity["gradient, first block over last"] < 1.1


def test_kinds_of_nets_are_compared_in_means_over_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why, "SEEDS", range(2))
    (row,) = why.starts({"plain": {"shortcut": "none"}}, depth=8)
    images, labels = why.images_and_labels()
    one, two = (why.at_the_start(why.untrained(8, "none", seed), images, labels) for seed in range(2))
    growth = "gradient, first block over last"
    assert row["mean step"] == f"{(one['mean step'] + two['mean step']) / 2:.2f}"
    assert (row["net"], row[growth]) == ("plain", f"{(one[growth] * two[growth]) ** 0.5:.0f}")


def test_an_exponent_is_the_slope_on_logarithmic_axes() -> None:
    assert why.exponent({1: 3.0, 4: 1.5, 16: 0.75}) == pytest.approx(-0.5)
