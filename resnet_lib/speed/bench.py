"""How fast the training loop is, beside the loop that most people write, beside what the machine allows, and why.

All contestants are measured in one sitting, in turn. Speed does not depend on what the pictures show, so random images
do.
"""

import multiprocessing
import platform
import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from threading import Barrier
from typing import Annotated, Literal, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn
from torch.profiler import ProfilerActivity
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from resnet_lib.data.sets import Dataset
from resnet_lib.display import Table
from resnet_lib.errors import UserError
from resnet_lib.files import PACKAGE, write_atomically
from resnet_lib.jobs.campaign import cost
from resnet_lib.nets.build import build
from resnet_lib.nets.geometry import Cost, batch_norm_outputs
from resnet_lib.nets.geometry import cost as net_cost
from resnet_lib.nets.models import initialize
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import first_problem
from resnet_lib.runs.settings import resnet
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import train
from resnet_lib.training.provenance import device_name, git_state

NUM_IMAGES = 2048
IMAGE_SHAPE = (3, 32, 32)
WORKER_COUNTS = (0, 1, 2, 4)
ITERATIONS = 16
ROUNDS = 3
AT_ONCE_ON_GPU = 4
PATIENCE = 900.0  # seconds that one process waits for the others: a compilation may take minutes

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
    "batch norm, ReLU and additions, compiled": "CompiledFxGraph|triton_",
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


# ------------------------------------------------------------------------------------------------------------ the loops


def random_dataset() -> Dataset:
    """Random images in the shape of CIFAR-10."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (NUM_IMAGES, *IMAGE_SHAPE), dtype=torch.uint8, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (NUM_IMAGES,), generator=generator)
    few = slice(0, 100)
    mean = torch.full(IMAGE_SHAPE, 127.5)
    return Dataset("random", 10, "none", images, labels, images[few], labels[few], mean, 73.9)


def bench_config(depth: int, iterations: int) -> RunConfig:
    """The paper's recipe, cut short; a point of the curve at the middle lets the first half go as warming up."""
    short = {"iterations": 2 * iterations, "milestones": (), "log_every": iterations, "eval_every": 2 * iterations}
    return resnet(depth).with_recipe(**short).at(PROFILES["paper"], seed=0)


class Stopwatch:
    """Images per second between two moments, at each of which several processes wait for each other."""

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self.wait = wait
        self.moments: list[float] = []

    def mark(self) -> None:
        """One of the two moments."""
        self.wait()
        self.moments.append(time.perf_counter())

    def speed(self, images: int) -> float:
        """Images per second."""
        first, last = self.moments
        return images / (last - first)


def our_loop(config: RunConfig, dataset: Dataset, hardware: Hardware, watch: Stopwatch | None = None) -> float:
    """Images per second of `training.train`, over the second half of its iterations."""
    watch = watch or Stopwatch()
    train(config, dataset, hardware, progress=lambda _: watch.mark())
    return watch.speed(config.recipe.log_every * config.recipe.batch_size)


class _PILImages(TorchDataset):
    """What torchvision's CIFAR10 does: an array in memory, one PIL image per item, transforms in Python."""

    def __init__(self, dataset: Dataset) -> None:
        from resnet_lib.data.torchvision_compat import torchvision

        transforms = torchvision.transforms
        self.images = dataset.train_images.permute(0, 2, 3, 1).contiguous().numpy()  # (N, H, W, C)
        self.labels = dataset.train_labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(self.images.shape[1], padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(np.asarray(self.images[index]))), self.labels[index]


def usual_loop(
    config: RunConfig, dataset: Dataset, device: torch.device, num_workers: int, watch: Stopwatch | None = None
) -> float:
    """Images per second of the loop most people write: DataLoader, PIL transforms, fp32, default memory layout."""
    watch = watch or Stopwatch()
    recipe = config.recipe
    net = build(config.net)
    initialize(net, config.seed)
    net.to(device).train()
    optimizer = torch.optim.SGD(net.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay)
    criterion = nn.CrossEntropyLoss()
    loader = DataLoader(
        _PILImages(dataset),
        recipe.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        multiprocessing_context="fork"
        if num_workers
        else None,  # what Linux does unasked, outside of spawned processes
        pin_memory=device.type == "cuda",
    )

    def forever() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield from loader

    batches = forever()
    for iteration in range(1, recipe.iterations + 1):
        images, labels = next(batches)
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        optimizer.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimizer.step()
        if iteration % recipe.log_every == 0:
            loss.item()  # waits for the device
            watch.mark()
    return watch.speed(recipe.log_every * recipe.batch_size)


# ---------------------------------------------------------------------------------------------------- several at a time


@dataclass(frozen=True)
class Contestant:
    """A loop and how it is run: `num_workers` belongs to the usual loop, None means ours; several at once or alone."""

    num_workers: int | None
    precision: str = "fp32"
    compiled: bool = False
    at_once: int = 1

    @property
    def name(self) -> str:
        """As in the table, without the number at once."""
        if self.num_workers is not None:
            return f"usual, fp32, {self.num_workers} workers"
        return f"this book's, {self.precision}{', compiled' if self.compiled else ''}"


_barrier: Barrier  # of a worker: where it meets the others


def _start_worker(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier
    warnings.filterwarnings("ignore", message="This DataLoader will create")  # more than cores are worth a try


def _measure(contestant: Contestant, config: RunConfig, dataset: Dataset, device: str, threads: int) -> float:
    torch.set_num_threads(threads)
    watch = Stopwatch(lambda: _barrier.wait(PATIENCE))
    if contestant.num_workers is not None:
        return usual_loop(config, dataset, torch.device(device), contestant.num_workers, watch)
    return our_loop(config, dataset, Hardware.choose(device, compiled=contestant.compiled), watch)


def speed(contestant: Contestant, config: RunConfig, dataset: Dataset, device: str) -> float:
    """Images per second of all nets together; on a CPU its cores are shared out among those that run at once."""
    threads = max(1, torch.get_num_threads() // contestant.at_once)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(contestant.at_once)
    with ProcessPoolExecutor(contestant.at_once, context, _start_worker, (barrier,)) as pool:
        futures = [
            pool.submit(_measure, contestant, config, dataset, device, threads) for _ in range(contestant.at_once)
        ]
        return sum(future.result() for future in futures)


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
    for part in (*PARTS, ELSE):
        found = {(row.depth, row.loop): row.percent for row in benchmark.shares if row.part == part}
        if found:
            cells = {
                f"ResNet-{depth}, {loop} (%)": f"{found[depth, loop]:.1f}" if (depth, loop) in found else ""
                for depth, loop in columns
            }
            rows.append({"part of a step": part} | cells)
    return Table(rows)


def seconds_per_cost(device: str | None) -> float:
    """Seconds that one unit of `campaign.cost` takes here, the way `campaign.work` runs: one thread to a run."""
    hardware = Hardware.choose(device)
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
