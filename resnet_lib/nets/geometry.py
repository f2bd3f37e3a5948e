"""What layers and nets do to shapes, how far they see, and what they cost. Nothing here trains.

Shapes and costs are computed on the meta device, where tensors have shapes and no values: ResNet-152 takes no memory.
"""

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from resnet_lib.display import Table
from resnet_lib.nets import blocks
from resnet_lib.nets.models import CifarNet, ImageNetNet, num_parameters
from resnet_lib.runs.paper import paper

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Cost:
    """What a net costs for one image. Table 1 counts `multiply_adds`."""

    parameters: int
    multiply_adds: int
    activations: int  # values between the layers that training keeps for the way back


def output_shape(net: nn.Module, shape: Shape) -> Shape:
    """The shape, without the batch, of what a net makes of one image (C, H, W)."""
    return tuple(copy.deepcopy(net).to("meta").eval()(torch.empty(1, *shape, device="meta")).shape[1:])


def cost(net: nn.Module, shape: Shape) -> Cost:
    """The cost of one image (C, H, W): torch's counter counts the operations, autograd tells what it keeps.

    Kept values that several layers need are counted once. Weights are no activations; nor are the statistics of a
    channel and the positions of a maximum, which are few.
    """
    net = copy.deepcopy(net).to("meta").train()
    images = torch.empty(2, *shape, device="meta")  # two, since batch norm in training refuses a single value
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with FlopCounterMode(display=False) as counter, saved_tensors_hooks(keep, lambda tensor: tensor):
        net(images)
    for parameter in net.parameters():
        kept.pop(parameter.untyped_storage()._cdata, None)
    values = sum(tensor.numel() for tensor in kept.values() if tensor.dim() > 1 and tensor.is_floating_point())
    multiply_adds = counter.get_total_flops() // 2  # each of which the counter takes for two operations
    return Cost(num_parameters(net), multiply_adds // len(images), values // len(images))


def batch_norm_outputs(net: nn.Module, shape: Shape) -> int:
    """Values that all batch norms of a net put out for one image (C, H, W): as many as their convolutions do."""
    net = copy.deepcopy(net).to("meta").eval()
    sizes: list[int] = []
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda _module, _inputs, output: sizes.append(output.numel()))
    net(torch.empty(1, *shape, device="meta"))
    return sum(sizes)


# ---------------------------------------------------------------------------------------------------- receptive fields


def windows(net: nn.Module) -> Iterator[tuple[int, int]]:
    """Kernel and stride of each layer on the longest path through a net, in order: shortcuts see less."""
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d) and "downsample" not in name:
            yield module.kernel_size[0], module.stride[0]
        elif isinstance(module, nn.MaxPool2d):
            yield module.kernel_size, module.stride


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """Side, in pixels of the image, of all that can reach one position behind layers of (kernel, stride).

    Each kernel adds (kernel - 1) steps, and a step is as long as the strides before it multiply to.
    """
    side, step = 1, 1
    for kernel, stride in layers:
        side += (kernel - 1) * step
        step *= stride
    return side


def gradient_map(net: nn.Module, images: Tensor, layer: str = "") -> Tensor:
    """How much each pixel moves the middle position of a layer's maps: mean absolute gradient (H, W).

    Args:
        net: in evaluation mode, so that images do not see each other through batch norm.
        images: float (N, C, H, W).
        layer: a submodule that puts out (N, C, H, W); by default the net itself.
    """
    maps: list[Tensor] = []
    images = images.detach().requires_grad_()
    with net.get_submodule(layer).register_forward_hook(lambda _m, _i, out: maps.append(out)):
        net(images)
    middle = maps[0][:, :, maps[0].shape[2] // 2, maps[0].shape[3] // 2]
    signs = torch.randn(middle.shape, generator=torch.Generator().manual_seed(0))  # else channels might cancel out
    (gradient,) = torch.autograd.grad((middle * signs).sum(), images)
    return gradient.abs().mean(dim=(0, 1))


def extent(gradient: Tensor) -> int:
    """Side of the smallest square with all of a gradient map (H, W) that is not zero: the field as measured."""
    rows, columns = gradient.nonzero().T
    return int(max(rows.max() - rows.min(), columns.max() - columns.min())) + 1 if len(rows) else 0


def side_with(gradient: Tensor, share: float = 0.9) -> int:
    """Side of the smallest square around the map's centre of mass that holds this share of the gradient."""
    total = gradient.sum()
    positions = torch.arange(gradient.shape[0], dtype=gradient.dtype)
    row, column = ((gradient.sum(dim=1 - axis) * positions).sum() / total for axis in (0, 1))
    distance = torch.maximum((positions - row).abs()[:, None], (positions - column).abs()[None, :])
    order = distance.flatten().argsort()
    inside = gradient.flatten()[order].cumsum(0) >= share * total
    return 2 * round(float(distance.flatten()[order][inside][0])) + 1


# -------------------------------------------------------------------------------------------------------------- tables


def compare(layers: Sequence[nn.Conv2d], side: int = 32) -> Table:
    """Convolutions beside each other on images of one size: shape, field in theory and measured, and cost."""
    rows = []
    for layer in layers:
        shape = (layer.in_channels, side, side)
        kernel, stride = layer.kernel_size[0], layer.stride[0]
        images = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
        spent = cost(layer, shape)
        rows.append(
            {
                "kernel": f"{kernel}×{kernel}",
                "stride": stride,
                "filters": layer.out_channels,
                "output": "×".join(map(str, output_shape(layer, shape))),
                "sees, in theory": receptive_field([(kernel, stride)]),
                "sees, measured": extent(gradient_map(layer, images)),
                "parameters": f"{spent.parameters:,}",
                "multiply-adds": f"{spent.multiply_adds:,}",
            }
        )
    return Table(rows)


def costs(nets: dict[str, nn.Module], shape: Shape) -> Table:
    """Nets beside each other: parameters, multiply-adds and activations for one image (C, H, W)."""
    rows = []
    for name, net in nets.items():
        spent = cost(net, shape)
        rows.append(
            {
                "net": name,
                "parameters": f"{spent.parameters:,}",
                "multiply-adds (million)": f"{spent.multiply_adds / 1e6:,.1f}",
                "activations (million)": f"{spent.activations / 1e6:,.2f}",
            }
        )
    return Table(rows)


def by_stage(net: CifarNet | ImageNetNet, shape: Shape) -> Table:
    """What becomes of one image (C, H, W) from stage to stage, and what each stage costs, in the manner of Table 1.

    Returns:
        One row for the stem, each stage, the head and the whole net: output (C×H×W), layers with weights (as the paper
        counts them, without those on shortcuts), parameters, multiply-adds, and the side, in pixels of the image, of
        what one position of the output can see; the average over positions sees all of it.
    """
    parts: dict[str, list[nn.Module]] = {"stem": [net.conv1, net.bn1]}
    if isinstance(net, ImageNetNet):
        parts["stem"].append(net.maxpool)
    parts |= {f"stage {number}": list(stage) for number, stage in enumerate(net.stages, start=1)}
    parts["average, FC"] = [nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), net.fc)]
    path: list[tuple[int, int]] = []
    rows = []
    total: Counter[str] = Counter()
    for name, modules in parts.items():
        spent: Counter[str] = Counter(layers=sum(num_layers(module) for module in modules))
        for module in modules:
            path += windows(module)
            part, shape = _cost_and_output(module, shape)
            spent += Counter(parameters=part.parameters, multiply_adds=part.multiply_adds)
        rows.append(_stage_row(name, shape, spent, str(receptive_field(path)) if len(shape) == 3 else "all"))
        total += spent
    return Table([*rows, _stage_row("whole net", shape, total, "all")])


def _stage_row(name: str, shape: Shape, spent: Counter[str], sees: str) -> dict[str, str]:
    return {
        "stage": name,
        "output": "×".join(map(str, shape)),
        "layers": f"{spent['layers']}",
        "parameters": f"{spent['parameters']:,}",
        "multiply-adds": f"{spent['multiply_adds']:,}",
        "sees": sees,
    }


_known: dict[tuple[str, Shape], tuple[Cost, Shape]] = {}


def _cost_and_output(module: nn.Module, shape: Shape) -> tuple[Cost, Shape]:
    """The cost and the output of a part of a net. Parts that print alike are alike: equal blocks are counted once."""
    key = repr(module), shape
    if key not in _known:
        _known[key] = cost(module, shape), output_shape(module, shape)
    return _known[key]


def num_layers(net: nn.Module) -> int:
    """Layers with weights: convolutions and fully connected ones, but not those on shortcuts."""
    return sum(
        isinstance(module, nn.Conv2d | nn.Linear) and "downsample" not in name for name, module in net.named_modules()
    )


def table1() -> Table:
    """Table 1's cost row, counted: multiply-adds of convolutions and the fully connected layer at 224x224 pixels."""
    printed = paper()["paper"]["table1"]["flops_e9"]
    rows = []
    for depth, billions in printed.items():
        spent = table1_cost(depth)
        rows.append(
            {
                "layers": depth,
                "parameters (million)": f"{spent.parameters / 1e6:.2f}",
                "multiply-adds, counted (billion)": f"{spent.multiply_adds / 1e9:.2f}",
                "multiply-adds, paper (billion)": f"{billions:.1f}",
            }
        )
    return Table(rows)


@cache
def table1_cost(depth: int, shortcut: str | None = None) -> Cost:
    """The cost of a net of Table 1 at 224x224 pixels; option A below 50 layers and B from there on, as in Table 3."""
    with torch.device("meta"):
        net = ImageNetNet(depth, shortcut or ("A" if depth < 50 else "B"))
    return cost(net, (3, 224, 224))


def move_stride(net: ImageNetNet) -> ImageNetNet:
    """A copy of a net of bottlenecks with each stride in the 3x3 layer, where torchvision has it."""
    moved = copy.deepcopy(net)
    for stage in moved.stages:
        blocks.move_stride(stage[0])
    return moved
