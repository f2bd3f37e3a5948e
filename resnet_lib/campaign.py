"""Works through runs: reuses what is recorded, resumes what was interrupted, trains the rest, says how far it is."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from resnet_lib import data, training
from resnet_lib.data import Dataset
from resnet_lib.experiments import Profile, Suite
from resnet_lib.files import cache_dir, locked
from resnet_lib.runs import Records, RunConfig, RunRecord, local_dir, save_record
from resnet_lib.training import Hardware, Progress, TimeLimitReached, train


def cost(config: RunConfig) -> float:
    """Relative time of a run: proportional to layers, pixels and images. Measured to hold within a third on CPUs."""
    images = config.recipe.iterations * config.recipe.batch_size
    return config.net.depth * config.data.image_size**2 * images / 1e9


def checkpoint_path(config: RunConfig) -> Path:
    """Where a run saves its state; after its end, the trained weights."""
    return cache_dir() / "checkpoints" / f"{config.name}.pt"


def say(line: str) -> None:
    """A progress line: to the file named by `RESNET_LIB_PROGRESS` (notebooks under papermill), else to stderr."""
    if path := os.environ.get("RESNET_LIB_PROGRESS"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    else:
        print(line, file=sys.stderr, flush=True)


def made_by_this_code(record: RunRecord) -> bool:
    """Whether the record comes from the very code and torch that run now: only then may a rerun be skipped."""
    commit, dirty = training.git_state()
    made = record.provenance
    same_code = commit == made.git_commit and not dirty and not made.git_dirty
    return same_code and made.package == training.package_version() and made.torch == torch.__version__


def pending(configs: Sequence[RunConfig], retrain: bool = False) -> list[RunConfig]:
    """The runs still to do.

    Args:
        configs: what is wanted.
        retrain: count only records made on this machine by this very code; otherwise any record will do.
    """
    if not retrain:
        records = Records.all()
        return [config for config in configs if records.get(config) is None]
    local = Records(local_dir())
    return [c for c in configs if (record := local.get(c)) is None or not made_by_this_code(record)]


def work(
    configs: Sequence[RunConfig],
    *,
    retrain: bool = False,
    device: str | None = None,
    compiled: bool = False,
    time_limit: float | None = None,
) -> list[RunRecord]:
    """Trains the pending runs one after the other and stores their records on this machine.

    Args:
        configs: the runs wanted, most important first.
        retrain: see `pending`.
        device, compiled: see `Hardware.choose`.
        time_limit: seconds for all of them together.

    Returns:
        The records made by this call.

    Raises:
        TimeLimitReached: the time was up first; the next call continues.
        UserError: a data set is missing or damaged, or a run failed.
    """
    todo = pending(configs, retrain)
    started, made = time.monotonic(), []
    meter = Meter(todo)
    datasets: dict[object, Dataset] = {}
    for index, config in enumerate(todo):
        hardware = Hardware.choose(device, config.recipe.precision, compiled)
        if config.data not in datasets:
            datasets = {config.data: data.load(config.data.name, config.data.image_size)}  # one at a time in memory
        left = None if time_limit is None else time_limit - (time.monotonic() - started)
        if left is not None and left <= 0:
            raise TimeLimitReached(f"stopped with {len(todo) - index} of {len(todo)} runs to do; repeat to go on")
        checkpoint = checkpoint_path(config)
        with locked(checkpoint.with_suffix(".lock")):
            record, _ = train(
                config,
                datasets[config.data],
                hardware,
                checkpoint=checkpoint,
                time_limit=left,
                progress=meter.reporter(index),
            )
            save_record(record, local_dir())
        made.append(record)
    return made


class Meter:
    """Turns the progress of single runs into lines about all of them, with the time left."""

    def __init__(self, configs: Sequence[RunConfig]) -> None:
        self.configs = list(configs)
        self.total = sum(map(cost, configs))
        self.done = 0.0
        self.started: float | None = None  # set at the first report, which leaves loading and warming up out

    def reporter(self, index: int) -> Callable[[Progress], None]:
        """The progress function of one run."""
        config = self.configs[index]
        before = sum(map(cost, self.configs[:index]))

        def report(progress: Progress) -> None:
            reached = before + cost(config) * progress.iteration / progress.iterations
            now = time.monotonic()
            if self.started is None:
                self.started, self.done = now, reached
            rate = (reached - self.done) / (now - self.started) if now > self.started else 0.0
            left = f", {clock((self.total - reached) / rate)} left" if rate else ""
            say(
                f"run {index + 1} of {len(self.configs)}  {config.net.name} {config.recipe.optimizer} "
                f"lr {config.recipe.lr:g} seed {config.seed}: iteration {progress.iteration} of "
                f"{progress.iterations}, training error {progress.error:.1f}%{left}"
            )

        return report


def clock(seconds: float) -> str:
    """41 s, 3 min, 2 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def collect(suite: Suite, profile: Profile, *, retrain: bool = False, num_retrained: int = 1) -> list[RunRecord]:
    """The records of a suite for a chapter.

    As committed, a chapter asks for what is recorded. With `retrain` the first `num_retrained` seeds are trained here,
    now, and take the place of the recorded ones; the other seeds stay as recorded.
    """
    recorded = Records.committed()
    if not retrain:
        return recorded.select(suite.runs(profile)) or Records.all().select(suite.runs(profile))
    fresh = suite.runs(profile, range(num_retrained))
    work(fresh, retrain=True)
    rest = [config for config in suite.runs(profile) if config not in set(fresh)]
    return Records(local_dir()).select(fresh) + recorded.select(rest)
