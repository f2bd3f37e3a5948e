"""Probes measure what they say, and leave no trace in the net."""

import copy

import pytest
import torch
from samples import tiny_config, tiny_dataset, unchanged
from torch import nn
from torch.nn import functional as F

from resnet_lib.nets import probes
from resnet_lib.nets.build import build
from resnet_lib.runs.experiments import resnet
from resnet_lib.training import train


@pytest.fixture
def net() -> nn.Module:
    """A trained net, in training mode: running statistics and scales are not those it was born with."""
    _, net = train(tiny_config(resnet(8)), tiny_dataset())
    return net.train()


@pytest.fixture
def images() -> torch.Tensor:
    return tiny_dataset().normalize(tiny_dataset().test_images[:50])


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
    net = build(resnet(20, "C"))
    layers = probes.conv3x3_layers(net)
    names = [name for name, _, _ in layers]
    assert len(names) == 19  # 6n + 1
    assert names[:3] == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert names[-1] == "layer3.2.conv2"
    assert all(net.get_submodule(name.replace("conv", "bn")) is norm for name, _, norm in layers)
