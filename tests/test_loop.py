"""The loop does what the recipe says, the same way each time, and an interruption leaves no trace."""

import dataclasses
from pathlib import Path

import pytest
import torch
from samples import measured, same_tensors, tiny_config, tiny_dataset
from torch.nn import functional as F

from resnet_lib import data
from resnet_lib.errors import UserError
from resnet_lib.nets import models, probes
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.training import build, evaluate
from resnet_lib.training.checkpoints import contents
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import Progress, TimeLimitReached, train
from resnet_lib.training.processes import Group

CPU = torch.device("cpu")
FP32 = Hardware(CPU, "fp32", compiled=False)


def trained(config: RunConfig, hardware: Hardware = FP32) -> tuple[dict[str, object], dict[str, torch.Tensor]]:
    """All that was measured, and every tensor of the net."""
    record, net = train(config, tiny_dataset(), hardware)
    return measured(record), net.state_dict()


# Its arithmetic.


def test_the_net_is_trained_at_the_scheduled_rates() -> None:
    config = tiny_config(iterations=6, milestones=(3, 5), warmup_iterations=1, warmup_lr=0.02, log_every=1)
    record, _ = train(config, tiny_dataset(), FP32)
    assert record.train_curve.lr == pytest.approx((0.02, 0.1, 0.1, 0.01, 0.01, 0.001))


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
    short = plain(8).with_recipe(lr=0.1, iterations=3, milestones=(), log_every=1, precision="fp32")
    record, _ = train(short.at(PROFILES["small"], seed=0), hardware=FP32)
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


def test_a_batch_in_parts_trains_as_the_whole_batch_does_where_no_layer_looks_at_the_batch() -> None:
    """With batch norm it is another run; the record says how many parts there were."""
    for batch_norm in (False, True):
        config = tiny_config(plain(8, batch_norm=batch_norm), lr=0.01)
        whole, net = train(config, tiny_dataset(), FP32)
        record, in_parts = train(config, tiny_dataset(), FP32, Group(parts=4))
        assert (whole.provenance.parts, record.provenance.parts) == (1, 4)
        assert (record.train_curve.loss == pytest.approx(whole.train_curve.loss, rel=1e-4)) != batch_norm
        for name, value in net.named_parameters():
            assert batch_norm or torch.allclose(in_parts.get_parameter(name), value, atol=1e-5), name


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


# Compiled.


def test_each_compiled_net_starts_with_an_empty_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else torch would count the nets of a process as changes of one, and compile no more after eight of them."""
    done: list[str] = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: done.append("reset"))
    monkeypatch.setattr(torch, "compile", lambda net: done.append("compile") or net)
    monkeypatch.setattr("resnet_lib.training.loop.can_fuse", lambda _: False)
    train(tiny_config(), tiny_dataset(), Hardware(CPU, "fp32", compiled=True))
    assert done == ["reset", "compile"]
    train(tiny_config(), tiny_dataset(), FP32)
    assert done == ["reset", "compile"]
