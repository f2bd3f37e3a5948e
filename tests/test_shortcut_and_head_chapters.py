"""What chapters 4 and 7 show: shapes of sums, the paper's rows beside ours, settings named by what differs."""

import numpy as np
import pytest
import torch
from matplotlib.colors import same_color
from samples import made_up_record, tiny_config

from resnet_lib.data import tabular
from resnet_lib.evidence import facts
from resnet_lib.evidence.rule import interval
from resnet_lib.nets import models, probes
from resnet_lib.runs.config import DataConfig
from resnet_lib.runs.experiments import SUITES, on_few_images
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.settings import fully_connected, plain, resnet
from resnet_lib.show import tables
from resnet_lib.show.figures import parity, series, settings
from resnet_lib.show.grouping import by_setting, describe

SMOKE = PROFILES["smoke"]
IMAGES = torch.zeros(1, 3, 32, 32)


def on_data(record: RunRecord, **data: object) -> RunRecord:
    """The same record, as if it had been made on other data."""
    config = record.config.model_copy(update={"data": record.config.data.model_copy(update=data)})
    return record.model_copy(update={"config": config})


# Shapes of sums.


@pytest.mark.parametrize("option", models.SHORTCUTS)
def test_each_block_is_a_row_with_the_shapes_that_torch_gives_it(option: str) -> None:
    net = models.CifarNet(14, option).eval()
    rows = probes.residual_shapes(net, IMAGES)
    x = torch.relu(net.bn1(net.conv1(IMAGES)))
    for row, (name, block) in zip(
        rows, [(n, m) for n, m in net.named_modules() if isinstance(m, models.BasicBlock)], strict=True
    ):
        out = block(x)
        assert row["block"] == name
        assert row["x"] == "×".join(map(str, x.shape[1:]))
        assert row["F(x)"] == "×".join(map(str, out.shape[1:]))
        assert row["shortcut"] == ("none" if option == "none" else type(block.downsample).__name__)
        x = out


def test_bottlenecks_and_single_blocks_are_understood_too() -> None:
    block = models.Bottleneck(64, 64, shortcut=models.ProjectionShortcut(64, 256, stride=1))
    (row,) = probes.residual_shapes(block, torch.zeros(2, 64, 8, 8))
    assert row == {"block": "block", "x": "64×8×8", "F(x)": "256×8×8", "shortcut": "ProjectionShortcut"}
    block = models.SingleLayerBlock(16, 32, stride=2, shortcut=models.ZeroPadShortcut(16, 32, stride=2))
    (row,) = probes.residual_shapes(block, torch.zeros(2, 16, 8, 8))
    assert (row["F(x)"], row["shortcut"]) == ("32×4×4", "ZeroPadShortcut")


@pytest.mark.parametrize(
    ("channels", "stride", "side", "message"),
    [
        (32, 2, 8, "F(x) is 32×4×4 and the shortcut gives 16×8×8"),
        (16, 2, 2, "F(x) is 16×1×1 and the shortcut gives 16×2×2"),  # torch would stretch it, and add
    ],
)
def test_shapes_that_disagree_are_refused_in_one_line(channels: int, stride: int, side: int, message: str) -> None:
    block = models.BasicBlock(16, channels, stride, shortcut=torch.nn.Identity())
    with pytest.raises(ValueError, match="block: ") as refusal:
        probes.residual_shapes(block, torch.zeros(1, 16, side, side))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_looking_at_shapes_leaves_the_net_as_it_was() -> None:
    net = models.CifarNet(8, "B")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    probes.residual_shapes(net, IMAGES)
    net.layer2[0].downsample = torch.nn.Identity()
    with pytest.raises(ValueError, match=r"layer2\.0"):
        probes.residual_shapes(net, IMAGES)
    assert net.training
    assert all(bool((before[name] == value).all()) for name, value in net.state_dict().items() if name in before)
    hooks = [hook for module in net.modules() for hook in (*module._forward_hooks, *module._forward_pre_hooks)]
    assert not hooks


def test_the_fact_holds_and_would_not_if_identities_were_projections(monkeypatch: pytest.MonkeyPatch) -> None:
    fact = facts.FACTS["shapes-must-agree"]
    holds, evidence = fact.check()
    assert holds
    # 25 of 27 blocks twice; of Table 1's stages (3, 4, 6, 3) all but three, and all but four
    assert "75 blocks keep the shape and have the identity; 11 change it, and in 11" in evidence
    build = models.make_shortcut
    monkeypatch.setattr(models, "make_shortcut", lambda option, *rest: build("C" if option == "B" else option, *rest))
    assert not fact.check()[0]


# The paper's numbers.


def test_table_3_is_the_papers() -> None:
    rows = [tuple(row) for row in tables.published_options().itertuples(index=False)]
    assert rows == [
        ("plain-34", "28.54", "10.02", "0.00"),
        ("ResNet-34 A", "25.03", "7.76", "3.51"),
        ("ResNet-34 B", "24.52", "7.46", "4.02"),
        ("ResNet-34 C", "24.19", "7.40", "4.35"),
    ]


def test_the_follow_ups_shortcuts_are_beside_nets_that_exist_here() -> None:
    table = tables.published_shortcuts()
    assert list(table["test error (%)"]) == ["6.61", "above 20", "above 20", "12.35", "12.86", "6.91", "12.22"]
    assert set(table["like, here"]) - {""} <= {setting.name for setting in SUITES["shortcut-options"].settings}


# Settings, named by what differs.


def test_a_setting_is_called_by_its_net_and_by_what_differs() -> None:
    record = made_up_record(tiny_config(resnet(8)))
    slow = made_up_record(tiny_config(resnet(8), lr=0.01))
    few = on_data(record, num_train=600)
    assert [list(groups) for groups in by_setting([record])] == [["ResNet-8 A"]]
    assert list(by_setting([record, slow])[0]) == ["ResNet-8 A, SGD, lr 0.1", "ResNet-8 A, SGD, lr 0.01"]
    assert list(by_setting([record, few])[0]) == [
        "ResNet-8 A, fashion-mnist-mini",
        "ResNet-8 A, fashion-mnist-mini, 600 images",
    ]


def test_what_differs_between_panels_is_left_to_their_titles() -> None:
    record = made_up_record(tiny_config(resnet(8)))
    assert [list(groups) for groups in by_setting([record], [on_data(record, num_train=600)])] == [
        ["ResNet-8 A"],
        ["ResNet-8 A"],
    ]


def test_errors_keep_data_sets_apart_and_name_them_only_then() -> None:
    record = made_up_record(tiny_config(resnet(8)), test_error=20)
    few = on_data(made_up_record(tiny_config(resnet(8)), test_error=30), num_train=600)
    assert "data" not in tables.errors([record, record])
    table = tables.errors([record, few])
    assert list(table["data"]) == ["fashion-mnist-mini", "fashion-mnist-mini, 600 images"]
    assert list(table["test error (%)"]) == ["20.00 (n=1)", "30.00 (n=1)"]


def test_data_are_named_with_what_is_left_out_of_them() -> None:
    data = DataConfig(name="cifar10", image_size=32, num_train=1000, validation=500)
    assert tables.data_name(data) == "cifar10, 1,000 images, 500 held back"


def test_a_caption_names_the_data_and_the_profile_of_runs_on_other_data() -> None:
    records = [made_up_record(on_few_images(resnet(20)).at(SMOKE, seed)) for seed in (0, 1)]
    few_text = "fashion-mnist-mini, 600 images, 200 iterations; 2 seeds (profile smoke)"
    assert describe(records) == few_text
    records.append(made_up_record(fully_connected(1, "wine").at(SMOKE, 2)))
    assert describe(records) == f"{few_text}; wine, 600 iterations; 1 seed (profile smoke)"
    outside = describe([on_data(records[0], num_train=500)])
    assert outside == "fashion-mnist-mini, 500 images, 200 iterations; 1 seed"


# Figures.

RECORDS = [
    made_up_record(tiny_config(net, seed), train_error=base + seed, test_error=base + 10 + seed)
    for net, base in ((plain(8), 30), (resnet(8), 5))
    for seed in (0, 1, 2)
]


def test_both_errors_of_a_setting_lie_on_its_row_one_above_the_other() -> None:
    (axes,) = settings(RECORDS, ("training", "test"), "Message").axes
    dots = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(dots) == ["plain-8, training", "plain-8, test", "ResNet-8 A, training", "ResNet-8 A, test"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["plain-8", "ResNet-8 A"]
    assert list(dots["plain-8, test"].get_xdata()) == [40, 41, 42]
    rows = {name: set(line.get_ydata()) for name, line in dots.items()}
    assert {round(min(row)) for name, row in rows.items() if "ResNet" in name} == {1}
    assert max(rows["plain-8, training"]) < min(rows["plain-8, test"])  # the axis points down
    assert dots["plain-8, training"].get_markerfacecolor() == "none"
    assert not same_color(dots["plain-8, test"].get_color(), dots["ResNet-8 A, test"].get_color())


def test_bars_are_intervals_and_need_as_many_seeds_as_a_verdict() -> None:
    (axes,) = settings(RECORDS[:3], ("test",)).axes
    _, low, high = interval([40, 41, 42])
    bars = [line.get_xdata() for line in axes.lines if line.get_label().startswith("_")]
    assert len(bars) == 1
    assert list(bars[0]) == pytest.approx([low, high])
    (axes,) = settings(RECORDS[:2], ("test",)).axes
    assert all(not line.get_label().startswith("_") for line in axes.lines)


def test_panels_share_their_rows() -> None:
    left, right = settings({"all": RECORDS, "residual": RECORDS[3:]}, ("test",)).axes
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("all", "residual")
    (line,) = (line for line in right.lines if line.get_label() == "ResNet-8 A")
    assert set(line.get_ydata()) == {1}


def test_a_diverged_run_is_told_under_the_figure() -> None:
    record = made_up_record(tiny_config(plain(8)), train_error=90, test_error=90)
    diverged = record.model_copy(update={"diverged_at": 12})
    assert "diverged" not in settings([record])._supxlabel.get_text()
    assert "1 run diverged" in settings([diverged])._supxlabel.get_text()


def test_the_parity_rule_is_drawn_as_it_is() -> None:
    features, labels = tabular.parity_rule()
    figure = parity(features, labels)
    assert sum(series(figure)["points"]) == 500
    for axes, third in zip(figure.axes, (-1, 1), strict=True):
        for line in axes.lines:
            product = np.sign(line.get_xdata()) * np.sign(line.get_ydata()) * third
            assert set(product) == {1 if line.get_label() == "class 1" else -1}


@pytest.mark.filterwarnings("error")
def test_a_profile_without_records_gives_an_empty_figure() -> None:
    assert series(settings({"all": [], "few": []}, ("training", "test"), "Message")).empty
