"""How fast the training loop is, beside the loop that most people write, beside what the machine allows, and why.

The loops of `speed.loops` are measured in one sitting, in turn.
"""

import platform
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch.profiler import ProfilerActivity

from resnet_lib.display import Table
from resnet_lib.errors import UserError
from resnet_lib.files import PACKAGE, write_atomically
from resnet_lib.jobs.campaign import cost
from resnet_lib.nets.build import build
from resnet_lib.nets.geometry import Cost, batch_norm_outputs
from resnet_lib.nets.geometry import cost as net_cost
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import first_problem
from resnet_lib.runs.settings import resnet
from resnet_lib.speed.loops import IMAGE_SHAPE, Contestant, bench_config, our_loop, random_dataset, speed
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import train
from resnet_lib.training.provenance import device_name, git_state

WORKER_COUNTS = (0, 1, 2, 4)
ITERATIONS = 16
ROUNDS = 3
AT_ONCE_ON_GPU = 4

PASSES = 12
"""How often training moves the output of a convolution with batch norm, at the least, if nothing stays in a cache.

Forward 4: the convolution reads its input and writes its output; normalising has to wait for the statistics of the
batch, so it reads that output again and writes its own. Backward 8: the two sums of batch norm's gradient read the
gradient and the convolution's output; the gradient itself reads both again and is written; the convolution's backward
reads it and the input, and writes the gradient of the input. Inputs are taken to be as large as outputs.
"""

PARTS = {  # parts of a step, by what torch's profiler calls their operations; the first that fits
    "convolutions, backward": "convolution_backward",
    "convolutions, forward": "convolution",
    "batch norm, ReLU and additions, fused": "resnet_lib::normalise|CompiledFxGraph|triton_",
    "batch norm": "batch_norm",
    "ReLU and additions": "relu|threshold|clamp_min|aten::add_?$",
    "optimiser": "sgd|SGD|Optimizer",
    "choosing and cropping images": r"aten::index$|constant_pad",
}
ELSE = "everything else"


# ----------------------------------------------------------------------------------------------------- what is recorded


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Speed(_Frozen):
    """Training images per second of all nets that run at once: the median over rounds, and each round."""

    depth: int
    loop: str
    at_once: int
    images_per_second: Positive
    rounds: Annotated[tuple[Positive, ...], Field(strict=False)]


class Limit(_Frozen):
    """Images per second that a whole machine could train if it did nothing but one thing, at its measured best."""

    depth: int
    by_memory: Positive
    by_arithmetic: Positive


class Share(_Frozen):
    """The part of the time of one step that one kind of operation takes, in percent."""

    depth: int
    loop: str
    part: str
    percent: Annotated[float, Field(ge=0, le=100)]


class Sitting(_Frozen):
    """When and on what something was measured."""

    format: Literal[1]
    device: str
    threads: int
    torch: str
    python: str
    git_commit: str | None
    git_dirty: bool | None
    date: str
    precision: str

    @property
    def maker(self) -> str:
        """The first word of the device's name: AMD, Intel, NVIDIA."""
        return re.match(r"\w*", self.device).group()

    @property
    def place(self) -> str:
        """What a reader has to know of it, in two lines."""
        return f"{self.device}, {self.threads} threads, {self.date}\ntorch {self.torch}, Python {self.python}"


def this_sitting(hardware: Hardware) -> dict[str, object]:
    """The fields of a `Sitting` here and now."""
    commit, dirty = git_state()
    return {
        "format": 1,
        "device": device_name(hardware.device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "git_commit": commit,
        "git_dirty": dirty,
        "date": datetime.now(UTC).date().isoformat(),
        "precision": hardware.precision,
    }


class Benchmark(Sitting):
    """One sitting: speeds, limits, where the time of a step goes."""

    bandwidth: Positive  # bytes per second, read and written
    peak: Positive  # multiply-adds per second, of a large matrix product
    speeds: Annotated[tuple[Speed, ...], Field(strict=False)]
    limits: Annotated[tuple[Limit, ...], Field(strict=False)]
    shares: Annotated[tuple[Share, ...], Field(strict=False)]


FOLDER = PACKAGE / "benchmarks"
Stored = TypeVar("Stored", bound=Sitting)


def save(benchmark: Stored, folder: Path = FOLDER) -> Path:
    """Writes a result, in the place of an earlier one of the same device, and returns its path."""
    name = re.sub(r"[^a-z0-9]+", "-", f"{benchmark.device}-{benchmark.threads}-threads".lower()).strip("-")
    path = folder / f"{name}.json"
    write_atomically(path, lambda file: file.write((benchmark.model_dump_json(indent=1) + "\n").encode()))
    return path


def committed(folder: Path = FOLDER, kind: type[Stored] = Benchmark) -> list[Stored]:
    """The results of a kind that ship with the package, each kind in a folder of its own.

    Raises:
        UserError: one is malformed.
    """
    benchmarks = []
    for path in sorted(folder.glob("*.json")):
        try:
            benchmarks.append(kind.model_validate_json(path.read_bytes()))
        except ValidationError as error:
            raise UserError(f"{path}: {first_problem(error)}") from None
    return benchmarks


# ----------------------------------------------------------------------------------------------- what a machine allows


def bandwidth(device: torch.device, size: int = 2**28) -> float:
    """Bytes per second that a copy of `size` bytes reads and writes, at its best."""
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    return 2 * size / _quickest(lambda: target.copy_(source), device)


def peak(device: torch.device, precision: str, side: int = 4096) -> float:
    """Multiply-adds per second of a large matrix product, at its best."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    return side**3 / _quickest(lambda: matrix @ matrix, device)


def _quickest(action: Callable[[], object], device: torch.device, repeats: int = 8) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def limit(depth: int, bytes_per_second: float, multiply_adds_per_second: float, bytes_per_value: int) -> Limit:
    """What memory and arithmetic allow; a step costs three times the multiply-adds of its way forward."""
    net = build(resnet(depth).net)
    spent: Cost = net_cost(net, IMAGE_SHAPE)
    traffic = PASSES * batch_norm_outputs(net, IMAGE_SHAPE) * bytes_per_value
    return Limit(
        depth=depth,
        by_memory=bytes_per_second / traffic,
        by_arithmetic=multiply_adds_per_second / (3 * spent.multiply_adds),
    )


# ---------------------------------------------------------------------------------------- where the time of a step goes


def step_shares(depth: int, hardware: Hardware, iterations: int = ITERATIONS) -> list[Share]:
    """The shares of the time of our loop's step, by torch's profiler, largest first. On a GPU: of the device's time."""
    on_gpu = hardware.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    profiler = torch.profiler.profile(activities=activities)
    actions = iter((profiler.start, profiler.stop))
    train(bench_config(depth, iterations), random_dataset(), hardware, progress=lambda _: next(actions)())
    spent = dict.fromkeys((*PARTS, ELSE), 0.0)
    for event in profiler.key_averages():
        if event.device_type == torch.autograd.DeviceType.CPU:  # a GPU's own events are in the sums of these
            spent[part_of(event.key)] += event.self_device_time_total if on_gpu else event.self_cpu_time_total
    total = sum(spent.values())
    loop = Contestant(None, hardware.precision, hardware.compiled).name
    shares = [Share(depth=depth, loop=loop, part=part, percent=100 * time / total) for part, time in spent.items()]
    return sorted((share for share in shares if share.percent), key=lambda share: -share.percent)


def part_of(operation: str) -> str:
    """The part of a step that an operation of torch's profiler belongs to."""
    return next((part for part, pattern in PARTS.items() if re.search(pattern, operation)), ELSE)


# ----------------------------------------------------------------------------------------------------------- all of it


def bench(
    depths: Sequence[int],
    device: str | None = None,
    compiled: bool = True,
    *,
    iterations: int = ITERATIONS,
    rounds: int = ROUNDS,
    say: Callable[[str], object] = lambda line: None,
) -> Benchmark:
    """Measures both loops on ResNets of these depths, alone and several at once, in turn.

    The usual loop is given the number of workers that suits it best here, found in a trial round.
    """
    hardware = Hardware.choose(device)
    on_cpu = hardware.device.type == "cpu"
    at_once = torch.get_num_threads() if on_cpu else AT_ONCE_ON_GPU
    where, dataset = str(hardware.device), random_dataset()
    speeds, shares = [], []
    for depth in depths:
        config = bench_config(depth, iterations)
        say(f"ResNet-{depth}: looking for the usual loop's best number of workers")
        workers = max(WORKER_COUNTS, key=lambda count: speed(Contestant(count), config, dataset, where))
        contestants = [Contestant(workers), Contestant(0, at_once=at_once)]
        for compile_it in (False, True) if compiled else (False,):
            contestants += [Contestant(None, hardware.precision, compile_it, count) for count in (1, at_once)]
        contestants = list(dict.fromkeys(contestants))  # on a single core "at once" is alone
        results: dict[Contestant, list[float]] = {contestant: [] for contestant in contestants}
        for number in range(rounds):
            say(f"ResNet-{depth}: round {number + 1} of {rounds}")
            for contestant in contestants:
                results[contestant].append(speed(contestant, config, dataset, where))
        speeds += [
            Speed(
                depth=depth,
                loop=contestant.name,
                at_once=contestant.at_once,
                images_per_second=median(values),
                rounds=tuple(values),
            )
            for contestant, values in results.items()
        ]
        say(f"ResNet-{depth}: where the time goes")
        for compile_it in (False, True) if compiled else (False,):
            shares += step_shares(depth, Hardware.choose(device, compiled=compile_it), iterations)
    per_second, adds = bandwidth(hardware.device), peak(hardware.device, hardware.precision)
    return Benchmark(
        **this_sitting(hardware),
        bandwidth=per_second,
        peak=adds,
        speeds=tuple(speeds),
        limits=tuple(limit(depth, per_second, adds, 2 if hardware.precision == "bf16" else 4) for depth in depths),
        shares=tuple(shares),
    )


def speed_table(benchmark: Benchmark) -> Table:
    """Each net and loop: images per second, the ratio to the usual loop alone, the share of what the machine allows.

    The hours are those that the paper's schedule would take for each net, when so many run at once.
    """
    recipe = PROFILES["paper"].recipe
    rows = []
    for limits in benchmark.limits:
        speeds = [row for row in benchmark.speeds if row.depth == limits.depth]
        usual, allowed = speeds[0].images_per_second, min(limits.by_memory, limits.by_arithmetic)
        for row in speeds:
            hours = row.at_once * recipe.iterations * recipe.batch_size / row.images_per_second / 3600
            rows.append(
                {
                    "net": f"ResNet-{row.depth}",
                    "loop": row.loop,
                    "at once": row.at_once,
                    "images/s": f"{row.images_per_second:,.0f}",
                    "ratio": f"{row.images_per_second / usual:.1f}",
                    "of the limit": f"{100 * row.images_per_second / allowed:.0f}%",
                    "paper's schedule (h)": f"{hours:.2f}",
                }
            )
    return Table(rows)


def limit_table(benchmark: Benchmark) -> Table:
    """What the machine allows each net."""
    return Table(
        {
            "net": f"ResNet-{row.depth}",
            "by memory (images/s)": f"{row.by_memory:,.0f}",
            "by arithmetic (images/s)": f"{row.by_arithmetic:,.0f}",
        }
        for row in benchmark.limits
    )


def share_table(benchmark: Benchmark) -> Table:
    """Where the time of a step goes: a row for each part, a column for each net and loop."""
    columns = list(dict.fromkeys((row.depth, row.loop) for row in benchmark.shares))
    rows = []
    for part in dict.fromkeys((*PARTS, ELSE, *(row.part for row in benchmark.shares))):
        found = {(row.depth, row.loop): row.percent for row in benchmark.shares if row.part == part}
        if found:
            cells = {
                f"ResNet-{depth}, {loop} (%)": f"{found[depth, loop]:.1f}" if (depth, loop) in found else ""
                for depth, loop in columns
            }
            rows.append({"part of a step": part} | cells)
    return Table(rows)


def seconds_per_cost(device: str | None, compiled: bool = False) -> float:
    """Seconds that one unit of `campaign.cost` takes here, the way `campaign.work` runs: one thread to a run."""
    hardware = Hardware.choose(device, compiled=compiled)
    threads = torch.get_num_threads()
    side_by_side = threads if hardware.device.type == "cpu" else 1
    config = bench_config(20, 4)
    torch.set_num_threads(1)
    try:
        rate = our_loop(config, random_dataset(), hardware)
    finally:
        torch.set_num_threads(threads)
    images = config.recipe.iterations * config.recipe.batch_size
    return images / rate / cost(config) / side_by_side
