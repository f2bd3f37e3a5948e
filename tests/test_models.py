"""The nets have the paper's size, torchvision's outputs and the same weights wherever they are compared."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from resnet_lib.data.torchvision_compat import torchvision
from resnet_lib.nets.blocks import BLOCKS, MOVED, SHORTCUTS, BasicBlock, Block, ZeroPadShortcut
from resnet_lib.nets.models import CifarNet, ImageNetNet, initialize, num_parameters
from resnet_lib.runs.paper import paper

DERIVED = paper()["derived"]
TORCHVISION = paper()["torchvision_S9_V1"]


def on_meta(family: type[nn.Module], depth: int, shortcut: str) -> nn.Module:
    with torch.device("meta"):
        return family(depth, shortcut)


@pytest.mark.parametrize("shortcut", ["none", "A"])
@pytest.mark.parametrize(("depth", "count"), DERIVED["cifar_params_A"].items())
def test_cifar_nets_have_the_papers_size(depth: int, count: int, shortcut: str) -> None:
    assert num_parameters(on_meta(CifarNet, depth, shortcut)) == count


def test_projections_add_their_weights_and_batch_norms() -> None:
    a, b, c = (num_parameters(on_meta(CifarNet, 20, shortcut)) for shortcut in "ABC")
    changing = (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)  # the first blocks of layer2 and layer3
    keeping = 3 * (16 * 16 + 2 * 16) + 2 * (32 * 32 + 2 * 32) + 2 * (64 * 64 + 2 * 64)
    assert b - a == changing
    assert c - a == changing + keeping


@pytest.mark.parametrize(("depth", "count"), DERIVED["imagenet_params_A"].items())
def test_imagenet_nets_with_option_a_have_the_size_that_table_1_gives(depth: int, count: int) -> None:
    assert num_parameters(on_meta(ImageNetNet, depth, "A")) == count
    assert num_parameters(on_meta(ImageNetNet, depth, "none")) == count


def test_resnet_34_with_option_c_has_thirteen_projections_more_than_with_b() -> None:
    net = on_meta(ImageNetNet, 34, "C")
    assert num_parameters(net) == DERIVED["resnet34_C_params"]
    assert sum(name.endswith("downsample.0") for name, _ in net.named_modules()) == 3 + 13


@pytest.mark.parametrize("depth", TORCHVISION)
def test_imagenet_nets_with_option_b_have_torchvisions_size(depth: int) -> None:
    assert num_parameters(on_meta(ImageNetNet, depth, "B")) == TORCHVISION[depth][2]


@pytest.mark.parametrize(("name", "billions"), DERIVED["gflops_stride_in_first_1x1"].items())
def test_multiply_adds_are_those_of_the_papers_stride_placement(name: str | int, billions: float) -> None:
    depth, shortcut = (int(name[:2]), name[2]) if isinstance(name, str) else (name, "B")
    net = on_meta(ImageNetNet, depth, shortcut)
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(1, 3, 224, 224, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(billions, abs=0.001)


def like_torchvision(depth: int, stride_first: bool) -> tuple[ImageNetNet, nn.Module]:
    """Our net with the weights and statistics of torchvision's, both in evaluation mode."""
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, f"resnet{depth}")()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):  # else every statistic is 0 or 1, and a mistake in them would not show
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
        if stride_first and isinstance(module, torchvision.models.resnet.Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride
    ours = ImageNetNet(depth, "B")
    ours.load_state_dict(theirs.state_dict())
    return ours.eval(), theirs.eval()


@pytest.mark.parametrize(("depth", "stride_first"), [(18, False), (34, False), (50, True)])
@torch.no_grad()
def test_outputs_with_copied_weights_are_torchvisions(depth: int, stride_first: bool) -> None:
    ours, theirs = like_torchvision(depth, stride_first)
    images = torch.randn(2, 3, 96, 96)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_bottlenecks_differ_from_torchvisions_as_long_as_its_stride_is_in_the_3x3() -> None:
    ours, theirs = like_torchvision(50, stride_first=False)
    images = torch.randn(2, 3, 96, 96)
    assert not torch.allclose(ours(images), theirs(images), rtol=0.01, atol=0.01)


WALKED = [
    *((CifarNet, depth, shortcut) for depth in (8, 20) for shortcut in SHORTCUTS),
    *((ImageNetNet, depth, shortcut) for depth in (18, 50) for shortcut in SHORTCUTS),
    (ImageNetNet, 34, "A"),
    (ImageNetNet, 101, "B"),
    (ImageNetNet, 152, "B"),
]


@pytest.mark.parametrize(("family", "depth", "shortcut"), WALKED)
def test_every_net_gives_logits_and_a_gradient_for_every_parameter(
    family: type[nn.Module], depth: int, shortcut: str
) -> None:
    net = family(depth, shortcut, num_classes=7)
    initialize(net, seed=0)
    logits = net(torch.randn(4, 3, 32, 32))
    assert logits.shape == (4, 7)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3])).backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


@pytest.mark.parametrize(
    ("family", "size", "expected"),
    [
        (CifarNet, 32, {"layer1": (16, 32), "layer2": (32, 16), "layer3": (64, 8)}),
        (ImageNetNet, 224, {"conv1": (64, 112), "layer1": (64, 56), "layer2": (128, 28), "layer3": (256, 14)}),
    ],
)
def test_stages_have_the_papers_filters_and_resolutions(
    family: type[nn.Module], size: int, expected: dict[str, tuple[int, int]]
) -> None:
    net = on_meta(family, 20 if family is CifarNet else 34, "A")
    shapes = {}
    for name in expected:
        module = net.get_submodule(name)
        module.register_forward_hook(lambda _m, _i, out, name=name: shapes.update({name: (out.shape[1], out.shape[2])}))
    net(torch.empty(1, 3, size, size, device="meta"))
    assert shapes == expected


def test_grey_images_and_other_numbers_of_classes_fit() -> None:
    assert CifarNet(8, "A", in_channels=1, num_classes=100)(torch.randn(2, 1, 16, 16)).shape == (2, 100)


def test_option_a_subsamples_and_fills_the_new_channels_with_zeros() -> None:
    x = torch.randn(2, 16, 8, 8)
    out = ZeroPadShortcut(16, 32, 2)(x)
    assert out.shape == (2, 32, 4, 4)
    assert torch.equal(out[:, :16], x[:, :, ::2, ::2])
    assert not out[:, 16:].any()


@pytest.mark.parametrize("block", [block for name, block in BLOCKS.items() if name not in MOVED])
def test_a_residual_block_adds_its_input_before_the_last_relu(block: type[Block]) -> None:
    channels = 4 * block.expansion
    plain, residual = block(channels, 4).eval(), block(channels, 4, shortcut=nn.Identity()).eval()
    for net in (plain, residual):
        nn.init.zeros_(net.last_norm.weight)  # F(x) = 0
    x = torch.randn(2, channels, 5, 5)
    assert torch.equal(residual(x), x.relu())
    assert not plain(x).any()


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@torch.no_grad()
def test_channels_last_images_stay_so_through_every_block(shortcut: str) -> None:
    net = CifarNet(8, shortcut).to(memory_format=torch.channels_last)
    kept = []
    for module in net.modules():
        if isinstance(module, BasicBlock):
            module.register_forward_hook(
                lambda _m, _i, out: kept.append(out.is_contiguous(memory_format=torch.channels_last))
            )
    net(torch.randn(2, 3, 16, 16).contiguous(memory_format=torch.channels_last))
    assert kept == [True, True, True]


def initialized(depth: int, shortcut: str, seed: int = 0) -> dict[str, torch.Tensor]:
    net = CifarNet(depth, shortcut)
    initialize(net, seed)
    return net.state_dict()


def test_plain_net_and_residual_twin_start_from_identical_weights() -> None:
    plain, residual = initialized(20, "none"), initialized(20, "A")
    assert plain.keys() == residual.keys()
    assert all(torch.equal(plain[name], residual[name]) for name in plain)


def test_deeper_net_starts_with_the_weights_of_the_shallower() -> None:
    shallow, deep = initialized(8, "A"), initialized(14, "C")
    assert shallow.keys() < deep.keys()
    assert all(torch.equal(shallow[name], deep[name]) for name in shallow)


def test_layers_and_seeds_start_from_different_weights() -> None:
    one, other = initialized(14, "A", seed=0), initialized(14, "A", seed=1)
    assert not torch.equal(one["layer1.0.conv2.weight"], one["layer1.1.conv2.weight"])
    assert not torch.equal(one["layer1.0.conv2.weight"], other["layer1.0.conv2.weight"])


def test_initial_weights_have_he_deviation_and_biases_are_zero() -> None:
    net = CifarNet(14, "B")
    initialize(net, seed=0)
    fan_in = {"conv1": 27, "layer2.0.conv1": 9 * 16, "layer3.0.conv1": 9 * 32, "layer3.0.downsample.0": 32, "fc": 64}
    for name, inputs in fan_in.items():
        weight = net.get_submodule(name).weight
        tolerance = 4 / (2 * weight.numel()) ** 0.5  # four standard errors
        assert weight.std().item() == pytest.approx((2 / inputs) ** 0.5, rel=tolerance), name
    assert not net.fc.bias.any()
    assert net.bn1.weight.eq(1).all()
    assert not net.bn1.bias.any()


@pytest.mark.parametrize("depth", [2, 7, 10, 21, -4])
def test_a_cifar_depth_other_than_6n_plus_2_is_refused_with_the_right_ones(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"depth is {depth}; .* 8, 14, 20"):
        CifarNet(depth, "A")


def test_an_imagenet_depth_that_table_1_lacks_is_refused_with_the_right_ones() -> None:
    with pytest.raises(ValueError, match="depth is 20; Table 1 has 18, 34, 50, 101, 152"):
        ImageNetNet(20, "A")


@pytest.mark.parametrize("family", [CifarNet, ImageNetNet])
def test_an_unknown_shortcut_is_refused_with_the_right_ones(family: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match="shortcut is 'D'; choose one of none, A, B, C"):
        family(20 if family is CifarNet else 18, "D")
