"""A long run is measured on the way, at the same points and with the same numbers however often it is interrupted."""

from pathlib import Path

import pytest
from samples import measured, same_tensors, tiny_config, tiny_dataset

from resnet_lib.runs.config import changed
from resnet_lib.runs.profiles import PAPER_RECIPE
from resnet_lib.runs.settings import resnet, transformer
from resnet_lib.training import Hardware, TimeLimitReached, recording, train
from resnet_lib.training.recording import measure, probed_iterations

CPU = Hardware.choose("cpu", "fp32")
CONFIG = tiny_config(resnet(8))


@pytest.fixture
def _all_runs_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LONG", 12)
    monkeypatch.setattr(recording, "EARLY", 3)


def test_a_long_run_is_probed_new_early_and_before_each_milestone() -> None:
    assert probed_iterations(PAPER_RECIPE) == [0, 400, 32_000, 48_000]
    assert probed_iterations(changed(PAPER_RECIPE, iterations=999, milestones=(500,))) == []
    assert probed_iterations(changed(PAPER_RECIPE, iterations=1000, milestones=(500, 2000))) == [0, 400, 500]


@pytest.mark.usefixtures("_all_runs_are_long")
def test_probes_on_the_way_are_those_of_the_net_at_that_point_and_leave_no_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record, net = train(CONFIG, tiny_dataset(), CPU)
    assert [probes.iteration for probes in record.probes_on_the_way] == [0, 3, 8]
    monkeypatch.setattr(recording, "LONG", 13)
    unprobed, same_net = train(CONFIG, tiny_dataset(), CPU)
    assert same_tensors(net.state_dict(), same_net.state_dict())
    assert record.model_copy(update={"probes_on_the_way": (), "provenance": unprobed.provenance}) == unprobed
    _, early = train(tiny_config(resnet(8), iterations=3), tiny_dataset(), CPU)
    assert record.probes_on_the_way[1].gradient_norm == measure(early, tiny_dataset()).gradient_norm


@pytest.mark.usefixtures("_all_runs_are_long")
def test_a_run_interrupted_where_it_is_probed_has_each_probe_once(tmp_path: Path) -> None:
    stops = 0
    while True:
        try:
            record, _ = train(CONFIG, tiny_dataset(), CPU, checkpoint=tmp_path / "run.pt", time_limit=1e-9)
            break
        except TimeLimitReached:
            stops += 1
    assert stops == 11
    assert measured(record) == measured(train(CONFIG, tiny_dataset(), CPU)[0])


@pytest.mark.usefixtures("_all_runs_are_long")
def test_a_long_run_of_a_net_without_3x3_layers_has_no_probes_on_the_way() -> None:
    record, _ = train(tiny_config(transformer(1)), tiny_dataset(), CPU)
    assert record.probes_on_the_way == ()
