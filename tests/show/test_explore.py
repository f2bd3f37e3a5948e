"""What a page can explore carries the numbers of the records and of the library, and disturbs nothing else on it."""

import json

import pytest
from bs4 import BeautifulSoup

from resnet_lib.jobs import campaign
from resnet_lib.nets import geometry
from resnet_lib.nets.models import CifarNet, ImageNetNet
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.show import explore, figures

SETTINGS = [plain(20), plain(56), resnet(20)]


@pytest.fixture(scope="module")
def runs() -> list:
    return campaign.collect("degradation", "small", settings=SETTINGS)


def carried(text: str) -> object:
    return json.loads(BeautifulSoup(text, "html.parser").script.string)


def test_every_point_is_the_mean_that_the_records_give(runs: list) -> None:
    (panel,) = carried(explore.curves(figures.curves({"all": runs})))
    for curve in panel["curves"]:
        group = [run for run in runs if run.config.net.name == curve["net"]]
        tables = [run.train_curve if curve["of"] == "training" else run.test_curve for run in group]
        errors = [sum(column) / len(column) for column in zip(*(table.error for table in tables), strict=True)]
        assert curve["y"] == pytest.approx(errors, abs=0.0051)
        assert curve["x"] == list(tables[0].iteration)
    assert len(panel["curves"]) == 2 * len(SETTINGS)


def test_a_panel_stands_where_it_is_drawn(runs: list) -> None:
    figure = figures.curves({"left": runs[:5], "right": runs[5:]})
    left, right = (panel["place"] for panel in carried(explore.curves(figure)))
    assert left == right  # each within its own drawing
    assert 0 < left[0] < left[0] + left[2] < 1 and 0 < left[1] < left[1] + left[3] < 1


def test_each_net_has_its_curves_and_its_band_in_the_drawing(runs: list) -> None:
    drawing = BeautifulSoup(figures.curves({"all": runs}).to_html(), "html.parser").select_one(".panels svg")
    for net in (setting.name for setting in SETTINGS):
        assert len(drawing.find_all(attrs={"data-net": net})) == 3  # two lines and a band


def test_drawing_twice_gives_the_same_text(runs: list) -> None:
    once, again = (explore.curves(figures.curves({"all": runs})) for _ in range(2))
    assert once == again


def test_a_figure_without_nets_is_refused() -> None:
    with pytest.raises(ValueError, match="no curve of the figure belongs to a net"):
        explore.curves(figures.curves({"empty": []}))


def test_data_cannot_end_the_script_that_carries_it(runs: list) -> None:
    text = explore.curves(figures.curves({"</script><b>": runs}))
    (panel,) = carried(text)
    assert panel["title"] == "</script><b>"


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (CifarNet(20, "A"), (3, 32, 32)),
        (CifarNet(56, "C", width=8), (3, 16, 16)),
        (CifarNet(29, "B", block="bottleneck", width=32), (3, 64, 64)),
        (CifarNet(20, "gated"), (3, 32, 32)),
        (ImageNetNet(34, "none"), (3, 64, 64)),
        (ImageNetNet(50, "B"), (3, 224, 224)),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, tuple) else str(value[1]),
)
def test_stages_add_up_to_the_net(net: CifarNet | ImageNetNet, shape: tuple[int, int, int]) -> None:
    table = geometry.by_stage(net, shape)
    whole, cost = table.iloc[-1], geometry.cost(net, shape)
    assert whole["parameters"] == f"{cost.parameters:,}"
    assert whole["multiply-adds"] == f"{cost.multiply_adds:,}"
    stages = table[table["stage"].str.startswith("stage")]
    assert stages.iloc[-1]["sees"] == str(geometry.receptive_field(list(geometry.windows(net))))
    outputs = []
    for stage in net.stages:
        stage.register_forward_hook(lambda _module, _inputs, output: outputs.append(output.shape[1:]))
    geometry.output_shape(net, shape)
    assert list(stages["output"]) == ["×".join(map(str, output)) for output in outputs]


def test_layers_are_counted_as_the_paper_names_its_nets() -> None:
    for depth, shortcut in ((20, "C"), (110, "A")):
        assert geometry.by_stage(CifarNet(depth, shortcut), (3, 32, 32)).iloc[-1]["layers"] == str(depth)
    assert geometry.by_stage(ImageNetNet(152, "B"), (3, 224, 224)).iloc[-1]["layers"] == "152"


def test_the_nets_to_choose_from_are_the_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explore, "CIFAR_DEPTHS", {"basic": (20,), "bottleneck": (20,)})
    monkeypatch.setattr(explore, "IMAGENET_BLOCKS", {18: explore.IMAGENET_BLOCKS[18], 50: explore.IMAGENET_BLOCKS[50]})
    data = carried(explore.nets())
    table = {tuple(choice): rows for choice, rows in data["entries"]}
    assert len(table) == len(data["entries"]) == 2 * 3 * 4 * 2 + 2 * 4 * 2
    made = {
        (explore.CIFAR, "bottleneck", 20, 32, "C", 64): (CifarNet(20, "C", block="bottleneck", width=32), 64),
        (explore.TABLE1, "bottleneck", 50, 64, "B", 224): (ImageNetNet(50, "B"), 224),
    }
    for choice, (net, side) in made.items():
        assert table[choice] == geometry.by_stage(net, (3, side, side)).values.tolist()
    assert tuple(data["shown"]) in table


def test_a_wider_net_is_the_papers_at_sixteen() -> None:
    assert CifarNet(20, "B", width=16).state_dict().keys() == CifarNet(20, "B").state_dict().keys()
    wide = CifarNet(20, "B", width=32)
    assert [stage[-1].conv2.out_channels for stage in wide.stages] == [32, 64, 128]
