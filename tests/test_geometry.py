"""Shapes, fields and costs agree with torch's results and with counting by hand; every fact holds and could fail."""

import pytest
import torch
from torch import nn

from resnet_lib.evidence import facts, ledger
from resnet_lib.evidence.claims import TO_COVER
from resnet_lib.evidence.facts import FACTS
from resnet_lib.nets import blocks, geometry, models
from resnet_lib.nets.geometry import Cost, cost, extent, gradient_map, output_shape, receptive_field, side_with, windows
from resnet_lib.runs.paper import paper_table
from resnet_lib.runs.settings import plain
from resnet_lib.runs.store import Records
from resnet_lib.show import figures


def test_cost_of_one_convolution_is_counted_as_by_hand() -> None:
    layer = nn.Conv2d(3, 16, 5, stride=2, padding=2)
    assert cost(layer, (3, 32, 32)) == Cost(3 * 16 * 25 + 16, 16 * 16 * 16 * 3 * 25, 3 * 32 * 32)  # keeps its input


def test_cost_of_a_net_is_that_of_its_layers() -> None:
    net = models.CifarNet(8, "A")
    by_hand = 32 * 32 * 9 * (3 * 16 + 2 * 16 * 16) + 16 * 16 * 9 * (16 * 32 + 32 * 32) + 8 * 8 * 9 * (32 * 64 + 64 * 64)
    assert cost(net, (3, 32, 32)).multiply_adds == by_hand + 64 * 10
    assert cost(net, (3, 32, 32)).parameters == models.num_parameters(net)
    maps = 3 * 16 * 32 * 32 + 2 * 32 * 16 * 16 + 2 * 64 * 8 * 8
    # Each map once for batch norm and once after the ReLU; the image, and the features that the last layer takes.
    assert cost(net, (3, 32, 32)).activations == 2 * maps + 3 * 32 * 32 + 64


def test_a_projection_keeps_one_more_map_for_its_batch_norm_and_a_sum_keeps_nothing() -> None:
    costs = {option: geometry.table1_cost(50, option) for option in ("B", "C")}
    twelve = 2 * 256 * 56**2 + 3 * 512 * 28**2 + 5 * 1024 * 14**2 + 2 * 2048 * 7**2  # the blocks that keep the shape
    assert costs["C"].activations - costs["B"].activations == twelve
    weights = 2 * (256**2 + 2 * 256) + 3 * (512**2 + 2 * 512) + 5 * (1024**2 + 2 * 1024) + 2 * (2048**2 + 2 * 2048)
    assert costs["C"].parameters - costs["B"].parameters == weights


def test_what_is_kept_is_what_autograd_keeps_of_real_images() -> None:
    net, images = models.CifarNet(11, "B", in_channels=1, block="bottleneck"), torch.randn(4, 1, 16, 16)
    kept: dict[int, torch.Tensor] = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.setdefault(t.data_ptr(), t), lambda t: t):
        net(images)
    weights = {parameter.data_ptr() for parameter in net.parameters()}
    values = sum(tensor.numel() for place, tensor in kept.items() if place not in weights and tensor.dim() > 1)
    assert cost(net, (1, 16, 16)).activations == values / 4


def test_measuring_leaves_the_net_as_it_was() -> None:
    net = models.CifarNet(8, "B").train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    cost(net, (3, 32, 32))
    output_shape(net, (3, 32, 32))
    assert net.training
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in before.items())


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_output_shapes_are_torchs(kernel: int, stride: int) -> None:
    layer = nn.Conv2d(3, 7, kernel, stride, kernel // 2)
    assert output_shape(layer, (3, 32, 32)) == layer(torch.zeros(1, 3, 32, 32)).shape[1:]


@pytest.mark.parametrize(
    ("layers", "side"),
    [([], 1), ([(3, 1)], 3), ([(3, 1)] * 3, 7), ([(3, 2), (3, 1)], 7), ([(7, 2), (3, 2), (3, 1)], 19), ([(1, 2)], 1)],
)
def test_receptive_fields_are_those_of_the_textbook_and_of_the_gradient(
    layers: list[tuple[int, int]], side: int
) -> None:
    assert receptive_field(layers) == side
    stack = nn.Sequential(nn.Identity(), *(nn.Conv2d(1, 1, kernel, stride, kernel // 2) for kernel, stride in layers))
    assert extent(gradient_map(stack, torch.randn(1, 1, 41, 41))) == side


def test_a_residual_net_sees_as_far_as_its_longest_path() -> None:
    net = models.CifarNet(8, "C").eval()
    models.initialize(net, seed=0)
    side = receptive_field(list(windows(net)))
    assert side == 1 + 2 + 4 + (2 + 4) + (4 + 8)
    assert extent(gradient_map(net, torch.randn(8, 3, 49, 49), "layer3")) == side


def test_the_pooling_of_the_imagenet_nets_counts() -> None:
    with torch.device("meta"):
        layers = list(windows(models.ImageNetNet(18, "B")))
    assert layers[:3] == [(7, 2), (3, 2), (3, 1)]
    assert len(layers) == 18  # 17 convolutions and the pooling


def test_the_side_that_holds_a_share_is_that_of_a_constructed_map() -> None:
    gradient = torch.zeros(21, 21)
    gradient[10, 10] = 91.0
    gradient[5, 10] = gradient[15, 10] = 4.5
    assert (extent(gradient), side_with(gradient), side_with(gradient, 0.95)) == (11, 1, 11)
    assert extent(torch.zeros(3, 3)) == 0


def test_shares_are_drawn_as_they_are() -> None:
    figure = figures.gradient_shares({plain(8): torch.ones(9, 9).numpy()}, reach=9)
    line = figure.axes[0].lines[0]
    assert list(line.get_xdata()) == [1, 5, 9]
    assert list(line.get_ydata()) == pytest.approx([100 / 81, 2500 / 81, 100])


def test_the_stride_is_moved_in_a_copy() -> None:
    with torch.device("meta"):
        net = models.ImageNetNet(50, "B")
    moved = geometry.move_stride(net)
    assert (net.layer2[0].conv1.stride, net.layer2[0].conv2.stride) == ((2, 2), (1, 1))
    assert (moved.layer2[0].conv1.stride, moved.layer2[0].conv2.stride) == ((1, 1), (2, 2))
    assert moved.layer1[0].conv2.stride == (1, 1)
    assert cost(moved, (3, 224, 224)).multiply_adds == pytest.approx(4.089e9, rel=1e-3)  # torchvision's


# Facts.


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_holds(name: str) -> None:
    fact = FACTS[name]
    holds, evidence = fact.check()
    assert holds, evidence
    assert evidence.endswith(".")
    assert set(fact.covers) <= {*TO_COVER, "paper Table 1"}
    assert f"*{fact.word(holds)}*: {evidence}" in ledger.findings([name], Records())


def test_identity_would_not_be_free_if_it_were_a_projection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "ZeroPadShortcut", blocks.ProjectionShortcut)
    assert not FACTS["identity-is-free"].check()[0]


def test_table_1_would_not_agree_with_the_stride_in_the_3x3(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(depth: int, shortcut: str | None = None) -> Cost:
        with torch.device("meta"):
            net = models.ImageNetNet(depth, "A" if depth < 50 else "B")
        return cost(geometry.move_stride(net) if depth >= 50 else net, (3, 224, 224))

    monkeypatch.setattr(geometry, "table1_cost", late)
    assert not FACTS["table1-costs"].check()[0]


def test_there_would_be_one_resnet_50_if_the_stride_stayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "move_stride", lambda net: net)
    assert not FACTS["two-resnet50s"].check()[0]


def test_testing_would_not_outweigh_depth_if_scales_gained_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "paper_table", lambda _number: paper_table(3))
    assert not FACTS["testing-outweighs-depth"].check()[0]


def test_choices_would_not_be_independent_if_the_kernel_moved_the_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "output_shape", lambda layer, _shape: (layer.out_channels, 32, 32))
    assert not FACTS["independent-choices"].check()[0]


def test_projections_would_not_double_a_block_that_had_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "make_shortcut", lambda _option, *shapes: blocks.ProjectionShortcut(*shapes))
    assert not FACTS["projections-double"].check()[0]
