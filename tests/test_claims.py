"""Verdicts follow from records by one rule, and those that the book states are those that its records give."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest
from samples import made_up_record, made_up_study
from scipy import stats

from resnet_lib.evidence.claims import CLAIMS, PAPER_CLAIMS, THRESHOLD, TO_COVER, Claim, verdicts
from resnet_lib.evidence.effects import (
    BestOf,
    Difference,
    Effect,
    Level,
    Measure,
    Side,
    Together,
    flattery,
    gap,
    halfway_error,
    lesion_cost,
    mean_response,
    paired,
    train_error,
    weakest_gradient,
)
from resnet_lib.evidence.effects import test_error as error_on_test  # which pytest would take for a test
from resnet_lib.evidence.facts import FACTS
from resnet_lib.evidence.rule import Rule, interval, judge
from resnet_lib.files import PACKAGE
from resnet_lib.runs.config import NetConfig, RunConfig
from resnet_lib.runs.experiments import FOLKLORE, home
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.records import RunRecord, load_record, save_record, save_study
from resnet_lib.runs.seal import SEAL
from resnet_lib.runs.settings import Setting, fully_connected, plain, resnet
from resnet_lib.runs.store import Records, committed_dir

SMOKE = PROFILES["smoke"]

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
    verdict = judge("claim", "smoke", effects, threshold=0.5)
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
        assert judge("claim", "smoke", effects, threshold=0.5, rule="within").status == status, effects


# Effects: what each kind makes of the numbers of its settings.

AS_RECORDED: dict[Measure, Callable[[float], dict[str, float]]] = {  # a number -> a made-up record that has it
    train_error: lambda x: {"train_error": x, "test_error": 98 - x},
    error_on_test: lambda x: {"test_error": x, "train_error": 98 - x},
    halfway_error: lambda x: {"halfway": x},
    flattery: lambda x: {"test_error": 40, "best": 40 - x},
    weakest_gradient: lambda x: {"weakest": 0.5 * x},
    mean_response: lambda x: {"response": x},
}


def told(numbers: dict[Setting, Sequence[float]], folder: Path, of: Measure = train_error) -> Records:
    """Records of these settings whose measured numbers are these, seed by seed."""
    for setting, values in numbers.items():
        for seed, value in enumerate(values):
            config = setting.at(SMOKE, seed)
            if of is lesion_cost:
                blocks = {"whole net": 20.0, "layer1.0": 29 + value, "layer1.1": 20 + value, "layer1.2": 19 + value}
                save_study(made_up_study("delete-block", config, blocks), folder)
            else:
                save_record(made_up_record(config, **AS_RECORDED[of](value)), folder)
    return Records(folder)


def computed(side: Side, numbers: dict[Setting, Sequence[float]], folder: Path, of: Measure = train_error) -> list:
    return Level("", side, of).per_seed(SMOKE, told(numbers, folder, of))


A, B, C = resnet(8), resnet(14), resnet(20)


@pytest.mark.parametrize("of", AS_RECORDED)
def test_each_measure_finds_its_number(of: Measure, tmp_path: Path) -> None:
    assert computed(A, {A: [0.5, 0.25, 0.75]}, tmp_path, of) == pytest.approx([0.5, 0.25, 0.75])


def test_a_lesion_costs_the_median_over_blocks(tmp_path: Path) -> None:
    records = told({A: [4, 6], B: [1, 2]}, tmp_path, lesion_cost)
    assert Difference("", A, B, lesion_cost).per_seed(SMOKE, records) == [3, 4]


def test_a_difference_is_the_worse_sides_number_minus_the_betters(tmp_path: Path) -> None:
    records = told({A: [30, 35], B: [20, 21]}, tmp_path)
    assert Difference("", worse=A, better=B).per_seed(SMOKE, records) == [10, 14]
    assert Difference("", worse=A, better=B, of=error_on_test).per_seed(SMOKE, records) == [-10, -14]


def test_several_settings_make_one_number_per_seed(tmp_path: Path) -> None:
    numbers = {A: [30, 1], B: [20, 5], C: [10, 9]}
    assert computed(Together((A, B, C), by=max), numbers, tmp_path) == [30, 9]
    assert computed(Together((A, B, C), by=mean), numbers, tmp_path) == [20, 5]
    assert computed(Together((A, B), by=gap), numbers, tmp_path) == [10, -4]
    nested = Together((Together((A, B), by=gap), Together((B, C), by=gap)), by=mean)
    assert computed(nested, numbers, tmp_path) == [10, -4]


def test_the_best_is_chosen_by_its_mean_and_only_among_all(tmp_path: Path) -> None:
    best = BestOf((A, B))
    assert computed(best, {A: [30, 10, 10], B: [20, 20, 20]}, tmp_path / "all") == [30, 10, 10]
    assert computed(best, {A: [30, 10, 10]}, tmp_path / "one") == []


def test_seeds_that_one_setting_lacks_are_left_out(tmp_path: Path) -> None:
    assert paired({0: 1.0, 1: 2.0, 2: 3.0}, {3: 8.0, 2: 7.0, 1: 6.0}) == {1: (2.0, 6.0), 2: (3.0, 7.0)}
    assert paired({0: 1.0}, {1: 2.0}) == {}
    assert Difference("", A, B).per_seed(SMOKE, told({A: [9, 8, 7], B: [1, 1]}, tmp_path)) == [8, 7]


@pytest.mark.parametrize(("rule", "status"), [("above", "supported"), ("within", "refuted")])
def test_a_claim_is_judged_by_its_own_threshold_and_rule(rule: Rule, status: str, tmp_path: Path) -> None:
    claim = Claim(
        name="made up", statement="", source="", effect=Difference("", worse=A, better=B), threshold=5.0, rule=rule
    )
    verdict = claim.verdict(SMOKE, told({A: [30, 31, 32], B: [20, 20, 20]}, tmp_path))
    assert (verdict.claim, verdict.profile, verdict.status) == ("made up", "smoke", status)
    assert (verdict.num_seeds, verdict.effect) == (3, 11)
    assert replace(claim, threshold=20.0).verdict(SMOKE, Records(tmp_path)).status != status


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
        assert len(effect.per_seed(SMOKE, records)) == 1
        (path,) = tmp_path.rglob(f"*{setting.at(SMOKE, 0).name}.json")
        hidden = path.rename(path.with_suffix(".hidden"))
        assert effect.per_seed(SMOKE, records) == [], setting
        hidden.rename(path)


@pytest.mark.parametrize("name", COMPUTED)
def test_a_claim_compares_settings_that_suites_train_and_that_differ(name: str) -> None:
    effect = CLAIMS[name].effect
    for side in sides_of(effect):
        settings = list(settings_of(side))
        assert len(set(settings)) == len(settings)
        assert all(home(setting.at(SMOKE, 0)) for setting in settings)
    assert len(set(sides_of(effect))) == len(sides_of(effect))


WORDS = {train_error: "training error", error_on_test: "test error", halfway_error: "training error halfway"}
WORDS |= {mean_response: "responses", weakest_gradient: "smallest gradient", lesion_cost: "deleting one adds"}
WORDS |= {flattery: "minus the lowest of all evaluations"}

NAMED = re.compile(r"(plain|ResNet)-(\d+)(?: ([ABC])\b)?|(\d+) (?:layers|blocks)|(?<= with )(\d+)$")
PHRASES: dict[str, Callable[[NetConfig], bool]] = {
    "without batch norm": lambda net: not net.batch_norm,
    "one shortcut per stage": lambda net: net.placement == "stage",
    "shortcuts of 0.5 x": lambda net: net.shortcut == "scaled",
    "gated shortcuts": lambda net: net.shortcut == "gated",
    "started at zero": lambda net: net.zero_init,
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
    elif depths := re.match(r"cost of depth \((\d+) \w+ minus (\d+)\)", effect.text):
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
    assert CLAIMS["projection-not-the-source"].effect.per_seed(SMOKE, records) == [3]
    assert CLAIMS["fc-on-real-features"].effect.per_seed(SMOKE, records) == [7]


def test_each_threshold_that_is_not_half_a_point_is_meant() -> None:
    """To change a threshold is to change a verdict's meaning: this list is changed on purpose or not at all."""
    others = {name: claim.threshold for name, claim in CLAIMS.items() if abs(claim.threshold) != THRESHOLD}
    assert others == {
        "gradients-healthy": 0.1,
        "responses-smaller": 0.0,
        "responses-shrink-with-depth": 0.0,
        "options-alike": 1.0,
        "b-over-a": 0.0,
        "c-over-b": 0.0,
        "stage-only-is-plain": 5.0,
        "resnet-18-comparable": 1.0,
        "diagnosis-right": 80.0,
        **{f"folklore: {departure.name}": 0.0 for departure in FOLKLORE},
        "best-epoch-flatters": 0.0,
    }


def test_the_ledger_covers_the_summary_the_notes_and_the_paper() -> None:
    covered = {what for entry in (*CLAIMS.values(), *FACTS.values()) for what in entry.covers}
    assert covered >= set(TO_COVER)
    assert covered - set(TO_COVER) <= {"paper Table 1"}
    assert set(PAPER_CLAIMS) == {what for what in TO_COVER if what.startswith("paper")}


def test_every_claim_names_a_chapter_that_shows_it() -> None:
    for entry in (*CLAIMS.values(), *FACTS.values()):
        text = (PACKAGE.parent / "chapters" / f"{entry.chapter}.md").read_text()
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
            path.write_text(json.dumps(content))
            load_record(path)  # nothing is wrong with the record by itself
            if flipped := claim.verdict(profile, copied).status != verdict["status"]:
                break
        assert flipped, verdict
        assert statuses(copied) != stated
        for path, whole in edited.items():
            path.write_text(whole)
