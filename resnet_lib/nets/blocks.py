"""What nets are stacked from: the paper's shortcuts and blocks, and those of later papers that chapters compare.

Names follow torchvision (`BasicBlock`, `Bottleneck`, `downsample`...), so that weights can be copied across.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHORTCUTS = ("none", "A", "B", "C", "scaled", "gated")


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """3x3 convolution that keeps the resolution (at stride 1). No bias: batch norm follows and would cancel it."""
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """1x1 convolution: mixes channels at each position, and subsamples when `stride` is 2."""
    return nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)


class ZeroPadShortcut(nn.Module):
    """Option A (section 3.3): subsample, then fill the new channels with zeros. It has no parameters."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = out_channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C_out, H/stride, W/stride)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


class ProjectionShortcut(nn.Sequential):
    """Options B and C (equation 2): a 1x1 convolution with batch norm that matches channels and resolution."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__(conv1x1(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels))


class ScaledShortcut(nn.Module):
    """0.5 x, from the follow-up paper (1603.05027, section 3.1): after n blocks 2^-n is left of the input."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return 0.5 * x


class GatedShortcut(nn.Module):
    """(1 - g(x)) x with a 1x1 gate g = sigmoid(conv(x) + bias): shortcut-only gating (1603.05027, section 3.1).

    The bias starts at -6, the follow-up paper's best: the gate lets nearly all of x pass at first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = conv1x1(channels, channels)
        self.gate_bias = nn.Parameter(torch.full((channels,), -6.0))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x * torch.sigmoid(-(self.gate(x) + self.gate_bias[:, None, None]))


class Scale(nn.Module):
    """x times one trained number, which normalises nothing: at the end of a branch it says how much the branch adds."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(start))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return self.scale * x


def make_shortcut(option: str, in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    """The shortcut of one block, or None for a plain net.

    Inside a stage A and B are the identity; where the shape changes A pads and B projects. C projects in every block.
    "scaled" and "gated" weaken the identities of A; where the shape changes they pad, as A does.
    """
    same_shape = stride == 1 and in_channels == out_channels
    if option == "none":
        return None
    if option == "C" or (option == "B" and not same_shape):
        return ProjectionShortcut(in_channels, out_channels, stride)
    if not same_shape:
        return ZeroPadShortcut(in_channels, out_channels, stride)
    if option == "scaled":
        return ScaledShortcut()
    return GatedShortcut(in_channels) if option == "gated" else nn.Identity()


class Block(nn.Module):
    """What every block has: layers conv1, bn1, conv2, ... that compute F(x), and a shortcut around them, or none.

    Each kind is made from (in_channels, channels, stride, shortcut): the channels of the input and of the layers, the
    stride of the first layer, and the module whose output is added to F(x), or None in a plain net.
    """

    num_layers: int
    expansion = 1  # channels of the output over those of the first layer
    downsample: nn.Module | None  # torchvision's name for the shortcut

    @property
    def layers(self) -> list[tuple[nn.Conv2d, nn.Module]]:
        """The convolutions in order, each with its batch norm, or the identity in a net without batch norm."""
        return [(getattr(self, f"conv{n}"), getattr(self, f"bn{n}")) for n in range(1, self.num_layers + 1)]

    @property
    def last_norm(self) -> nn.Module:
        """What ends F(x): the batch norm after the last convolution, or what a net without one has there."""
        return self.layers[-1][1]

    def end_branch_with(self, module: nn.Module) -> None:
        """Puts something else in the place of `last_norm`."""
        setattr(self, f"bn{self.num_layers}", module)


class BasicBlock(Block):
    """Two 3x3 layers and a shortcut: relu(F(x) + x) (Figure 2, Figure 5 left). Without shortcut: relu(F(x))."""

    num_layers = 2

    def __init__(self, in_channels: int, channels: int, stride: int = 1, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C, H/stride, W/stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            out = out + self.downsample(x)
        return F.relu(out)


class SingleLayerBlock(Block):
    """One 3x3 layer and a shortcut: relu(F(x) + x) with a linear F, where section 3.2 observed no advantage."""

    num_layers = 1

    def __init__(self, in_channels: int, channels: int, stride: int = 1, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C, H/stride, W/stride)."""
        out = self.bn1(self.conv1(x))
        if self.downsample is not None:
            out = out + self.downsample(x)
        return F.relu(out)


class Bottleneck(Block):
    """1x1 that narrows, 3x3, 1x1 that widens by four, and a shortcut (Figure 5 right).

    The stride sits in the first 1x1, as the paper's operation counts require; torchvision puts it in the 3x3, and so
    does `move_stride`.
    """

    num_layers = 3
    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = conv1x1(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = conv1x1(channels, out_channels)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, 4 * channels, H/stride, W/stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            out = out + self.downsample(x)
        return F.relu(out)


class PreActivationBlock(Block):
    """Two 3x3 layers with batch norm and ReLU before each: x + F(x), and nothing after (1603.05027, Figure 4 e).

    What follows a convolution is then the next one's batch norm, and at the end of F(x) there is none.
    """

    num_layers = 2

    def __init__(self, in_channels: int, channels: int, stride: int = 1, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)
        self.end = nn.Identity()
        self.downsample = shortcut

    @property
    def layers(self) -> list[tuple[nn.Conv2d, nn.Module]]:
        """The convolutions in order, each with what follows it."""
        return [(self.conv1, self.bn2), (self.conv2, self.end)]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C, H/stride, W/stride)."""
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.end(self.conv2(F.relu(self.bn2(out))))
        return out if self.downsample is None else out + self.downsample(x)


class NormAfterAdditionBlock(Block):
    """Two 3x3 layers, the last batch norm after the addition: relu(bn(F(x) + x)) (1603.05027, Figure 4 b)."""

    num_layers = 2

    def __init__(self, in_channels: int, channels: int, stride: int = 1, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)
        self.end = nn.Identity()
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = shortcut

    @property
    def layers(self) -> list[tuple[nn.Conv2d, nn.Module]]:
        """The convolutions in order, each with what follows it before the addition."""
        return [(self.conv1, self.bn1), (self.conv2, self.end)]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C, H/stride, W/stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.end(self.conv2(out))
        if self.downsample is not None:
            out = out + self.downsample(x)
        return F.relu(self.bn2(out))


BLOCKS: dict[str, type[Block]] = {
    "basic": BasicBlock,
    "single": SingleLayerBlock,
    "bottleneck": Bottleneck,
    "pre-activation": PreActivationBlock,
    "norm after addition": NormAfterAdditionBlock,
}
MOVED = ("pre-activation", "norm after addition")  # their batch norm is not where the paper has it
PLACEMENTS = {"every": 1, "alternate": 2, "stage": 10**9}  # a shortcut in the first of so many blocks of a stage


def make_stage(
    block: type[Block],
    in_channels: int,
    channels: int,
    num_blocks: int,
    stride: int,
    shortcut: str,
    placement: str = "every",
) -> nn.Sequential:
    """`num_blocks` blocks at one resolution; the first one carries the stride and the change of channels."""
    out_channels = channels * block.expansion
    blocks = []
    for index in range(num_blocks):
        option = shortcut if index % PLACEMENTS[placement] == 0 else "none"
        blocks.append(block(in_channels, channels, stride, make_shortcut(option, in_channels, out_channels, stride)))
        in_channels, stride = out_channels, 1
    return nn.Sequential(*blocks)


def move_stride(block: Block) -> None:
    """Exchanges the strides of a block's first two layers, so that the second one has it."""
    (first, _), (second, _), *_ = block.layers
    first.stride, second.stride = second.stride, first.stride
