"""Tables say what the records say: how many seeds, beside which number of the paper."""

from pathlib import Path

import pytest
from samples import made_up_record, tiny_config

from resnet_lib import display
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import save_record
from resnet_lib.runs.settings import Setting, plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import tables
from resnet_lib.show.tables import without_batch_norm

SMALL, QUICK, PAPER = PROFILES.values()
DEGRADATION = SUITES["degradation"]
PLAIN_20 = plain(20)


@pytest.mark.parametrize(
    ("setting", "curve", "text"),
    [
        (resnet(20), "test", "8.75"),  # Table 6
        (resnet(110), "test", "6.43 (6.61±0.16)"),
        (resnet(20), "train", "≈ 0.66"),  # Figure 6
        (plain(56), "test", "≈ 13.2"),
        (plain(56), "train", "≈ 5.8"),
        (plain(26), "test", ""),
    ],
)
def test_published_errors_are_table_6_or_marked_as_read_off_figure_6(setting: Setting, curve: str, text: str) -> None:
    assert tables.published(setting.net, curve) == text


def test_errors_has_a_row_per_setting_and_joins_its_seeds() -> None:
    configs = [tiny_config(seed=0), tiny_config(seed=1), tiny_config(lr=0.01), tiny_config(resnet(8))]
    configs.append(tiny_config(optimizer="adam", lr=0.001))
    records = [made_up_record(config, train_error=10 + i, test_error=20 + i) for i, config in enumerate(configs)]
    table = tables.errors(records)
    assert [tuple(row) for row in table.itertuples(index=False)] == [
        ("plain-8", "10.50 ± 0.71 (n=2)", "20.50 ± 0.71 (n=2)", "SGD, lr 0.1"),
        ("plain-8", "12.00 (n=1)", "22.00 (n=1)", "SGD, lr 0.01"),
        ("ResNet-8 A", "13.00 (n=1)", "23.00 (n=1)", "SGD, lr 0.1"),
        ("plain-8", "14.00 (n=1)", "24.00 (n=1)", "Adam, lr 0.001"),
    ]
    assert list(table.columns) == ["net", "training error (%)", "test error (%)", "optimiser"]


def test_what_is_alike_in_all_rows_of_errors_has_no_column() -> None:
    alike = [made_up_record(tiny_config(net)) for net in (plain(8), resnet(8))]
    assert list(tables.errors(alike).columns) == ["net", "training error (%)", "test error (%)"]
    longer = made_up_record(tiny_config(plain(8), iterations=24))
    assert list(tables.errors([*alike, longer])["iterations"]) == ["12", "12", "24"]


def stored(folder: Path, *errors: float, setting: Setting = PLAIN_20) -> Records:
    for config, error in zip(setting.runs(SMALL), errors, strict=False):
        save_record(made_up_record(config, train_error=error, test_error=error + 10), folder)
    return Records(folder)


def row_of(table: display.Table, name: str) -> dict[str, str]:
    (row,) = [row for row in table.to_dict("records") if next(iter(row.values())) == name]
    return row


def test_the_paper_stands_beside_what_was_measured_here(tmp_path: Path) -> None:
    table = tables.against_paper(SMALL, stored(tmp_path, 10, 20))
    assert list(table["net"]) == [setting.name for setting in DEGRADATION.settings]
    assert [name.partition(",")[0] for name in table.columns] == ["net", *["test error"] * 2, *["training error"] * 2]
    assert row_of(table, "plain-20") == {
        "net": "plain-20",
        "training error, paper (%)": "≈ 1.3",
        "training error, here (%)": "15.00 ± 7.07 (n=2)",
        "test error, paper (%)": "≈ 9.7",
        "test error, here (%)": "25.00 ± 7.07 (n=2)",
    }
    assert row_of(table, "ResNet-56 A")["test error, here (%)"] == "no run yet"


def test_report_says_by_how_much_this_machine_moved_the_seeds_that_both_have(tmp_path: Path) -> None:
    recorded, local = stored(tmp_path / "book", 10, 20, 30), stored(tmp_path / "here", 10.5, 21)
    table = tables.report(SMALL, recorded, local)
    assert len(table) == len({run for suite in SUITES.values() for run in suite.runs(SMALL, range(1))})  # each once
    row = row_of(table, "plain-20")
    assert row["recorded, training"] == "20.00 ± 10.00 (n=3)"
    assert row["this run, test"] == "25.75 ± 7.42 (n=2)"
    assert row["paper, test"] == "≈ 9.7"
    assert row["moved"] == "+0.75"
    assert row_of(table, "plain-56")["moved"] == ""
    again = tables.report(SMALL, recorded, recorded)
    assert row_of(again, "plain-20")["moved"] == "+0.00"


def test_hardware_adds_up_runs_and_hours_per_machine() -> None:
    records = [made_up_record(tiny_config(seed=seed)) for seed in range(3)]
    other = records[2].provenance.model_copy(update={"device": "another", "seconds": 7200.0})
    table = tables.hardware([*records[:2], records[2].model_copy(update={"provenance": other})])
    assert list(zip(table["device"], table["runs"], table["hours"], strict=True)) == [
        ("made up", 2, "0.0"),
        ("another", 1, "2.0"),
    ]


def test_without_batch_norm_tells_runs_that_diverged_from_errors() -> None:
    bare = plain(8, batch_norm=False)
    runs = [made_up_record(tiny_config(bare, s, lr=0.01), train_error=e) for s, e in enumerate((90, 30.25, 45))]
    runs[2] = runs[2].model_copy(update={"probes": None, "diverged_at": 5})
    runs.append(made_up_record(tiny_config(lr=0.1), train_error=12))
    assert [tuple(row) for row in without_batch_norm(runs).itertuples(index=False)] == [
        ("plain-8, no BN", "0.01", "30.2, 90.0, 1 diverged"),
        ("plain-8", "0.1", "12.0"),
    ]
