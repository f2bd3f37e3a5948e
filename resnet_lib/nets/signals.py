"""What a signal meets on its way through a net, forward and back: steps, gradients, paths, the loss around the weights.

Images are float (N, C, H, W), normalised as for training; labels int64 (N,). No function changes the net it is given,
but for `settle`, which is there for it.
"""

import copy
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lib.nets.blocks import Block
from resnet_lib.nets.models import CifarNet
from resnet_lib.nets.probes import as_in_testing, as_in_training, blocks, removing


def settle(net: nn.Module, images: Tensor) -> nn.Module:
    """Gives batch norm the running statistics of these images, as it has them in a trained net; returns the net."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    was_training = net.training
    for norm in norms:
        norm.momentum = 1.0  # the running statistics become those of the batch
    with torch.no_grad():
        net.train()(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return net.train(was_training)


def gradients_on_the_way(net: nn.Module, images: Tensor, labels: Tensor) -> list[float]:
    """Euclidean norm of the mean loss's gradient for what enters each block, in order of depth (section 4.1).

    Over the whole batch; batch norm uses its statistics, as in training.
    """
    entering: list[Tensor] = []
    hooks = [block.register_forward_pre_hook(lambda _m, inputs: entering.append(inputs[0])) for _, block in blocks(net)]
    with removing(hooks), as_in_training(net):
        gradients = torch.autograd.grad(F.cross_entropy(net(images), labels), entering)
    return [gradient.norm().item() for gradient in gradients]


def gradients_along_a_line(net: nn.Module, start: Tensor, end: Tensor, points: int) -> Tensor:
    """Gradient of the first output for the image, at evenly spaced points from one image to another.

    Batch norm uses its running statistics (see `settle`), so that no point depends on the others.

    Args:
        net: of any kind.
        start: float (C, H, W), the first image.
        end: float (C, H, W), the last one.
        points: how many, both ends included.

    Returns:
        (points, C·H·W).
    """
    share = torch.linspace(0, 1, points, dtype=start.dtype).view(-1, 1, 1, 1)
    images = torch.lerp(start[None], end[None], share).requires_grad_()
    with as_in_testing(net):
        (gradients,) = torch.autograd.grad(net(images)[:, 0].sum(), images)
    return gradients.flatten(1)


def autocorrelation(gradients: Tensor) -> list[float]:
    """Mean cosine of the angle between gradients (points, D) that lie 0, 1, 2, ... points apart.

    Shattered gradients (Balduzzi et al. 2017) have none left between neighbours; 0 is chance.
    """
    directions = F.normalize(gradients, dim=1)
    cosines = directions @ directions.T
    return [cosines.diagonal(apart).mean().item() for apart in range(len(cosines))]


def step_cosines(net: CifarNet, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Cosine of the angle between F(x) and the direction in which x would lower the loss, by block.

    That is minus the gradient of an image's loss for x, through all that follows (Jastrzebski et al. 2018); means over
    images. Only blocks that keep the shape have one. A net with no shortcut has none.
    """
    entering, steps, names = [], [], []
    hooks = []
    for name, block in blocks(net):
        if isinstance(block.downsample, nn.Identity):
            names.append(name)
            hooks.append(block.register_forward_pre_hook(lambda _m, inputs: entering.append(inputs[0])))
            hooks.append(block.last_norm.register_forward_hook(lambda _m, _i, out: steps.append(out.detach())))
    with removing(hooks), as_in_testing(net):
        loss = F.cross_entropy(net(images), labels, reduction="sum")  # so that each image has the gradient of its own
        gradients = torch.autograd.grad(loss, entering) if entering else ()
    cosines = (F.cosine_similarity(step.flatten(1), -g.flatten(1)) for step, g in zip(steps, gradients, strict=True))
    return {name: cosine.mean().item() for name, cosine in zip(names, cosines, strict=True)}


@torch.no_grad()
def read_off(net: CifarNet, images: Tensor) -> dict[str, Tensor]:
    """What a residual net says after each block: the classifier's outputs if all later blocks add nothing.

    Of the later ones only the shortcuts are left, and the ReLUs.

    Returns:
        Block -> (N, num_classes); the last is the whole net.

    Raises:
        ValueError: a block has no shortcut.
    """
    found = _with_shortcuts(net)
    said = {}
    with as_in_testing(net):
        x = F.relu(net.bn1(net.conv1(images)))
        for number, (name, block) in enumerate(found, 1):
            x = block(x)
            rest = x
            for _, later in found[number:]:
                rest = F.relu(later.downsample(rest))
            said[name] = net.fc(rest.mean(dim=(2, 3)))
    return said


def _with_shortcuts(net: nn.Module) -> list[tuple[str, Block]]:
    found = blocks(net)
    if bare := [name for name, block in found if block.downsample is None]:
        raise ValueError(f"{bare[0]} has no shortcut; this is about residual nets")
    return found


@contextmanager
def through(net: nn.Module, branches: Collection[str]) -> Iterator[None]:
    """Gradients take one path: through F in the named blocks, through the shortcut in all others.

    What the net computes stays the same (Veit et al. 2016, section 4).

    Raises:
        ValueError: a block has no shortcut.
    """
    cut = [block.downsample if name in branches else block.last_norm for name, block in _with_shortcuts(net)]
    with removing([module.register_forward_hook(lambda _m, _i, out: out.detach()) for module in cut]):
        yield


def path_gradients(net: nn.Module, branches: Collection[str], images: Tensor, labels: Tensor) -> Tensor:
    """Norms of the gradients that reach the first block's input on the path through the F of these blocks alone.

    Euclidean, of each image's own loss; batch norm uses its running statistics.

    Returns:
        (N,), one for each image.
    """
    entering: list[Tensor] = []
    first = blocks(net)[0][1].register_forward_pre_hook(lambda _m, inputs: entering.append(inputs[0]))
    with removing([first]), through(net, branches), as_in_testing(net):
        (gradient,) = torch.autograd.grad(F.cross_entropy(net(images), labels, reduction="sum"), entering)
    return gradient.flatten(1).norm(dim=1)


def filter_direction(net: nn.Module, seed: int) -> dict[str, Tensor]:
    """A random direction in which each filter is as long as the net's own (Li et al. 2018, section 4).

    Biases, and batch norm's scales and shifts, stay where they are.

    Returns:
        Name of a weight -> the direction, of the weight's shape.
    """
    generator = torch.Generator().manual_seed(seed)
    direction = {}
    for name, weight in net.named_parameters():
        if weight.dim() > 1:
            drawn = torch.randn(weight.shape, generator=generator)
            lengths = weight.detach().flatten(1).norm(dim=1) / drawn.flatten(1).norm(dim=1)  # (filters,)
            direction[name] = drawn * lengths.view(-1, *[1] * (weight.dim() - 1))
    return direction


@torch.no_grad()
def moved(net: nn.Module, direction: dict[str, Tensor], by: float) -> nn.Module:
    """A copy whose weights have gone so many times the direction."""
    other = copy.deepcopy(net)
    for name, weight in other.named_parameters():
        if name in direction:
            weight += by * direction[name]
    return other


@torch.no_grad()
def loss_at(net: nn.Module, images: Tensor, labels: Tensor, *, in_training: bool = False) -> float:
    """Mean loss on some images; `in_training`: batch norm uses their statistics, and not its running ones."""
    with as_in_training(net) if in_training else as_in_testing(net):
        return F.cross_entropy(net(images), labels).item()
