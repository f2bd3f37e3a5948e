"""Evaluation is over all images of a split, and batch norm's statistics can be taken over them anew."""

import copy
import dataclasses

import pytest
import torch
from samples import tiny_config, tiny_dataset, unchanged
from torch.nn import functional as F

from resnet_lib.nets.models import CifarNet, initialize
from resnet_lib.runs.settings import resnet
from resnet_lib.training import Hardware, evaluate, reestimate_bn, train

CPU = Hardware.choose("cpu", "fp32")


@pytest.mark.parametrize("split", ["train", "test"])
def test_evaluation_is_the_loss_and_error_over_all_images_and_changes_nothing(split: str) -> None:
    dataset = tiny_dataset()
    _, net = train(tiny_config(resnet(8)), dataset, CPU)
    before = copy.deepcopy(net.train())
    loss, error, right = evaluate(net, dataset, split, CPU)
    assert unchanged(net, before)
    images, labels = getattr(dataset, f"{split}_images"), getattr(dataset, f"{split}_labels")
    with torch.no_grad():
        logits = net.eval()(dataset.normalize(images))
    assert loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    wrong = sum(int(row.argmax()) != int(label) for row, label in zip(logits, labels, strict=True))
    assert error == pytest.approx(100 * wrong / len(labels))
    assert right.tolist() == (logits.argmax(dim=1) == labels).tolist()


# Batch norm's statistics, estimated again.


def test_reestimated_statistics_are_the_means_over_the_training_set() -> None:
    full = tiny_dataset()
    twice = torch.cat([full.train_images, full.train_images, full.train_images, full.train_images[:232]])  # 1,000
    dataset = dataclasses.replace(full, train_images=twice, train_labels=torch.zeros(1000, dtype=torch.int64))
    net = CifarNet(8, "A", in_channels=1)
    initialize(net, 0)
    net.bn1.running_mean.fill_(7.0)  # what training left behind must not matter
    reestimate_bn(net.eval(), dataset, CPU)

    first, second = (net.conv1(dataset.normalize(part)) for part in twice.split(500))
    means = (first.mean((0, 2, 3)) + second.mean((0, 2, 3))) / 2
    variances = (first.var((0, 2, 3)) + second.var((0, 2, 3))) / 2
    torch.testing.assert_close(net.bn1.running_mean, means, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net.bn1.running_var, variances, rtol=1e-4, atol=1e-5)


def test_reestimating_leaves_weights_mode_and_momentum_alone() -> None:
    net = CifarNet(8, "B", in_channels=1)
    initialize(net, 0)
    before = copy.deepcopy(net.eval())
    reestimate_bn(net, tiny_dataset(), CPU)
    assert not net.training and net.bn1.momentum == before.bn1.momentum
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), before.parameters(), strict=True))
    assert not torch.equal(net.bn1.running_mean, before.bn1.running_mean)
    assert evaluate(net, tiny_dataset(), "test", CPU).loss != evaluate(before, tiny_dataset(), "test", CPU).loss
