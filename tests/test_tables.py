"""Tables say what the records say: how many seeds, beside which number of the paper."""

from pathlib import Path

import pytest
from samples import made_up_record, tiny_config

from resnet_lib import display
from resnet_lib.errors import UserError
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import save_record
from resnet_lib.runs.settings import Setting, plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import tables
from resnet_lib.show.grouping import describe

SMOKE, QUICK, PAPER = PROFILES.values()
DEGRADATION = SUITES["degradation"]
PLAIN_20 = plain(20)


def test_spread_is_mean_sample_deviation_and_number_of_seeds() -> None:
    assert display.spread([]) == "no run yet"
    assert display.spread([12.346]) == "12.35 (n=1)"
    assert display.spread([1.0, 2.0, 3.0]) == "2.00 ± 1.00 (n=3)"


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
        ("plain-8", "SGD, lr 0.1", "12", "10.50 ± 0.71 (n=2)", "20.50 ± 0.71 (n=2)"),
        ("plain-8", "SGD, lr 0.01", "12", "12.00 (n=1)", "22.00 (n=1)"),
        ("ResNet-8 A", "SGD, lr 0.1", "12", "13.00 (n=1)", "23.00 (n=1)"),
        ("plain-8", "Adam, lr 0.001", "12", "14.00 (n=1)", "24.00 (n=1)"),
    ]


def stored(folder: Path, *errors: float, setting: Setting = PLAIN_20) -> Records:
    for config, error in zip(setting.runs(SMOKE), errors, strict=False):
        save_record(made_up_record(config, train_error=error, test_error=error + 10), folder)
    return Records(folder)


def row_of(table: display.Table, name: str) -> dict[str, str]:
    (row,) = [row for row in table.to_dict("records") if next(iter(row.values())) == name]
    return row


def test_the_paper_stands_beside_what_was_measured_here(tmp_path: Path) -> None:
    table = tables.against_paper(SMOKE, stored(tmp_path, 10, 20))
    assert list(table["net"]) == [setting.name for setting in DEGRADATION.settings]
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
    table = tables.report(SMOKE, recorded, local)
    assert len(table) == len({run for suite in SUITES.values() for run in suite.runs(SMOKE, range(1))})  # each once
    row = row_of(table, "plain-20")
    assert row["recorded, training"] == "20.00 ± 10.00 (n=3)"
    assert row["this run, test"] == "25.75 ± 7.42 (n=2)"
    assert row["paper, test"] == "≈ 9.7"
    assert row["moved"] == "+0.75"
    assert row_of(table, "plain-56")["moved"] == ""
    again = tables.report(SMOKE, recorded, recorded)
    assert row_of(again, "plain-20")["moved"] == "+0.00"


def test_ledger_and_verdict_table_show_effect_interval_and_seeds(tmp_path: Path) -> None:
    stored(tmp_path, 10, 10, 10)
    records = stored(tmp_path, 14, 15, 16, setting=plain(56))
    ledger = tables.ledger(records, ["degradation"])
    assert ledger[["smoke", "quick"]].iloc[0].tolist() == ["supported: +5.0 (n=3)", "not yet run"]
    row = row_of(tables.verdict_table(SMOKE, records), "degradation")
    assert (row["verdict"], row["effect"], row["95% interval"], row["seeds"]) == (
        "supported",
        "+5.00 points",
        "+2.52 to +7.48",
        3,
    )
    assert row_of(tables.verdict_table(QUICK, records), "degradation")["verdict"] == "not yet run"


def test_findings_state_the_claim_and_the_verdict(tmp_path: Path) -> None:
    stored(tmp_path, 10, 10, 10)
    text = tables.findings(["degradation"], stored(tmp_path, 14, 15, 16, setting=plain(56)))
    assert "*supported* at `smoke` (3 seeds)" in text
    assert "+5.0 points, 95% interval +2.5 to +7.5" in text
    assert "quick" not in text  # nothing was run


def test_an_unknown_claim_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="no claim is called 'degradatoin'; did you mean degradation"):
        tables.ledger(Records(), ["degradatoin"])


def test_a_caption_names_images_schedule_and_seeds() -> None:
    configs: list[RunConfig] = [*DEGRADATION.runs(SMOKE, range(2)), *DEGRADATION.runs(QUICK, range(1))]
    text = describe([made_up_record(config) for config in configs])
    assert text == f"{SMOKE.summary}; 2 seeds (profile smoke); {QUICK.summary}; 1 seed (profile quick)"
    assert describe([]) == "no run yet"


def test_a_caption_of_runs_that_are_no_profiles_says_something_else_than_a_profile() -> None:
    caption = describe([made_up_record(tiny_config())])
    assert caption
    assert "profile smoke" not in caption


def test_hardware_adds_up_runs_and_hours_per_machine() -> None:
    records = [made_up_record(tiny_config(seed=seed)) for seed in range(3)]
    other = records[2].provenance.model_copy(update={"device": "another", "seconds": 7200.0})
    table = tables.hardware([*records[:2], records[2].model_copy(update={"provenance": other})])
    assert list(zip(table["device"], table["runs"], table["hours"], strict=True)) == [
        ("made up", 2, "0.0"),
        ("another", 1, "2.0"),
    ]


def test_plain_text_aligns_columns() -> None:
    table = display.Table([("a", "1"), ("long name", "")], columns=["name", "x"])
    assert display.plain_text(table).splitlines() == ["name       x", "a          1", "long name"]
