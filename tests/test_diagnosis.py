"""The diagnosis names constructed cases, draws its lines where it says, and refuses what it cannot tell."""

from collections.abc import Callable
from pathlib import Path

import pytest
from samples import made_up_record, tiny_config

from resnet_lib import data
from resnet_lib.data import tabular
from resnet_lib.errors import UserError
from resnet_lib.evidence import diagnosis, learning
from resnet_lib.evidence.diagnosis import (
    CANNOT_FIT,
    DIVERGED,
    FINE,
    OVERFITS,
    TOO_RIGID,
    UNDECIDED,
    diagnose,
    judged,
)
from resnet_lib.evidence.effects import RightDiagnoses
from resnet_lib.runs.config import RunConfig, changed
from resnet_lib.runs.experiments import CASES, CHOOSING_SEEDS, CONSTRUCTED, SUITES
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord, TrainCurve, save_record
from resnet_lib.runs.settings import Setting, fully_connected, plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import figures, tables

SMALL = PROFILES["small"]
shares = RightDiagnoses("").per_seed
SUITE = SUITES["diagnoses"]
CONFIG = tiny_config(resnet(20))
HEADED = tiny_config(resnet(20, head=(256,)))
RIGID = next(case for case in CASES if case.built == TOO_RIGID)
PARITY = RIGID.setting.at(SMALL, 0)  # two classes


def run(train: float, test: float, config: RunConfig = CONFIG) -> RunRecord:
    return made_up_record(config, train_error=train, test_error=test, halfway=train)


def case(train: float, test: float, config: RunConfig = CONFIG) -> str:
    return diagnose(run(train, test, config)).case


def with_train_curve(record: RunRecord, *points: tuple[int, float]) -> RunRecord:
    iterations, errors = zip(*points, strict=True)
    some = (1.0,) * len(points)
    return record.model_copy(update={"train_curve": TrainCurve(iteration=iterations, lr=some, loss=some, error=errors)})


# One run.


@pytest.mark.parametrize(
    ("train", "test", "named"),
    [
        (0, 0, FINE),
        (10, 15, FINE),
        (0, 28, OVERFITS),
        (8, 52, OVERFITS),  # chapter 10, ex-diagnosis-by-hand
        (62, 63, UNDECIDED),
        (75, 75, UNDECIDED),
        (90, 90, UNDECIDED),
        (60, 88, UNDECIDED),  # a wide gap too, but what does not fit has to fit first
        (11, 8, FINE),  # a net may do better on held-back images than on its own
        (70, 60, UNDECIDED),
    ],
)
def test_a_run_of_ten_classes_is_named(train: float, test: float, named: str) -> None:
    assert case(train, test) == named


@pytest.mark.parametrize(("train", "named"), [(11.25, FINE), (11.26, UNDECIDED)])
def test_training_error_is_high_above_an_eighth_of_guessing(train: float, named: str) -> None:
    assert case(train, train) == named


@pytest.mark.parametrize(("gap", "named"), [(18, FINE), (18.01, OVERFITS)])
@pytest.mark.parametrize("train", [0, 10])
def test_a_gap_is_wide_above_a_fifth_of_guessing(train: float, gap: float, named: str) -> None:
    assert case(train, train + gap) == named


@pytest.mark.parametrize(("train", "test", "named"), [(6.2, 6.2, FINE), (6.3, 7, UNDECIDED), (5, 15.1, OVERFITS)])
def test_two_classes_are_measured_by_their_own_guessing(train: float, test: float, named: str) -> None:
    assert case(train, test, PARITY) == named
    assert case(train, test) == FINE


def test_the_number_of_classes_is_that_of_the_data_set() -> None:
    """It is stated twice, because the diagnosis must do without torch."""
    known = {name: source.num_classes for name, source in {**data.SOURCES, **tabular.TABULAR}.items()}
    assert known == learning.NUM_CLASSES


def test_an_unknown_data_set_is_refused() -> None:
    other = CONFIG.model_copy(update={"data": CONFIG.data.model_copy(update={"name": "cifar-10"})})
    with pytest.raises(UserError, match="no data set is called 'cifar-10'; did you mean cifar10"):
        diagnose(run(10, 20, other))


def test_a_run_that_diverged_says_nothing_of_its_architecture() -> None:
    diverged = run(90, 90).model_copy(update={"diverged_at": 12})
    told = diagnose(diverged)
    assert told.case == DIVERGED
    assert "after 12 iterations" in told.evidence
    assert diagnose(run(90, 90), run(90, 90, HEADED).model_copy(update={"diverged_at": 12})).case == UNDECIDED


# What it says.


def test_evidence_tells_test_errors_from_validation_errors() -> None:
    held = CONFIG.model_copy(update={"data": CONFIG.data.model_copy(update={"validation": 1000})})
    for errors in ((10, 20), (0, 40), (80, 81)):
        assert "validation error" in diagnose(run(*errors, held)).evidence
        assert "test error" in diagnose(run(*errors)).evidence
        assert "validation" not in diagnose(run(*errors)).evidence


def test_evidence_has_the_numbers() -> None:
    assert diagnose(run(10, 15)).evidence == (
        "Training error is 10.0%, test error 15.0%: a gap of 5.0 points, where guessing has 90.0%."
    )
    worse = made_up_record(CONFIG, 1, 40, best=35)
    assert "The lowest test error, 35.0%, was reached by iteration 6." in diagnose(worse).evidence
    assert "test error is 2.0 points lower" in diagnose(run(72, 70)).evidence


def test_evidence_tells_how_far_training_error_still_fell() -> None:
    """The last quarter against the one before, by their means: 70 and 60 against 50 and 46."""
    long = tiny_config(resnet(20), iterations=80)
    record = made_up_record(long, 46, 50)
    points = ((20, 88.0), (40, 80.0), (50, 70.0), (60, 60.0), (70, 50.0), (80, 46.0))
    assert "training error lay 17.0 points below" in diagnose(with_train_curve(record, *points)).evidence
    assert "quarter" not in diagnose(with_train_curve(record, (40, 80.0), (80, 46.0))).evidence


@pytest.mark.parametrize(
    ("setting", "blamed"),
    [
        (resnet(20), False),
        (resnet(20, head=(256,)), True),
        (resnet(20, pool="flatten"), True),
        (fully_connected(1, "parity"), False),
        (fully_connected(3, "parity"), True),
    ],
)
def test_the_head_is_blamed_for_overfitting_only_where_there_is_one(setting: Setting, blamed: bool) -> None:
    told = diagnose(run(0, 40, tiny_config(setting)))
    assert told.case == OVERFITS
    assert (told.next_step == diagnosis.LESS_HEAD) == blamed
    assert (told.next_step == diagnosis.MORE_IMAGES) != blamed


def test_each_case_has_a_next_step_of_its_own() -> None:
    told = [diagnose(run(*errors)) for errors in ((5, 9), (0, 40), (80, 80))]
    told += [diagnose(run(80, 80), run(*errors, HEADED)) for errors in ((80, 80), (10, 12))]
    assert [d.case for d in told] == [FINE, OVERFITS, UNDECIDED, CANNOT_FIT, TOO_RIGID]
    assert len({d.next_step for d in told}) == 5
    assert "small head" in told[2].next_step
    assert str(told[0]).splitlines()[0] == "Case: fine"
    assert max(map(len, str(told[3]).splitlines())) <= 80


# With the second run.


@pytest.mark.parametrize(
    ("train", "test", "named"),
    [
        (26.6, 26.6, TOO_RIGID),
        (26.7, 26, CANNOT_FIT),
        (26, 26.7, CANNOT_FIT),  # it learned its training images by heart
        (3, 8, TOO_RIGID),
        (0, 79, CANNOT_FIT),
        (90, 90, CANNOT_FIT),
    ],
)
def test_a_head_must_take_two_thirds_of_both_errors_away(train: float, test: float, named: str) -> None:
    told = diagnose(run(80, 80), run(train, test, HEADED))
    assert told.case == named
    assert f"from 80.0% to {train:.1f}%" in told.evidence


@pytest.mark.parametrize("errors", [(10, 15), (0, 40)])
def test_the_second_run_is_not_asked_where_the_curves_suffice(errors: tuple[float, float]) -> None:
    assert diagnose(run(*errors), run(0, 1, HEADED)) == diagnose(run(*errors))


@pytest.mark.parametrize(
    "other",
    [
        tiny_config(resnet(20, head=(256,)), seed=1),
        tiny_config(plain(20, head=(256,))),
        tiny_config(resnet(32, head=(256,))),
        tiny_config(resnet(20, head=(256,)), lr=0.01),
        HEADED.model_copy(update={"data": HEADED.data.model_copy(update={"num_train": 200})}),
    ],
)
def test_a_second_run_that_differs_in_more_than_its_head_is_refused(other: RunConfig) -> None:
    assert diagnose(run(80, 80), run(10, 10, HEADED)).case == TOO_RIGID
    with pytest.raises(UserError, match=r"differs from .* in more than its FC head"):
        diagnose(run(80, 80), run(10, 10, other))


def test_a_second_run_needs_a_larger_head() -> None:
    with pytest.raises(UserError, match="no larger head"):
        diagnose(run(80, 80), run(10, 10, CONFIG))
    with pytest.raises(UserError, match="no larger head"):
        diagnose(run(80, 80, HEADED), run(10, 10, CONFIG))


def test_a_fully_connected_net_is_all_head() -> None:
    assert RIGID.second is not None
    deeper = RIGID.second.at(SMALL, 0)
    assert diagnose(run(45, 47, PARITY), run(3, 8, deeper)).case == TOO_RIGID
    with pytest.raises(UserError, match="no larger head"):
        diagnose(run(45, 47, deeper), run(3, 8, PARITY))
    slower = deeper.model_copy(update={"recipe": changed(deeper.recipe, lr=0.5)})
    with pytest.raises(UserError, match="differs"):
        diagnose(run(45, 47, PARITY), run(3, 8, slower))


# The constructed cases.

ERRORS = {FINE: [(10, 15)], CANNOT_FIT: [(75, 75), (80, 80)], OVERFITS: [(0, 28)], TOO_RIGID: [(45, 47), (3, 8)]}
CLEAR = {  # as clear as can be: setting -> training and test error, second runs after their first
    setting: errors
    for case in CASES
    for setting, errors in zip(filter(None, (case.setting, case.second)), ERRORS[case.built], strict=True)
}
Save = Callable[[int], Records]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Saves the runs of a seed, each as clear as can be, and returns all that is saved."""

    def save(seed: int) -> Records:
        for setting, errors in CLEAR.items():
            save_record(run(*errors, setting.at(SMALL, seed)), tmp_path)
        return Records(tmp_path)

    return save


def forget(records: Records, setting: Setting, seed: int) -> None:
    (records.folders[0] / f"{setting.at(SMALL, seed).name}.json").unlink()


def test_every_setting_is_a_case_or_the_second_run_of_one() -> None:
    assert set(CLEAR) == set(SUITE.settings)
    assert len(CLEAR) == len(SUITE.settings)
    assert {case.built for case in CASES} == {FINE, CANNOT_FIT, OVERFITS, TOO_RIGID}
    assert all(case.setting.name.startswith(f"{case.built}: ") for case in CASES)
    assert all(case.second.net.head or case.second.net.depth > 1 for case in CASES if case.second)


def test_every_seed_counts_that_nothing_was_chosen_by(save: Save) -> None:
    for seed in (0, 1, *CHOOSING_SEEDS):
        records = save(seed)
    assert shares(SMALL, records) == [100, 100]
    assert len(judged(records.select(SUITE.runs(SMALL)))) == 2 * len(CASES)
    assert shares(PROFILES["quick"], records) == []


def test_each_threshold_lies_halfway_between_the_runs_it_separates() -> None:
    """Those of the seeds that judge nothing, on a scale of ratios, with room to spare."""
    runs = Records.committed().select(SUITES["thresholds"].runs(PROFILES["small"]))
    assert len(runs) == len(CONSTRUCTED) * len(CHOOSING_SEEDS)
    sides: dict[str, tuple[list[float], list[float]]] = {
        name: ([], []) for name in ("HIGH_TRAINING", "WIDE_GAP", "HEAD_HELPS")
    }
    for case in CASES:
        second = diagnosis.of_setting(runs, case.second)
        for seed, first in diagnosis.of_setting(runs, case.setting).items():
            guessing = learning.guessing_error(first)
            train, test = first.final.train_error, first.final.test_error
            sides["HIGH_TRAINING"][case.second is not None].append(train / guessing)
            if case.second is None:
                sides["WIDE_GAP"][case.built == OVERFITS].append((test - train) / guessing)
            else:
                headed = second[seed].final
                left = max(headed.train_error / train, headed.test_error / test)
                sides["HEAD_HELPS"][case.built == CANNOT_FIT].append(left)
    for name, (below, above) in sides.items():
        assert max(below) < min(above) / 1.5, (name, below, above)
        halfway = (max(below) * min(above)) ** 0.5
        assert getattr(diagnosis, name) == pytest.approx(halfway, rel=0.1), (name, below, above)


@pytest.mark.parametrize("wrong", range(len(CLEAR)))
def test_each_misreading_costs_a_quarter(save: Save, wrong: int, tmp_path: Path) -> None:
    """Errors that are another case's, for one setting at a time."""
    misleading = [(80, 80), (5, 8), (9, 12), (10, 12), (5, 8), (45, 47)]
    records = save(2)
    save_record(run(*misleading[wrong], list(CLEAR)[wrong].at(SMALL, 2)), tmp_path)
    assert shares(SMALL, records) == [75]


@pytest.mark.parametrize("setting", CLEAR, ids=lambda setting: setting.name)
def test_a_seed_counts_only_with_all_its_runs(save: Save, setting: Setting) -> None:
    records = save(2)
    save(3)
    forget(records, setting, 3)
    assert shares(SMALL, records) == [100]
    forget(records, setting, 2)
    assert shares(SMALL, records) == []


def test_a_case_is_left_out_without_its_second_run(save: Save) -> None:
    records = save(0)
    forget(records, next(case.second for case in CASES if case.built == CANNOT_FIT), 0)
    built = [one.built for one in judged(records.select(SUITE.runs(SMALL)))]
    assert sorted(built) == sorted({FINE, OVERFITS, TOO_RIGID})


# Tables and the figure.


def test_the_table_marks_errors(save: Save) -> None:
    save(1)
    records = save(2)
    unfit = next(case.setting for case in CASES if case.built == CANNOT_FIT)
    save_record(run(5, 8, unfit.at(SMALL, 2)), records.folders[0])
    table = tables.diagnoses(records.select(SUITE.runs(SMALL)))
    assert list(table["seed"]) == [1] * 4 + [2] * 4
    assert list(table["right"]) == ["yes"] * 5 + ["no"] + ["yes"] * 2
    assert list(table["from the curves alone"])[:4] == [FINE, UNDECIDED, OVERFITS, UNDECIDED]
    assert list(table["with the second run"])[4:] == [FINE, FINE, OVERFITS, TOO_RIGID]
    assert tables.diagnoses_by_case(records.select(SUITE.runs(SMALL))).values.tolist() == [
        [FINE, "2 of 2", "2 of 2"],
        [CANNOT_FIT, "1 of 2", "0 of 2"],
        [OVERFITS, "2 of 2", "2 of 2"],
        [TOO_RIGID, "2 of 2", "0 of 2"],
    ]


def test_any_runs_can_be_tabulated() -> None:
    table = tables.diagnosed([run(10, 15), run(80, 81)])
    assert list(table["case"]) == [FINE, UNDECIDED]


def test_the_figure_has_a_panel_per_case_and_draws_second_runs_in_grey(save: Save) -> None:
    save(0)
    drawn = figures.cases(save(1).select(SUITE.runs(SMALL)))
    titles = [axes.get_title(loc="left") for axes in drawn.axes]
    assert titles == [case.setting.name for case in CASES]
    lines = [{line.get_label(): line for line in axes.lines} for axes in drawn.axes]
    assert [len(panel) for panel in lines] == [3, 5, 3, 5]
    assert list(lines[3]["1 FC, validation"].get_ydata())[-1] == 47
    assert list(lines[3]["1 FC, training"].get_ydata())[-1] == 46  # the curve's, not the final error
    assert lines[3]["3 FC, validation"].get_color() == lines[1]["plain-56, FC 256, training"].get_color() == "0.5"
    assert [set(panel["guessing"].get_ydata()) for panel in lines] == [{90}, {90}, {90}, {50}]
    assert {line.get_linestyle() for panel in lines for name, line in panel.items() if "training" in name} == {"--"}


def test_the_figure_and_the_table_can_be_empty() -> None:
    assert len(figures.cases([]).axes) == len(CASES)
    assert tables.diagnoses([]).empty
