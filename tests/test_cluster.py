"""Runs placed by Ray: the same records as without it, also when a process or a machine is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import psutil
import pytest
import safetensors.torch
from ray._private.node import Node
from ray.cluster_utils import Cluster
from samples import HUNG, measured, python, tiny, tiny_config

from resnet_lib.cli import main
from resnet_lib.errors import UserError
from resnet_lib.files import PACKAGE, locked
from resnet_lib.jobs import campaign, cluster
from resnet_lib.jobs.campaign import checkpoint_path, weights_path
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import SUITES, Suite
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import Records, local_dir
from resnet_lib.training.checkpoints import contents
from resnet_lib.training.loop import TimeLimitReached

# Else Ray's workers, which are nice, starve where something beside the tests keeps all cores busy.
os.environ.update(RAY_worker_niceness="0")

LASTING = {"iterations": 120, "milestones": (100,), "log_every": 10, "eval_every": 120}
CONFIGS = [tiny_config(net, 0, **LASTING) for net in (plain(8), resnet(8))]

Finished = dict[RunConfig, tuple[dict[str, object], bytes]]  # what was measured, and the weights


def finished(cache: Path) -> Finished:
    """What the runs recorded in this cache left behind."""
    records = list(Records(cache / "records"))
    weights = {record.config: cache / "records" / f"{record.config.name}.safetensors" for record in records}
    return {record.config: (measured(record), weights[record.config].read_bytes()) for record in records}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The same runs without Ray."""
    cache = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNET_LIB_CACHE", str(cache))
        for config in CONFIGS:
            campaign.run_here(config, None, False, None, lambda _: None)
    return finished(cache)


# When something is lost. The runs save themselves several times a second.


def wait_until_saved(cache: Path) -> list[str]:
    """Waits until a run has saved itself after its first line of progress, and returns the names of those that have."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        states = [contents(path) for path in cache.glob("checkpoints/*.pt")]
        if saved := [state["run"] for state in states if state["course"]["iteration"] >= 10]:
            return saved
        time.sleep(0.01)
    raise TimeoutError("no checkpoint in 90 seconds")


def assert_resumed(saved: list[str], progress: list[str]) -> None:
    """These runs told of their first iterations once, though their workers were lost afterwards."""
    for name in saved:
        told = [line for line in progress if f"{name.rpartition('_')[0]}: iteration 10 of 120, " in line]
        assert len(told) == 1, "it began anew instead of going on from its checkpoint, or its lines did not arrive"


PROGRAM = f"""
from samples import tiny_config
from resnet_lib.jobs.cluster import work
from resnet_lib.runs.settings import plain, resnet

if __name__ == "__main__":
    work([tiny_config(net, 0, **{LASTING}) for net in (plain(8), resnet(8))], at_once=2, checkpoint_every=0.2)
"""


@pytest.mark.fault("killed process")
def test_a_suite_is_completed_after_its_workers_are_killed(undisturbed: Finished, tmp_path: Path) -> None:
    paths = os.pathsep.join((str(PACKAGE.parent), str(Path(__file__).parent)))
    environment = os.environ | {"RESNET_LIB_CACHE": str(tmp_path), "PYTHONPATH": paths}
    with open(tmp_path / "told", "w") as told:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=told, stderr=told)
    try:
        saved = wait_until_saved(tmp_path)
        children = psutil.Process(process.pid).children(recursive=True)
        workers = [child for child in children if "ray::_run" in child.name()]
        assert workers
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
        process.wait(timeout=HUNG)
    finally:
        process.kill()
    lines = (tmp_path / "told").read_text().splitlines()
    assert process.returncode == 0, lines

    assert finished(tmp_path) == undisturbed
    assert_resumed(saved, lines)
    assert not any("\x1b" in line for line in lines)
    assert not list(tmp_path.glob("checkpoints/*.pt"))


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The first machine of a cluster. It keeps the others together and takes no runs."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


def test_a_run_is_completed_elsewhere_after_its_machine_is_lost(
    head: Cluster, undisturbed: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"  # the machines share a folder, but not with this one
    theirs.mkdir()
    monkeypatch.setenv("RESNET_LIB_CACHE", str(ours))
    environment = {"RESNET_LIB_CACHE": str(theirs), "RESNET_LIB_PROGRESS": str(theirs / "progress")}
    machines = [head.add_node(num_cpus=1, env_vars=environment) for _ in range(2)]
    saved: list[str] = []

    def busy(machine: Node) -> bool:
        raylet = psutil.Process(machine.all_processes["raylet"][0].process.pid)
        return any("ray::_run" in worker.name() for worker in raylet.children())

    def lose() -> None:
        saved.extend(wait_until_saved(theirs))
        (machine,) = filter(busy, machines)
        machines.remove(machine)
        head.remove_node(machine, allow_graceful=False)

    loss = Thread(target=lose)
    loss.start()
    try:
        records = cluster.work(CONFIGS[:1], address=head.address, checkpoint_every=0.2)
    finally:
        loss.join()
        for machine in machines:
            head.remove_node(machine)

    assert (saved, len(machines)) == ([CONFIGS[0].name], 1)
    assert [record.config for record in records] == CONFIGS[:1]
    assert finished(ours) == {CONFIGS[0]: undisturbed[CONFIGS[0]]}
    assert_resumed(saved, (theirs / "progress").read_text().splitlines())


@pytest.mark.fault("two processes sharing the cache")
def test_a_run_waits_for_a_process_that_still_holds_it() -> None:
    """Ray may start a run again before the lost process is quite gone."""
    config = tiny_config()
    with locked(checkpoint_path(config).with_suffix(".lock")):
        began = time.monotonic()
        with pytest.raises(UserError, match="is being trained by another process"):
            campaign.run_here(config, "cpu", False, None, print, patience=0.3)
        assert time.monotonic() - began >= 0.3
    with pytest.raises(TimeLimitReached):
        campaign.run_here(config, "cpu", False, time.time() - 1, print)


# What the command says.


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a suite whose first run fails."""
    monkeypatch.setitem(SUITES, "tiny", Suite("tiny", "", "", settings=(tiny(lr=1e30), tiny())))
    return "tiny"


def test_a_run_that_fails_is_told_after_the_others_are_recorded(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--suite", suite, "--seeds", "1", "--executor", "ray", "--jobs", "1"]
    assert main([*command, "--time-limit", "0.01s", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == []
    assert "no time left to start it" in told.err

    assert main(command) == 2
    bad, good = tiny_config(lr=1e30), tiny_config()
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"resnet_lib: {bad.name}: the loss is nan")
    assert [record.config for record in Records(local_dir())] == [good]
    assert safetensors.torch.load_file(weights_path(good))
    assert cluster.work([good]) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--executor", "ray", "--address", "127.0.0.1:1"], "no Ray cluster can be reached at 127.0.0.1:1 ("),
        (["--executor", "ray", "--address", "127.0.0.1:x"], "no Ray cluster can be reached at 127.0.0.1:x ("),
        (["--executor", "ray", "--address", "auto", "--jobs", "2"], "how many runs a cluster takes at once is its own"),
        (["--address", "auto"], "--address is of a Ray cluster; add --executor ray"),
    ],
)
def test_what_cannot_be_done_takes_one_line(words: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--net", "plain-8", *words]) == 2
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("resnet_lib: ")]
    assert len(told) == 1
    assert told[0].startswith(f"resnet_lib: {message}")


def test_an_address_that_is_no_longer_a_clusters_is_given_up() -> None:
    """What `auto` finds may be long gone. Ray would try twenty times, two seconds here and forty for its users."""
    words = ("-m", "resnet_lib", "train", "--net", "plain-8", "--executor", "ray", "--address", "auto")
    briefly = {"RAY_gcs_rpc_server_connect_timeout_s": "1", "RAY_py_gcs_connect_timeout_s": "1"}
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        done = python(*words, RAY_ADDRESS=f"127.0.0.1:{mute.getsockname()[1]}", **briefly)
        assert time.monotonic() - began < 40
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("resnet_lib: no Ray cluster can be reached at auto (")


def test_a_missing_data_set_is_told_before_ray_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESNET_LIB_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setattr(cluster, "_connect", lambda *_: pytest.fail("Ray was started"))
    assert main(["train", "--net", "plain-8", "--profile", "quick", "--executor", "ray"]) == 2
    assert "which is no folder" in capsys.readouterr().err


def test_a_cluster_without_a_core_is_refused(head: Cluster) -> None:
    with pytest.raises(UserError, match="no machine of the cluster has a core for a run"):
        cluster.work([tiny_config()], address=head.address)


CORES, GPUS, BOTH = {"CPU": 8.0}, {"GPU": 4.0}, {"CPU": 2.0, "GPU": 1.0}


def share(device: str | None, *machines: dict[str, float], alive: bool = True) -> int:
    """The GPUs that each run takes on a cluster of such machines."""
    nodes = [{"Alive": alive, "Resources": machine} for machine in machines]
    return cluster._gpus(SimpleNamespace(nodes=lambda: nodes), device)


def test_a_run_takes_a_gpu_where_a_machine_has_one_beside_a_core() -> None:
    assert [share(device, CORES, BOTH) for device in (None, "cuda", "cpu")] == [1, 1, 0]
    assert [share(device, CORES, GPUS) for device in (None, "cpu")] == [0, 0]
    with pytest.raises(UserError, match="device 'cuda' was asked for, but no machine of the cluster has a GPU"):
        share("cuda", CORES, GPUS)
    with pytest.raises(UserError, match="has a core"):
        share(None, BOTH, alive=False)


def test_without_ray_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'resnet-lib\[cluster\]'"):
        cluster.work([tiny_config()])
