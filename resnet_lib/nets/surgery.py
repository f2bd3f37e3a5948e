"""Changing a net after it is made: deleting, swapping and adding blocks (sections 1, 3.1 and 4.2).

Every function returns a changed copy and leaves the net that it is given as it was.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn

from resnet_lib.nets import models
from resnet_lib.nets.blocks import BasicBlock, Block, SingleLayerBlock
from resnet_lib.nets.models import CifarNet
from resnet_lib.nets.probes import as_in_testing, as_in_training, removing

STARTS = ("zero", "dirac", "random")


def block_names(net: CifarNet) -> list[str]:
    """The blocks whose input and output agree in shape, in order of depth: layer1.0, layer1.1, ...

    Only these can be taken out, or change places, without anything else having to change: the first blocks of the
    second and third stage have a stride and more channels, and are missing here.
    """
    blocks = ((f"layer{i}.{j}", block) for i, stage in enumerate(net.stages, 1) for j, block in enumerate(stage))
    return [name for name, block in blocks if keeps_shape(block)]


def keeps_shape(block: Block) -> bool:
    """Whether a block's output has the channels and the resolution of its input."""
    convs = [conv for conv, _ in block.layers]
    return convs[0].in_channels == convs[-1].out_channels and all(conv.stride == (1, 1) for conv in convs)


def delete_blocks(net: CifarNet, *names: str) -> CifarNet:
    """A copy without the named blocks: what enters one goes straight to the next. The later ones are renumbered.

    Raises:
        ValueError: a name is not of `block_names`.
    """
    _check(net, names)
    copy = deepcopy(net)
    for i, stage in enumerate(net.stages, 1):
        kept = [deepcopy(block) for j, block in enumerate(stage) if f"layer{i}.{j}" not in names]
        setattr(copy, f"layer{i}", nn.Sequential(*kept))
    return copy.train(net.training)


def swap_blocks(net: CifarNet, first: str, second: str) -> CifarNet:
    """A copy in which two blocks of a stage have changed places.

    Raises:
        ValueError: a name is not of `block_names`, or the blocks are of two stages.
    """
    _check(net, (first, second))
    if first.partition(".")[0] != second.partition(".")[0]:
        raise ValueError(f"{first} and {second} are of two stages, whose maps differ in shape; swap within one stage")
    copy = deepcopy(net)
    one, other = copy.get_submodule(first), copy.get_submodule(second)
    copy.set_submodule(first, other)
    copy.set_submodule(second, one)
    return copy


def _check(net: CifarNet, names: tuple[str, ...]) -> None:
    possible = block_names(net)
    for name in names:
        if name not in possible:
            raise ValueError(f"{name!r} is no block that keeps its input's shape; choose from {', '.join(possible)}")


def deepen(
    net: CifarNet, num_blocks: int, start: str = "zero", *, seed: int = 0, images: Tensor | None = None
) -> CifarNet:
    """A copy with `num_blocks` more blocks at the end of each stage; everything else keeps its weights.

    The new blocks are of the stage's own kind, with identity shortcuts in a net that has shortcuts.

    Args:
        net: of n blocks per stage; the copy has n + `num_blocks`.
        num_blocks: how many to add to each stage.
        start: "random": He initialisation, with the values that a new net of this depth and seed would have. "zero":
            the same, and then the last layer gives zero (by batch norm's scale, or by the weights in a net without
            it). With a shortcut such a block is the identity, because what enters it comes from a ReLU and is not
            negative; without one it gives zero. "dirac": each convolution is the identity, and so is each batch norm
            as long as it uses its running statistics: that is how a plain block can be the identity (section 1).
        seed: of the random weights.
        images: for "dirac", float (N, C, H, W), normalised: running statistics, scale and shift of the new batch
            norms are taken from what they see of these images, so that on these the new blocks are the identity with
            the batch's statistics, too. By default the statistics are 0 and 1, those of a new layer.

    Raises:
        ValueError: the start is unknown, or makes no sense here.
    """
    models.check_choice("start", start, STARTS)
    if num_blocks < 1:
        raise ValueError(f"num_blocks is {num_blocks}; a deeper net has at least one more in each stage")
    if start == "dirac" and any(block.downsample is not None for stage in net.stages for block in stage):
        raise ValueError("start is 'dirac', but this net has shortcuts: F(x) + x would be 2x; choose 'zero'")
    if start == "dirac" and not isinstance(net.layer1[0], BasicBlock | SingleLayerBlock):
        raise ValueError("start is 'dirac', but a bottleneck cannot be the identity: its middle is narrower than x")
    copy = deepcopy(net)
    added = [f"layer{i}.{len(stage) + j}" for i, stage in enumerate(net.stages, 1) for j in range(num_blocks)]
    for stage in copy.stages:
        stage.extend(_new_block(stage[-1]) for _ in range(num_blocks))
    drawn = deepcopy(copy)
    models.initialize(drawn, seed)
    for name in added:
        block = copy.get_submodule(name)
        block.load_state_dict(drawn.get_submodule(name).state_dict())
        _start(block, start)
    copy.to(next(net.parameters()).device).train(net.training)
    if start == "dirac" and images is not None:
        _settle(copy, [copy.get_submodule(name) for name in added], images)
    return copy


def _new_block(last: Block) -> Block:
    """A block to follow the last one of a stage: of its kind and width, with the identity if it has a shortcut."""
    channels = last.layers[-1][0].out_channels
    shortcut = None if last.downsample is None else nn.Identity()
    block = type(last)(channels, channels // last.expansion, shortcut=shortcut)
    if not isinstance(last.last_norm, nn.BatchNorm2d):
        models.leave_out_batch_norm(block)
    return block


@torch.no_grad()
def _start(block: Block, start: str) -> None:
    """Gives a block with random weights the values that `deepen` promises."""
    if start == "zero":
        conv, norm = block.layers[-1]
        nn.init.zeros_(norm.weight if isinstance(norm, nn.BatchNorm2d) else conv.weight)
    elif start == "dirac":
        for conv, norm in block.layers:
            nn.init.dirac_(conv.weight)
            if isinstance(norm, nn.BatchNorm2d):
                norm.weight.fill_((1 + norm.eps) ** 0.5)  # batch norm divides by the root of variance + eps


@torch.no_grad()
def _settle(net: CifarNet, blocks: list[Block], images: Tensor) -> None:
    """Sets the batch norms of these blocks so that each undoes itself on what it sees of the images."""

    def undo(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)  # (C,), (C,)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean)

    norms = [norm for block in blocks for _, norm in block.layers if isinstance(norm, nn.BatchNorm2d)]
    with removing([norm.register_forward_pre_hook(undo) for norm in norms]), as_in_testing(net):
        net(images)


@torch.no_grad()
def disagreement(net: nn.Module, other: nn.Module, images: Tensor, *, in_training: bool = False) -> tuple[float, float]:
    """How far two nets differ on the same images.

    Args:
        images: float (N, C, H, W), normalised as for training.
        in_training: batch norm uses the statistics of these images, as it does in training; the running statistics
            are left as they were. By default it uses those.

    Returns:
        The largest difference of an output relative to the first net's largest output, and the share of images, in
        percent, that the two put into different classes.
    """
    outputs = []
    for each in (net, other):
        with as_in_training(each) if in_training else as_in_testing(each):
            outputs.append(each(images))
    one, two = outputs  # (N, num_classes) each
    differs = one.argmax(dim=1) != two.argmax(dim=1)
    largest = one.abs().max().clamp_min(torch.finfo(one.dtype).tiny)  # a net may give nothing but zeros
    return ((two - one).abs().max() / largest).item(), 100 * differs.double().mean().item()
