"""Runs placed by Ray: the same records as without it, also when a worker is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import safetensors.torch
from samples import measured, tiny_config

from resnet_lib import campaign, cluster
from resnet_lib.campaign import checkpoint_path
from resnet_lib.cli import main
from resnet_lib.errors import UserError
from resnet_lib.experiments import plain, resnet
from resnet_lib.files import PACKAGE, locked
from resnet_lib.runs import Records, local_dir
from resnet_lib.training import TimeLimitReached

PROGRAM = """
import sys
from samples import tiny_config
from resnet_lib.cluster import work
from resnet_lib.experiments import plain, resnet

LASTING = {"iterations": 300, "milestones": (150,), "log_every": 10, "eval_every": 300}
CONFIGS = [tiny_config(net, 0, **LASTING) for net in (plain(8), resnet(8))]
if __name__ == "__main__":
    work(CONFIGS, at_once=2, checkpoint_every=0.2)
"""


def start(cache: Path) -> subprocess.Popen[str]:
    (cache / "program.py").write_text(PROGRAM)
    paths = os.pathsep.join((str(PACKAGE.parent), str(Path(__file__).parent)))
    told = {"RESNET_LIB_CACHE": str(cache), "RESNET_LIB_PROGRESS": str(cache / "progress"), "PYTHONPATH": paths}
    command = [sys.executable, str(cache / "program.py")]
    return subprocess.Popen(command, env=os.environ | told, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def test_a_suite_is_completed_after_a_worker_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path)
    deadline = time.monotonic() + 90
    while not list(tmp_path.glob("checkpoints/*.pt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    (checkpoint, *_) = tmp_path.glob("checkpoints/*.pt")
    workers = [child for child in psutil.Process(process.pid).children(recursive=True) if "ray::_run" in child.name()]
    assert workers
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    finish(process)

    records = {record.config: record for record in Records(tmp_path / "records")}
    lasting = {"iterations": 300, "milestones": (150,), "log_every": 10, "eval_every": 300}
    configs = [tiny_config(net, 0, **lasting) for net in (plain(8), resnet(8))]
    campaign.work(configs, jobs=1)
    for config in configs:
        assert measured(records[config]) == measured(Records(local_dir()).get(config))
        stored = (tmp_path / "records" / f"{config.name}.safetensors").read_bytes()
        assert stored == campaign.weights_path(config).read_bytes()

    lines = (tmp_path / "progress").read_text().splitlines()
    net = checkpoint.name.partition("_")[0]
    iterations = [int(line.split()[2]) for line in lines if line.startswith(f"{net}_") and ": iteration" in line]
    assert iterations.count(300) == 1
    assert iterations.count(10) == 1, "it began anew instead of going on from its checkpoint"
    assert not list(tmp_path.glob("checkpoints/*.pt"))


def test_a_run_that_fails_is_told_after_the_others_are_recorded(tmp_path: Path) -> None:
    good, bad = tiny_config(), tiny_config(lr=1e30)
    with pytest.raises(UserError, match=re.escape(f"{bad.name}: the loss is nan")) as caught:
        cluster.work([bad, good], at_once=1)
    assert "\n" not in str(caught.value)
    assert [record.config for record in Records(local_dir())] == [good]
    assert safetensors.torch.load_file(campaign.weights_path(good))
    assert cluster.work([good]) == []


def test_the_command_trains_by_ray_and_stops_at_its_time_limit(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--net", "plain-8", "--executor", "ray", "--jobs", "1"]
    assert main([*command, "--time-limit", "0.01s"]) == 0
    told = capsys.readouterr()
    assert "0 of 1 runs recorded; repeat the command to go on" in told.out
    assert "no time left to start it" in told.err
    assert main([*command, "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["config"]["net"]["depth"] == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--executor", "ray", "--address", "127.0.0.1:1"], "no Ray cluster can be reached at 127.0.0.1:1 ("),
        (["--executor", "ray", "--address", "127.0.0.1:x"], "no Ray cluster can be reached at 127.0.0.1:x ("),
        (["--executor", "ray", "--address", "auto"], "no Ray cluster can be reached at auto ("),
        (["--executor", "ray", "--address", "auto", "--jobs", "2"], "how many runs a cluster takes at once is its own"),
        (["--executor", "ray", "--device", "cuda"], "device 'cuda' was asked for, but the cluster has no GPU"),
        (["--address", "auto"], "--address is of a Ray cluster; add --executor ray"),
    ],
)
def test_what_cannot_be_done_takes_one_line(words: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--net", "plain-8", *words]) == 2
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("resnet_lib: ")]
    assert len(told) == 1
    assert told[0].startswith(f"resnet_lib: {message}")


def test_without_ray_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'resnet-lib\[cluster\]'"):
        cluster.work([tiny_config()])


def test_a_run_waits_for_a_process_that_still_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray may start a run again before the lost process is quite gone."""
    config = tiny_config()
    with locked(checkpoint_path(config).with_suffix(".lock")):
        began = time.monotonic()
        with pytest.raises(UserError, match="is being trained by another process"):
            campaign.run_here(config, "cpu", False, None, print, patience=0.3)
        assert time.monotonic() - began >= 0.3
    with pytest.raises(TimeLimitReached):
        campaign.run_here(config, "cpu", False, time.time() - 1, print)
