"""Plain and residual nets of the paper: the CIFAR nets of section 4.2 and the ImageNet nets of Table 1.

One class per family. A plain net is the same net with `shortcut="none"`: same layers, same parameters, no addition.
Names follow torchvision (`layer1`, `fc`...), so that weights can be copied across. What nets are stacked from is in
`blocks`; what the book compares with convolutional nets, a small vision transformer and fully connected nets, in
`others`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lib.nets.blocks import (
    BLOCKS,
    MOVED,
    PLACEMENTS,
    SHORTCUTS,
    BasicBlock,
    Block,
    Bottleneck,
    ProjectionShortcut,
    Scale,
    conv3x3,
    make_stage,
    move_stride,
)

INITS = ("he", "skipinit", "fixup", "dirac", "orthogonal")
DIRAC_NOISE = 0.1  # so much of He's values is added to the identity, as in the nets of 1706.00388


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
