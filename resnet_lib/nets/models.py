"""Plain and residual nets of the paper: the CIFAR nets of section 4.2 and the ImageNet nets of Table 1.

One class per family. A plain net is the same net with `shortcut="none"`: same layers, same parameters, no addition.
Names follow torchvision (`BasicBlock`, `Bottleneck`, `layer1`...), so that weights can be copied across. What the
book compares with convolutional nets, a small vision transformer and fully connected nets, is in `others`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHORTCUTS = ("none", "A", "B", "C", "scaled", "gated")
INITS = ("he", "skipinit", "fixup", "dirac", "orthogonal")
DIRAC_NOISE = 0.1  # so much of He's values is added to the identity, as in the nets of 1706.00388


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


def leave_out_batch_norm(net: nn.Module) -> None:
    """Puts the identity in the place of each batch norm, so that layers keep their names.

    The convolution before it, which had no bias because batch norm would have cancelled it, gets one that is zero.
    """
    for module in net.modules():
        for (_, conv), (name, norm) in pairwise(list(module.named_children())):
            if isinstance(norm, nn.BatchNorm2d):
                conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels))
                module.register_module(name, nn.Identity())


def make_head(in_features: int, hidden: Sequence[int], num_classes: int) -> nn.Module:
    """The classifier: one fully connected layer, after hidden ones with ReLU if there are any."""
    if not hidden:
        return nn.Linear(in_features, num_classes)
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(in_features, width), nn.ReLU()]
        in_features = width
    return nn.Sequential(*layers, nn.Linear(in_features, num_classes))


def check_choice(what: str, value: str, choices: Iterable[str]) -> None:
    """Raises ValueError when `value` is none of the choices."""
    if value not in choices:
        raise ValueError(f"{what} is {value!r}; choose one of {', '.join(choices)}")


class CifarNet(nn.Module):
    """The nets of section 4.2: three stages of n blocks with 16, 32 and 64 filters, or those times width / 16.

    Everything after `num_classes` varies what the book varies; the defaults are the paper's.

    Args:
        depth: number of weighted layers: 6n+2 with basic blocks (20, 32, 44, 56, 110, 1202 in the paper), 3n+2 with
            single layers, 9n+2 with bottlenecks.
        shortcut: "none" for a plain net, or option "A" (the paper's choice on CIFAR-10), "B", "C", or "scaled" or
            "gated" of the follow-up paper.
        in_channels: 3 for colour images, 1 for grey.
        num_classes: outputs of the last fully connected layer.
        block: "basic", "single" (one layer) or "bottleneck"; with two layers, as the follow-up paper moved their batch
            norm and ReLU, "pre-activation" (the net then has both once more behind its last block, and its first block
            takes those of the stem) or "norm after addition".
        width: filters of the first stage; the second has twice as many, the third four times.
        placement: which blocks of a stage have the shortcut: "every", "alternate" or only the first ("stage").
        batch_norm: False leaves it out; convolutions then have biases.
        zero_init: start the scale of each block's last batch norm at 0, so that each block starts as its shortcut
            (Goyal et al. 2017, section 5.1).
        head: widths of hidden fully connected layers.
        pool: "average" over all positions, or "flatten" as VGG does.
        image_size: side of the images in pixels; only a flattening head depends on it.
        stride_in: which layer of a block has the stride: "first", "second" (the departure), or "none".
        stem_relu: False leaves out the ReLU after the first convolution (a departure).
        projection_norm: False leaves out batch norm after projections (a departure).
        init: "he" is the paper's start. Two are for residual nets without batch norm, and end each branch with a
            `Scale`: "skipinit" starts it at 0 (De and Smith 2020), "fixup" at 1, with weights that make the branch
            small (Zhang et al. 2019). The last two may rescue a plain net: the layers of all blocks start as the
            identity, with a little noise ("dirac", Zagoruyko and Komodakis 2017), or as a rotation of the channels
            ("orthogonal", Xiao et al. 2018).

    Raises:
        ValueError: the depth does not exist with these blocks, or a choice is unknown or makes no sense.
    """

    def __init__(
        self,
        depth: int,
        shortcut: str,
        in_channels: int = 3,
        num_classes: int = 10,
        *,
        block: str = "basic",
        width: int = 16,
        placement: str = "every",
        batch_norm: bool = True,
        zero_init: bool = False,
        head: Sequence[int] = (),
        pool: str = "average",
        image_size: int = 32,
        stride_in: str = "first",
        stem_relu: bool = True,
        projection_norm: bool = True,
        init: str = "he",
    ) -> None:
        super().__init__()
        check_choice("shortcut", shortcut, SHORTCUTS)
        check_choice("block", block, BLOCKS)
        check_choice("placement", placement, PLACEMENTS)
        check_choice("pool", pool, ("average", "flatten"))
        check_choice("stride_in", stride_in, ("first", "second", "none"))
        check_choice("init", init, INITS)
        if zero_init and not batch_norm:
            raise ValueError("zero_init is about batch norm's scale; it needs batch_norm")
        if block in MOVED and (zero_init or not batch_norm):
            raise ValueError(f"{block} blocks have a batch norm, but none at the end of F(x): leave the defaults")
        kind = BLOCKS[block]
        step = 3 * kind.num_layers
        if depth < step + 2 or (depth - 2) % step:
            first = ", ".join(str(step * n + 2) for n in (1, 2, 3, 4, 5))
            raise ValueError(f"depth is {depth}; a CIFAR net of {block} blocks has {step}n+2 layers: {first}, ...")
        if stride_in == "second" and kind.num_layers == 1:
            raise ValueError("a block of one layer has no second layer to put the stride into")
        scaled = init in ("skipinit", "fixup")
        if scaled and (batch_norm or shortcut == "none" or placement != "every" or kind.num_layers == 1):
            raise ValueError(f"{init} is for blocks of several layers, all with shortcuts, in a net without batch norm")
        n = (depth - 2) // step
        stride = 1 if stride_in == "none" else 2
        self.stem_relu, self.pool, self.init = stem_relu, pool, init
        self.conv1 = conv3x3(in_channels, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = make_stage(kind, width, width, n, 1, shortcut, placement)
        self.layer2 = make_stage(kind, width * kind.expansion, 2 * width, n, stride, shortcut, placement)
        self.layer3 = make_stage(kind, 2 * width * kind.expansion, 4 * width, n, stride, shortcut, placement)
        positions = 1 if pool == "average" else (image_size // stride**2) ** 2
        self.bn_last = nn.BatchNorm2d(4 * width) if block == "pre-activation" else None
        if block == "pre-activation":
            self.layer1[0].bn1 = nn.Identity()  # its input comes from the stem's batch norm and ReLU
        self.fc = make_head(4 * width * kind.expansion * positions, head, num_classes)
        if stride_in == "second":
            for stage in self.stages:
                move_stride(stage[0])
        if not batch_norm:
            leave_out_batch_norm(self)
        for module in self.modules():
            if zero_init and isinstance(module, Block):
                nn.init.zeros_(module.last_norm.weight)
            if not projection_norm and isinstance(module, ProjectionShortcut):
                leave_out_batch_norm(module)
            if scaled and isinstance(module, Block):
                module.end_branch_with(Scale(0.0 if init == "skipinit" else 1.0))

    @property
    def stages(self) -> tuple[nn.Sequential, ...]:
        """The three stages, each a sequence of blocks."""
        return self.layer1, self.layer2, self.layer3

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) -> logits (N, num_classes)."""
        x = self.bn1(self.conv1(images))  # (N, width, H, W)
        x = F.relu(x) if self.stem_relu else x
        x = self.layer1(x)
        x = self.layer2(x)  # H/2
        x = self.layer3(x)  # H/4
        x = x if self.bn_last is None else F.relu(self.bn_last(x))
        return self.fc(x.mean(dim=(2, 3)) if self.pool == "average" else x.flatten(1))


IMAGENET_BLOCKS: dict[int, tuple[type[Block], tuple[int, int, int, int]]] = {
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
        in_channels: 3 for colour images, 1 for grey.

    Raises:
        ValueError: the depth is not in Table 1, or the shortcut is unknown.
    """

    def __init__(self, depth: int, shortcut: str, num_classes: int = 1000, in_channels: int = 3) -> None:
        super().__init__()
        if depth not in IMAGENET_BLOCKS:
            raise ValueError(f"depth is {depth}; Table 1 has {', '.join(map(str, IMAGENET_BLOCKS))}")
        check_choice("shortcut", shortcut, SHORTCUTS)
        block, (n1, n2, n3, n4) = IMAGENET_BLOCKS[depth]
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = make_stage(block, 64, 64, n1, 1, shortcut)
        self.layer2 = make_stage(block, 64 * block.expansion, 128, n2, 2, shortcut)
        self.layer3 = make_stage(block, 128 * block.expansion, 256, n3, 2, shortcut)
        self.layer4 = make_stage(block, 256 * block.expansion, 512, n4, 2, shortcut)
        self.fc = nn.Linear(512 * block.expansion, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), 224 x 224 in the paper -> logits (N, num_classes)."""
        x = F.relu(self.bn1(self.conv1(images)))  # (N, 64, H/2, W/2)
        x = self.maxpool(x)  # (N, 64, H/4, W/4)
        x = self.layer1(x)
        x = self.layer2(x)  # H/8
        x = self.layer3(x)  # H/16
        x = self.layer4(x)  # H/32
        return self.fc(x.mean(dim=(2, 3)))

    @property
    def stages(self) -> tuple[nn.Sequential, ...]:
        """The four stages, each a sequence of blocks."""
        return self.layer1, self.layer2, self.layer3, self.layer4


def initialize(net: nn.Module, seed: int) -> None:
    """He initialisation (the paper's reference 13, forward form), drawn for each weight from `seed` and its name.

    Convolution and fully connected weights are normal with deviation sqrt(2 / fan_in); biases are zero; batch norm
    starts at scale 1, shift 0. Because each weight has a random stream of its own, nets that are compared start from
    the same values wherever name and shape agree: a plain net and its residual twin are identical, and a deeper net
    begins with the weights of the shallower one. Differences between them are then paired.

    A `CifarNet` may have another `init`, which is made from these values.
    """
    for name, parameter in net.named_parameters():
        if parameter.dim() < 2:
            continue  # scales and shifts of normalisation keep their 1 and 0; biases follow below
        stream = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:7], "big")
        generator = torch.Generator().manual_seed(stream)
        fan_in = parameter[0].numel()
        values = torch.randn(parameter.shape, generator=generator) * (2 / fan_in) ** 0.5
        with torch.no_grad():
            parameter.copy_(values)
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(net, CifarNet):
        _restart(net)


@torch.no_grad()
def _restart(net: CifarNet) -> None:
    """Makes of He's values what the net's `init` says."""
    blocks = [block for stage in net.stages for block in stage]
    if net.init == "fixup":  # its rules 1 and 2; where its rule 3 has single numbers, convolutions have biases
        for block in blocks:
            *others, (last, _) = block.layers
            for conv, _ in others:
                conv.weight *= len(blocks) ** (-1 / (2 * block.num_layers - 2))
            nn.init.zeros_(last.weight)
        nn.init.zeros_((net.fc[-1] if isinstance(net.fc, nn.Sequential) else net.fc).weight)
    if net.init in ("dirac", "orthogonal"):
        for conv in (conv for block in blocks for conv, _ in block.layers):
            he, middle = conv.weight.clone(), conv.kernel_size[0] // 2
            if net.init == "dirac":
                nn.init.dirac_(conv.weight).add_(DIRAC_NOISE * he)
            else:
                nn.init.zeros_(conv.weight)
                conv.weight[:, :, middle, middle] = rotation(he[:, :, middle, middle])


def rotation(matrix: Tensor) -> Tensor:
    """(M, N) -> the nearest matrix of that shape that keeps lengths: its columns are orthonormal, or else its rows."""
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    return left @ right


def num_parameters(net: nn.Module) -> int:
    """Number of trained values: weights, biases, batch-norm scales and shifts (not the running statistics)."""
    return sum(parameter.numel() for parameter in net.parameters())
