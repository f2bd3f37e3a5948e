"""Other ways to run a step: each in a process of its own, in turn, and what the table makes of it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from samples import BENCHMARK
from torch import Tensor

from resnet_lib.data.batches import Batch
from resnet_lib.errors import UserError
from resnet_lib.speed import bench, variants
from resnet_lib.speed.variants import VARIANTS, Timed, Tried, Variant
from resnet_lib.training.hardware import Hardware

MADE_UP = Tried(
    **BENCHMARK.model_dump(include=set(bench.Sitting.model_fields)),
    depth=20,
    batch_size=128,
    timed=(
        Timed(name="separate operations", milliseconds=200.0, rounds=(190.0, 200.0, 230.0)),
        Timed(name="fused", milliseconds=160.0, rounds=(160.0, 160.0, 160.0)),
    ),
)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_a_variant_is_what_it_says(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}

    def step(net: object, optimizer: object, batches: Iterator[Batch], hardware: Hardware, sums: Tensor) -> None:
        images, _ = next(batches)
        first = torch.channels_last if images.is_contiguous(memory_format=torch.channels_last) else None
        seen.update(net=net, threads=torch.get_num_threads(), precision=hardware.precision, images=first)
        seen.update(denormals=(torch.tensor([1e-39]) * 1).item() > 0)

    made = {how: lambda net, how=how: how for how in variants.MAKES}
    monkeypatch.setattr(variants, "MAKES", made)
    monkeypatch.setattr(variants, "step", step)
    try:
        assert variants.milliseconds(variant, 8, iterations=1) > 0
    finally:
        torch.set_num_threads(1)
        torch.set_flush_denormal(False)
    assert seen == {
        "net": variant.how,
        "threads": 2 if "two threads" in variant.but else 1,
        "precision": "fp32" if "fp32" in variant.but else Hardware.choose("cpu").precision,
        "images": None if "channels first" in variant.but else torch.channels_last,
        "denormals": "denormal" not in variant.but,
    }


def test_a_process_starts_with_the_variants_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, str]] = []

    def run(command: list[str], env: dict[str, str], **_: object) -> subprocess.CompletedProcess:
        given.append(env)
        Path(command[-1]).write_text("12.5")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(variants.subprocess, "run", run)
    monkeypatch.setattr(variants, "find_library", lambda name: f"lib{name}.so.2")
    kept = next(variant for variant in VARIANTS if variant.but == "by jemalloc, kept")
    assert variants.in_its_process(kept, 8, tmp_path / "time") == 12.5
    assert given[0]["LD_PRELOAD"] == "libjemalloc.so.2"
    assert given[0]["MALLOC_CONF"] == "dirty_decay_ms:-1,muzzy_decay_ms:-1"
    assert os.environ.items() <= given[0].items()


def test_a_step_is_timed_in_a_process_of_its_own(tmp_path: Path) -> None:
    assert variants.in_its_process(VARIANTS[0], 8, tmp_path / "time") > 0


def test_names_tell_variants_apart() -> None:
    names = [variant.name for variant in VARIANTS]
    assert len(set(names)) == len(names)
    assert names[0] == "separate operations"


def test_variants_are_timed_in_turn_and_the_median_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def in_its_process(variant: Variant, depth: int, _: Path) -> float:
        asked.append((variant.name, depth))
        return 100.0 + len(asked)

    monkeypatch.setattr(variants, "in_its_process", in_its_process)
    monkeypatch.setattr(variants, "possible", lambda variant: variant.threads == 1 and variant.preload is None)
    result = variants.measure(8, rounds=3)
    names = [variant.name for variant in VARIANTS if variant.threads == 1 and variant.preload is None]
    assert asked == [(name, 8) for name in names] * 3
    assert [row.name for row in result.timed] == names
    assert result.timed[0].milliseconds == 101.0 + len(names)
    bench.save(result, tmp_path)
    assert bench.committed(tmp_path, Tried) == [result]


def test_what_the_machine_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "find_library", lambda name: None)
    monkeypatch.setattr(variants, "bf16_units", list)
    monkeypatch.setattr(variants, "can_fuse", lambda net: True)
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    left = [variant for variant in VARIANTS if variants.possible(variant)]
    assert left
    assert not [v for v in left if v.preload or v.threads > 1 or v.environment.get("ONEDNN_MAX_CPU_ISA")]
    monkeypatch.setattr(variants, "can_fuse", lambda net: False)
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert {v.how for v in VARIANTS if variants.possible(v)} == {"separate operations", "torch.compile"}


def test_a_process_that_fails_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^separate operations: ValueError: .*") as caught:
        variants.in_its_process(VARIANTS[0], 7, tmp_path / "time")
    assert "\n" not in str(caught.value)


def test_the_table_compares_with_the_first() -> None:
    table = variants.variants_table(MADE_UP)
    assert list(table["times as fast"]) == ["1.00", "1.25"]
    assert list(table["rounds"]) == ["190–230", "160–160"]


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert {v.how for v in VARIANTS if variants.possible(v)} == {"separate operations"}
