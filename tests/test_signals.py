"""What is measured of a signal on its way: each number is what its formula says, and the net stays as it was."""

import copy
from math import pi, sqrt

import pytest
import torch
from samples import batch as few
from samples import unchanged
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lib.nets import models, probes, signals
from resnet_lib.nets.models import CifarNet


def batch(count: int = 32) -> tuple[Tensor, Tensor]:
    images, labels = few()
    return images[:count], labels[:count]


def started(shortcut: str, depth: int = 14, **varied: object) -> CifarNet:
    net = CifarNet(depth, shortcut, in_channels=1, **varied)
    models.initialize(net, seed=0)
    return net


@pytest.fixture(params=["none", "A"])
def net(request: pytest.FixtureRequest) -> CifarNet:
    """Fourteen layers, so that each stage has a block that keeps its shape; batch norm has seen some images."""
    return signals.settle(started(request.param), batch()[0])


@pytest.fixture
def residual() -> CifarNet:
    return signals.settle(started("A"), batch()[0])


def test_a_settled_net_says_the_same_in_training_and_in_testing(net: CifarNet) -> None:
    images, _ = batch()
    tested = net.eval()(images)
    # Of the variance the running one is the unbiased estimate.
    torch.testing.assert_close(net.train()(images), tested, rtol=0.02, atol=0.02)
    assert all(norm.momentum == 0.1 for norm in net.modules() if isinstance(norm, nn.BatchNorm2d))


def test_gradients_on_the_way_are_those_of_what_enters_each_block(net: CifarNet) -> None:
    images, labels = batch(8)
    before = copy.deepcopy(net)
    found = signals.gradients_on_the_way(net, images, labels)
    assert unchanged(net, before)
    assert len(found) == 6
    x = F.relu(before.bn1(before.conv1(images))).detach().requires_grad_()
    rest = before.layer3(before.layer2(before.layer1(x))).mean(dim=(2, 3))
    F.cross_entropy(before.fc(rest), labels).backward()
    assert found[0] == pytest.approx(x.grad.norm().item(), rel=1e-4)


def test_in_a_wide_plain_net_the_gradient_grows_by_the_factor_of_theory() -> None:
    """Square root of pi / (pi - 1) per layer with batch norm and ReLU; borders and correlations take a little off."""
    net = started("none", 56, width=32)
    found = signals.gradients_on_the_way(net, *batch())
    growth = (found[1] / found[8]) ** (1 / 14)  # within the first stage
    assert growth == pytest.approx(sqrt(pi / (pi - 1)), abs=0.04)


def test_gradients_of_a_linear_net_do_not_turn_along_a_line() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    start, end = torch.randn(2, 1, 4, 4).unbind()
    found = signals.gradients_along_a_line(net, start, end, points=5)
    torch.testing.assert_close(found, net[1].weight[:1].detach().expand(5, 16))
    assert signals.autocorrelation(found) == pytest.approx([1] * 5)


def test_the_line_goes_from_one_image_to_the_other() -> None:
    class Squares(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).square()[:, :1] / 2

    start, end = torch.zeros(1, 1, 2), torch.tensor([[[4.0, 9.0]]])
    found = signals.gradients_along_a_line(Squares(), start, end, points=3)
    assert found.tolist() == [[0, 0], [2, 0], [4, 0]]


def test_autocorrelation_is_the_mean_cosine_at_each_distance() -> None:
    turning = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])  # a right angle at each step, of any length
    assert signals.autocorrelation(turning) == pytest.approx([1, 0, -1])


def test_a_step_down_the_loss_has_cosine_one(residual: CifarNet) -> None:
    """The last block is made to add the very direction that lowers the loss, or its opposite."""
    images, labels = batch(1)
    block = residual.layer3[1]
    nn.init.zeros_(block.bn2.weight)  # F(x) is then the shift of each channel
    residual.eval()
    x = residual.layer2(residual.layer1(F.relu(residual.bn1(residual.conv1(images)))))
    x = residual.layer3[0](x).detach() + 1  # so that no ReLU matters
    pooled = x.mean(dim=(2, 3)).requires_grad_()
    F.cross_entropy(residual.fc(pooled), labels).backward()
    for sign in (1, -1):
        with torch.no_grad():
            block.bn2.bias.copy_(-sign * 0.01 * pooled.grad[0])
            residual.layer3[0].bn2.bias += 9 * (sign == 1)  # keeps the sum above zero
        before = copy.deepcopy(residual)
        found = signals.step_cosines(residual, images, labels)
        assert unchanged(residual, before)
        assert list(found) == ["layer1.0", "layer1.1", "layer2.1", "layer3.1"]
        assert found["layer3.1"] * sign > 0.5


def test_a_plain_net_takes_no_steps() -> None:
    assert signals.step_cosines(started("none"), *batch(2)) == {}


def test_what_is_read_off_is_said_by_the_net_whose_later_blocks_are_silent(residual: CifarNet) -> None:
    images, _ = batch(4)
    said = signals.read_off(residual, images)
    assert list(said) == [name for name, _ in probes.blocks(residual)]
    silent = copy.deepcopy(residual).eval()
    for name in reversed(said):
        torch.testing.assert_close(said[name], silent(images))
        block = silent.get_submodule(name)
        nn.init.zeros_(block.bn2.weight)
        nn.init.zeros_(block.bn2.bias)


def test_the_gradient_is_the_sum_over_all_paths() -> None:
    images, labels = batch(4)
    residual = signals.settle(started("A", 8), batch()[0])
    names = [name for name, _ in probes.blocks(residual.eval())]
    before = copy.deepcopy(residual)
    total = torch.zeros(4, 16, 16, 16)
    for path in range(2 ** len(names)):
        branches = [name for bit, name in enumerate(names) if path >> bit & 1]
        entering = []
        hook = residual.layer1.register_forward_pre_hook(lambda _m, inputs, into=entering: into.append(inputs[0]))
        with probes.removing([hook]), signals.through(residual, branches), probes.as_in_testing(residual):
            loss = F.cross_entropy(residual(images), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, entering)
        norms = signals.path_gradients(residual, branches, images, labels)
        torch.testing.assert_close(norms, gradient.flatten(1).norm(dim=1))
        total += gradient
    x = F.relu(residual.bn1(residual.conv1(images))).detach().requires_grad_()
    rest = residual.layer3(residual.layer2(residual.layer1(x))).mean(dim=(2, 3))
    F.cross_entropy(residual.fc(rest), labels, reduction="sum").backward()
    torch.testing.assert_close(total, x.grad, rtol=1e-3, atol=1e-6)
    assert unchanged(residual, before)


@pytest.mark.parametrize(
    "measure",
    [lambda net: signals.read_off(net, batch(2)[0]), lambda net: signals.path_gradients(net, (), *batch(2))],
)
def test_without_shortcuts_there_are_no_paths_to_choose(measure: object) -> None:
    with pytest.raises(ValueError, match=r"layer1\.0 has no shortcut"):
        measure(started("none", 8))


def test_a_direction_is_as_long_as_the_net_filter_by_filter(net: CifarNet) -> None:
    direction = signals.filter_direction(net, seed=3)
    assert direction.keys() == {name for name, weight in net.named_parameters() if weight.dim() > 1}
    for name, step in direction.items():
        weight = net.get_parameter(name)
        torch.testing.assert_close(step.flatten(1).norm(dim=1), weight.detach().flatten(1).norm(dim=1))
    other = signals.filter_direction(net, seed=4)
    cosine = F.cosine_similarity(
        direction["layer3.0.conv1.weight"].flatten(), other["layer3.0.conv1.weight"].flatten(), 0
    )
    assert abs(cosine) < 0.1


def test_to_move_and_to_come_back_is_not_to_move(net: CifarNet) -> None:
    images, labels = batch(8)
    before, direction = copy.deepcopy(net), signals.filter_direction(net, 0)
    there = signals.moved(net, direction, 0.5)
    assert unchanged(net, before)
    back = signals.moved(there, direction, -0.5)
    here = signals.loss_at(net, images, labels)
    assert here == pytest.approx(F.cross_entropy(net.eval()(images), labels).item())
    assert signals.loss_at(back, images, labels) == pytest.approx(here, rel=1e-3)
    assert signals.loss_at(there, images, labels) != pytest.approx(here, rel=1e-2)
