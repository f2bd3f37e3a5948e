"""Twins: one bit is one bit, distances are what they say, and the run beside them is the run."""

import copy
import dataclasses

import pytest
import torch
from samples import started, tiny_config, tiny_dataset

from resnet_lib import data, training
from resnet_lib.jobs import twins
from resnet_lib.jobs.examined import WHOLE, Trained

CPU = training.Hardware(torch.device("cpu"), "fp32", False)
TINY = dataclasses.replace(
    tiny_dataset(), test_images=tiny_dataset().test_images[:100], test_labels=tiny_dataset().test_labels[:100]
)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    monkeypatch.setattr(data, "load", lambda *_: TINY)
    return Trained(started(), TINY, CPU, tiny_config())


def test_one_bit_is_the_least_that_a_weight_can_change_by_and_one_of_bf16_is_seen_there() -> None:
    net = started()
    other, short = twins.with_one_bit_changed(net), twins.with_one_bit_changed(net, bit=16)
    before, after = (each.conv1.weight.flatten() for each in (net, other))
    assert after[0] in (torch.nextafter(before[0], before[0] + side) for side in (1, -1))
    assert torch.equal(before[1:], after[1:])
    assert torch.equal(before.bfloat16(), after.bfloat16())
    assert (net.conv1.weight.bfloat16() != short.conv1.weight.bfloat16()).sum() == 1
    rest = [(one, two) for (name, one), two in zip(net.named_parameters(), other.parameters(), strict=True)][1:]
    assert all(torch.equal(one, two) for one, two in rest)


def test_a_distance_is_relative_to_the_first_net() -> None:
    net = started()
    twice = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in twice.parameters():
            parameter *= 2
    assert twins.distance(net, twice) == pytest.approx(1)
    assert twins.distance(twice, net) == pytest.approx(0.5)


def test_the_net_beside_its_twins_is_trained_as_the_run_is(trained: Trained) -> None:
    record, _ = training.train(trained.config, TINY, CPU)
    values = twins.train_twins(trained, (twins.ONE_BIT, twins.OTHER))
    assert values[WHOLE] == pytest.approx(record.final.test_error)
    other = trained.config.model_copy(update={"seed": trained.config.seed + twins.ANOTHER_SEED})
    assert values["another seed, test error"] == pytest.approx(training.train(other, TINY, CPU)[0].final.test_error)
    apart = [values[f"one bit, distance: {iteration}"] for iteration in (0, 1, 2, 4, 8, 12)]
    assert 0 < apart[0] < 1e-7 < apart[-1] < values["another seed, distance: 12"]
    assert values["another seed, one right"] <= values["another seed, differ"]


def test_a_bit_that_bf16_does_not_keep_is_not_seen_and_one_that_it_keeps_is(trained: Trained) -> None:
    in_bf16 = dataclasses.replace(trained, hardware=training.Hardware(CPU.device, "bf16", False))
    values = twins.train_twins(in_bf16, (twins.ONE_BIT, twins.SHORT_BIT))
    assert values["one bit, differ"] == 0
    assert 0 < values["one bit, distance: 12"] < 1e-7 < values["one bit of bf16, distance: 12"]


def test_again_is_the_run_again(trained: Trained) -> None:
    record, _ = training.train(trained.config, TINY, CPU)
    values = twins.again(trained)
    assert (values[WHOLE], values["training error"]) == (record.final.test_error, record.final.train_error)
    assert [values[f"loss: {at}"] for at in record.train_curve.iteration] == list(record.train_curve.loss)
