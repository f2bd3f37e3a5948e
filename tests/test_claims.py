"""Verdicts follow from records by one rule, and those that the book states are those that its records give."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import comb
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from samples import ROOT, made_up_record, made_up_study
from scipy import stats

from resnet_lib.evidence.claims import CLAIMS, PAPER_CLAIMS, THRESHOLD, TO_COVER, Claim, verdicts
from resnet_lib.evidence.effects import (
    OF_STUDIES,
    BestOf,
    Difference,
    Effect,
    Level,
    Measure,
    Side,
    Together,
    branch_ratio,
    falls_outward,
    flattery,
    gap,
    half_gap,
    halfway_error,
    last_step_steepest,
    lesion_cost,
    median_response,
    nearer_to_exponential,
    one_bit_apart,
    paired,
    quotient,
    reset_cost,
    share_of_the_first,
    short_paths,
    steps_downhill,
    time_to_learn,
    train_error,
    weakest_gradient,
)
from resnet_lib.evidence.effects import test_error as error_on_test  # which pytest would take for a test
from resnet_lib.evidence.facts import FACTS
from resnet_lib.evidence.learning import has_learned, not_started
from resnet_lib.evidence.rule import (
    MIN_FLIPS,
    POWER,
    Rule,
    Verdict,
    _chance_of_signs,
    asked_together,
    chance_above,
    chances_together,
    fallen_by_holm,
    fallen_together,
    interval,
    judge,
    judge_share,
    power,
)
from resnet_lib.runs.config import NetConfig, RunConfig
from resnet_lib.runs.experiments import FOLKLORE, home
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.records import RunRecord, load_record, save_record, save_study
from resnet_lib.runs.seal import SEAL
from resnet_lib.runs.settings import DEPTHS, Setting, fully_connected, plain, resnet
from resnet_lib.runs.store import Records, committed_dir

SMALL = PROFILES["small"]

# The rule.


@pytest.mark.parametrize("values", [[1.0, 2.0, 4.0], [0.5, 0.6, 0.4, 0.7, 0.3], [-3.0, 8.0]])
def test_interval_is_students(values: list[float]) -> None:
    expected = stats.t.interval(0.95, len(values) - 1, loc=mean(values), scale=stats.sem(values))
    assert interval(values) == pytest.approx((mean(values), *expected))


@pytest.mark.parametrize(
    ("effects", "status"),
    [
        ([4.0, 5.0, 6.0], "supported"),
        ([0.6, 0.6, 0.6], "supported"),
        ([0.4, 0.4, 0.4], "refuted"),
        ([-6.0, -5.0, -4.0], "refuted"),
        ([0.4, 0.5, 0.6], "undecided"),
        ([0.0, 5.0, 10.0], "undecided"),  # a mean above the threshold is not enough
        ([-10.0, -5.0, 0.0], "undecided"),
        ([5.0, 5.0], "not yet run"),
        ([], "not yet run"),
    ],
)
def test_verdict_depends_on_where_the_interval_lies(effects: list[float], status: str) -> None:
    verdict = judge("claim", "small", effects, threshold=0.5)
    assert verdict.status == status
    assert verdict.num_seeds == len(effects)
    assert verdict.effect == (pytest.approx(mean(effects)) if effects else None)
    assert (verdict.low is None) == (verdict.high is None) == (status == "not yet run")


def test_a_claim_that_nothing_happens_is_judged_on_both_sides() -> None:
    cases = {
        (0.1, 0.0, -0.1): "supported",
        (0.4, 0.4, 0.4): "supported",
        (4.0, 5.0, 6.0): "refuted",
        (-6.0, -5.0, -4.0): "refuted",
        (0.4, 0.5, 0.6): "undecided",
        (-9.0, 9.0, 0.0): "undecided",
        (0.0, 0.0): "not yet run",
    }
    for effects, status in cases.items():
        assert judge("claim", "small", effects, threshold=0.5, rule="within").status == status, effects


def test_from_six_seeds_on_the_exact_test_has_to_agree() -> None:
    """Five effects of one sign in six can happen by chance alone, however narrow Student's interval is about them."""
    assert chance_above([1.0, 1.1, 0.9, 1.0, 1.1], 0) < 0.001
    assert chance_above([1.0, 1.1, 0.9, 1.0, 1.1, 1.0], 0) == 1 / 64
    assert chance_above([1.0, 1.1, 0.9, 1.0, 1.1, -0.1], 0) == 2 / 64
    assert judge("claim", "small", [1.0, 1.1, 0.9, 1.0, 1.1, -0.1], 0).status == "undecided"
    assert interval([1.0, 1.1, 0.9, 1.0, 1.1, -0.1])[1] > 0, "Student alone would have decided"


def test_the_exact_test_is_scipys() -> None:
    effects = [3.0, -1.0, 2.0, 0.5, 4.0, -0.3, 2.2]
    test = stats.permutation_test((effects,), np.mean, permutation_type="samples", alternative="greater")
    assert _chance_of_signs(np.array(effects)) == pytest.approx(test.pvalue)


def test_a_failure_that_no_seed_shows_fools_both_tests() -> None:
    """What happens in one run of ten is missed by ten seeds a third of the time; the rule's text says so."""
    draw = np.random.default_rng(0)
    wrong = 0
    for _ in range(500):
        effects = np.where(draw.random(10) < 0.1, 9.0, -1.0) + draw.normal(0, 0.1, 10)  # the true mean is zero
        wrong += judge("claim", "small", list(effects), 0).status != "undecided"
    assert 0.3 < wrong / 500 < 0.4


def test_a_share_is_judged_by_its_exact_interval() -> None:
    """Twelve right of twelve leave 26 percent in doubt."""
    verdict = judge_share("claim", "small", 12, 12, 3, threshold=80.0)
    assert (verdict.status, verdict.effect, verdict.high) == ("undecided", 100, 100)
    assert verdict.low == pytest.approx(73.5, abs=0.1)
    assert verdict.fresh_seeds == 5, "17 of 17 would do, and a seed has four"
    assert judge_share("claim", "small", 32, 32, 8, threshold=80.0).status == "supported"
    assert judge_share("claim", "small", 3, 12, 3, threshold=80.0).status == "refuted"
    assert judge_share("claim", "small", 8, 8, 2, threshold=80.0).status == "not yet run"
    assert judge_share("claim", "small", 0, 0, 0, threshold=80.0).effect is None


def test_what_is_undecided_says_how_many_fresh_seeds_would_decide_it_four_times_in_five() -> None:
    effects = [0.0, 1.0, 2.0]
    enough = judge("claim", "small", effects, threshold=0.0).fresh_seeds
    assert power(1.0, 1.0, enough - 1) < POWER <= power(1.0, 1.0, enough)
    draw = np.random.default_rng(0)
    drawn = draw.normal(mean(effects), np.std(effects, ddof=1), (4000, enough))
    shown = [
        stats.ttest_1samp(drawn[:, :n], 0, axis=1, alternative="greater").pvalue < 0.025 for n in (enough - 1, enough)
    ]
    assert shown[0].mean() < 0.8 + 0.02 and shown[1].mean() > 0.8 - 0.02
    assert judge("claim", "small", [-1.0, 0.0, 1.0], threshold=0.0).fresh_seeds is None
    assert judge("claim", "small", [4.0, 5.0, 6.0], threshold=0.0).fresh_seeds is None
    assert judge("claim", "small", [0.0, 2.0, 2.0], threshold=0.0).fresh_seeds >= MIN_FLIPS


def test_fresh_trials_of_a_share_decide_it_as_often_as_said() -> None:
    """Nine right of ten against a half is decided; against three quarters it takes more."""
    verdict = judge_share("claim", "small", 27, 30, 3, threshold=75.0)
    trials = verdict.fresh_seeds * 10
    decided = [
        judge_share("claim", "small", int(right), trials, verdict.fresh_seeds, 75.0).status == "supported"
        for right in np.random.default_rng(0).binomial(trials, 0.9, 400)
    ]
    assert verdict.status == "undecided" and np.mean(decided) > 0.75


def test_holm_lets_the_least_sure_verdicts_fall() -> None:
    def verdict(name: str, p: float | None, status: str = "supported") -> Verdict:
        return Verdict(name, "small", status, 5, 1.0, 0.5, 1.5, p)

    judged = [verdict("sure", 0.001), verdict("less", 0.02), verdict("least", 0.04)]
    assert fallen_by_holm([*judged, verdict("open", 0.3, "undecided"), verdict("never", None, "not yet run")]) == {
        "less",
        "least",
    }
    assert fallen_by_holm(judged) == set()
    assert fallen_by_holm([]) == set()


def test_chances_together_are_those_of_a_small_example_by_hand() -> None:
    """Six seeds have 64 flips. By itself, the first claim is as strong under 2 of them, the second under 14.

    Together the strongest of the two counts. The largest is 1 where either shows all one sign: under 4 flips. For the
    second the first is out, which leaves 14: a sum of 4 or more on either side, 2 x (6 + 1).
    """
    chances = chances_together({"sure": [3.0] * 6, "less": [1, 1, 1, 1, 1, -1]})
    assert chances == {"sure": 4 / 64, "less": 14 / 64}
    assert chances_together({"alone": [3.0] * 6}) == {"alone": 2 / 64}
    assert chances_together({"one": [3.0] * 6, "the same": [-0.5] * 6}) == {"one": 2 / 64, "the same": 2 / 64}
    assert chances_together({"none": [0.0] * 6}) == {"none": 1.0}


def test_no_chance_together_is_below_that_of_a_stronger_claim() -> None:
    """By itself the weaker of these two would have 20 of 64 ways, and the stronger has 26 beside it."""
    stronger, weaker = [4, 2, 2, 0, 0, -1], [-1, -1, 0, 3, 2, 4]
    assert chances_together({"weaker": weaker}) == {"weaker": 20 / 64}
    assert set(chances_together({"stronger": stronger, "weaker": weaker}).values()) == {26 / 64}


def decided(effects: dict[str, Sequence[float]]) -> list[Verdict]:
    """Verdicts on "it is above zero"; all are decided by themselves."""
    judged = [judge(claim, "small", values, threshold=0.0) for claim, values in effects.items()]
    assert {verdict.status for verdict in judged} <= {"supported", "refuted"}
    return judged


def test_verdicts_that_share_their_seeds_stand_together_where_holm_fells_them() -> None:
    """Effects far from zero: of more than 25 Holm's first step asks for less than ten seeds can show."""
    draw = np.random.default_rng(0)
    judged = decided({f"claim {n}": draw.normal(5, 0.5, 10) for n in range(26)})
    assert fallen_together(judged, 10) == {}
    assert len(fallen_by_holm(judged)) == 26
    assert len(fallen_by_holm(judged[:25])) == 0


def test_what_chance_alone_decides_falls_together() -> None:
    """Of two hundred claims without any effect one in twenty is decided, and none stands beside the others."""
    draw = np.random.default_rng(1)
    judged = [judge(f"claim {n}", "small", draw.normal(0, 1, 10), threshold=0.0) for n in range(200)]
    by_chance = {verdict.claim for verdict in judged if verdict.status != "undecided"}
    assert len(by_chance) > 3
    assert fallen_together(judged, 10).keys() == by_chance


def test_claims_with_fewer_seeds_than_the_others_are_not_asked_together() -> None:
    """Nor where all have three: fewer seeds must not make a verdict safer."""
    judged = decided({"ten": [5.0, 5.1, 4.9, 5.2, 4.8, 5.0, 5.1, 4.9, 5.2, 4.8], "three": [5.0, 5.1, 4.9]})
    assert [verdict.claim for verdict in asked_together(judged, 10)] == ["ten"]
    assert asked_together(decided({"three": [5.0, 5.1, 4.9]}), 3) == []
    assert fallen_together(decided({"three": [5.0, 5.1, 4.9]}), 3) == {}
    assert asked_together([judge_share("share", "small", 40, 40, 10, threshold=80.0)], 10) == []


def test_a_claim_that_nothing_happens_is_asked_together_from_the_nearer_threshold() -> None:
    effects = [-0.2, -0.1, -0.3]
    assert judge("claim", "small", effects, 0.5, "within").differences == pytest.approx((0.3, 0.4, 0.2))
    assert judge("claim", "small", [0.2, 0.1, 0.3], 0.5, "within").differences == pytest.approx((-0.3, -0.4, -0.2))


# Claims that cannot be asked.


def test_a_claim_about_nets_that_learn_is_not_asked_where_one_did_not(tmp_path: Path) -> None:
    made_up = Claim(name="made up", statement="", source="", effect=Difference("A minus B", A, B), of_learned=True)
    records = told({A: [75, 70, 55, 72, 58], B: [20] * 5}, tmp_path)
    verdict = made_up.verdict(SMALL, records)
    assert (verdict.status, verdict.effect, verdict.p) == ("did not start", 46, None)
    assert verdict.why.startswith("ResNet-8 A ends at 70% training error (median)")
    assert replace(made_up, of_learned=False).verdict(SMALL, records).status == "supported"
    told({A: [75, 50, 55, 72, 58]}, tmp_path)
    assert made_up.verdict(SMALL, records).status == "supported", "three of five have learned"


def test_only_the_best_of_several_has_to_have_learned(tmp_path: Path) -> None:
    effect = Difference("", worse=BestOf((A, C)), better=B)
    made_up = Claim(name="made up", statement="", source="", effect=effect, of_learned=True)
    assert made_up.verdict(SMALL, told({A: [80] * 3, C: [30, 31, 30], B: [20] * 3}, tmp_path)).status == "supported"
    assert effect.compared(SMALL, Records(tmp_path)) == [C, B]


def test_whether_a_net_that_has_not_learned_still_falls_is_said() -> None:
    run = made_up_record(A.at(SMALL, 0), train_error=70, halfway=90)
    assert not has_learned(run) and has_learned(made_up_record(A.at(SMALL, 0), train_error=59))
    assert not has_learned(run.model_copy(update={"diverged_at": 200, "final": run.final}))
    curve = run.train_curve.model_copy(update={"iteration": (50, 100, 150, 200), "lr": (0.1,) * 4, "loss": (1.0,) * 4})
    falling = run.model_copy(update={"train_curve": curve.model_copy(update={"error": (90.0, 85.0, 80.0, 71.0)})})
    stuck = run.model_copy(update={"train_curve": curve.model_copy(update={"error": (90.0, 72.0, 71.5, 71.0)})})
    assert not_started([falling]).endswith("still falls")
    assert not_started([stuck]).endswith("falls no more")
    assert not_started([]) == ""


def test_a_gain_is_not_asked_for_where_no_error_is_left(tmp_path: Path) -> None:
    one, two = fully_connected(1, "wine"), fully_connected(2, "wine")
    claim = CLAIMS["fc-on-real-features"]
    clean = {fully_connected(1, "breast-cancer"): [0.4] * 3, fully_connected(2, "breast-cancer"): [0.0] * 3}
    records = told({one: [0.0] * 3, two: [0.0] * 3} | clean, tmp_path, error_on_test)
    assert claim.verdict(SMALL, records).status == "nothing to gain"
    assert claim.verdict(SMALL, records).why == "the mean test error of one layer is 0.2%"
    told({one: [9.0, 9.1, 9.2], two: [1.0] * 3} | clean, tmp_path, error_on_test)
    assert claim.verdict(SMALL, records).status == "supported"


def test_nothing_is_gained_by_the_best_epoch_where_it_is_the_last_in_every_run(tmp_path: Path) -> None:
    claim = CLAIMS["best-epoch-flatters"]
    assert claim.verdict(SMALL, told({resnet(20): [0.0] * 3}, tmp_path, flattery)).status == "nothing to gain"
    assert claim.verdict(SMALL, told({resnet(20): [0.4, 0.5, 0.6]}, tmp_path, flattery)).status == "supported"


# Effects: what each kind makes of the numbers of its settings.

AS_RECORDED: dict[Measure, Callable[[float], dict[str, float]]] = {  # a number -> a made-up record that has it
    train_error: lambda x: {"train_error": x, "test_error": 98 - x},
    error_on_test: lambda x: {"test_error": x, "train_error": 98 - x},
    halfway_error: lambda x: {"halfway": x},
    flattery: lambda x: {"test_error": 40, "best": 40 - x},
    weakest_gradient: lambda x: {"weakest": 0.5 * x},
    median_response: lambda x: {"response": x},
    branch_ratio: lambda x: {"branch": x},
    time_to_learn: lambda x: {"learned_at": x},
}


AS_STUDIED: dict[Measure, Callable[[float], dict[str, float]]] = {  # likewise a made-up study
    lesion_cost: lambda x: {"whole net": 20.0, "layer1.0": 29 + x, "layer1.1": 20 + x, "layer1.2": 19 + x},
    share_of_the_first: lambda x: {"whole net": 20.0, "a": 20 + 15 * x, "b": 20 + 5 * x, "a+b": 35.0, "a+c": 25.0},
    short_paths: lambda x: {"0": x / 2, "1": x / 6, "2": (100 - x) / 6, "3": (100 - x) / 2},  # of 1, 3, 3 and 1 paths
    steps_downhill: lambda x: {f"{i}": 0.1 if i < 8 * x else -0.1 for i in range(8)},
    last_step_steepest: lambda x: {"a": -0.3, "b": 0.2, "c": 0.2 + x},
    reset_cost: lambda x: {
        "whole net": 8.0,
        "batch norm re-estimated": 9.0,
        "stem": 90.0,
        "layer1.0": 9 + x,
        "layer2.0": 8.0,
        "layer3.0": 50.0,
        "fc": 90.0,
    },
    falls_outward: lambda x: {f"0: {at:+.1f}": 9.0 + abs(abs(at) - 4 * x) for at in range(-4, 5)},
    one_bit_apart: lambda x: {"whole net": 20.0, "one bit, differ": 8 * x, "another seed, differ": 8.0},
}


def told(numbers: dict[Setting, Sequence[float]], folder: Path, of: Measure = train_error) -> Records:
    """Records of these settings whose measured numbers are these, seed by seed."""
    for setting, values in numbers.items():
        for seed, value in enumerate(values):
            config = setting.at(SMALL, seed)
            if of in AS_STUDIED:
                save_study(made_up_study(OF_STUDIES[of], config, AS_STUDIED[of](value)), folder)
            else:
                save_record(made_up_record(config, **AS_RECORDED[of](value)), folder)
    return Records(folder)


def computed(side: Side, numbers: dict[Setting, Sequence[float]], folder: Path, of: Measure = train_error) -> list:
    return Level("", side, of).per_seed(SMALL, told(numbers, folder, of))


A, B, C = resnet(8), resnet(14), resnet(20)


@pytest.mark.parametrize("of", AS_RECORDED)
def test_each_measure_finds_its_number(of: Measure, tmp_path: Path) -> None:
    assert computed(A, {A: [0.5, 0.375, 0.75]}, tmp_path, of) == pytest.approx([0.5, 0.375, 0.75])


@pytest.mark.parametrize(
    "of", (share_of_the_first, short_paths, steps_downhill, last_step_steepest, reset_cost, falls_outward)
)
def test_each_measure_of_a_study_finds_its_number(of: Measure, tmp_path: Path) -> None:
    assert computed(A, {A: [0.5, 0.25, 0.75]}, tmp_path, of) == pytest.approx([0.5, 0.25, 0.75])


def test_short_paths_are_those_through_no_more_than_a_third_of_the_blocks() -> None:
    """Of 27 blocks up to 9, where all paths of a length bring as much together as those of any other."""
    alike = {str(length): 1 / comb(27, length) for length in range(28)}
    study = made_up_study("gradient-paths", A.at(SMALL, 0), alike)
    assert short_paths(study) == pytest.approx(100 * 10 / 28)


def test_falls_are_counted_in_both_directions_of_each_line() -> None:
    """One line rises to the right and falls to the left, the other rises on both sides: one step of four."""
    losses = {"0: -1.0": 0.5, "0: +0.0": 1.0, "0: +1.0": 2.0, "1: -1.0": 3.0, "1: +0.0": 1.0, "1: +1.0": 3.0}
    assert falls_outward(made_up_study("filter-line", A.at(SMALL, 0), losses)) == 0.25


def test_a_net_that_never_learns_has_taken_the_whole_run() -> None:
    record = made_up_record(A.at(SMALL, 0), train_error=70.0)
    assert time_to_learn(record) == 400
    falls = made_up_record(A.at(SMALL, 0), train_error=39.0, halfway=80.0)  # 80% after 200 iterations, 40% after 400
    assert time_to_learn(falls) == pytest.approx(300)


def test_exponential_growth_is_told_from_a_power_of_the_depth() -> None:
    grown = nearer_to_exponential([2 ** (depth / 12) for depth in DEPTHS])
    powers = nearer_to_exponential([depth**3 for depth in DEPTHS])
    assert grown > 0.02 and powers < -0.02
    assert nearer_to_exponential([5.0] * 4) == pytest.approx(0, abs=1e-9)


def test_a_lesion_costs_the_median_over_blocks(tmp_path: Path) -> None:
    records = told({A: [4, 6], B: [1, 2]}, tmp_path, lesion_cost)
    assert Difference("", A, B, lesion_cost).per_seed(SMALL, records) == [3, 4]


def test_one_bit_is_compared_with_another_seed(tmp_path: Path) -> None:
    assert computed(A, {A: [0.5, 1.25]}, tmp_path, one_bit_apart) == [0.5, 1.25]


def test_a_difference_is_the_worse_sides_number_minus_the_betters(tmp_path: Path) -> None:
    records = told({A: [30, 35], B: [20, 21]}, tmp_path)
    assert Difference("", worse=A, better=B).per_seed(SMALL, records) == [10, 14]
    assert Difference("", worse=A, better=B, of=error_on_test).per_seed(SMALL, records) == [-10, -14]


def test_several_settings_make_one_number_per_seed(tmp_path: Path) -> None:
    numbers = {A: [30, 1], B: [20, 5], C: [10, 9]}
    assert computed(Together((A, B, C), by=max), numbers, tmp_path) == [30, 9]
    assert computed(Together((A, B, C), by=mean), numbers, tmp_path) == [20, 5]
    assert computed(Together((A, B), by=gap), numbers, tmp_path) == [10, -4]
    assert computed(Together((A, B), by=half_gap), numbers, tmp_path) == [5, -2]
    assert computed(Together((A, B), by=quotient), numbers, tmp_path) == [1.5, 0.2]
    nested = Together((Together((A, B), by=gap), Together((B, C), by=gap)), by=mean)
    assert computed(nested, numbers, tmp_path) == [10, -4]


def test_the_best_is_chosen_by_its_mean_and_only_among_all(tmp_path: Path) -> None:
    best = BestOf((A, B))
    assert computed(best, {A: [30, 10, 10], B: [20, 20, 20]}, tmp_path / "all") == [30, 10, 10]
    assert computed(best, {A: [30, 10, 10]}, tmp_path / "one") == []


def test_seeds_that_one_setting_lacks_are_left_out(tmp_path: Path) -> None:
    assert paired({0: 1.0, 1: 2.0, 2: 3.0}, {3: 8.0, 2: 7.0, 1: 6.0}) == {1: (2.0, 6.0), 2: (3.0, 7.0)}
    assert paired({0: 1.0}, {1: 2.0}) == {}
    assert Difference("", A, B).per_seed(SMALL, told({A: [9, 8, 7], B: [1, 1]}, tmp_path)) == [8, 7]


@pytest.mark.parametrize(("rule", "status"), [("above", "supported"), ("within", "refuted")])
def test_a_claim_is_judged_by_its_own_threshold_and_rule(rule: Rule, status: str, tmp_path: Path) -> None:
    claim = Claim(
        name="made up", statement="", source="", effect=Difference("", worse=A, better=B), threshold=5.0, rule=rule
    )
    verdict = claim.verdict(SMALL, told({A: [30, 31, 32], B: [20, 20, 20]}, tmp_path))
    assert (verdict.claim, verdict.profile, verdict.status) == ("made up", "small", status)
    assert (verdict.num_seeds, verdict.effect) == (3, 11)
    assert replace(claim, threshold=20.0).verdict(SMALL, Records(tmp_path)).status != status


# Claims: each says in words what its effect computes, of settings that suites train.

COMPUTED = [name for name, claim in CLAIMS.items() if isinstance(claim.effect, Level | Difference)]


def settings_of(side: Side) -> Iterator[Setting]:
    if isinstance(side, Setting):
        yield side
    else:
        for part in side.parts:
            yield from settings_of(part)


def sides_of(effect: Effect) -> tuple[Side, ...]:
    return (effect.side,) if isinstance(effect, Level) else (effect.worse, effect.better)


@pytest.mark.parametrize("name", COMPUTED)
def test_a_claim_needs_each_of_its_settings(name: str, tmp_path: Path) -> None:
    effect = CLAIMS[name].effect
    settings = {setting for side in sides_of(effect) for setting in settings_of(side)}
    records = told(dict.fromkeys(settings, (0.5,)), tmp_path, effect.of)
    for setting in settings:
        assert len(effect.per_seed(SMALL, records)) == 1
        (path,) = tmp_path.rglob(f"*{setting.at(SMALL, 0).name}.json")
        hidden = path.rename(path.with_suffix(".hidden"))
        assert effect.per_seed(SMALL, records) == [], setting
        hidden.rename(path)


@pytest.mark.parametrize("name", COMPUTED)
def test_a_claim_compares_settings_that_suites_train_and_that_differ(name: str) -> None:
    effect = CLAIMS[name].effect
    for side in sides_of(effect):
        settings = list(settings_of(side))
        assert len(set(settings)) == len(settings)
        assert all(home(setting.at(SMALL, 0)) for setting in settings)
    assert len(set(sides_of(effect))) == len(sides_of(effect))


WORDS = {train_error: "training error", error_on_test: "test error", halfway_error: "training error halfway"}
WORDS |= {
    median_response: "responses",
    branch_ratio: "deviation of F(x) over that of x",
    weakest_gradient: "smallest gradient",
    lesion_cost: "deleting one adds",
    share_of_the_first: "deleted blocks add to the test error that one adds",
    short_paths: "share of the gradient that comes on paths through the branches of at most 9 of the 27 blocks",
    steps_downhill: "points down the loss",
    last_step_steepest: "cosine between F(x) and the way down the loss in the last block",
    reset_cost: "with its weights from before training adds to the test error",
    falls_outward: "at which the loss falls",
    time_to_learn: "iterations until the training error falls to 60%",
    one_bit_apart: "answers differently",
}
WORDS |= {flattery: "minus the lowest of all evaluations"}

NAMED = re.compile(r"(plain|ResNet)-(\d+)(?: ([ABC])\b)?|(\d+) (?:layers|blocks)|(?<= with )(\d+)$")
PHRASES: dict[str, Callable[[NetConfig], bool]] = {
    "without batch norm": lambda net: not net.batch_norm,
    "one shortcut per stage": lambda net: net.placement == "stage",
    "shortcuts of 0.5 x": lambda net: net.shortcut == "scaled",
    "gated shortcuts": lambda net: net.shortcut == "gated",
    "started at zero": lambda net: net.zero_init,
    "SkipInit": lambda net: net.init == "skipinit",
    "Fixup": lambda net: net.init == "fixup",
    "the identity": lambda net: net.init == "dirac",
    "rotations": lambda net: net.init == "orthogonal",
    "pre-activation": lambda net: net.block == "pre-activation",
    "batch norm after the addition": lambda net: net.block == "norm after addition",
    "two fully connected layers": lambda net: len(net.head) == 1,
    "such a head": lambda net: net.pool == "flatten",
    "one fully connected layer": lambda net: (net.family, net.depth) == ("fully-connected", 1),
}


def fits(name: re.Match[str], net: NetConfig) -> bool:
    """Whether a name in a text can mean this net."""
    kind, depth, option, *numbers = name.groups()
    if kind is None:
        return str(net.depth) in numbers
    return (kind == "plain") == (net.shortcut == "none") and net.depth == int(depth) and option in (None, net.shortcut)


def assert_in_order(text: str, worse: list[NetConfig], better: list[NetConfig]) -> None:
    """That the text names the nets as "worse minus better", and by something that tells one from the other."""
    telling = False
    left, _, right = text.partition(" minus ")
    for part, own, other in ((left, worse, better), (right.partition(", ")[0], better, worse)):
        for name in NAMED.finditer(part):
            assert any(fits(name, net) for net in own), (name[0], text)
            telling |= not any(fits(name, net) for net in other)
        for phrase, holds in PHRASES.items():
            if phrase in part:
                assert all(map(holds, own)), (phrase, text)
                telling |= not any(map(holds, other))
    assert telling, f"{text!r} does not tell which side is which"


def nets_of(effect: Effect) -> list[list[NetConfig]]:
    return [[setting.net for setting in settings_of(side)] for side in sides_of(effect)]


@pytest.mark.parametrize("name", COMPUTED)
def test_the_words_of_an_effect_are_what_it_computes(name: str) -> None:
    """Sides in their order and the measure: a claim whose sides are swapped contradicts its own text."""
    effect = CLAIMS[name].effect
    before = list(CLAIMS.values())[list(CLAIMS).index(name) - 1].effect
    if effect.text.startswith("the same difference"):
        assert (nets_of(effect), effect.of) == (nets_of(before), before.of)
    elif depths := re.match(r"half the cost of depth \((\d+) \w+ minus (\d+)\)", effect.text):
        assert [[str(net.depth) for net in side] for side in nets_of(effect)] == [list(depths.groups())] * 2
        assert [{net.shortcut for net in side} for side in nets_of(effect)] == [{"none"}, {"A"}]
        assert effect.of is train_error
    else:
        assert WORDS[effect.of] in effect.text
    if name in ORDERED:
        assert_in_order(effect.text, *nets_of(effect))
        with pytest.raises(AssertionError):
            assert_in_order(effect.text, *reversed(nets_of(effect)))
    if name.startswith("folklore: "):
        assert effect.worse in FOLKLORE and effect.better not in FOLKLORE


ORDERED = [
    name
    for name in COMPUTED
    if isinstance(CLAIMS[name].effect, Difference)
    and not isinstance(CLAIMS[name].effect.worse, Together)
    and not name.startswith("folklore: ")
    and not CLAIMS[name].effect.text.startswith("the same difference")
]


def test_sides_that_words_cannot_tell_apart_are_in_order(tmp_path: Path) -> None:
    errors = {plain(32): 45, resnet(32, "A"): 40, resnet(32, "C"): 38}  # the identity gains 5, projections 2 more
    errors |= {fully_connected(1, "wine"): 30, fully_connected(2, "wine"): 20}
    errors |= {fully_connected(1, "breast-cancer"): 9, fully_connected(2, "breast-cancer"): 5}
    records = told({setting: [error] for setting, error in errors.items()}, tmp_path, error_on_test)
    assert CLAIMS["projection-not-the-source"].effect.per_seed(SMALL, records) == [3]
    assert CLAIMS["fc-on-real-features"].effect.per_seed(SMALL, records) == [7]


def test_each_threshold_that_is_not_half_a_point_is_meant() -> None:
    """To change a threshold is to change a verdict's meaning: this list is changed on purpose or not at all."""
    others = {name: claim.threshold for name, claim in CLAIMS.items() if abs(claim.threshold) != THRESHOLD}
    assert others == {
        "shortcuts-help": 0.0,  # of what is more than half already
        "gradients-healthy": 1.0,
        "responses-smaller": 0.0,
        "branches-small": 1.0,
        "responses-shrink-with-depth": 0.0,
        "options-alike": 1.0,
        "b-over-a": 0.0,
        "c-over-b": 0.0,
        "stage-only-is-plain": 5.0,
        "resnet-18-comparable": 1.0,
        "diagnosis-right": 80.0,
        **{f"folklore: {departure.name}": 0.0 for departure in FOLKLORE},
        "best-epoch-flatters": 0.0,
        "transformer-shortcuts-help": 0.0,
        "time-outgrows-depth": 2.8,  # 56 layers over 20
        "time-grows-exponentially": 0.0,
        "time-stays-with-shortcuts": 1.5,
        "gradient-takes-short-paths": 50.0,
        "pre-activation-helps": 0.0,
        "dirac-start-helps": 0.0,  # of what is more than half already
        "last-block-steepest": 0.0,
        "resets-cost-little": 1.0,
        "plain-loss-falls-again": 0.0,
    }


def test_the_ledger_covers_the_summary_the_notes_and_the_paper() -> None:
    covered = {what for entry in (*CLAIMS.values(), *FACTS.values()) for what in entry.covers}
    assert covered >= set(TO_COVER)
    assert covered - set(TO_COVER) <= {"paper Table 1"}
    assert set(PAPER_CLAIMS) == {what for what in TO_COVER if what.startswith("paper")}


def test_every_claim_names_a_chapter_that_shows_it() -> None:
    for entry in (*CLAIMS.values(), *FACTS.values()):
        text = (ROOT / "chapters" / f"{entry.chapter}.md").read_text()
        shown = f'"{entry.name}"' in text or (entry.name.startswith("folklore: ") and "tables.folklore(" in text)
        assert shown, f"{entry.name} is not shown in {entry.chapter}"


def test_every_claim_is_judged_under_every_profile() -> None:
    judged = [(verdict.claim, verdict.profile) for verdict in verdicts(Records())]
    assert judged == [(claim, profile) for claim in CLAIMS for profile in PROFILES]


# What the book states. When records are added, `make verdicts` stores what they say now; look at the difference.

STATED = Path(__file__).parent / "verdicts.json"


def statuses(records: Records) -> list[dict[str, str]]:
    return [
        {"claim": verdict.claim, "profile": verdict.profile, "status": verdict.status} for verdict in verdicts(records)
    ]


def test_committed_records_give_the_stated_verdicts() -> None:
    assert statuses(Records.committed()) == json.loads(STATED.read_text())


def test_something_is_decided() -> None:
    assert {"supported", "refuted"} & {verdict["status"] for verdict in json.loads(STATED.read_text())}


ABOUT_ERRORS = {name for name in COMPUTED if CLAIMS[name].effect.of in (train_error, error_on_test, flattery)}


def runs_of(claim: Claim, profile: Profile, folder: Path) -> list[Path]:
    """The record files that a claim reads."""
    read: set[RunConfig] = set()

    class Listening(Records):
        def get(self, config: RunConfig) -> RunRecord | None:
            read.add(config)
            return super().get(config)

    claim.effect.per_seed(profile, Listening(folder))
    return sorted(path for config in read for path in folder.rglob(f"{config.name}.json"))


def test_edited_numbers_that_flip_a_stated_verdict_are_noticed(tmp_path: Path) -> None:
    """For each decided verdict about errors, records are edited, one more each time, until it flips."""
    stated = json.loads(STATED.read_text())
    shutil.copytree(committed_dir(), tmp_path / "records", ignore=shutil.ignore_patterns(SEAL))  # it would tell at once
    copied = Records(tmp_path / "records")
    assert statuses(copied) == stated
    for verdict in stated:
        if verdict["status"] not in ("supported", "refuted") or verdict["claim"] not in ABOUT_ERRORS:
            continue
        claim, profile = CLAIMS[verdict["claim"]], PROFILES[verdict["profile"]]
        flipped = False
        edited: dict[Path, str] = {}
        for path in runs_of(claim, profile, tmp_path / "records"):
            edited[path] = path.read_text()
            content = json.loads(edited[path])
            for kind in ("train_error", "test_error"):
                content["final"][kind] = 100.0 if content["final"][kind] < 50 else 0.0
            content["test_curve"]["error"][-1] = content["final"]["test_error"]
            content.pop("test_images", None)
            path.write_text(json.dumps(content))
            load_record(path)  # nothing is wrong with the record by itself
            if flipped := claim.verdict(profile, copied).status != verdict["status"]:
                break
        assert flipped, verdict
        assert statuses(copied) != stated
        for path, whole in edited.items():
            path.write_text(whole)


def test_every_committed_record_belongs_to_a_suite() -> None:
    """One that none asks for any more would be shown nowhere, and still be shipped."""
    strays = [record.config.name for record in Records.committed() if home(record.config) is None]
    assert not strays
