"""A config names its run, and a record is whole, consistent and exactly what was written, or refused."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from pydantic import ValidationError
from samples import made_up_record, python, tiny_config, tiny_dataset

from resnet_lib.errors import UserError
from resnet_lib.runs.config import NetConfig, RunConfig, changed
from resnet_lib.runs.experiments import (
    BEST_OPTIMIZED,
    CHOOSING_SEEDS,
    CHOSEN,
    CHOSEN_OF,
    IDENTITIES,
    IDENTITY_RATES,
    OPTIMIZED,
    RATES,
    RATES_OF,
    SUITES,
)
from resnet_lib.runs.profiles import PAPER_RECIPE, PROFILES
from resnet_lib.runs.records import PUBLISHED, STUDIES, RunRecord, load_record, load_study, save_record
from resnet_lib.runs.settings import Setting, Share, plain, resnet
from resnet_lib.runs.store import Records, committed_dir, local_dir
from resnet_lib.training.loop import train

Field = tuple[str | int, ...]


def leaves(value: object, at: Field = ()) -> Iterator[Field]:
    """The place of each value in nested JSON; lists count as values."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*at, key))
    else:
        yield at


def dig(value: Any, field: Field) -> Any:
    for key in field:
        value = value[key]
    return value


# Configs and their names.

ANOTHER = {"none": "A", "sgd": "adam", "auto": "bf16", "basic": "single", "every": "stage", "average": "flatten"}
ANOTHER |= {"first": "second", "weights": "all", "torch": "caffe", "pixel mean": "nothing", "moving": "re-estimated"}
ANOTHER |= {"stop": "record", "he": "dirac"}


def another(value: object) -> object:
    """A valid value that differs."""
    if isinstance(value, str):
        return ANOTHER.get(value, f"{value}-other")
    if isinstance(value, tuple):
        return (*value, 60_000)
    if isinstance(value, bool):
        return not value
    if value is None:
        return 100
    return value + 6 if isinstance(value, int) else value / 2 + 0.001


PLAIN_20 = plain(20).at(PROFILES["paper"], seed=0)


@pytest.mark.parametrize("field", [*leaves(PLAIN_20.model_dump())], ids=lambda field: ".".join(field))
def test_name_and_digest_change_with_every_field(field: Field) -> None:
    fields = PLAIN_20.model_dump()
    parent = dig(fields, field[:-1])
    parent[field[-1]] = another(parent[field[-1]])
    if field == ("net", "family"):  # which has none of the fields that only CIFAR nets have
        fields["net"] = {"family": "imagenet", "depth": 20, "shortcut": "none"}
    other = RunConfig.model_validate(fields)
    assert other != PLAIN_20
    assert other.digest != PLAIN_20.digest
    assert other.name != PLAIN_20.name


def test_name_is_the_same_in_every_process_and_forever() -> None:
    name = "plain-20_cifar10-32px_sgd-0.1_64000it_seed0_794acac2"  # records are found by it
    assert PLAIN_20.name == name
    program = "from resnet_lib.runs import PROFILES, plain\nprint(plain(20).at(PROFILES['paper'], seed=0).name)"
    assert python("-c", program, PYTHONHASHSEED="1").stdout.strip() == name


def test_no_two_runs_share_a_name_and_no_setting_is_the_same_under_two_profiles() -> None:
    runs = [config for suite in SUITES.values() for profile in PROFILES.values() for config in suite.runs(profile)]
    assert len({config.name for config in runs}) == len(set(runs)) == len({config.digest for config in set(runs)})
    for suite in SUITES.values():
        of_profiles = [set(suite.runs(profile)) for profile in PROFILES.values()]
        assert sum(map(len, of_profiles)) == len(set.union(*of_profiles)), suite.name


def test_the_families_that_do_not_vary_refuse_what_varies() -> None:
    with pytest.raises(ValidationError, match="a net of family imagenet has no batch_norm"):
        NetConfig(family="imagenet", depth=18, shortcut="A", batch_norm=False)


@pytest.mark.fault("old record schema")
def test_a_field_at_its_default_is_neither_in_the_file_nor_in_the_digest() -> None:
    spelled_out = RunConfig.model_validate(PLAIN_20.model_dump())
    assert spelled_out.digest == PLAIN_20.digest
    assert "batch_norm" not in made_up_record(spelled_out).to_json()
    varied = plain(20, batch_norm=False).at(PROFILES["paper"], seed=0)
    assert '"batch_norm": false' in made_up_record(varied).to_json()


def test_suites_differ_between_settings_in_more_than_the_seed_and_between_seeds_in_nothing_else() -> None:
    for suite, profile in itertools.product(SUITES.values(), PROFILES.values()):
        of_seed_0 = suite.runs(profile, range(1))
        assert len({config.model_dump_json(exclude={"seed"}) for config in of_seed_0}) == len(suite.settings)
        for setting in suite.settings:
            seeds = setting.runs(profile)
            assert [config.seed for config in seeds] == list(range(profile.num_seeds))
            assert len({config.model_dump_json(exclude={"seed"}) for config in seeds}) == 1


# Settings.


def test_a_setting_is_a_value_however_it_was_written() -> None:
    slow = resnet(20).with_recipe(lr=0.01, milestones=[9]).with_data(num_train=600)
    same = resnet(20).with_data(num_train=600).with_recipe(milestones=(9,)).with_recipe(lr=0.01)
    assert (slow, hash(slow), slow.name) == (same, hash(same), "ResNet-20 A, lr 0.01, 600 images")
    assert slow != resnet(20) == Setting(resnet(20).net)


def test_a_setting_changes_a_profile_in_what_it_says_and_in_nothing_else() -> None:
    small = PROFILES["small"]
    base, made = plain(20).at(small, 3), plain(20).with_recipe(lr=0.5).with_data(num_train=600).at(small, 3)
    assert made.recipe == changed(base.recipe, lr=0.5, warmup_iterations=0) != base.recipe  # a rate has no warm-up
    assert made.data == changed(base.data, num_train=600) != base.data
    assert (made.net, made.seed) == (base.net, 3)
    with pytest.raises(ValidationError, match="rate"):
        plain(20).with_recipe(rate=0.5).at(small, 0)


def test_lengths_are_factors_and_shares_of_the_profiles() -> None:
    small = PROFILES["small"]  # 400 iterations, with a milestone at 300
    longer = plain(20).longer(3).at(small, 0).recipe
    assert (longer.iterations, longer.milestones, longer.log_every) == (1200, (900,), small.recipe.log_every)
    part = plain(20).longer(3).with_recipe(milestones=(Share(1, 7), 500), log_every=Share(1, 4)).at(small, 0).recipe
    assert (part.iterations, part.milestones, part.log_every) == (1200, (171, 500), 300)  # 171.4, rounded down
    assert plain(20).with_recipe(iterations=Share(1, 4)).at(small, 0).recipe.iterations == 100


def test_no_two_settings_of_a_suite_have_one_name() -> None:
    for suite in SUITES.values():
        assert len({setting.name for setting in suite.settings}) == len(suite.settings), suite.name


@pytest.mark.parametrize("milestones", [(48_000, 32_000), (32_000, 32_000)])
def test_milestones_that_do_not_rise_are_refused(milestones: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match=r"milestones \(\d+, 32000\) must rise"):
        changed(PAPER_RECIPE, milestones=milestones)


@pytest.mark.parametrize(
    "change", [{"lr": 0.0}, {"lr": float("nan")}, {"momentum": 1.0}, {"iterations": 0}, {"optimizer": "lion"}, {"x": 1}]
)
def test_a_recipe_that_cannot_be_followed_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        changed(PAPER_RECIPE, **change)


def test_a_config_cannot_be_changed_under_its_name() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        PLAIN_20.recipe.lr = 0.2


# Records.

# The fields of a record, for parametrising; the record that the tests damage is a real one.
FIELDS = [*leaves(json.loads(made_up_record(tiny_config()).to_json()))]


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return train(tiny_config(), tiny_dataset())[0]


@pytest.fixture
def path(record: RunRecord, tmp_path: Path) -> Path:
    return save_record(record, tmp_path / "records")


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_record(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def rewrite(path: Path, field: Field, value: object) -> None:
    content = json.loads(path.read_text())
    dig(content, field[:-1])[field[-1]] = value
    path.write_text(json.dumps(content))


def test_a_record_comes_back_byte_for_byte(record: RunRecord, path: Path, tmp_path: Path) -> None:
    loaded = load_record(path)
    assert loaded == record
    assert save_record(loaded, tmp_path / "again").read_bytes() == path.read_bytes()


def test_committed_records_are_whole_and_written_as_the_code_writes_them() -> None:
    for path in sorted(committed_dir().rglob("*.json")):
        if path.parent.name == PUBLISHED:
            continue  # no runs: tests/test_published.py
        stored = (load_study if path.parent.name == STUDIES else load_record)(path)
        assert path.read_text(encoding="utf-8") == stored.to_json(), path
        assert path.parent.name in (STUDIES, stored.config.data.name), path
        assert not stored.provenance.git_dirty, path


def test_committed_records_and_weights_stay_small() -> None:
    assert sum(path.stat().st_size for path in committed_dir().rglob("*") if path.is_file()) < 25e6


def test_a_change_of_one_number_is_a_change_of_one_line(record: RunRecord) -> None:
    curve = record.train_curve.model_copy(update={"loss": (9.5, *record.train_curve.loss[1:])})
    before, after = (r.to_json().splitlines() for r in (record, record.model_copy(update={"train_curve": curve})))
    assert [line for line, old in zip(after, before, strict=True) if line != old] == [
        f'    "loss": {json.dumps(curve.loss)},'
    ]


@pytest.mark.fault("old record schema")
@pytest.mark.parametrize("field", FIELDS, ids=lambda field: ".".join(field))
def test_a_missing_field_is_named(field: Field, path: Path) -> None:
    content = json.loads(path.read_text())
    del dig(content, field[:-1])[field[-1]]
    path.write_text(json.dumps(content))
    assert refusal(path) == f"{'.'.join(field)}: Field required; restore the file or delete it and rerun"


@pytest.mark.fault("old record schema")
@pytest.mark.parametrize("parent", sorted({field[:depth] for field in FIELDS for depth in range(len(field))}), ids=str)
def test_an_extra_field_is_named(parent: Field, path: Path) -> None:
    rewrite(path, (*parent, "extra"), 1)
    assert refusal(path).startswith(f"{'.'.join((*parent, 'extra'))}: Extra inputs are not permitted")


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: ".".join(field))
def test_a_value_of_another_type_is_named(field: Field, path: Path) -> None:
    value = dig(json.loads(path.read_text()), field)
    rewrite(path, field, str(value) if isinstance(value, int | float) and not isinstance(value, bool) else {})
    assert refusal(path).startswith(f"{'.'.join(field)}")


COLUMNS = [field for field in FIELDS if field[0] in ("train_curve", "test_curve", "probes")]


@pytest.mark.parametrize("field", COLUMNS, ids=lambda field: ".".join(field))
def test_a_malformed_entry_of_a_column_is_named(field: Field, path: Path) -> None:
    rewrite(path, (*field, 0), {})
    assert refusal(path).startswith(f"{'.'.join(field)}.0: ")


@pytest.mark.parametrize("field", COLUMNS, ids=lambda field: ".".join(field))
def test_columns_of_unequal_length_are_named(field: Field, path: Path) -> None:
    rewrite(path, field, dig(json.loads(path.read_text()), field)[1:])
    assert f"{field[0]}: columns must be of one length and not empty" in refusal(path)


FLOATS = [field for field in FIELDS if field[-1] in ("loss", "error", "lr", "response_std") and field[0] != "config"]


@pytest.mark.parametrize("text", ["NaN", "Infinity"])
@pytest.mark.parametrize("field", [*((*f, 0) for f in FLOATS), ("final", "train_loss"), ("final", "train_error")])
def test_a_number_that_is_not_finite_is_named(text: str, field: Field, path: Path) -> None:
    rewrite(path, field, float(text))
    assert text in path.read_text()
    assert refusal(path).startswith(f"{'.'.join(map(str, field))}: ")


@pytest.mark.parametrize("value", [100.1, -0.1])
@pytest.mark.parametrize(
    "field",
    [("train_curve", "error", 0), ("test_curve", "error", 0), ("final", "train_error"), ("final", "test_error")],
)
def test_an_error_outside_0_to_100_percent_is_named(value: float, field: Field, path: Path) -> None:
    rewrite(path, field, value)
    assert refusal(path).startswith(f"{'.'.join(map(str, field))}: Input should be")


def test_a_final_test_error_other_than_the_curves_is_named(path: Path) -> None:
    rewrite(path, ("final", "test_error"), 1.25)
    assert "final.test_error is 1.25, but the last point of test_curve is" in refusal(path)


@pytest.mark.parametrize("curve", ["train_curve", "test_curve"])
@pytest.mark.parametrize("wrong", [11, 1])
def test_a_curve_that_does_not_rise_to_the_last_iteration_is_named(curve: str, wrong: int, path: Path) -> None:
    rewrite(path, (curve, "iteration", -1), wrong)
    assert f"{curve}.iteration must rise to 12" in refusal(path)


def test_a_config_that_is_not_the_files_is_named(path: Path) -> None:
    rewrite(path, ("config", "seed"), 1)
    assert refusal(path) == f"config: this is the record of {tiny_config(seed=1).name}; rename or restore the file"


@pytest.mark.fault("old record schema")
def test_a_record_of_another_format_is_refused(path: Path) -> None:
    rewrite(path, ("format",), 2)
    assert refusal(path).startswith("format: ")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", "half"])
def test_what_is_no_record_is_refused(content: bytes | str, path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content == "half" else content)
    assert refusal(path).startswith("record: ")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.json").startswith("cannot be read (No such file")


# Folders of records.


def test_records_are_found_by_config_in_either_layout_and_earlier_folders_win(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    configs = [tiny_config(seed=seed) for seed in range(4)]
    save_record(made_up_record(configs[0], train_error=1), first / configs[0].data.name)  # as in the package
    save_record(made_up_record(configs[0], train_error=2), second)  # as in the cache
    save_record(made_up_record(configs[2], train_error=3), second)
    records = Records(first, second)
    assert records.get(configs[1]) is None
    assert [r.final.train_error for r in records.select(reversed(configs))] == [3, 1]
    assert sorted(r.final.train_error for r in records) == [1, 2, 3]


@pytest.mark.fault("killed process")
def test_a_half_written_record_is_no_record(tmp_path: Path) -> None:
    whole = save_record(made_up_record(tiny_config()), tmp_path)
    whole.rename(tmp_path / f".{whole.name}.x8s7.partial")
    assert Records(tmp_path).get(tiny_config()) is None
    assert not list(Records(tmp_path))


def test_a_damaged_record_is_not_passed_over(path: Path) -> None:
    path.write_text("{")
    with pytest.raises(UserError, match="Invalid JSON"):
        Records(path.parent).get(tiny_config())


def test_records_of_this_machine_are_looked_for_after_the_committed_ones(tmp_path: Path) -> None:
    assert Records.all().folders == (committed_dir(), local_dir())
    assert local_dir() == tmp_path / "cache" / "records"
    assert Records.committed().folders == (committed_dir(),)


def test_each_net_has_the_rate_that_is_best_on_seeds_that_judge_nothing() -> None:
    """The mean training error of the choosing seeds at `small` decides, from committed records."""
    small, records = PROFILES["small"], Records.committed()
    judging = {seed for profile in PROFILES.values() for seed in range(profile.num_seeds)}
    assert not judging & set(CHOOSING_SEEDS)
    for net, chosen in CHOSEN.items():
        errors = {}
        rates = IDENTITY_RATES if net in IDENTITIES else RATES
        for number, rate in enumerate(rates):
            runs = records.select(net.with_recipe(**rate).at(small, seed) for seed in CHOOSING_SEEDS)
            assert len(runs) == len(CHOOSING_SEEDS), (net.name, rate)
            errors[number] = mean(run.final.train_error for run in runs)
        assert rates[min(errors, key=errors.get)] == chosen, (net.name, errors)


def test_the_deep_plain_net_has_the_optimiser_that_is_best_on_those_seeds() -> None:
    small, records = PROFILES["small"], Records.committed()
    errors = {}
    for setting in OPTIMIZED:
        runs = records.select(setting.at(small, seed) for seed in CHOOSING_SEEDS)
        assert len(runs) == len(CHOOSING_SEEDS), setting.name
        errors[setting] = mean(run.final.train_error for run in runs)
    assert min(errors, key=errors.get) == BEST_OPTIMIZED, errors


def test_a_net_that_starts_otherwise_has_its_best_rate_and_no_rate_at_an_end_of_the_grid() -> None:
    small, records = PROFILES["small"], Records.committed()
    for net, rates in RATES_OF.items():
        tried = [records.select(net.with_recipe(**rate).at(small, seed) for seed in CHOOSING_SEEDS) for rate in rates]
        assert {len(runs) for runs in tried} == {len(CHOOSING_SEEDS)}, net.name
        errors = [mean(run.final.train_error for run in runs) for runs in tried]
        assert rates[errors.index(min(errors))] == CHOSEN_OF[net], (net.name, errors)
        assert CHOSEN_OF[net]["lr"] not in (min(r["lr"] for r in rates), max(r["lr"] for r in rates)), net.name
