"""Works through runs: reuses what is recorded, resumes what was interrupted, trains the rest, says how far it is."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import lru_cache
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import safetensors.torch
import torch
from torch import nn

from resnet_lib import data
from resnet_lib.data.sets import Dataset
from resnet_lib.display import clock
from resnet_lib.errors import UserError, lookup, reason, tell, unknown
from resnet_lib.files import cache_dir, locked, writable, write_atomically
from resnet_lib.jobs.weights import digest
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import ENOUGH_SEEDS, SUITES
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.records import RunRecord, save_record
from resnet_lib.runs.settings import Setting
from resnet_lib.runs.store import WEIGHTS, Records, local_dir
from resnet_lib.training import provenance
from resnet_lib.training.checkpoints import last_segment
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import Progress, TimeLimitReached, train

BEST = "best"
LAST_LINES = 5.0  # seconds to wait for them to be told, when all is done


def cost(config: RunConfig) -> float:
    """Relative time of a run: proportional to layers, pixels and images. Measured to hold within a third on CPUs."""
    images = config.recipe.iterations * config.recipe.batch_size
    return config.net.depth * config.data.image_size**2 * images / 1e9


def checkpoint_path(config: RunConfig) -> Path:
    """Where an unfinished run saves its state."""
    return cache_dir() / "checkpoints" / f"{config.name}.pt"


def weights_path(config: RunConfig) -> Path:
    """Where a finished run leaves its trained weights and batch-norm statistics: beside its record."""
    return local_dir() / f"{config.name}{WEIGHTS}"


def say(line: str) -> None:
    """A progress line: to the file named by `RESNET_LIB_PROGRESS` (notebooks under papermill), else to stderr.

    It never costs a run: where a line cannot be written, it is lost.
    """
    if not (path := os.environ.get("RESNET_LIB_PROGRESS")):
        tell(line)
        return
    try:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(line + "\n")
    except (OSError, ValueError):  # no such folder, not ours to write, a full disk
        pass


_made: set[RunConfig] = (
    set()
)  # runs whose records this process has made: another part of a chapter need not repeat them


def made_by_this_code(record: RunRecord, device: str | None = None) -> bool:
    """Whether all parts of a record come from what would work on it now: only then may a rerun be skipped.

    That is the very code, which only git can say, the same torch, device and precision.
    """
    commit, dirty = provenance.git_state()
    if commit is None or dirty:
        return False
    hardware = Hardware.choose(device, record.config.recipe.precision)
    now = (commit, False, torch.__version__, provenance.device_name(hardware.device), hardware.precision)
    made = record.provenance
    return made.package == provenance.package_version() and all(
        (part.git_commit, part.git_dirty, part.torch, part.device, part.precision) == now
        for part in made.segments or (made,)
    )


def pending(configs: Sequence[RunConfig], retrain: bool = False, device: str | None = None) -> list[RunConfig]:
    """The runs still to do.

    Args:
        configs: what is wanted.
        retrain: count only records made on this machine by this very code; otherwise any record will do.
        device: on which they would be made, see `Hardware.choose`.
    """
    if not retrain:
        records = Records.all()
        return [config for config in configs if records.get(config) is None]
    local = Records(local_dir())
    return [
        config
        for config in configs
        if (record := local.get(config)) is None or not (config in _made or made_by_this_code(record, device))
    ]


def load_data(configs: Sequence[RunConfig]) -> None:
    """Loads their data sets here, once: a download or a complaint should not come from every worker.

    Raises:
        UserError: a data set is missing or damaged.
    """
    for name, size in {(config.data.name, config.data.image_size) for config in configs}:
        data.load(name, size)


def work(
    configs: Sequence[RunConfig],
    *,
    retrain: bool = False,
    device: str | None = None,
    compiled: bool = False,
    jobs: int | None = None,
    time_limit: float | None = None,
    accept_changes: bool = False,
) -> list[RunRecord]:
    """Trains the pending runs and stores their records on this machine.

    On a CPU runs go side by side, one thread each: small nets leave a second thread half idle, and records then do
    not depend on the number of cores.

    Args:
        configs: the runs wanted, most important first.
        retrain: see `pending`.
        device, compiled: see `Hardware.choose`.
        jobs: runs at a time; by default one per core on a CPU, one on a GPU.
        time_limit: seconds for all of them together.
        accept_changes: see `training.train`.

    Returns:
        The records made by this call.

    Raises:
        TimeLimitReached: the time was up first; the next call continues.
        UserError: a data set is missing or damaged, the cache cannot be written to, or a run failed; the others are
            finished first.
    """
    todo = pending(configs, retrain, device)
    if len(todo) < len(configs) and not set(configs) <= _made:
        say(
            f"{len(configs) - len(todo)} of {len(configs)} runs are there already, made by this very code"
            if retrain
            else f"{len(configs) - len(todo)} of {len(configs)} runs are recorded already"
        )
    remove_finished_checkpoints(config for config in configs if config not in todo)
    if not todo:
        return []
    load_data(todo)
    on_cpu = Hardware.choose(device).device.type == "cpu"
    jobs = min(jobs or (torch.get_num_threads() if on_cpu else 1), len(todo))  # torch counts the cores it may use
    for folder in (checkpoint_path(todo[0]).parent, local_dir()):
        writable(folder)  # a complaint should not come after a minute of starting
    deadline = None if time_limit is None else time.time() + time_limit
    try:
        records, problems = _in_processes(jobs, todo, device, compiled, deadline, accept_changes)
    except BrokenExecutor:
        raise UserError("a training process was killed, for want of memory perhaps; repeat to go on") from None
    except OSError as error:  # one that died while it was started has closed its pipe
        raise UserError(f"a training process could not be started or failed ({reason(error)}); repeat") from None
    if problems:
        raise problems[0]
    _made.update(todo)
    return records


def _in_processes(jobs: int, todo: Sequence[RunConfig], *how: Any) -> tuple[list[RunRecord], list[Exception]]:
    """Makes runs in processes, so many at a time; returns the records, and what kept the other runs from finishing."""
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    try:
        reports: SimpleQueue[Progress | None] = context.SimpleQueue()
    except OSError as error:  # Linux has its semaphores there
        raise UserError(f"no process can be started ({reason(error)}); let this user write to /dev/shm") from None
    meter = Thread(target=_tell, args=(reports, todo), daemon=True)
    meter.start()
    with ProcessPoolExecutor(jobs, context, _start_worker, (reports,)) as pool:
        records: list[RunRecord] = []
        problems: list[Exception] = []
        try:
            futures = [pool.submit(_run, config, *how) for config in todo]
            for future in futures:
                try:
                    records.append(future.result())
                except (UserError, TimeLimitReached) as problem:  # of one run: the others are worth finishing
                    problems.append(problem)
        finally:
            pool.shutdown(cancel_futures=True)  # waits for the runs under way: they save, or reach the time limit
            # By a thread of its own: a worker that was killed while it told something holds the queue for ever.
            Thread(target=reports.put, args=(None,), daemon=True).start()
            meter.join(LAST_LINES)
    return records, problems


_reports: "SimpleQueue[Progress | None]"  # of a worker, to the process that started it


def _start_worker(reports: "SimpleQueue[Progress | None]") -> None:
    """Readies a worker. It must not train on, holding a run's lock, when the process that started it was killed."""
    global _reports
    _reports = reports
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


@lru_cache(maxsize=1)  # runs come in an order that seldom changes the data set; two of them may not fit in memory
def _dataset(name: str, image_size: int) -> Dataset:
    return data.load(name, image_size)


def _run(
    config: RunConfig, device: str | None, compiled: bool, deadline: float | None, accept_changes: bool = False
) -> RunRecord:
    """One run, in a worker of `work`."""
    return run_here(
        config, device, compiled, deadline, lambda progress: _reports.put(progress), accept_changes=accept_changes
    )


def run_here(
    config: RunConfig,
    device: str | None,
    compiled: bool,
    deadline: float | None,
    progress: Callable[[Progress], object],
    *,
    patience: float = 0.0,
    checkpoint_every: float = 180.0,
    accept_changes: bool = False,
) -> RunRecord:
    """Trains one run in this process on one thread, from its checkpoint if there is one, and stores what comes of it.

    Args:
        config, device, compiled: as in `work`.
        deadline: the `time.time()` at which to save and stop.
        progress: see `training.train`.
        patience: seconds to wait for another process that trains this run.
        checkpoint_every: seconds between saves.
        accept_changes: see `training.train`.

    Raises:
        TimeLimitReached, UserError: as `training.train`; or another process trains this run.
    """
    left = None if deadline is None else deadline - time.time()
    if left is not None and left <= 0:
        raise TimeLimitReached(f"{config.name}: no time left to start it")
    torch.set_num_threads(1)
    checkpoint = checkpoint_path(config)
    with locked(checkpoint.with_suffix(".lock"), patience):
        record, net = train(
            config,
            _dataset(config.data.name, config.data.image_size),
            Hardware.choose(device, config.recipe.precision, compiled),
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            time_limit=left,
            progress=progress,
            accept_changes=accept_changes,
        )
        return store(record, net)


def store(record: RunRecord, net: nn.Module) -> RunRecord:
    """Stores a finished run on this machine: its record and its trained weights, in the place of its checkpoint.

    Returns:
        The record, which now knows the digest of its weights.
    """
    weights = safetensors.torch.save({name: value.contiguous() for name, value in net.state_dict().items()})
    record = record.model_copy(update={"weights_sha256": digest(weights)})
    write_atomically(weights_path(record.config), lambda file: file.write(weights))
    save_record(record, local_dir())
    checkpoint_path(record.config).unlink(missing_ok=True)  # else a retraining would find nothing left to do
    return record


def remove_finished_checkpoints(configs: Iterable[RunConfig]) -> None:
    """Removes what a process left that was killed after it stored a record: a checkpoint that is older."""
    for config in configs:
        checkpoint, record = checkpoint_path(config), local_dir() / f"{config.name}.json"
        try:
            if checkpoint.stat().st_mtime_ns <= record.stat().st_mtime_ns:
                checkpoint.unlink()
        except OSError:
            continue  # there is none, mostly


def _tell(reports: "SimpleQueue[Progress | None]", configs: Sequence[RunConfig]) -> None:
    """Turns the progress of single runs into lines about all of them, with the time left.

    It takes what comes at once, whether or not the lines can be told: workers wait for a queue that is full.
    """
    lines: Queue[str | None] = Queue()
    teller = Thread(target=lambda: [say(line) for line in iter(lines.get, None)], daemon=True)
    teller.start()
    costs = {config.name: cost(config) for config in configs}
    done = dict.fromkeys(costs, 0.0)
    finished = 0
    total = sum(costs.values())
    first: tuple[float, float] | None = None  # time and work at the first report: leaves out loading and warming up
    while (progress := reports.get()) is not None:
        done[progress.name] = costs[progress.name] * progress.iteration / progress.iterations
        finished += progress.iteration == progress.iterations
        now, reached = time.monotonic(), sum(done.values())
        first = first or (now, reached)
        rate = (reached - first[1]) / (now - first[0]) if now > first[0] else 0.0
        left = f"; {clock((total - reached) / rate)} left for these" if rate else ""
        lines.put(
            f"{progress.name.rpartition('_')[0]}: iteration {progress.iteration} of {progress.iterations}, training "
            f"error {progress.error:.1f}%; {finished} of {len(configs)} runs done{left}"
        )
    lines.put(None)
    teller.join(LAST_LINES)


def tell_one(progress: Progress) -> None:
    """A line on how far one run is, with the time left for it."""
    left = progress.seconds / progress.iteration * (progress.iterations - progress.iteration)
    say(
        f"{progress.name.rpartition('_')[0]}: iteration {progress.iteration} of {progress.iterations}, training error "
        f"{progress.error:.1f}%; {clock(left)} left for this run"
    )


def prepare(*suites: str, profile: str = BEST, retrain: bool = False) -> None:
    """Trains, for a chapter that retrains, the first seed of its suites' witnesses in one go; else does nothing.

    One pool keeps every core busy to the end, longest runs first, and the time left that it tells is the chapter's.
    Afterwards `collect` finds the records made.

    Raises:
        UserError: unknown suite or profile.
    """
    if retrain:
        scale = PROFILES["small"] if profile == BEST else lookup(PROFILES, profile, "profile")
        configs = [run for name in suites for run in lookup(SUITES, name, "suite").retrained(scale)]
        _retrain(sorted(configs, key=cost, reverse=True))


def collect(
    suite: str,
    profile: str = BEST,
    retrain: bool = False,
    *,
    settings: Sequence[Setting] = (),
    num_seeds: int = ENOUGH_SEEDS,
) -> list[RunRecord]:
    """The records that a figure or table of a chapter shows, setting by setting, seeds in order.

    Args:
        suite: a key of `SUITES`.
        profile: a key of `PROFILES`, or "best": of the records that ship with the package, and so the same on every
            machine, those of the profile nearest to the paper's in which every setting has enough seeds. Longer runs
            with fewer seeds can stand beside them: see `tables.longer_runs`.
        retrain: train the first seed of the suite's witnesses here and now, in the place of the recorded ones; the
            rest stays as it is recorded. "best" then means the quickest profile.
        settings: the settings of the suite to show, by default all.
        num_seeds: how many seeds "best" must find.

    Raises:
        UserError: unknown suite, profile or setting.
    """
    chosen = lookup(SUITES, suite, "suite")
    for setting in settings:
        if setting not in chosen.settings:
            raise unknown(f"setting of suite {suite}", setting.name, (known.name for known in chosen.settings))
    wanted = settings or chosen.settings
    scale = lookup(PROFILES | {BEST: None}, profile, "profile")
    if scale is None:
        scale = PROFILES["small"] if retrain else best_profile(wanted, num_seeds)
    configs = [config for setting in wanted for config in setting.runs(scale)]
    records = Records.committed() if profile == BEST else Records.all()
    if not retrain:
        return records.select(configs)
    fresh = [config for config in chosen.retrained(scale) if config in configs]
    _retrain(fresh)
    local = Records(local_dir())
    return [r for c in configs if (r := (local if c in fresh else records).get(c)) is not None]


def _retrain(configs: Sequence[RunConfig]) -> None:
    """Trains for a chapter, which has nobody to ask: what other code or data began begins anew, its file is kept."""
    for config in configs:
        if not (checkpoint := checkpoint_path(config)).exists():
            continue
        now = provenance.begin_segment(0, Hardware.choose(), data.load(config.data.name, config.data.image_size).digest)
        with locked(checkpoint.with_suffix(".lock")):
            before = last_segment(checkpoint, config.recipe)
            if before and (change := provenance.what_changed(before, now)):
                aside = checkpoint.replace(checkpoint.with_suffix(".aside"))
                say(f"{config.name}: its checkpoint was made {change} and is {aside.name} now; the run begins anew")
    work(configs, retrain=True)


def best_profile(settings: Sequence[Setting], num_seeds: int = ENOUGH_SEEDS) -> Profile:
    """The profile nearest to the paper's in which each setting has this many recorded seeds, else the quickest."""
    recorded = Records.committed()
    for profile in reversed(PROFILES.values()):
        if all(len(recorded.select(setting.runs(profile))) >= num_seeds for setting in settings):
            return profile
    return next(iter(PROFILES.values()))
