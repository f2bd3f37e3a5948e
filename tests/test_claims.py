"""Verdicts follow from records by one rule, and those that the book states are those that its records give."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import pytest
from samples import made_up_record, made_up_study
from scipy import stats

from resnet_lib.evidence.claims import (
    CLAIMS,
    PAPER_CLAIMS,
    THRESHOLD,
    TO_COVER,
    Claim,
    interval,
    judge,
    paired,
    verdicts,
)
from resnet_lib.evidence.facts import FACTS
from resnet_lib.files import PACKAGE
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import FOLKLORE, OPTIMIZERS, PROFILES, RESIDUAL_OPTIMIZERS, SUITES, Profile
from resnet_lib.runs.records import RunRecord, load_record, save_record, save_study
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


def test_seeds_that_one_setting_lacks_are_left_out() -> None:
    assert paired({0: 1.0, 1: 2.0, 2: 3.0}, {3: 8.0, 2: 7.0, 1: 6.0}) == [(2.0, 6.0), (3.0, 7.0)]
    assert paired({0: 1.0}, {1: 2.0}) == []


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


# Each claim, on records made up for it: claim -> effect -> what the records of its settings say.

Told = dict[tuple[str, str], dict[str, float]]
WORST = 60.0


def errors(suite: str, worse: str, better: str, what: str = "train_error") -> Callable[[float], Told]:
    """The worse setting's error exceeds the better's by the effect; the other kind of error says the opposite."""
    other = {"train_error": "test_error", "test_error": "train_error"}[what]
    return lambda effect: {
        (suite, worse): {what: 40 + effect, other: 40},
        (suite, better): {what: 40, other: 40 + effect},
    }


def probe(what: str, larger: str, smaller: str) -> Callable[[float], Told]:
    return lambda effect: {("degradation", larger): {what: 30 + effect}, ("degradation", smaller): {what: 30}}


def penalty(suite: str, *nets: str) -> Callable[[float], Told]:
    """Deep and shallow without shortcuts, deep and shallow with them."""
    return lambda effect: {
        (suite, net): {"train_error": error, "test_error": 100 - error}
        for net, error in zip(nets, (50, 30, 25 + 20 - effect, 25), strict=True)
    }


def tuned(net: str, names: Sequence[str], best: float) -> Told:
    """Training errors of a net under the paper's recipe and others, of which the last is the best."""
    others = {("optimizers", f"{net}, {name}"): {"train_error": WORST} for name in names[:-1]}
    last = {("optimizers", f"{net}, {names[-1]}"): {"train_error": best}}
    return {("degradation", net): {"train_error": WORST}, **others, **last}


def options(plain: float, a: float, b: float, c: float) -> Told:
    values = {"plain-32": plain, "ResNet-32 A": a, "ResNet-32 B": b, "ResNet-32 C": c}
    return {("shortcut-options", net): {"test_error": error} for net, error in values.items()}


def without_b(told: Told) -> Told:
    return {key: value for key, value in told.items() if key[1] != "ResNet-32 B"}


def folklore(key: str) -> Callable[[float], Told]:
    base = "ResNet-20 B" if key == "projections without BN" else "ResNet-20 A"
    return errors("folklore", key, base, "test_error")


SHORT, EVERY = "ResNet-56 A, one per stage", "ResNet-56 A"
VGG = "ResNet-20 A, flattened, FC 512-512, lr 0.01"
CONSTRUCTED: dict[str, Callable[[float], Told]] = {
    "degradation": errors("degradation", "plain-56", "plain-20"),
    "longer-training": errors("longer-training", "plain-56, 3x iterations", "plain-20, 3x iterations"),
    "shortcuts-help": penalty("degradation", "plain-56", "plain-20", "ResNet-56 A", "ResNet-20 A"),
    "depth-helps-resnets": errors("degradation", "ResNet-20 A", "ResNet-56 A"),
    "no-optimizer-cures": lambda effect: (
        tuned("plain-56", list(OPTIMIZERS), 20 + effect) | {("degradation", "ResNet-56 A"): {"train_error": 20}}
    ),
    "tuning-both": lambda effect: (
        tuned("plain-56", list(OPTIMIZERS), 20 + effect) | tuned("ResNet-56 A", RESIDUAL_OPTIMIZERS, 20)
    ),
    "other-images": errors("other-images", "plain-56, digits", "plain-20, digits"),
    "batch-norm-helps": lambda effect: {
        ("batch-norm", "plain-20"): {"train_error": 20},
        ("batch-norm", "plain-20, no BN, lr 0.1"): {"train_error": WORST},
        ("batch-norm", "plain-20, no BN, lr 0.01"): {"train_error": 20 + effect},
        ("batch-norm", "plain-20, no BN, lr 0.001"): {"train_error": WORST},
    },
    "shortcuts-need-batch-norm": errors("batch-norm", "ResNet-20 A, no BN, lr 0.1", "ResNet-20 A"),
    "gradients-healthy": lambda effect: {("degradation", "plain-56"): {"weakest": 0.5 * effect}},
    "solver-misses-construction": errors("degradation", "plain-56", "plain-20"),
    "one-layer": errors("formulation", "plain-20, one-layer blocks", "ResNet-20 A, one-layer blocks"),
    "responses-smaller": probe("response", "plain-56", "ResNet-56 A"),
    "responses-shrink-with-depth": probe("response", "ResNet-20 A", "ResNet-110 A"),
    "zero-init-helps": errors("formulation", "ResNet-56 A", "ResNet-56 A, zero init"),
    "any-option-helps": lambda effect: options(40 + effect, 30, 40, 35),
    "options-alike": errors("shortcut-options", "ResNet-32 A", "ResNet-32 C", "test_error"),
    "b-over-a": errors("shortcut-options", "ResNet-32 A", "ResNet-32 B", "test_error"),
    "c-over-b": errors("shortcut-options", "ResNet-32 B", "ResNet-32 C", "test_error"),
    "projection-not-the-source": lambda effect: without_b(options(42 + effect, 40, WORST, 38)),
    "shortcut-in-every-block": errors("shortcut-density", SHORT, EVERY),
    "stage-only-is-plain": errors("shortcut-density", "plain-56", SHORT),
    "weaker-shortcuts-hurt": errors("shortcut-options", "ResNet-32 scaled", "ResNet-32 A"),
    "gates-hurt": errors("shortcut-options", "ResNet-32 gated", "ResNet-32 A"),
    "bottleneck-at-equal-cost": errors("bottlenecks", "ResNet-20 A", "ResNet-29 B, bottlenecks", "test_error"),
    "plain-bottlenecks-degrade": errors("bottlenecks", "plain-83, bottlenecks", "plain-29, bottlenecks"),
    "basic-blocks-gain-too": errors("bottlenecks", "ResNet-20 A", "ResNet-56 A", "test_error"),
    "fc-on-images": errors("heads", "ResNet-20 A, FC 256", "ResNet-20 A", "test_error"),
    "fc-on-few-images": errors("heads", "ResNet-20 A, FC 256, 600 images", "ResNet-20 A, 600 images", "test_error"),
    "vgg-head-on-images": errors("heads", VGG, "ResNet-20 A, lr 0.01", "test_error"),
    "fc-on-rules": errors("features", "1 FC, parity", "2 FC, parity", "test_error"),
    "fc-on-real-features": lambda effect: {
        ("features", "1 FC, breast-cancer"): {"test_error": 30},
        ("features", "2 FC, breast-cancer"): {"test_error": 20},
        ("features", "1 FC, wine"): {"test_error": 30},
        ("features", "2 FC, wine"): {"test_error": 40 - 2 * effect},
    },
    "backbone-not-head-layers": errors(
        "backbone-or-head", "ResNet-20 A, FC 64-64-64-64-64-64", "ResNet-26 A", "test_error"
    ),
    "backbone-not-head-parameters": errors("backbone-or-head", "ResNet-20 A, FC 2601", "ResNet-32 A", "test_error"),
    "overfit-1202": lambda effect: {
        ("deepest", "ResNet-1202 A"): {"test_error": 30 + effect, "train_error": 30},
        ("degradation", "ResNet-110 A"): {"test_error": 30, "train_error": 30 + effect},
    },
    "plain-34-worse": errors("table2", "plain-34 (Table 1)", "plain-18 (Table 1)"),
    "resnet-34-better": errors("table2", "ResNet-18 A (Table 1)", "ResNet-34 A (Table 1)", "test_error"),
    "resnet-18-comparable": errors("table2", "plain-18 (Table 1)", "ResNet-18 A (Table 1)", "test_error"),
    "resnet-18-faster": lambda effect: {
        ("table2", "plain-18 (Table 1)"): {"halfway": 40 + effect},
        ("table2", "ResNet-18 A (Table 1)"): {"halfway": 40},
    },
    **{f"folklore: {key}": folklore(key) for key in FOLKLORE},
    "best-epoch-flatters": lambda effect: {("folklore", "ResNet-20 A"): {"test_error": 40, "best": 40 - effect}},
    "transformer-shortcuts-help": penalty(
        "transformers",
        *(f"transformer-{depth}{rest}" for rest in (" without shortcuts", "") for depth in (12, 2)),
    ),
    "transformer-degrades": errors(
        "transformers", "transformer-12 without shortcuts", "transformer-2 without shortcuts"
    ),
}
ELSEWHERE = {
    "lesion-cheap",
    "lesion-cheap-20",
    "diagnosis-right",
}  # not made of records' numbers alone: tested below and with diagnosis
SMALL = {"gradients-healthy": 0.01, "responses-smaller": 0.1, "responses-shrink-with-depth": 0.1}
NOT_NEGATIVE = {"best-epoch-flatters"}  # no lowest error lies above the last


def constructed(claim: str, effects: Sequence[float], folder: Path) -> Records:
    """Records of one seed per effect."""
    for seed, effect in enumerate(effects):
        for (suite, setting), told in CONSTRUCTED[claim](effect).items():
            config = SUITES[suite].settings[setting](SMOKE, seed)
            save_record(made_up_record(config, **told), folder)
    return Records(folder)


def test_every_claim_is_tested_on_constructed_records() -> None:
    assert CONSTRUCTED.keys() | ELSEWHERE == CLAIMS.keys()


@pytest.mark.parametrize(
    ("steps", "above", "within"),
    [
        ((4, 5, 6, 5, 4), "supported", "refuted"),
        ((-4, -5, -6, -5, -4), "refuted", None),
        ((-9, 9, -9, 9, 2), "undecided", "undecided"),
        ((5, 5), "not yet run", "not yet run"),
        ((), "not yet run", "not yet run"),
    ],
)
@pytest.mark.parametrize("name", CONSTRUCTED)
def test_verdict_follows_from_the_records(
    name: str, steps: tuple[float, ...], above: str, within: str | None, tmp_path: Path
) -> None:
    """The effects lie so many steps beside the threshold."""
    claim = CLAIMS[name]
    status = above if claim.rule == "above" else within
    if status is None or (name in NOT_NEGATIVE and min(steps, default=0) < 0):
        return
    effects = [claim.threshold + SMALL.get(name, 1) * step for step in steps]
    verdict = claim.verdict(SMOKE, constructed(name, effects, tmp_path))
    assert (verdict.claim, verdict.profile, verdict.status) == (name, "smoke", status)
    assert verdict.num_seeds == len(effects)
    if effects:
        assert verdict.effect == pytest.approx(mean(effects))


@pytest.mark.parametrize("name", [name for name in CONSTRUCTED if CLAIMS[name].rule == "within"])
def test_a_small_effect_supports_a_claim_that_nothing_happens(name: str, tmp_path: Path) -> None:
    effects = [CLAIMS[name].threshold * share for share in (0.2, -0.1, 0.1)]
    assert CLAIMS[name].verdict(SMOKE, constructed(name, effects, tmp_path)).status == "supported"


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_a_claim_needs_each_of_its_settings(name: str, tmp_path: Path) -> None:
    claim = CLAIMS[name]
    effects = [claim.threshold + SMALL.get(name, 1) * step for step in (4, 5, 6)]
    for suite, setting in CONSTRUCTED[name](5 * SMALL.get(name, 1)):
        folder = tmp_path / setting
        records = constructed(name, effects, folder)
        assert claim.verdict(SMOKE, records).status in ("supported", "refuted")
        for config in SUITES[suite].setting(setting, SMOKE):
            (folder / f"{config.name}.json").unlink(missing_ok=True)
        assert claim.verdict(SMOKE, records).status == "not yet run", setting


def test_a_seed_counts_only_with_all_its_runs(tmp_path: Path) -> None:
    records = constructed("degradation", (4, 5, 6, 50), tmp_path)
    config = SUITES["degradation"].settings["plain-20"](SMOKE, 3)
    (tmp_path / f"{config.name}.json").unlink()
    verdict = CLAIMS["degradation"].verdict(SMOKE, records)
    assert (verdict.num_seeds, verdict.effect) == (3, 5)


@pytest.mark.parametrize(("name", "depth"), [("lesion-cheap", 56), ("lesion-cheap-20", 20)])
def test_lesions_are_compared_by_their_median_cost(name: str, depth: int, tmp_path: Path) -> None:
    for seed, effect in enumerate((4, 5, 6)):
        for net, costs in ((f"plain-{depth}", (50, 2 + effect, 1)), (f"ResNet-{depth} A", (40, 2, 0))):
            config = SUITES["degradation"].settings[net](SMOKE, seed)
            blocks = {f"layer1.{block}": 20.0 + cost for block, cost in enumerate(costs)}
            save_study(made_up_study("delete-block", config, {"whole net": 20.0, **blocks}), tmp_path)
    verdict = CLAIMS[name].verdict(SMOKE, Records(tmp_path))
    assert (verdict.status, verdict.num_seeds, verdict.effect) == ("supported", 3, 5)
    assert CLAIMS[name].verdict(SMOKE, Records()).status == "not yet run"


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
        **{f"folklore: {key}": 0.0 for key in FOLKLORE},
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


NOT_ABOUT_ERRORS = {*SMALL, "lesion-cheap", "lesion-cheap-20", "diagnosis-right", "resnet-18-faster"}


def runs_of(claim: Claim, profile: Profile, folder: Path) -> list[Path]:
    """The record files that a claim reads."""
    read: set[RunConfig] = set()

    class Listening(Records):
        def get(self, config: RunConfig) -> RunRecord | None:
            read.add(config)
            return super().get(config)

    claim.effects(profile, Listening(folder))
    return sorted(path for config in read for path in folder.rglob(f"{config.name}.json"))


def test_edited_numbers_that_flip_a_stated_verdict_are_noticed(tmp_path: Path) -> None:
    """For each decided verdict about errors, records are edited, one more each time, until it flips."""
    stated = json.loads(STATED.read_text())
    shutil.copytree(committed_dir(), tmp_path / "records")
    copied = Records(tmp_path / "records")
    assert statuses(copied) == stated
    for verdict in stated:
        if verdict["status"] not in ("supported", "refuted") or verdict["claim"] in NOT_ABOUT_ERRORS:
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
