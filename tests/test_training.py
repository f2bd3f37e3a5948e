"""The loop does what the recipe says, the same way each time, and an interruption leaves no trace."""

import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from samples import measured, tiny_config, tiny_dataset
from torch import nn
from torch.nn import functional as F

from resnet_lib import data
from resnet_lib.errors import UserError
from resnet_lib.nets import models, probes
from resnet_lib.runs.config import RunConfig, changed
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.paper import paper
from resnet_lib.runs.profiles import PAPER_RECIPE, PROFILES
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.training.checkpoints import contents
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import (
    Progress,
    TimeLimitReached,
    build,
    evaluate,
    lr_at,
    make_optimizer,
    train,
)

CPU = torch.device("cpu")
FP32 = Hardware(CPU, "fp32", compiled=False)


def trained(config: RunConfig, hardware: Hardware = FP32) -> tuple[dict[str, object], dict[str, torch.Tensor]]:
    """All that was measured, and every tensor of the net."""
    record, net = train(config, tiny_dataset(), hardware)
    return measured(record), net.state_dict()


def same_tensors(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# The recipe.


def test_the_papers_recipe_is_the_one_of_section_4_2() -> None:
    published = paper()["paper"]["cifar_recipe"]["optim"]
    recipe = PAPER_RECIPE
    assert recipe.optimizer == "sgd"
    assert {
        "batch": recipe.batch_size,
        "lr": recipe.lr,
        "div10_at": list(recipe.milestones),
        "stop": recipe.iterations,
        "momentum": recipe.momentum,
        "weight_decay": recipe.weight_decay,
    } == {key: published[key] for key in published if key != "gpus"}
    assert recipe.crop_padding == 4


def test_learning_rate_is_divided_by_ten_from_each_milestone_on() -> None:
    lrs = {iteration: lr_at(PAPER_RECIPE, iteration) for iteration in (0, 31_999, 32_000, 47_999, 48_000, 63_999)}
    assert lrs == pytest.approx({0: 0.1, 31_999: 0.1, 32_000: 0.01, 47_999: 0.01, 48_000: 0.001, 63_999: 0.001})


def test_110_layers_are_warmed_up_for_400_iterations_and_shallower_nets_are_not() -> None:
    recipe = resnet(110).at(PROFILES["paper"], seed=0).recipe
    lrs = [lr_at(recipe, iteration) for iteration in (0, 399, 400, 31_999, 32_000)]
    assert lrs == pytest.approx([0.01, 0.01, 0.1, 0.1, 0.01])
    assert resnet(56).at(PROFILES["paper"], seed=0).recipe == PAPER_RECIPE


def test_three_times_the_iterations_means_three_times_the_milestones() -> None:
    for config in SUITES["longer-training"].runs(PROFILES["paper"]):
        assert config.recipe == changed(PAPER_RECIPE, iterations=192_000, milestones=(96_000, 144_000))


def test_the_net_is_trained_at_the_scheduled_rates() -> None:
    config = tiny_config(iterations=6, milestones=(3, 5), warmup_iterations=1, warmup_lr=0.02, log_every=1)
    record, _ = train(config, tiny_dataset(), FP32)
    assert record.train_curve.lr == pytest.approx((0.02, 0.1, 0.1, 0.01, 0.01, 0.001))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_weights_of_layers_are_decayed_and_biases_and_batch_norms_are_not(optimizer: str) -> None:
    net = build(resnet(8, "B").net)
    decayed, others = make_optimizer(net, changed(PAPER_RECIPE, optimizer=optimizer)).param_groups
    assert decayed["weight_decay"] == 1e-4
    assert others["weight_decay"] == 0
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert {id(p) for p in decayed["params"]} == {id(layer.weight) for layer in layers}
    assert len(decayed["params"]) + len(others["params"]) == len(list(net.parameters()))


def test_training_is_the_papers_sgd_with_momentum_and_decay_on_new_batches_each_epoch() -> None:
    """Three steps by hand, the third in the second epoch: v = 0.9 v + g + 1e-4 w; w = w - 0.1 v."""
    config = tiny_config(seed=1, iterations=3, milestones=(), crop_padding=0)
    full, few = tiny_dataset(), slice(64)  # two batches
    dataset = dataclasses.replace(full, train_images=full.train_images[few], train_labels=full.train_labels[few])
    _, stepped = train(config, dataset, FP32)

    net = build(config.net, in_channels=1)
    models.initialize(net, config.seed)
    net.to(memory_format=torch.channels_last).train()
    velocity = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
    for epoch_number, batch in ((0, slice(0, 32)), (0, slice(32, 64)), (1, slice(0, 32))):
        epoch = data.Epoch.draw(64, 0, config.seed, epoch_number, CPU)
        images = dataset.normalize(dataset.train_images[epoch.order[batch]])
        images = torch.where(epoch.flips[batch, None, None, None], images.flip(3), images)
        loss = F.cross_entropy(net(images), dataset.train_labels[epoch.order[batch]])
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for (name, p), gradient in zip(net.named_parameters(), gradients, strict=True):
                decay = 1e-4 if p.dim() > 1 else 0.0
                velocity[name].mul_(0.9).add_(gradient + decay * p)
                p.sub_(0.1 * velocity[name])
    for name, p in net.named_parameters():
        torch.testing.assert_close(stepped.get_parameter(name), p, rtol=1e-4, atol=1e-5)


def test_first_losses_of_plain_8_are_what_they_were() -> None:
    """A guard for refactors: a change of these numbers is a change of every record."""
    short = plain(8).with_recipe(iterations=3, milestones=(), log_every=1, precision="fp32")
    config = short.at(PROFILES["smoke"], seed=0)
    record, _ = train(config, hardware=FP32)
    assert record.train_curve.loss == pytest.approx((2.469713, 2.466691, 2.271624), rel=1e-3)


def test_a_plain_net_learns_in_eighty_iterations() -> None:
    config = tiny_config(iterations=80, milestones=(60,), eval_every=80)
    record, _ = train(config, tiny_dataset(), FP32)
    assert record.final.train_error < 40  # chance: 90
    assert record.final.test_error < 50
    assert record.train_curve.loss[-1] < record.train_curve.loss[0] / 2


def test_a_residual_net_computes_something_else_than_its_plain_twin() -> None:
    (plain_record, _), (residual_record, _) = trained(tiny_config(plain(8))), trained(tiny_config(resnet(8)))
    assert plain_record["final"] != residual_record["final"]


# The record.


def test_curves_have_a_point_at_each_interval_and_at_the_end() -> None:
    record, _ = train(tiny_config(iterations=12, log_every=5, eval_every=6), tiny_dataset(), FP32)
    assert record.train_curve.iteration == (5, 10, 12)
    assert record.test_curve.iteration == (6, 12)


def test_a_point_of_the_training_curve_is_the_mean_over_the_batches_since_the_one_before() -> None:
    fine, _ = train(tiny_config(log_every=1), tiny_dataset(), FP32)
    coarse, _ = train(tiny_config(log_every=5), tiny_dataset(), FP32)
    for column in ("loss", "error"):
        single = getattr(fine.train_curve, column)
        means = [sum(part) / len(part) for part in (single[:5], single[5:10], single[10:])]
        assert getattr(coarse.train_curve, column) == pytest.approx(means, rel=1e-5)


def test_final_numbers_and_probes_are_those_of_the_returned_net() -> None:
    dataset = tiny_dataset()
    record, net = train(tiny_config(), dataset, FP32)
    final = record.final
    assert (final.train_loss, final.train_error) == pytest.approx(evaluate(net, dataset, "train", FP32)[:2], rel=1e-6)
    assert (final.test_loss, final.test_error) == pytest.approx(evaluate(net, dataset, "test", FP32)[:2], rel=1e-6)
    responses = probes.response_std(net, dataset.normalize(dataset.test_images))
    assert record.probes.response_std == pytest.approx(responses, rel=1e-6)
    assert record.probes.layer == ("conv1", *(f"layer{s}.0.conv{c}" for s in (1, 2, 3) for c in (1, 2)))
    assert record.provenance.data_digest == dataset.digest


def test_provenance_names_no_path() -> None:
    record, _ = train(tiny_config(iterations=1, milestones=()), tiny_dataset(), FP32)
    assert "/" not in record.provenance.model_dump_json()


def test_progress_is_told_at_each_point_of_the_training_curve() -> None:
    reports: list[Progress] = []
    record, _ = train(tiny_config(), tiny_dataset(), FP32, progress=reports.append)
    assert tuple(report.iteration for report in reports) == record.train_curve.iteration
    assert tuple(report.error for report in reports) == pytest.approx(record.train_curve.error)
    assert all(report.iterations == 12 for report in reports)


# The same again, interrupted or not.


def test_same_config_and_seed_give_the_same_record_and_net() -> None:
    (record, net), (again, net_again) = trained(tiny_config()), trained(tiny_config())
    assert record == again
    assert same_tensors(net, net_again)


def test_another_seed_gives_other_weights_and_batches() -> None:
    (record, net), (other, other_net) = trained(tiny_config(seed=0)), trained(tiny_config(seed=1))
    assert record["train_curve"] != other["train_curve"]
    assert not same_tensors(net, other_net)


@pytest.mark.parametrize(
    ("optimizer", "precision"), [("sgd", "fp32"), ("adam", "fp32"), ("rmsprop", "fp32"), ("sgd", "bf16")]
)
def test_a_run_stopped_after_every_iteration_equals_one_left_alone(
    optimizer: str, precision: str, tmp_path: Path
) -> None:
    config = tiny_config(optimizer=optimizer, lr=0.1 if optimizer == "sgd" else 0.001)
    hardware = Hardware(CPU, precision, compiled=False)
    checkpoint = tmp_path / "run.pt"
    stops = 0
    while True:
        try:
            record, net = train(config, tiny_dataset(), hardware, checkpoint=checkpoint, time_limit=1e-9)
            break
        except TimeLimitReached:
            stops += 1
    assert stops == 11
    left_alone, net_left_alone = trained(config, hardware)
    assert measured(record) == left_alone
    assert same_tensors(net.state_dict(), net_left_alone)


class Killed(BaseException):
    """Stands for a process that ends in the middle."""


@pytest.mark.fault("killed process")
@pytest.mark.parametrize("dies_at", [5, 10, 12])
def test_a_run_that_died_between_checkpoints_equals_one_left_alone(dies_at: int, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.pt"

    def die(progress: Progress) -> None:
        if progress.iteration == dies_at:
            raise Killed

    with pytest.raises(Killed):
        train(tiny_config(), tiny_dataset(), FP32, checkpoint=checkpoint, checkpoint_every=0, progress=die)
    assert contents(checkpoint)["course"]["iteration"] == dies_at - 1
    record, net = train(tiny_config(), tiny_dataset(), FP32, checkpoint=checkpoint)
    left_alone, net_left_alone = trained(tiny_config())
    assert measured(record) == left_alone
    assert same_tensors(net.state_dict(), net_left_alone)


def test_a_run_whose_last_iteration_was_saved_is_only_measured(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.pt"
    train(tiny_config(), tiny_dataset(), FP32, checkpoint=checkpoint, checkpoint_every=0)
    reports: list[Progress] = []
    record, _ = train(tiny_config(), tiny_dataset(), FP32, checkpoint=checkpoint, progress=reports.append)
    assert not reports
    assert measured(record) == trained(tiny_config())[0]


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.fault("loss that is not finite")
def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    with pytest.raises(UserError) as caught:
        train(tiny_config(lr=1e30), tiny_dataset(), FP32)
    message = one_line(caught)
    assert message.startswith(f"{tiny_config(lr=1e30).name}: the loss is ")
    assert message.endswith("after 5 iterations at lr 1e+30; lower lr")


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta", "hpu"])
def test_a_device_that_cannot_train_here_is_refused(device: str) -> None:
    with pytest.raises(UserError) as caught:
        Hardware.choose(device)
    assert one_line(caught).startswith(f"device '{device}' cannot be used here (")


# What is measured.


@pytest.fixture
def net() -> nn.Module:
    """A trained net, in training mode: running statistics and scales are not those it was born with."""
    _, net = train(tiny_config(resnet(8)), tiny_dataset(), FP32)
    return net.train()


@pytest.fixture
def images() -> torch.Tensor:
    return tiny_dataset().normalize(tiny_dataset().test_images[:50])


def unchanged(net: nn.Module, before: nn.Module) -> bool:
    return same_tensors(net.state_dict(), before.state_dict()) and all(
        module.training == other.training and vars(module).get("momentum") == vars(other).get("momentum")
        for module, other in zip(net.modules(), before.modules(), strict=True)
    )


@pytest.mark.parametrize("split", ["train", "test"])
def test_evaluation_is_the_loss_and_error_over_all_images_and_changes_nothing(net: nn.Module, split: str) -> None:
    dataset, before = tiny_dataset(), copy.deepcopy(net)
    loss, error, _ = evaluate(net, dataset, split, FP32)
    assert unchanged(net, before)
    images, labels = getattr(dataset, f"{split}_images"), getattr(dataset, f"{split}_labels")
    with torch.no_grad():
        logits = net.eval()(dataset.normalize(images))
    assert loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    wrong = sum(int(row.argmax()) != int(label) for row, label in zip(logits, labels, strict=True))
    assert error == pytest.approx(100 * wrong / len(labels))


def test_responses_are_deviations_after_batch_norm_and_before_the_addition(
    net: nn.Module, images: torch.Tensor
) -> None:
    before = copy.deepcopy(net)
    found = probes.response_std(net, images)
    assert unchanged(net, before)
    assert not any(module._forward_hooks for module in net.modules())
    net.eval()
    with torch.no_grad():
        x = net.bn1(net.conv1(images))
        expected = [x.std().item()]
        x = x.relu()
        for block in (net.layer1[0], net.layer2[0], net.layer3[0]):
            one = block.bn1(block.conv1(x))
            two = block.bn2(block.conv2(one.relu()))
            expected += [one.std().item(), two.std().item()]
            x = (two + block.downsample(x)).relu()
    assert found == pytest.approx(expected, rel=1e-5)


def test_gradient_norms_are_those_of_a_training_step_which_leaves_no_trace(
    net: nn.Module, images: torch.Tensor
) -> None:
    labels = tiny_dataset().test_labels[:50]
    net.zero_grad()
    before = copy.deepcopy(net.eval())
    found = probes.gradient_norms(net, images, labels)
    assert unchanged(net, before)
    assert all(parameter.grad is None for parameter in net.parameters())
    stepped = before.train()
    F.cross_entropy(stepped(images), labels).backward()
    names = [name for name, _, _ in probes.conv3x3_layers(net)]
    assert found == pytest.approx([stepped.get_submodule(n).weight.grad.norm().item() for n in names], rel=1e-5)


def test_probed_layers_are_the_3x3_ones_in_order_of_depth() -> None:
    net = build(resnet(20, "C").net)
    layers = probes.conv3x3_layers(net)
    names = [name for name, _, _ in layers]
    assert len(names) == 19  # 6n + 1
    assert names[:3] == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert names[-1] == "layer3.2.conv2"
    assert all(net.get_submodule(name.replace("conv", "bn")) is norm for name, _, norm in layers)


def test_each_compiled_net_starts_with_an_empty_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else torch would count the nets of a process as changes of one, and compile no more after eight of them."""
    done: list[str] = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: done.append("reset"))
    monkeypatch.setattr(torch, "compile", lambda net: done.append("compile") or net)
    train(tiny_config(), tiny_dataset(), Hardware(CPU, "fp32", compiled=True))
    assert done == ["reset", "compile"]
    train(tiny_config(), tiny_dataset(), FP32)
    assert done == ["reset", "compile"]
