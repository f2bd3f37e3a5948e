"""What the attempt cost and what came of it, summed up from records."""

from dataclasses import replace
from pathlib import Path

import pytest
from samples import made_up_record, made_up_study, tiny_config

from resnet_lib.evidence import reproducibility
from resnet_lib.evidence.claims import CLAIMS, Claim
from resnet_lib.evidence.effects import Difference
from resnet_lib.evidence.ledger import paper_claims
from resnet_lib.evidence.reproducibility import (
    NOT_SEEN,
    WATTS,
    cost,
    decided_on,
    made_on,
    not_reproduced,
    reproduced,
    word,
)
from resnet_lib.evidence.rule import Verdict
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord, save_record, save_study
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import Records


def took(record: RunRecord, seconds: float, threads: int) -> RunRecord:
    made = record.provenance.model_copy(update={"seconds": seconds, "threads": threads})
    return record.model_copy(update={"provenance": made})


def test_core_hours_count_threads_and_measurements_and_become_energy(tmp_path: Path) -> None:
    save_record(took(made_up_record(tiny_config()), 3600, 2), tmp_path)
    save_record(took(made_up_record(plain(20).at(PROFILES["paper"], 0)), 7200, 1), tmp_path)
    save_record(took(made_up_record(plain(20).at(PROFILES["quick"], 0)), 1800, 1), tmp_path)
    save_study(made_up_study("lesion", tiny_config(), {"none": 1.0}), tmp_path)
    rows = cost(tmp_path).to_dict("records")
    assert [(row["what"], row["records"], row["core-hours"]) for row in rows] == [
        ("measuring trained nets", "1", "0.0"),
        ("training on CIFAR-10, in full", "1", "2.0"),
        ("training on CIFAR-10, shortened", "1", "0.5"),
        ("training on images of clothes", "1", "2.0"),
        ("all", "4", "4.5"),
    ]
    assert float(rows[-1][f"kWh at {WATTS:g} W a core"]) == pytest.approx(4.5 * WATTS / 1000, abs=0.006)


def test_what_is_not_reproduced_is_every_claim_of_the_paper_that_is_not_supported() -> None:
    records = Records.committed()
    table = reproduced(records)
    supported = int(table["supported"].sum())
    assert int(table["claims"].sum()) == len(paper_claims())
    assert 0 < supported < len(paper_claims()) < len(CLAIMS)
    shown = not_reproduced(records)
    assert shown.count("<tr><td>") == len(paper_claims()) - supported
    assert not any(claim.statement in shown for claim in CLAIMS.values() if claim not in paper_claims())


def test_only_runs_by_the_paper_s_schedule_contradict_it() -> None:
    """At another scale its effect is not seen, which is no word about the paper."""
    refuted = Verdict("degradation", "small", "refuted", 10, 0.0, -0.1, 0.1, 0.002)
    assert [word(replace(refuted, profile=name)) for name in PROFILES] == [NOT_SEEN, NOT_SEEN, "refuted"]
    assert word(replace(refuted, status="undecided")) == "undecided"
    assert "refuted" not in not_reproduced(Records.committed())  # while no claim has its runs in full


XEON, EPYC = "Intel(R) Xeon(R) Processor", "AMD EPYC, AVX-512 bf16"


def seeds(folder: Path, profile: str, device: str, effect: float) -> None:
    """Three seeds of a plain and a residual net made in bf16 on this processor, the plain one worse by so much."""
    for seed in range(3):
        for setting, error in ((plain(20), 50 + effect + 0.1 * seed), (resnet(20), 50)):
            record = made_up_record(setting.at(PROFILES[profile], seed), train_error=error)
            made = record.provenance.model_copy(update={"device": device, "precision": "bf16"})
            save_record(record.model_copy(update={"provenance": made}), folder)


def test_records_are_counted_by_the_processors_that_made_them(tmp_path: Path) -> None:
    """Early records do not name the units, and then an Intel processor with bf16 had AMX."""
    seeds(tmp_path, "small", EPYC, 5)
    seeds(tmp_path, "quick", XEON, 5)
    assert made_on(tmp_path).to_dict("records") == [
        {"what": "measuring trained nets", EPYC: "0", f"{XEON}, AMX": "0"},
        {"what": "training on CIFAR-10, shortened", EPYC: "0", f"{XEON}, AMX": "6"},
        {"what": "training on images of clothes", EPYC: "6", f"{XEON}, AMX": "0"},
    ]


@pytest.mark.parametrize(
    ("quick", "said"),
    [
        ((XEON, 5), "on more than one processor: 1, with the same verdict on each: 1. Decided on one alone: none."),
        ((XEON, -5), "on more than one processor: 1, with the same verdict on each: 0. Decided on one alone: none."),
        (
            (EPYC, 5),
            f"on more than one processor: 0, with the same verdict on each: 0. Decided on one alone: 1 on {EPYC}.",
        ),
    ],
)
def test_the_processors_that_a_claim_was_decided_on_are_told(
    quick: tuple[str, float], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    effect = Difference("plain minus residual", worse=plain(20), better=resnet(20))
    claim = Claim(name="worse", statement="It is worse.", source="made up", chapter="01_degradation", effect=effect)
    monkeypatch.setattr(reproducibility, "CLAIMS", {claim.name: claim})
    seeds(tmp_path, "small", EPYC, 5)
    seeds(tmp_path, "quick", *quick)
    table = decided_on(Records(tmp_path))
    assert said in table
    assert (PROFILES["quick"].label in table) == (quick[0] == XEON)
