"""What a measurement of several processes computes, and how it is stored."""

from pathlib import Path

import pytest
from samples import BENCHMARK

from resnet_lib.errors import UserError
from resnet_lib.speed import bench, scaling
from resnet_lib.speed.scaling import Scaling, Team

MADE_UP = Scaling(
    **BENCHMARK.model_dump(include=set(bench.Sitting.model_fields)),
    depth=18,
    batch_size=32,
    image_size=224,
    teams=(
        Team(processes=1, threads=1, images_per_second=20.0, rounds=(19.0, 20.0, 22.0)),
        Team(processes=2, threads=1, images_per_second=36.0, rounds=(36.0, 36.0, 36.0)),
    ),
)


def test_two_processes_train_for_real(tmp_path: Path) -> None:
    images = scaling.make_images(tmp_path / "images")
    assert scaling.speed(2, 1, images, 32, "cpu", tmp_path / "speed") > 0


def test_teams_are_measured_in_turn_and_the_median_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def speed(processes: int, threads: int, *_: object) -> float:
        asked.append((processes, threads))
        return 10.0 * processes * threads + len(asked)

    monkeypatch.setattr(scaling, "speed", speed)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    result = scaling.measure("cpu", rounds=3)
    assert asked == [(1, 1), (1, 2), (2, 1)] * 3
    assert [team.images_per_second for team in result.teams] == [14.0, 25.0, 26.0]
    bench.save(result, tmp_path)
    assert bench.committed(tmp_path, Scaling) == [result]


def test_a_malformed_file_is_told(tmp_path: Path) -> None:
    path = bench.save(MADE_UP, tmp_path)
    path.write_text(path.read_text().replace('"processes": 2', '"processes": 0'))
    with pytest.raises(UserError, match=r"a-processor-2-threads.json: teams.1.processes: .*greater than or equal to 1"):
        bench.committed(tmp_path, Scaling)


def test_a_process_that_fails_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 processes could not train together: .*is no folder") as caught:
        scaling.speed(1, 1, tmp_path / "nowhere", 32, "cpu", tmp_path / "speed")
    assert "\n" not in str(caught.value)


def test_ratios_are_to_one_process_with_one_thread() -> None:
    assert list(scaling.scaling_table(MADE_UP)["ratio"]) == ["1.00", "1.80"]


def test_the_time_at_full_size_follows_from_multiply_adds_and_the_best_rate() -> None:
    """By hand: 600,000 x 256 images, 36 a second; ResNet-34 has 3.644 / 1.795 times the work of ResNet-18."""
    table = scaling.full_size_table(MADE_UP, gpu_rate=1e13, gpus=(1, 8)).set_index("net")
    days = 600_000 * 256 / 36 / 86400
    assert float(table["this machine (days)"]["ResNet-18"]) == pytest.approx(days, abs=0.5)
    assert float(table["this machine (days)"]["ResNet-34"]) == pytest.approx(days * 3.644 / 1.795, abs=1)
    hours = 3 * 600_000 * 256 * 1.795e9 / 1e13 / 3600
    assert float(table["1 GPU (hours)"]["ResNet-18"]) == pytest.approx(hours, abs=0.1)
    assert float(table["8 GPUs (hours)"]["ResNet-18"]) == pytest.approx(hours / 8, abs=0.06)


def test_a_batch_is_kept_until_the_gpus_hold_more() -> None:
    rows = scaling.shares_table(256, 32, ((1, 1), (1, 8), (4, 8))).to_dict("records")
    assert [row["parts"] for row in rows] == [8, 1, 1]
    assert [row["batch"] for row in rows] == ["256", "256", "1,024"]
    assert [row["learning rate"] for row in rows] == ["0.1", "0.1", "0.4"]
