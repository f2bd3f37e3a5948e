"""Other ways to run one step of training on a CPU: compilers, layouts, allocators, each beside the way that was chosen.

`python -m resnet_lib bench-variants` runs each in a process of its own, since most are chosen when a process starts.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from ctypes.util import find_library
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from resnet_lib.display import Table
from resnet_lib.errors import UserError
from resnet_lib.nets.build import build
from resnet_lib.nets.models import initialize
from resnet_lib.speed import bench
from resnet_lib.speed.loops import bench_config, random_dataset
from resnet_lib.training.fused import can_fuse, fuse
from resnet_lib.training.hardware import Hardware, bf16_units
from resnet_lib.training.loop import step
from resnet_lib.training.optimizer import make_optimizer
from resnet_lib.training.processes import ALONE

DEPTH = 20
WARM_UP, ITERATIONS = 4, 20
ROUNDS = 3
TIME_LIMIT = 600.0  # for one variant and round, in seconds
FOLDER = bench.FOLDER / "variants"
MAKES: Mapping[str, Callable[[nn.Module], nn.Module]] = {
    "separate operations": lambda net: net,
    "torch.compile": torch.compile,
    "fused": fuse,
}


@dataclass(frozen=True)
class Variant:
    """One way to run a step; `environment` is what its process starts with, `preload` a library before all others."""

    how: str
    but: str = ""
    threads: int = 1
    precision: str = "auto"
    channels_last: bool = True
    flush_denormals: bool = False
    preload: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As in the table."""
        return f"{self.how}, {self.but}" if self.but else self.how


VARIANTS = (
    Variant("separate operations"),
    Variant("separate operations", "channels first", channels_last=False),
    Variant("separate operations", "memory by jemalloc", preload="jemalloc"),
    Variant("torch.compile"),
    Variant("torch.compile", "called from C++", environment={"TORCHINDUCTOR_CPP_WRAPPER": "1"}),
    Variant("fused"),
    Variant("fused", "in fp32", precision="fp32"),
    Variant("fused", "bf16 without AMX", environment={"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}),
    Variant("fused", "one net on two threads", threads=2),
    Variant("fused", "denormal numbers as zero", flush_denormals=True),
    Variant("fused", "small pages for large tensors", environment={"THP_MEM_ALLOC_ENABLE": "0"}),
    Variant("fused", "large pages for all", environment={"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}),
    Variant(
        "fused",
        "freed memory kept",
        environment={"MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_MMAP_THRESHOLD_": str(2**25)},
    ),
    Variant("fused", "memory by tcmalloc", preload="tcmalloc_minimal"),
    Variant("fused", "memory by jemalloc", preload="jemalloc"),
    Variant(
        "fused",
        "by jemalloc, kept",
        preload="jemalloc",
        environment={"MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1"},
    ),
)


class Timed(BaseModel):
    """Milliseconds of a step: the median over rounds, and each round's own median over iterations."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    milliseconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    rounds: Annotated[tuple[float, ...], Field(strict=False)]


class Tried(bench.Sitting):
    """One sitting: the times of a step in different ways on one machine."""

    depth: int
    batch_size: int
    timed: Annotated[tuple[Timed, ...], Field(strict=False)]

    @property
    def caption(self) -> str:
        """What stands below its table."""
        what = f"ResNet-{self.depth}, {self.batch_size} images, {self.precision}, on one core unless it says otherwise"
        return f"{what}\n{self.place}\nmedian of {len(self.timed[0].rounds)} rounds, and their range"


def possible(variant: Variant) -> bool:
    """Whether this machine has what the variant varies."""
    if variant.how != "separate operations" and not shutil.which(os.environ.get("CXX", "g++")):
        return False
    if variant.how == "fused" and not can_fuse(build(bench_config(DEPTH, 1).net)):
        return False
    if "AMX" in variant.but and "AMX" not in bf16_units():
        return False
    if variant.precision == "fp32" and Hardware.choose("cpu").precision == "fp32":
        return False  # what is chosen anyway
    enough = variant.threads <= torch.get_num_threads()
    return enough and (variant.preload is None or find_library(variant.preload) is not None)


def milliseconds(variant: Variant, depth: int, iterations: int = ITERATIONS) -> float:
    """The median time of a step in this process."""
    torch.set_num_threads(variant.threads)
    torch.set_flush_denormal(variant.flush_denormals)
    hardware = Hardware.choose("cpu", variant.precision)
    config = bench_config(depth, WARM_UP + iterations)
    dataset = random_dataset().for_run(config, hardware.device)
    net = build(config.net)
    initialize(net, config.seed)
    net.to(memory_format=torch.channels_last if variant.channels_last else torch.contiguous_format).train()
    optimizer = make_optimizer(net, config.recipe)
    batches = dataset.batches(config.recipe, config.seed, 0, ALONE)
    if not variant.channels_last:  # which images are; convolutions follow either their images or their weights
        batches = ((images.contiguous(), labels) for images, labels in batches)
    sums, step_net, times = torch.zeros(2, dtype=torch.float64), MAKES[variant.how](net), []
    for _ in range(WARM_UP + iterations):
        started = time.perf_counter()
        step(step_net, optimizer, batches, hardware, sums)
        times.append(1000 * (time.perf_counter() - started))
    return median(times[WARM_UP:])


def in_its_process(variant: Variant, depth: int, out: Path) -> float:
    """`milliseconds` in a new process with the variant's environment.

    Raises:
        UserError: the process failed, or took longer than `TIME_LIMIT`.
    """
    environment = os.environ | variant.environment
    if variant.preload is not None:
        environment["LD_PRELOAD"] = find_library(variant.preload)
    command = [sys.executable, "-m", "resnet_lib.speed.variants", variant.name, str(depth), str(out)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        raise UserError(f"{variant.name}: not done after {TIME_LIMIT:.0f} s; is the machine busy?") from None
    if done.returncode:
        *_, last = done.stderr.strip().splitlines() or ["no reason given"]
        raise UserError(f"{variant.name}: {last}")
    return json.loads(out.read_text())


def measure(depth: int = DEPTH, rounds: int = ROUNDS, say: Callable[[str], object] = lambda line: None) -> Tried:
    """Times all variants that this machine has, in turn, one net on one core unless they say otherwise."""
    variants = [variant for variant in VARIANTS if possible(variant)]
    results: dict[str, list[float]] = {variant.name: [] for variant in variants}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(rounds):
            say(f"variants: round {number + 1} of {rounds}")
            for variant in variants:
                results[variant.name].append(in_its_process(variant, depth, Path(scratch) / "time"))
    return Tried(
        **bench.this_sitting(Hardware.choose("cpu")),
        depth=depth,
        batch_size=bench_config(depth, 1).recipe.batch_size,
        timed=tuple(
            Timed(name=name, milliseconds=median(times), rounds=tuple(times)) for name, times in results.items()
        ),
    )


def variants_table(tried: Tried) -> Table:
    """A row for each variant: the time of a step, its range over rounds, and how often that goes into the first's."""
    first, *_ = tried.timed
    return Table(
        {
            "one step": row.name,
            "ms": f"{row.milliseconds:.0f}",
            "rounds": f"{min(row.rounds):.0f}–{max(row.rounds):.0f}",
            "times as fast": f"{first.milliseconds / row.milliseconds:.2f}",
        }
        for row in tried.timed
    )


if __name__ == "__main__":
    (asked,) = (variant for variant in VARIANTS if variant.name == sys.argv[1])
    Path(sys.argv[3]).write_text(json.dumps(milliseconds(asked, int(sys.argv[2]))))
