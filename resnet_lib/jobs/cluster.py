"""The runs of a suite on several machines, placed by Ray (`pip install 'resnet-lib[cluster]'`).

Ray decides where a run goes and starts it again elsewhere when its process or machine is lost. This module only hands
over the runs and stores what comes back, one by one, so that an interruption here loses no finished run.
"""

import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from resnet_lib.errors import UserError
from resnet_lib.files import write_atomically
from resnet_lib.jobs.campaign import load_data, pending, run_here, say, tell_one, weights_path
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.records import RunRecord, save_record
from resnet_lib.runs.store import local_dir
from resnet_lib.training.loop import TimeLimitReached

RESTARTS = 20  # of one run, each after a loss of its process or machine
PATIENCE = 60.0  # seconds for a cluster to answer, and for a process that Ray has given up to let go of its run
SETTINGS = {  # Ray reads them when it is imported; what the user has set stays
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_COLOR_PREFIX": "0",
    "RAY_DEDUP_LOGS": "0",  # lines on two runs often differ in nothing but numbers, and Ray would hold back one run's
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # to reach a cluster; one takes 40 seconds, and by default there are 20
}


def work(
    configs: Sequence[RunConfig],
    *,
    retrain: bool = False,
    device: str | None = None,
    compiled: bool = False,
    time_limit: float | None = None,
    address: str | None = None,
    at_once: int | None = None,
    checkpoint_every: float = 180.0,
    accept_changes: bool = False,
) -> list[RunRecord]:
    """Trains the pending runs on a cluster and stores their records and weights on this machine.

    Each run takes one GPU if the cluster has any, else one core, as in `campaign.work`. A run that is started again
    goes on from its checkpoint if `RESNET_LIB_CACHE` is a folder that the machines share, and from its beginning if
    not. Every machine needs this package, and the data set or the means to download it.

    Args:
        configs, retrain, device, compiled, time_limit, accept_changes: as in `campaign.work`.
        address: of a cluster, as `ray.init` takes it; None makes one of this machine's cores and GPUs.
        at_once: cores that a cluster of this machine has; None for all.
        checkpoint_every: seconds between the saves of a run.

    Returns:
        The records made by this call, in the order of `configs`.

    Raises:
        TimeLimitReached: the time was up first; the next call continues.
        UserError: Ray is not installed, the cluster cannot be reached or lacks what a run needs; a run failed, or was
            lost again and again; the other runs are finished first.
    """
    todo = pending(configs, retrain, device)
    if not todo:
        return []
    if address and at_once:
        raise UserError("how many runs a cluster takes at once is its own affair; leave out --jobs or --address")
    if address is None:
        load_data(todo)
    ray = _connect(address, at_once)
    try:
        gpus = _gpus(ray, device)
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RESTARTS)(_run)
        deadline = None if time_limit is None else time.time() + time_limit
        how = (device, compiled, deadline, checkpoint_every, accept_changes)
        waiting = {task.remote(config, *how): config for config in todo}
        records: dict[RunConfig, RunRecord] = {}
        problems: list[Exception] = []
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            config = waiting.pop(done)
            try:
                records[config], weights = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                if not isinstance(error.cause, UserError | TimeLimitReached):
                    raise
                problems.append(error.cause)  # of one run: the others are worth finishing
                continue
            except ray.exceptions.RayError as error:
                reason = str(error).splitlines()[0]
                problems.append(UserError(f"{config.name} was lost {RESTARTS + 1} times ({reason}); repeat to go on"))
                continue
            write_atomically(weights_path(config), lambda file, weights=weights: file.write(weights))
            save_record(records[config], local_dir())
            say(
                f"{config.name}: test error {records[config].final.test_error:.1f}%; {len(records)} of {len(todo)} done"
            )
    finally:
        ray.shutdown()
    if problems:
        raise problems[0]
    return [records[config] for config in todo]


def _connect(address: str | None, at_once: int | None) -> Any:
    """The module of Ray, joined to a cluster."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise UserError("Ray is not installed; pip install 'resnet-lib[cluster]'") from None
    try:
        if address:
            host, _, port = address.rpartition("/")[2].rpartition(":")
            if host:  # a closed port is known at once, and Ray would try its 40 seconds
                socket.create_connection((host, int(port)), timeout=PATIENCE).close()
            ray.init(address, logging_level="ERROR")
        else:
            ray.init("local", num_cpus=at_once, include_dashboard=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"no Ray cluster can be reached at {address or 'this machine'} ({reason})") from None
    return ray


def _gpus(ray: Any, device: str | None) -> int:
    """How many GPUs each run takes beside its core: one if a machine has any and the CPU was not asked for.

    Raises:
        UserError: no machine of the cluster has what a run needs: Ray would wait for one for ever.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    machines = [machine for machine in machines if machine.get("CPU", 0) >= 1]
    if not machines:
        raise UserError("no machine of the cluster has a core for a run; let one join: ray start --address A")
    has_gpus = any(machine.get("GPU", 0) >= 1 for machine in machines)
    wants_gpu = device is not None and device.startswith("cuda")
    if wants_gpu and not has_gpus:
        raise UserError(f"device {device!r} was asked for, but no machine of the cluster has a GPU; say cpu or add one")
    return int(has_gpus and device != "cpu")


def _run(
    config: RunConfig,
    device: str | None,
    compiled: bool,
    deadline: float | None,
    checkpoint_every: float,
    accept_changes: bool,
) -> tuple[RunRecord, bytes]:
    """One run on a machine of the cluster: its record and its weights."""
    record = run_here(
        config,
        device,
        compiled,
        deadline,
        tell_one,
        patience=PATIENCE,
        checkpoint_every=checkpoint_every,
        accept_changes=accept_changes,
    )
    return record, weights_path(config).read_bytes()
