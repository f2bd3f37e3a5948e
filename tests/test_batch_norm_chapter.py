"""What chapter 2 measures per layer is what torch says, and its tables and figures show it unchanged."""

from math import inf, sqrt

import pytest
import torch
from matplotlib.colors import same_color
from samples import made_up_record, tiny_config, tiny_dataset
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lib.display import two_digits
from resnet_lib.nets import models, probes
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.show.figures import per_layer, series
from resnet_lib.show.figures.canvas import depth_color
from resnet_lib.show.tables import gradients, layers, without_batch_norm


def batch() -> tuple[Tensor, Tensor]:
    dataset = tiny_dataset()
    return dataset.normalize(dataset.train_images[:32]), dataset.train_labels[:32]


def started(shortcut: str = "none", **varied: object) -> models.CifarNet:
    net = models.CifarNet(8, shortcut, in_channels=1, **varied)
    models.initialize(net, seed=0)
    return net


# Measurements.


@pytest.mark.parametrize("shortcut", ["none", "A"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_gradient_norms_are_those_of_a_backward_pass_in_training_mode(shortcut: str, batch_norm: bool) -> None:
    images, labels = batch()
    net = started(shortcut, batch_norm=batch_norm)
    measured = probes.layer_statistics(net, images, labels)
    F.cross_entropy(net.train()(images), labels).backward()
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 7
    assert measured.gradient_norm == pytest.approx([conv.weight.grad.norm().item() for conv in convolutions], rel=1e-4)
    assert measured.weight_norm == pytest.approx([conv.weight.norm().item() for conv in convolutions])


def test_mean_and_deviation_are_root_mean_squares_over_channels() -> None:
    images, labels = batch()
    net = started(batch_norm=False)
    measured = probes.layer_statistics(net, images, labels)
    first = net.conv1(images).detach().transpose(0, 1).flatten(1).numpy()  # (16 channels, images and positions)
    inside = net.layer1[0].conv1(F.relu(net.conv1(images))).detach().transpose(0, 1).flatten(1).numpy()
    for index, response in enumerate((first, inside)):
        assert measured.mean[index] == pytest.approx(sqrt((response.mean(axis=1) ** 2).mean()), rel=1e-4)
        assert measured.std[index] == pytest.approx(sqrt(response.var(axis=1).mean()), rel=1e-4)
    assert measured.layer[:2] == ("conv1", "layer1.0.conv1")


def test_with_batch_norm_responses_start_at_zero_mean_and_unit_deviation() -> None:
    measured = probes.layer_statistics(started("A"), *batch())
    assert measured.mean == pytest.approx([0] * 7, abs=1e-6)
    assert measured.std == pytest.approx([1] * 7, abs=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_the_net_as_it_was(training: bool) -> None:
    net = started().train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    probes.layer_statistics(net, *batch())
    assert net.training is training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(bn.momentum == 0.1 for bn in net.modules() if isinstance(bn, nn.BatchNorm2d))
    assert not any(module._forward_hooks for module in net.modules())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_failing_measurement_leaves_the_net_as_it_was() -> None:
    net = started().eval()
    with pytest.raises(RuntimeError):
        probes.layer_statistics(net, torch.zeros(4, 3, 16, 16), torch.zeros(4, dtype=torch.long))  # three channels
    assert not net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert net.bn1.momentum == 0.1


def test_longer_weights_before_batch_norm_get_a_smaller_gradient_and_turn_less() -> None:
    net, (images, labels) = started(), batch()
    before = probes.layer_statistics(net, images, labels)
    with torch.no_grad():
        net.layer2[0].conv1.weight *= 10
    after = probes.layer_statistics(net, images, labels)
    index = before.layer.index("layer2.0.conv1")
    assert after.gradient_norm[index] == pytest.approx(before.gradient_norm[index] / 10, rel=1e-3)
    assert after.turn[index] == pytest.approx(before.turn[index] / 100, rel=1e-3)
    others = [i for i in range(7) if i != index]
    assert [after.turn[i] for i in others] == pytest.approx([before.turn[i] for i in others], rel=1e-3)


def test_weights_that_are_zero_turn_without_limit() -> None:
    net = started("A", batch_norm=False)
    nn.init.zeros_(net.layer1[0].conv2.weight)
    measured = probes.layer_statistics(net, *batch())
    assert measured.turn[measured.layer.index("layer1.0.conv2")] == inf
    assert measured.gradient_norm[measured.layer.index("layer1.0.conv1")] == 0


# Tables.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0031, "0.0031"),
        (0.5, "0.5"),
        (2.44, "2.4"),
        (9.96, "10"),
        (327_000, "330,000"),
        (4.1e-7, "4.1e-07"),
        (1.23e9, "1.2e+09"),
        (inf, "inf"),
        (-0.00012, "-0.00012"),
    ],
)
def test_two_digits(value: float, text: str) -> None:
    assert two_digits(value) == text


def without_loss(record: RunRecord) -> RunRecord:
    return record.model_copy(update={"probes": None, "diverged_at": 5})


def test_gradients_joins_seeds_by_their_geometric_mean_and_leaves_out_runs_that_diverged() -> None:
    weakest = {0: 0.01, 1: 0.04, 2: 0.3}
    runs = [made_up_record(tiny_config(seed=s), train_error=10 + s, weakest=w) for s, w in weakest.items()]
    runs[2] = without_loss(runs[2])
    (row,) = gradients(runs).to_dict("records")
    assert row == {
        "net": "plain-8",
        "weakest layer": "0.02",
        "median layer": "0.5",
        "strongest layer": "0.5",
        "weakest ÷ median": "0.05 ± 0.04 (n=2)",
        "training error (%)": "10.50 ± 0.71 (n=2)",
    }
    assert list(gradients([*runs[:1], made_up_record(tiny_config(resnet(8)))])["net"]) == ["plain-8", "ResNet-8 A"]
    assert gradients([]).empty


def test_layers_shows_the_first_the_middle_and_the_last() -> None:
    measured = probes.layer_statistics(started(batch_norm=False), *batch())
    table = layers({"a net": measured})
    assert list(table["3×3 layer"]) == ["first (1)", "middle (4)", "last (7)"]
    for row, index in enumerate((0, 3, 6)):
        assert table["gradient norm"][row] == two_digits(measured.gradient_norm[index])
        assert table["deviation"][row] == two_digits(measured.std[index])
        assert table["mean"][row] == two_digits(measured.mean[index])
        expected = measured.gradient_norm[index] / measured.weight_norm[index]
        assert table["gradient ÷ length"][row] == two_digits(expected)


def test_without_batch_norm_tells_runs_that_diverged_from_errors() -> None:
    bare = plain(8, batch_norm=False)
    runs = [made_up_record(tiny_config(bare, s, lr=0.01), train_error=e) for s, e in enumerate((90, 30.25, 45))]
    runs[2] = without_loss(runs[2])
    runs.append(made_up_record(tiny_config(lr=0.1), train_error=12))
    assert [tuple(row) for row in without_batch_norm(runs).itertuples(index=False)] == [
        ("plain-8, no BN", "0.01", 3, 1, "30.2, 90.0"),
        ("plain-8", "0.1", 1, 0, "12.0"),
    ]


# Figures.

PANELS = {
    "plain": [[1e-6, 2e-6, 3e-6], [3e-6, 4e-6, 5e-6], [2e-6, 9e-6, 4e-6], [1.0] * 19],
    "residual": [[1.0, 2.0, 3.0]],
}


def test_per_layer_draws_medians_on_bands_from_the_lowest_to_the_highest() -> None:
    left, right = per_layer(PANELS, "gradient norm", "A message").axes
    lines = {line.get_label(): line for line in left.lines}
    assert list(lines["4 layers"].get_xdata()) == [1, 2, 3]
    assert list(lines["4 layers"].get_ydata()) == pytest.approx([2e-6, 4e-6, 4e-6])
    (band,) = left.collections
    corners = {tuple(point) for path in band.get_paths() for point in path.vertices}
    assert {(1.0, 1e-6), (1.0, 3e-6), (2.0, 2e-6), (2.0, 9e-6), (3.0, 3e-6), (3.0, 5e-6)} == corners
    assert same_color(lines["20 layers"].get_color(), depth_color(20))
    assert not right.collections
    assert left.get_yscale() == right.get_yscale() == "log"
    assert left.get_ylabel() == "gradient norm"


def test_per_layer_draws_dashed_lines_in_their_panel_only() -> None:
    left, right = per_layer(PANELS, "y", "t", dashed={"residual": [[5.0, 6.0, 7.0]]}).axes
    assert [line.get_linestyle() for line in right.lines] == ["-", "--"]
    assert all(line.get_linestyle() == "-" for line in left.lines)


def test_per_layer_puts_two_panels_in_a_row_and_can_be_empty() -> None:
    figure = per_layer({name: [] for name in "abcd"}, "y", "t")
    places = [axes.get_subplotspec() for axes in figure.axes]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_on_a_logarithmic_axis_a_digest_notices_small_numbers() -> None:
    moved = {"plain": [[1e-6, 2e-6, 3.01e-6], *PANELS["plain"][3:]], "residual": PANELS["residual"]}
    before = series(per_layer({"plain": PANELS["plain"][:1] + PANELS["plain"][3:]} | {"residual": []}, "y", "t"))
    after = series(per_layer(moved | {"residual": []}, "y", "t"))
    assert list(before["line"][before["digest"] != after["digest"]]) == ["4 layers"]
    assert list(before["first"]) == ["1", "1e-06"]
