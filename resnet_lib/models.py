"""Plain and residual nets of the paper: the CIFAR nets of section 4.2 and the ImageNet nets of Table 1.

One class per family. A plain net is the same net with `shortcut="none"`: same layers, same parameters, no addition.
Names follow torchvision (`BasicBlock`, `Bottleneck`, `layer1`...), so that weights can be copied across.
"""

import hashlib

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHORTCUTS = ("none", "A", "B", "C")


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


def make_shortcut(option: str, in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    """The shortcut of one block, or None for a plain net.

    Inside a stage A and B are the identity; where the shape changes A pads and B projects. C projects in every block.
    """
    same_shape = stride == 1 and in_channels == out_channels
    if option == "none":
        return None
    if option == "C" or (option == "B" and not same_shape):
        return ProjectionShortcut(in_channels, out_channels, stride)
    if same_shape:
        return nn.Identity()
    return ZeroPadShortcut(in_channels, out_channels, stride)


class BasicBlock(nn.Module):
    """Two 3x3 layers and a shortcut: relu(F(x) + x) (Figure 2, Figure 5 left). Without shortcut: relu(F(x))."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = make_shortcut(shortcut, in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C, H/stride, W/stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            out = out + self.downsample(x)
        return F.relu(out)


class Bottleneck(nn.Module):
    """1x1 that narrows, 3x3, 1x1 that widens by four, and a shortcut (Figure 5 right).

    The stride sits in the first 1x1, as the paper's operation counts require; torchvision puts it in the 3x3.
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int, shortcut: str) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = conv1x1(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = conv1x1(channels, out_channels)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = make_shortcut(shortcut, in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, 4 * channels, H/stride, W/stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            out = out + self.downsample(x)
        return F.relu(out)


def _stage(
    block: type[BasicBlock | Bottleneck],
    in_channels: int,
    channels: int,
    num_blocks: int,
    stride: int,
    shortcut: str,
) -> nn.Sequential:
    """`num_blocks` blocks at one resolution; the first one carries the stride and the change of channels."""
    blocks = [block(in_channels, channels, stride, shortcut)]
    out_channels = channels * block.expansion
    blocks += [block(out_channels, channels, 1, shortcut) for _ in range(num_blocks - 1)]
    return nn.Sequential(*blocks)


def _check_shortcut(shortcut: str) -> None:
    if shortcut not in SHORTCUTS:
        raise ValueError(f"shortcut is {shortcut!r}; choose one of {', '.join(SHORTCUTS)}")


class CifarNet(nn.Module):
    """The nets of section 4.2: depth 6n+2, three stages of n blocks with 16, 32 and 64 filters.

    Args:
        depth: number of weighted layers, 6n+2: 20, 32, 44, 56, 110, 1202 in the paper.
        shortcut: "none" for a plain net, or option "A" (the paper's choice on CIFAR-10), "B", "C".
        in_channels: 3 for colour images, 1 for grey.
        num_classes: outputs of the fully connected layer.

    Raises:
        ValueError: the depth is not 6n+2 with n >= 1, or the shortcut is unknown.
    """

    def __init__(self, depth: int, shortcut: str, in_channels: int = 3, num_classes: int = 10) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"depth is {depth}; a CIFAR net has 6n+2 layers: 8, 14, 20, 26, 32, ...")
        _check_shortcut(shortcut)
        n = (depth - 2) // 6
        self.conv1 = conv3x3(in_channels, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(BasicBlock, 16, 16, n, 1, shortcut)
        self.layer2 = _stage(BasicBlock, 16, 32, n, 2, shortcut)
        self.layer3 = _stage(BasicBlock, 32, 64, n, 2, shortcut)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) -> logits (N, num_classes)."""
        x = F.relu(self.bn1(self.conv1(images)))  # (N, 16, H, W)
        x = self.layer1(x)
        x = self.layer2(x)  # (N, 32, H/2, W/2)
        x = self.layer3(x)  # (N, 64, H/4, W/4)
        return self.fc(x.mean(dim=(2, 3)))  # global average pooling


IMAGENET_BLOCKS: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ImageNetNet(nn.Module):
    """The nets of Table 1: a 7x7 stem, then four stages with 64, 128, 256 and 512 filters.

    Args:
        depth: 18, 34 (basic blocks), 50, 101 or 152 (bottlenecks).
        shortcut: "none" for a plain net, or option "A", "B" (the paper's choice from 50 layers on), "C".
        num_classes: outputs of the fully connected layer.

    Raises:
        ValueError: the depth is not in Table 1, or the shortcut is unknown.
    """

    def __init__(self, depth: int, shortcut: str, num_classes: int = 1000) -> None:
        super().__init__()
        if depth not in IMAGENET_BLOCKS:
            raise ValueError(f"depth is {depth}; Table 1 has {', '.join(map(str, IMAGENET_BLOCKS))}")
        _check_shortcut(shortcut)
        block, (n1, n2, n3, n4) = IMAGENET_BLOCKS[depth]
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _stage(block, 64, 64, n1, 1, shortcut)
        self.layer2 = _stage(block, 64 * block.expansion, 128, n2, 2, shortcut)
        self.layer3 = _stage(block, 128 * block.expansion, 256, n3, 2, shortcut)
        self.layer4 = _stage(block, 256 * block.expansion, 512, n4, 2, shortcut)
        self.fc = nn.Linear(512 * block.expansion, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), 224 x 224 in the paper -> logits (N, num_classes)."""
        x = F.relu(self.bn1(self.conv1(images)))  # (N, 64, H/2, W/2)
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # (N, 64, H/4, W/4)
        x = self.layer1(x)
        x = self.layer2(x)  # H/8
        x = self.layer3(x)  # H/16
        x = self.layer4(x)  # H/32
        return self.fc(x.mean(dim=(2, 3)))


def initialize(net: nn.Module, seed: int) -> None:
    """He initialisation (the paper's reference 13, forward form), drawn for each weight from `seed` and its name.

    Convolution and fully connected weights are normal with deviation sqrt(2 / fan_in); biases are zero; batch norm
    starts at scale 1, shift 0. Because each weight has a random stream of its own, nets that are compared start from
    the same values wherever name and shape agree: a plain net and its residual twin are identical, and a deeper net
    begins with the weights of the shallower one. Differences between them are then paired.
    """
    for name, parameter in net.named_parameters():
        if parameter.dim() < 2:
            continue  # batch-norm scales and shifts and biases: torch's own 1 and 0, except the bias of fc, below
        stream = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:7], "big")
        generator = torch.Generator().manual_seed(stream)
        fan_in = parameter[0].numel()
        values = torch.randn(parameter.shape, generator=generator) * (2 / fan_in) ** 0.5
        with torch.no_grad():
            parameter.copy_(values)
    for module in net.modules():
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def num_parameters(net: nn.Module) -> int:
    """Number of trained values: weights, biases, batch-norm scales and shifts (not the running statistics)."""
    return sum(parameter.numel() for parameter in net.parameters())
