"""Verdicts follow from records by one rule, and those that the book states are those that its records give."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import pytest
from samples import made_up_record
from scipy import stats

from resnet_lib.claims import CLAIMS, THRESHOLD, interval, judge, paired, verdicts
from resnet_lib.experiments import OPTIMIZERS, PROFILES, RESIDUAL_OPTIMIZERS, SUITES
from resnet_lib.runs import Records, committed_dir, load_record, save_record

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


# Each claim, on records made up for it.

Setting = tuple[str, str]
WORST = 60.0


def tuned(net: str, names: Sequence[str], best: float) -> dict[Setting, float]:
    """Training errors of a net under the paper's recipe and others, of which the last is the best."""
    others = {("optimizers", f"{net}, {name}"): WORST for name in names[:-1]}
    return {("degradation", net): WORST, **others, ("optimizers", f"{net}, {names[-1]}"): best}


# claim -> training errors of the settings which give it an effect.
CONSTRUCTED: dict[str, Callable[[float], dict[Setting, float]]] = {
    "degradation": lambda effect: {("degradation", "plain-20"): 30, ("degradation", "plain-56"): 30 + effect},
    "longer-training": lambda effect: {
        ("longer-training", "plain-20, 3x iterations"): 30,
        ("longer-training", "plain-56, 3x iterations"): 30 + effect,
    },
    "shortcuts-help": lambda effect: {
        ("degradation", "plain-20"): 30,
        ("degradation", "plain-56"): 50,
        ("degradation", "ResNet-20 A"): 25,
        ("degradation", "ResNet-56 A"): 25 + 20 - effect,
    },
    "depth-helps-resnets": lambda effect: {
        ("degradation", "ResNet-20 A"): 30,
        ("degradation", "ResNet-56 A"): 30 - effect,
    },
    "no-optimizer-cures": lambda effect: (
        tuned("plain-56", list(OPTIMIZERS), 20 + effect) | {("degradation", "ResNet-56 A"): 20}
    ),
    "tuning-both": lambda effect: (
        tuned("plain-56", list(OPTIMIZERS), 20 + effect) | tuned("ResNet-56 A", RESIDUAL_OPTIMIZERS, 20)
    ),
}


def constructed(claim: str, effects: Sequence[float], folder: Path) -> Records:
    """Records of one seed per effect. Test errors say the opposite: claims are about training errors."""
    for seed, effect in enumerate(effects):
        for (suite, setting), error in CONSTRUCTED[claim](effect).items():
            config = SUITES[suite].settings[setting](SMOKE, seed)
            save_record(made_up_record(config, train_error=error, test_error=100 - error), folder)
    return Records(folder)


def test_every_claim_is_tested_on_constructed_records() -> None:
    assert CONSTRUCTED.keys() == CLAIMS.keys()


@pytest.mark.parametrize(
    ("effects", "status"),
    [
        ((4, 5, 6, 5, 4), "supported"),
        ((-4, -5, -6, -5, -4), "refuted"),
        ((0.4, 0.3, 0.4, 0.3, 0.4), "refuted"),
        ((-9, 9, -9, 9, 2), "undecided"),
        ((5, 5), "not yet run"),
        ((), "not yet run"),
    ],
)
@pytest.mark.parametrize("claim", CONSTRUCTED)
def test_verdict_follows_from_the_records(claim: str, effects: tuple[float, ...], status: str, tmp_path: Path) -> None:
    verdict = CLAIMS[claim].verdict(SMOKE, constructed(claim, effects, tmp_path))
    assert (verdict.claim, verdict.profile, verdict.status) == (claim, "smoke", status)
    assert verdict.num_seeds == len(effects)
    if effects:
        assert verdict.effect == pytest.approx(mean(effects))


@pytest.mark.parametrize("claim", CONSTRUCTED)
def test_a_claim_needs_each_of_its_settings(claim: str, tmp_path: Path) -> None:
    for suite, setting in CONSTRUCTED[claim](5):
        folder = tmp_path / setting
        records = constructed(claim, (4, 5, 6), folder)
        assert CLAIMS[claim].verdict(SMOKE, records).status == "supported"
        for config in SUITES[suite].setting(setting, SMOKE):
            (folder / f"{config.name}.json").unlink(missing_ok=True)
        assert CLAIMS[claim].verdict(SMOKE, records).status == "not yet run", setting


def test_a_seed_counts_only_with_all_its_runs(tmp_path: Path) -> None:
    records = constructed("degradation", (4, 5, 6, 60), tmp_path)
    config = SUITES["degradation"].settings["plain-20"](SMOKE, 3)
    (tmp_path / f"{config.name}.json").unlink()
    verdict = CLAIMS["degradation"].verdict(SMOKE, records)
    assert (verdict.num_seeds, verdict.effect) == (3, 5)


def test_threshold_is_half_a_point_for_every_claim() -> None:
    assert {claim.threshold for claim in CLAIMS.values()} == {THRESHOLD} == {0.5}


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


def test_an_edited_number_that_flips_a_stated_verdict_is_noticed(tmp_path: Path) -> None:
    """For each decided verdict, one number of one record is edited until it flips: the comparison above sees it."""
    stated = json.loads(STATED.read_text())
    shutil.copytree(committed_dir(), tmp_path / "records")
    copied = Records(tmp_path / "records")
    assert statuses(copied) == stated
    for verdict in stated:
        if verdict["status"] not in ("supported", "refuted"):
            continue
        claim, profile = CLAIMS[verdict["claim"]], PROFILES[verdict["profile"]]
        for path in sorted((tmp_path / "records" / profile.data.name).glob("*.json")):
            whole = path.read_text()
            content = json.loads(whole)
            content["final"]["train_error"] = 100.0 if content["final"]["train_error"] < 50 else 0.0
            path.write_text(json.dumps(content))
            load_record(path)  # nothing is wrong with the record by itself
            flipped = claim.verdict(profile, copied).status != verdict["status"]
            assert not flipped or statuses(copied) != stated
            path.write_text(whole)
            if flipped:
                break
        else:
            pytest.fail(f"no edit of one record flips {verdict}")
