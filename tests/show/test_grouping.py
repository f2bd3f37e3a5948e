"""Runs are grouped by what differs between them, and called by it."""

from pathlib import Path

from samples import made_up_record, tiny_config

from resnet_lib.runs.config import DataConfig, RunConfig
from resnet_lib.runs.experiments import SUITES, on_few_images
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord, save_record
from resnet_lib.runs.settings import fully_connected, plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import tables
from resnet_lib.show.grouping import by_setting, describe, longer_profiles

SMALL, QUICK, _ = PROFILES.values()
DEGRADATION = SUITES["degradation"]


def on_data(record: RunRecord, **data: object) -> RunRecord:
    """The same record, as if it had been made on other data."""
    config = record.config.model_copy(update={"data": record.config.data.model_copy(update=data)})
    return record.model_copy(update={"config": config})


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


def test_data_are_named_with_what_is_left_out_of_them() -> None:
    data = DataConfig(name="cifar10", image_size=32, num_train=1000, validation=500)
    assert tables.data_name(data) == "cifar10, 1,000 images, 500 held back"


def test_a_caption_names_the_data_and_the_profile_of_runs_on_other_data() -> None:
    records = [made_up_record(on_few_images(resnet(20)).at(SMALL, seed)) for seed in (0, 1)]
    few_text = "fashion-mnist-mini, 600 images, 400 iterations; 2 seeds"
    assert describe(records) == few_text
    records.append(made_up_record(fully_connected(1, "wine").at(SMALL, 2)))
    assert describe(records) == f"{few_text}; wine, 1,200 iterations; 1 seed"
    outside = describe([on_data(records[0], num_train=500)])
    assert outside == "fashion-mnist-mini, 500 images, 400 iterations; 1 seed"


def test_errors_keep_data_sets_apart_and_name_them_only_then() -> None:
    record = made_up_record(tiny_config(resnet(8)), test_error=20)
    few = on_data(made_up_record(tiny_config(resnet(8)), test_error=30), num_train=600)
    assert "data" not in tables.errors([record, record])
    table = tables.errors([record, few])
    assert list(table["data"]) == ["fashion-mnist-mini", "fashion-mnist-mini, 600 images"]
    assert list(table["test error (%)"]) == ["20.00 (n=1)", "30.00 (n=1)"]


def test_a_caption_names_images_schedule_and_seeds() -> None:
    configs: list[RunConfig] = [*DEGRADATION.runs(SMALL, range(2)), *DEGRADATION.runs(QUICK, range(1))]
    text = describe([made_up_record(config) for config in configs])
    assert text == f"{SMALL.summary}; 2 seeds; {QUICK.summary}; 1 seed"
    assert describe([]) == "no run yet"


def test_a_caption_says_the_least_and_the_most_seeds_where_nets_have_different_numbers() -> None:
    configs = [plain(20).at(SMALL, seed) for seed in range(3)] + [plain(56).at(SMALL, 7)]
    assert describe([made_up_record(config) for config in configs]) == f"{SMALL.summary}; 1 to 3 seeds"


def test_a_caption_of_runs_that_are_no_profiles_says_something_else_than_a_profile() -> None:
    caption = describe([made_up_record(tiny_config())])
    assert caption
    assert SMALL.summary not in caption


def test_runs_on_other_images_are_no_longer_ones() -> None:
    assert longer_profiles(SMALL, Records.committed(), [plain(20)]) == {}
    assert list(longer_profiles(QUICK, Records.committed(), [plain(20)]).values()) == [PROFILES["paper"]]


def test_pairs_of_nets_are_told_with_their_correlation(tmp_path: Path) -> None:
    for seed, (one, other) in enumerate([(10, 30), (20, 20), (30, 10)]):
        save_record(made_up_record(plain(20).at(SMALL, seed), train_error=one), tmp_path)
        save_record(made_up_record(plain(56).at(SMALL, seed), train_error=other), tmp_path)
    (row,) = tables.pairing(SMALL, Records(tmp_path), [plain(20), plain(56)]).to_dict("records")
    assert list(row.values()) == ["plain-20 and plain-56", 3, "-1.00"]
