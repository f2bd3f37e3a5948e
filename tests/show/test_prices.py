"""What a departure from the recipe costs, by made-up records of five seeds.

The recipe's errors wobble from seed to seed, and a departure adds to them what the test says.
"""

from pathlib import Path
from statistics import mean

import pytest
from samples import made_up_record

from resnet_lib.display import NO_RUN
from resnet_lib.evidence.effects import added_by
from resnet_lib.evidence.rule import interval
from resnet_lib.evidence.verdicts import BEST_EPOCH, folklore_prices
from resnet_lib.runs.experiments import FOLKLORE
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.records import save_record
from resnet_lib.runs.settings import Setting, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import figures, tables

SMALL = PROFILES["small"]


DEPARTURES = {departure.name: departure for departure in FOLKLORE}  # rows and labels show the names


def priced(folder: Path, added: dict[str, tuple[float, ...]], profile: Profile = SMALL) -> Records:
    wobble = (10.0, 20.0, 13.0, 11.0, 12.0)
    recipes: dict[Setting, tuple[float, ...]] = {resnet(20): (0.0,) * 5, resnet(20, "B"): (3.0,) * 5}
    for setting, more in (recipes | {DEPARTURES[name]: more for name, more in added.items()}).items():
        for config, error, extra in zip(setting.runs(profile), wobble, more, strict=False):
            save_record(made_up_record(config, test_error=error + extra), folder)
    return Records(folder)


def test_a_price_is_paired_and_gets_its_word(tmp_path: Path) -> None:
    added = {
        "no ReLU after the stem": (1.0, 1.2, 0.8, 1.1, 0.9),
        "fp32": (-1.0, -1.2, -0.8, -1.1, -0.9),
        "nothing subtracted": (2.0, -2.0, 1.0, -1.0, 0.5),
        "channel means subtracted": (1.0, 1.0),
    }
    rows = {row["departure"]: row for row in tables.folklore(SMALL, priced(tmp_path, added)).to_dict("records")}
    assert list(rows) == [*DEPARTURES, BEST_EPOCH]
    assert rows["no ReLU after the stem"]["verdict"] == "costs"
    assert rows["no ReLU after the stem"]["adds to the test error (points)"] == "+1.00"
    assert rows["no ReLU after the stem"]["95% interval"] == "+0.80 to +1.20"  # 2.776 * 0.1581 / sqrt(5) = 0.196
    assert rows["fp32"]["verdict"] == "gains"
    assert rows["nothing subtracted"]["verdict"] == "makes no difference at this many seeds"
    assert rows["channel means subtracted"]["verdict"] == "a verdict needs 3 seeds"
    assert rows["channel means subtracted"]["seeds"] == 2
    assert rows["momentum in Caffe's form"]["verdict"] == NO_RUN


def test_projections_are_compared_with_option_b(tmp_path: Path) -> None:
    records = priced(tmp_path, {"projections without BN": (4.0, 4.0, 4.0, 4.0, 4.0)})  # B itself adds 3
    assert added_by(DEPARTURES["projections without BN"]).per_seed(SMALL, records) == pytest.approx([1.0] * 5)
    compared = dict(tables.folklore(SMALL, records)[["departure", "compared with"]].itertuples(index=False))
    assert compared.pop("projections without BN") == "ResNet-20 B"
    assert set(compared.values()) == {"ResNet-20 A"}


def test_the_best_epoch_can_only_lower_the_reported_error(tmp_path: Path) -> None:
    for seed, config in enumerate(resnet(20).runs(SMALL)[:5]):
        save_record(made_up_record(config, test_error=12.0, best=12.0 - seed), tmp_path)  # earlier, and lower
    records = Records(tmp_path)
    assert folklore_prices(SMALL, records)[BEST_EPOCH] == pytest.approx([0, -1, -2, -3, -4])
    (row,) = tables.best_epochs(list(records)).to_dict("records")
    assert (row["last test error (%)"], row["lowest test error (%)"]) == ("12.00", "10.00")
    assert (row["flattered by (points)"], row["seeds"]) == ("2.00", 5)


def test_the_figure_of_prices_shows_means_and_intervals_dearest_first(tmp_path: Path) -> None:
    costly, cheap = (1.0, 1.2, 0.8, 1.1, 0.9), (-2.0, 2.0, -1.0, 1.0, 0.5)
    records = priced(tmp_path, {"nothing subtracted": cheap, "no ReLU after the stem": costly})
    figure = figures.folklore(SMALL, records)
    (axes,) = figure.axes
    shown = [text.get_text() for text in axes.texts]
    assert shown[:2] == ["no ReLU after the stem", "nothing subtracted"]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["nothing subtracted"].get_xdata()) == pytest.approx(cheap)
    filled = lines["no ReLU after the stem, mean"]
    assert list(filled.get_xdata()) == pytest.approx([mean(costly)])
    assert filled.get_markerfacecolor() != lines["nothing subtracted, mean"].get_markerfacecolor() == "white"
    bars = [tuple(line.get_xdata()) for line in axes.lines if line.get_label().startswith("_child")]
    assert pytest.approx(interval(costly)[1:]) in bars
    assert "1 cost and 0 gain" in figure.get_suptitle()


def test_no_records_give_an_empty_figure_without_a_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    figures.folklore(SMALL, Records(tmp_path)).canvas.draw()
    assert not recwarn.list
