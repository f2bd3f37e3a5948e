"""What is measured on a net's layers and blocks is what torch says, and measuring leaves the net as it was."""

import copy
from math import inf, sqrt

import pytest
import torch
from samples import batch, started, tiny_config, tiny_dataset, unchanged
from torch import nn
from torch.nn import functional as F

from resnet_lib.evidence import facts
from resnet_lib.nets import blocks, models, probes
from resnet_lib.nets.build import build
from resnet_lib.runs.settings import resnet
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
    net = build(resnet(20, "C").net)
    layers = probes.conv3x3_layers(net)
    names = [name for name, _, _ in layers]
    assert len(names) == 19  # 6n + 1
    assert names[:3] == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert names[-1] == "layer3.2.conv2"
    assert all(net.get_submodule(name.replace("conv", "bn")) is norm for name, _, norm in layers)


# Measurements.


@pytest.mark.parametrize("shortcut", ["none", "A"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_gradient_norms_are_those_of_a_backward_pass_in_training_mode(shortcut: str, batch_norm: bool) -> None:
    images, labels = batch()
    net = started(shortcut, batch_norm=batch_norm)
    measured = probes.layer_statistics(net, images, labels)
    F.cross_entropy(net.train()(images), labels).backward()
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 7
    assert measured.gradient_norm == pytest.approx([conv.weight.grad.norm().item() for conv in convolutions], rel=1e-4)
    assert measured.weight_norm == pytest.approx([conv.weight.norm().item() for conv in convolutions])


def test_mean_and_deviation_are_root_mean_squares_over_channels() -> None:
    images, labels = batch()
    net = started(batch_norm=False)
    measured = probes.layer_statistics(net, images, labels)
    first = net.conv1(images).detach().transpose(0, 1).flatten(1).numpy()  # (16 channels, images and positions)
    inside = net.layer1[0].conv1(F.relu(net.conv1(images))).detach().transpose(0, 1).flatten(1).numpy()
    for index, response in enumerate((first, inside)):
        assert measured.mean[index] == pytest.approx(sqrt((response.mean(axis=1) ** 2).mean()), rel=1e-4)
        assert measured.std[index] == pytest.approx(sqrt(response.var(axis=1).mean()), rel=1e-4)
    assert measured.layer[:2] == ("conv1", "layer1.0.conv1")


def test_with_batch_norm_responses_start_at_zero_mean_and_unit_deviation() -> None:
    measured = probes.layer_statistics(started("A"), *batch())
    assert measured.mean == pytest.approx([0] * 7, abs=1e-6)
    assert measured.std == pytest.approx([1] * 7, abs=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_the_net_as_it_was(training: bool) -> None:
    net = started().train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    probes.layer_statistics(net, *batch())
    assert net.training is training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(bn.momentum == 0.1 for bn in net.modules() if isinstance(bn, nn.BatchNorm2d))
    assert not any(module._forward_hooks for module in net.modules())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_failing_measurement_leaves_the_net_as_it_was() -> None:
    net = started().eval()
    with pytest.raises(RuntimeError):
        probes.layer_statistics(net, torch.zeros(4, 3, 16, 16), torch.zeros(4, dtype=torch.long))  # three channels
    assert not net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert net.bn1.momentum == 0.1


def test_longer_weights_before_batch_norm_get_a_smaller_gradient_and_turn_less() -> None:
    net, (images, labels) = started(), batch()
    before = probes.layer_statistics(net, images, labels)
    with torch.no_grad():
        net.layer2[0].conv1.weight *= 10
    after = probes.layer_statistics(net, images, labels)
    index = before.layer.index("layer2.0.conv1")
    assert after.gradient_norm[index] == pytest.approx(before.gradient_norm[index] / 10, rel=1e-3)
    assert after.turn[index] == pytest.approx(before.turn[index] / 100, rel=1e-3)
    others = [i for i in range(7) if i != index]
    assert [after.turn[i] for i in others] == pytest.approx([before.turn[i] for i in others], rel=1e-3)


def test_weights_that_are_zero_turn_without_limit() -> None:
    net = started("A", batch_norm=False)
    nn.init.zeros_(net.layer1[0].conv2.weight)
    measured = probes.layer_statistics(net, *batch())
    assert measured.turn[measured.layer.index("layer1.0.conv2")] == inf
    assert measured.gradient_norm[measured.layer.index("layer1.0.conv1")] == 0


# Shapes of sums.

IMAGES = torch.zeros(1, 3, 32, 32)


@pytest.mark.parametrize("option", blocks.SHORTCUTS)
def test_each_block_is_a_row_with_the_shapes_that_torch_gives_it(option: str) -> None:
    net = models.CifarNet(14, option).eval()
    rows = probes.residual_shapes(net, IMAGES)
    x = torch.relu(net.bn1(net.conv1(IMAGES)))
    for row, (name, block) in zip(
        rows, [(n, m) for n, m in net.named_modules() if isinstance(m, blocks.BasicBlock)], strict=True
    ):
        out = block(x)
        assert row["block"] == name
        assert row["x"] == "×".join(map(str, x.shape[1:]))
        assert row["F(x)"] == "×".join(map(str, out.shape[1:]))
        assert row["shortcut"] == ("none" if option == "none" else type(block.downsample).__name__)
        x = out


def test_bottlenecks_and_single_blocks_are_understood_too() -> None:
    block = blocks.Bottleneck(64, 64, shortcut=blocks.ProjectionShortcut(64, 256, stride=1))
    (row,) = probes.residual_shapes(block, torch.zeros(2, 64, 8, 8))
    assert row == {"block": "block", "x": "64×8×8", "F(x)": "256×8×8", "shortcut": "ProjectionShortcut"}
    block = blocks.SingleLayerBlock(16, 32, stride=2, shortcut=blocks.ZeroPadShortcut(16, 32, stride=2))
    (row,) = probes.residual_shapes(block, torch.zeros(2, 16, 8, 8))
    assert (row["F(x)"], row["shortcut"]) == ("32×4×4", "ZeroPadShortcut")


@pytest.mark.parametrize(
    ("channels", "stride", "side", "message"),
    [
        (32, 2, 8, "F(x) is 32×4×4 and the shortcut gives 16×8×8"),
        (16, 2, 2, "F(x) is 16×1×1 and the shortcut gives 16×2×2"),  # torch would stretch it, and add
    ],
)
def test_shapes_that_disagree_are_refused_in_one_line(channels: int, stride: int, side: int, message: str) -> None:
    block = blocks.BasicBlock(16, channels, stride, shortcut=torch.nn.Identity())
    with pytest.raises(ValueError, match="block: ") as refusal:
        probes.residual_shapes(block, torch.zeros(1, 16, side, side))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_looking_at_shapes_leaves_the_net_as_it_was() -> None:
    net = models.CifarNet(8, "B")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    probes.residual_shapes(net, IMAGES)
    net.layer2[0].downsample = torch.nn.Identity()
    with pytest.raises(ValueError, match=r"layer2\.0"):
        probes.residual_shapes(net, IMAGES)
    assert net.training
    assert all(bool((before[name] == value).all()) for name, value in net.state_dict().items() if name in before)
    hooks = [hook for module in net.modules() for hook in (*module._forward_hooks, *module._forward_pre_hooks)]
    assert not hooks


def test_the_fact_holds_and_would_not_if_identities_were_projections(monkeypatch: pytest.MonkeyPatch) -> None:
    fact = facts.FACTS["shapes-must-agree"]
    holds, evidence = fact.check()
    assert holds
    # 25 of 27 blocks twice; of Table 1's stages (3, 4, 6, 3) all but three, and all but four
    assert "75 blocks keep the shape and have the identity; 11 change it, and in 11" in evidence
    build = blocks.make_shortcut
    monkeypatch.setattr(blocks, "make_shortcut", lambda option, *rest: build("C" if option == "B" else option, *rest))
    assert not fact.check()[0]
