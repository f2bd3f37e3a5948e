"""What is measured on a trained net: responses and gradient norms per layer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from resnet_lib.nets.blocks import Block


def conv3x3_layers(net: nn.Module) -> list[tuple[str, nn.Conv2d, nn.Module]]:
    """The 3x3 convolutions in order of depth, each with its name and the batch norm that follows it.

    In these nets that is the module made next, which is the identity in nets without batch norm.
    """
    return [
        (f"{parent}.{name}".lstrip("."), conv, norm)
        for parent, module in net.named_modules()
        for (name, conv), (_, norm) in pairwise(module.named_children())
        if isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3)
    ]


@torch.no_grad()
def response_std(net: nn.Module, images: Tensor) -> list[float]:
    """Standard deviation of each 3x3 layer's response over all images, channels and positions (Figure 7).

    A response is the output after batch norm, before ReLU or addition; batch norm uses its running statistics, or
    those of these images in a net that has never been trained and so has none.

    Args:
        images: float (N, C, H, W), normalised as for training.
    """
    deviations: list[float] = []
    layers = conv3x3_layers(net)
    hooks = [bn.register_forward_hook(lambda _m, _i, out: deviations.append(out.std().item())) for _, _, bn in layers]
    new = any(isinstance(bn, nn.BatchNorm2d) and not bn.num_batches_tracked for _, _, bn in layers)
    with removing(hooks), as_in_training(net) if new else as_in_testing(net):
        net(images)
    return deviations


@contextmanager
def removing(hooks: Sequence[RemovableHandle]) -> Iterator[None]:
    """Removes hooks at the end, also if something fails."""
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def as_in_testing(net: nn.Module) -> Iterator[None]:
    """Batch norm uses its running statistics; the net's mode afterwards is that of before."""
    was_training = net.training
    try:
        net.eval()
        yield
    finally:
        net.train(was_training)


@contextmanager
def as_in_training(net: nn.Module) -> Iterator[None]:
    """Batch norm uses the batch's statistics, as in training; its running statistics are left as they were."""
    batch_norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    saved = [(bn, bn.momentum, bn.num_batches_tracked.clone()) for bn in batch_norms]
    was_training = net.training
    try:
        for bn in batch_norms:
            bn.momentum = 0.0
        net.train()
        yield
    finally:
        net.train(was_training)
        for bn, momentum, num_batches in saved:
            bn.momentum = momentum
            bn.num_batches_tracked.copy_(num_batches)


def gradient_norms(net: nn.Module, images: Tensor, labels: Tensor) -> list[float]:
    """Euclidean norm of the mean loss's gradient for the weights of each 3x3 layer (section 4.1).

    Batch norm uses the batch's statistics, as in training; the running statistics are left as they were.

    Args:
        images: float (N, C, H, W), normalised as for training.
        labels: int64 (N,).
    """
    with as_in_training(net):
        loss = F.cross_entropy(net(images), labels)
        gradients = torch.autograd.grad(loss, [conv.weight for _, conv, _ in conv3x3_layers(net)])
    return [gradient.norm().item() for gradient in gradients]


def blocks(net: nn.Module) -> list[tuple[str, Block]]:
    """The blocks of a net in order of depth, each with its name; a plain net has the same ones, without shortcuts."""
    return [(name, module) for name, module in net.named_modules() if isinstance(module, Block)]


@torch.no_grad()
def branch_ratios(net: nn.Module, images: Tensor) -> list[float]:
    """Standard deviation of F(x) over that of what the shortcut adds to it, for each block (sections 3.1 and 4.2).

    F(x) is taken after the block's last batch norm, before the addition. A plain net has no shortcut, and F(x) is set
    against x. Deviations are over all images, channels and positions; batch norm uses the statistics of these images.

    Args:
        images: float (N, C, H, W), normalised as for training.

    Returns:
        One ratio per block, in order of depth; infinite or NaN where nothing is there to be added to.
    """
    function: list[Tensor] = []
    added: list[Tensor] = []
    hooks = []
    for _, block in blocks(net):
        hooks.append(block.last_norm.register_forward_hook(lambda _m, _i, out: function.append(out.std())))
        if block.downsample is None:
            hooks.append(block.register_forward_pre_hook(lambda _m, inputs: added.append(inputs[0].std())))
        else:
            hooks.append(block.downsample.register_forward_hook(lambda _m, _i, out: added.append(out.std())))
    with removing(hooks), as_in_training(net):
        net(images)
    return [(one / other).item() for one, other in zip(function, added, strict=True)]


def last_scales(net: nn.Module) -> list[float]:
    """Mean of |gamma|, the scale of each block's last batch norm, in order of depth; empty without batch norm."""
    norms = [block.last_norm for _, block in blocks(net)]
    return [norm.weight.abs().mean().item() for norm in norms if isinstance(norm, nn.BatchNorm2d)]


@dataclass(frozen=True)
class LayerStatistics:
    """What `layer_statistics` measures: one number per 3x3 layer, in order of depth.

    `mean` and `std` say how large the mean and the deviation of one channel of the layer's response are: the root
    mean square over its channels. `gradient_norm` and `weight_norm` are Euclidean norms over the layer's weights.
    """

    layer: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    gradient_norm: tuple[float, ...]
    weight_norm: tuple[float, ...]

    @property
    def turn(self) -> tuple[float, ...]:
        """Gradient norm over weight norm: the part of their length by which a step of rate 1 moves the weights.

        Batch norm divides the length of the weights before it out of the net's output, so this is what counts.
        Infinite for weights that are all zero.
        """
        return tuple(g / w if w else inf for g, w in zip(self.gradient_norm, self.weight_norm, strict=True))


def layer_statistics(net: nn.Module, images: Tensor, labels: Tensor) -> LayerStatistics:
    """Responses and gradients of each 3x3 layer on one batch, with batch norm as in training (section 4.1).

    A response is the output after batch norm (of the convolution in nets without it), before ReLU or addition. Mean
    and deviation are each channel's, over images and positions: those that batch norm sets to 0 and 1 at first.

    Args:
        images: float (N, C, H, W), normalised as for training.
        labels: int64 (N,).
    """
    layers = conv3x3_layers(net)
    moments: list[tuple[float, float]] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], out: Tensor) -> None:
        variance, mean = torch.var_mean(out.detach().double(), dim=(0, 2, 3), correction=0)  # (C,), (C,)
        moments.append((mean.square().mean().sqrt().item(), variance.mean().sqrt().item()))

    hooks = [bn.register_forward_hook(keep) for _, _, bn in layers]
    with removing(hooks):
        gradients = gradient_norms(net, images, labels)
    means, deviations = zip(*moments, strict=True)
    return LayerStatistics(
        layer=tuple(name for name, _, _ in layers),
        mean=means,
        std=deviations,
        gradient_norm=tuple(gradients),
        weight_norm=tuple(conv.weight.norm().item() for _, conv, _ in layers),
    )


@torch.no_grad()
def residual_shapes(net: nn.Module, images: Tensor) -> list[dict[str, str]]:
    """What each residual block of a net adds up: shapes as C×H×W, in order of depth (section 3.3).

    The meta device will do: only shapes are looked at.

    Args:
        net: a net of `models`, or one of its blocks.
        images: (N, C, H, W).

    Returns:
        One row per block: its name, the shapes of its input x and of F(x), and its shortcut.

    Raises:
        ValueError: F(x) and what the shortcut gives differ in shape. torch's own sum would stretch a side of 1 to the
            other's length without a word, and so hide the mistake.
    """
    rows: list[dict[str, str]] = []
    hooks = []

    def watch(name: str, block: Block) -> None:
        def on_function(_module: nn.Module, _inputs: tuple[Tensor, ...], out: Tensor) -> None:
            rows[-1]["F(x)"] = shape_text(out)

        def on_block(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            shortcut = "none" if block.downsample is None else type(block.downsample).__name__
            rows.append({"block": name or "block", "x": shape_text(inputs[0]), "F(x)": "", "shortcut": shortcut})

        def on_shortcut(_module: nn.Module, _inputs: tuple[Tensor, ...], out: Tensor) -> None:
            function, given = rows[-1]["F(x)"], shape_text(out)
            if function != given:
                raise ValueError(
                    f"{name or 'block'}: F(x) is {function} and the shortcut gives {given}; "
                    "a sum needs the same channels, height and width"
                )

        hooks.append(block.register_forward_pre_hook(on_block))
        hooks.append(block.last_norm.register_forward_hook(on_function))
        if block.downsample is not None:
            hooks.append(block.downsample.register_forward_hook(on_shortcut))

    for name, block in blocks(net):
        watch(name, block)
    with removing(hooks), as_in_testing(net):
        net(images)
    return rows


def shape_text(images: Tensor) -> str:
    """The shape of one image or map: (N, 16, 32, 32) -> 16×32×32."""
    return "×".join(map(str, images.shape[1:]))


@torch.no_grad()
def token_similarity(net: nn.Module, images: Tensor) -> list[float]:
    """How alike the tokens of an image are: mean cosine of their angles over all pairs, then over the images.

    Args:
        net: a `VisionTransformer`.
        images: float (N, C, H, W), normalised as for training.

    Returns:
        The similarity of the tokens that enter the first block, then of those that leave each block; 1 means that
        all tokens of an image point one way, so that nothing tells its parts apart.
    """
    entering: list[Tensor] = []
    hooks = [net.blocks.register_forward_pre_hook(lambda _m, inputs: entering.append(inputs[0]))]
    hooks += [block.register_forward_hook(lambda _m, _i, out: entering.append(out)) for block in net.blocks]
    with removing(hooks), as_in_testing(net):
        net(images)
    similarities = []
    for tokens in entering:  # (N, tokens, width)
        count = tokens.shape[1]
        # Over all pairs, each with itself too, the mean cosine is the squared length of the mean direction.
        squared = F.normalize(tokens, dim=2).mean(dim=1).square().sum(dim=1)
        similarities.append(((count * squared - 1) / (count - 1)).mean().item())
    return similarities
