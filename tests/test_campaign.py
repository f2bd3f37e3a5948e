"""A campaign reuses what is recorded, survives being killed, and says how far it is."""

import dataclasses
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
import safetensors.torch
import torch
from samples import HUNG, NOWHERE, made_up_record, measured, surroundings, tiny, tiny_config

from resnet_lib import cli, data
from resnet_lib.cli import main
from resnet_lib.display import clock
from resnet_lib.errors import UserError
from resnet_lib.evidence import rule
from resnet_lib.files import PACKAGE, locked
from resnet_lib.jobs import campaign
from resnet_lib.jobs.campaign import checkpoint_path, collect, cost, pending, weights_path, work
from resnet_lib.runs import store
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import ENOUGH_SEEDS, SUITES, Suite
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord, Segment, load_record, save_record
from resnet_lib.runs.settings import Setting, plain, resnet
from resnet_lib.runs.store import Records, local_dir
from resnet_lib.training import Hardware, TimeLimitReached, build, evaluate, provenance, train

SMALL = PROFILES["small"]
PLAIN_8 = plain(8).at(SMALL, seed=0)


# The command as its users start it: a process with workers of its own.

TRAIN = (sys.executable, "-u", "-m", "resnet_lib", "train", "--net", "plain-8", "--jobs", "1")


def heed_interrupts() -> None:
    """As at a terminal. A shell's background job is told to ignore them, and so are all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(cache: Path, *options: str) -> subprocess.Popen[str]:
    environment = os.environ | {"RESNET_LIB_CACHE": str(cache), "PYTHONPATH": str(PACKAGE.parent)}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*TRAIN, *options],
        env=environment,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def finish(process: subprocess.Popen[str], timeout: float = HUNG) -> tuple[str, str]:
    """What is left of its output. The end of it comes when the last process that holds the pipe, worker or not, ends.

    A killed process that leaves another behind is therefore a TimeoutExpired.
    """
    try:
        return process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def wait_for(text: str, process: subprocess.Popen[str]) -> None:
    """Reads what the process tells until it tells this."""
    assert process.stderr is not None
    while text not in (line := process.stderr.readline()):
        assert line, "it ended by itself"


def only_record(cache: Path) -> RunRecord:
    (path,) = (cache / "records").glob("*.json")
    return load_record(path)


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """The record of a run that nobody disturbed."""
    cache = tmp_path_factory.mktemp("left alone")
    process = start(cache, "--json")
    output, errors = finish(process)
    assert process.returncode == 0, errors
    record = only_record(cache)
    assert record.config == PLAIN_8
    assert json.loads(output) == [record.model_dump(mode="json")]
    return record


@pytest.mark.fault("killed process")
def test_a_run_that_was_killed_leaves_nobody_behind_and_repeats_the_same_record(
    left_alone: RunRecord, tmp_path: Path
) -> None:
    process = start(tmp_path)
    wait_for("iteration 60 of 400", process)
    process.kill()
    finish(process, timeout=15)
    assert not list(tmp_path.rglob("*.json"))

    again = start(tmp_path)
    output, errors = finish(again)
    assert again.returncode == 0, errors
    assert measured(only_record(tmp_path)) == measured(left_alone)
    assert "1 of 1 runs recorded" in output


def test_a_time_limit_stops_cleanly_and_the_next_call_continues(left_alone: RunRecord, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoints" / f"{PLAIN_8.name}.pt"
    limit, stopped_midway = 4.0, False
    for _ in range(20):
        process = start(tmp_path, "--time-limit", f"{limit:.1f}s")
        output, errors = finish(process)
        assert process.returncode == 0, errors
        if "1 of 1 runs recorded" in output:
            break
        assert "0 of 1 runs recorded; repeat the command to go on" in output
        if checkpoint.exists():
            assert re.search(rf"{PLAIN_8.name}: stopped at \d+ of 400 iterations", errors)
            stopped_midway = True
            limit = 90.0
        else:
            assert "no time left to start it" in errors
            limit += 1.5
    assert stopped_midway
    assert not checkpoint.exists(), "a later retraining would find nothing left to do"
    assert measured(only_record(tmp_path)) == measured(left_alone)


def test_an_interrupt_takes_one_line_and_leaves_nobody_behind(tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for("iteration 20 of 400", process)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to every process of the command
    _, errors = finish(process)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == (
        "resnet_lib: interrupted; what is finished is recorded, repeat the command to go on"
    )


# A whole campaign, which saves its runs several times a second; spawned workers read the script, too.

CAMPAIGN = """
from samples import tiny_config
from resnet_lib.jobs.campaign import run_here, work
from resnet_lib.runs.settings import plain, resnet

run_here.__kwdefaults__["checkpoint_every"] = 0.1
lasting = {"iterations": 200, "milestones": (150,), "log_every": 5, "eval_every": 100}
CONFIGS = [tiny_config(net, seed, **lasting) for seed in (0, 1) for net in (plain(8), resnet(8))]
if __name__ == "__main__":
    work(CONFIGS, jobs=2)
"""


def start_campaign(folder: Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    (folder / "campaign.py").write_text(CAMPAIGN)
    paths = os.pathsep.join((str(PACKAGE.parent), str(Path(__file__).parent)))
    return subprocess.Popen(
        [sys.executable, "-u", str(folder / "campaign.py")],
        env=os.environ | {"RESNET_LIB_CACHE": str(folder), "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.fault("killed process")
def test_a_campaign_killed_five_times_leaves_the_records_of_one_left_alone(tmp_path: Path) -> None:
    alone = start_campaign(tmp_path / "alone")
    _, errors = finish(alone)
    assert alone.returncode == 0, errors

    killed, resumable = tmp_path / "killed", []
    lengths = random.Random(5)
    for _ in range(5):
        process = start_campaign(killed)
        for _ in range(lengths.randint(1, 25)):
            wait_for("iteration", process)
        process.kill()
        finish(process, timeout=15)
        resumable += (killed / "checkpoints").glob("*.pt")
    assert resumable
    last = start_campaign(killed)
    _, errors = finish(last)
    assert last.returncode == 0, errors

    records = [
        sorted(Records(folder / "records"), key=lambda record: record.config.name)
        for folder in (tmp_path / "alone", killed)
    ]
    assert len(records[0]) == 4
    assert [measured(record) for record in records[0]] == [measured(record) for record in records[1]]
    for weights in (tmp_path / "alone" / "records").glob("*.safetensors"):
        assert weights.read_bytes() == (killed / "records" / weights.name).read_bytes()
    assert not list((killed / "checkpoints").glob("*.pt"))


# Two short runs in a pool of two workers.

SHORT = [tiny_config(seed=0, iterations=4, milestones=(), log_every=2), tiny_config(resnet(8), seed=1)]


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[RunRecord], Path]:
    """The records that one call of `work` returned, and its cache."""
    cache = tmp_path_factory.mktemp("worked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNET_LIB_CACHE", str(cache))
        patch.setenv("RESNET_LIB_PROGRESS", str(cache / "progress.txt"))
        return work(SHORT, jobs=2), cache


@pytest.fixture
def in_its_cache(worked: tuple[list[RunRecord], Path], monkeypatch: pytest.MonkeyPatch) -> list[RunRecord]:
    monkeypatch.setenv("RESNET_LIB_CACHE", str(worked[1]))
    return worked[0]


@pytest.mark.fault("progress that cannot be told")
@pytest.mark.parametrize("place", ["/dev/full", "/no/such/folder/progress.txt"])
def test_progress_that_cannot_be_written_is_lost_and_nothing_else(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_LIB_PROGRESS", place)
    campaign.say("a line")


@pytest.mark.fault("progress that cannot be told")
def test_training_whose_output_goes_to_head_ends_with_its_record(tmp_path: Path) -> None:
    """One pipe takes what is told and what is printed, and its reader goes after the first line."""
    command = f"{shlex.join(TRAIN)} 2>&1 | head -1; exit ${{PIPESTATUS[0]}}"
    environment = surroundings(RESNET_LIB_CACHE=str(tmp_path))
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=HUNG)
    assert (done.returncode, done.stdout, done.stderr) == (0, "runs: 1, to train: 1\n", "")
    assert only_record(tmp_path).config == PLAIN_8


# A worker that is lost.


@pytest.mark.fault("killed process")
@pytest.mark.parametrize("when", ["at once", "in its first lines"])
def test_a_worker_that_dies_at_its_start_is_told_and_no_success(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    resource_tracker.ensure_running()  # a process that multiprocessing starts in the same way, and once
    if when == "at once":
        monkeypatch.setattr("multiprocessing.spawn._python_exe", b"/bin/false")
    else:
        (tmp_path / "sitecustomize.py").write_text("import os, sys\nif 'spawn_main' in str(sys.orig_argv): os._exit(1)")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert main(["train", "--net", "plain-8", "--seeds", "2"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"runs: 2, to train: 2\nresnet_lib: a training process .*; repeat( to go on)?\n", err)


@pytest.mark.fault("killed process")
def test_a_pipe_to_a_worker_that_breaks_is_not_taken_for_a_reader_who_has_seen_enough(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(cli.records, "run_report", broken)
    assert main(["report"]) == 2
    assert capsys.readouterr().err.startswith("resnet_lib: Broken pipe; ")


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(38, "Function not implemented")])
def test_a_machine_without_semaphores_is_told_what_is_missing(
    error: OSError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in some containers."""

    def refuse(_: object) -> None:
        raise error

    monkeypatch.setattr("multiprocessing.context.SpawnContext.SimpleQueue", refuse)
    assert main(["train", "--net", "plain-8", "--seeds", "2"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    expected = f"no process can be started ({error.strerror}); let this user write to /dev/shm"
    assert err == f"runs: 2, to train: 2\nresnet_lib: {expected}\n"


@pytest.mark.fault("killed process")
def test_a_run_without_a_record_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(campaign, "work", lambda *_, **__: [])
    assert main(["train", "--net", "plain-8", "--seeds", "1"]) == 2
    assert capsys.readouterr().err.endswith("resnet_lib: 1 of 1 runs left no record; repeat the command\n")


def test_records_come_back_in_order_and_are_stored(in_its_cache: list[RunRecord]) -> None:
    assert [record.config for record in in_its_cache] == SHORT
    assert Records(local_dir()).select(SHORT) == in_its_cache
    assert {record.provenance.threads for record in in_its_cache} == {1}


def test_what_is_recorded_is_not_trained_again(in_its_cache: list[RunRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    assert pending([*SHORT, tiny_config(seed=7)]) == [tiny_config(seed=7)]
    monkeypatch.setattr(campaign, "_run", None)  # whoever calls it fails
    assert work(SHORT) == []


def test_finished_runs_leave_their_weights_and_no_checkpoint(in_its_cache: list[RunRecord]) -> None:
    dataset = campaign.data.load("fashion-mnist-mini", 16)
    hardware = Hardware(torch.device("cpu"), in_its_cache[1].provenance.precision, compiled=False)
    net = build(SHORT[1].net, in_channels=1)
    net.load_state_dict(safetensors.torch.load_file(weights_path(SHORT[1])))
    net = net.to(memory_format=torch.channels_last)
    _, error, _ = evaluate(net, dataset, "test", hardware)
    assert error == pytest.approx(in_its_cache[1].final.test_error)
    assert not any(checkpoint_path(config).exists() for config in SHORT)


def test_progress_names_run_iteration_error_and_how_many_are_done(worked: tuple[list[RunRecord], Path]) -> None:
    lines = (worked[1] / "progress.txt").read_text().splitlines()
    assert len(lines) == 2 + 3  # points of the two training curves
    for line in lines:
        assert re.match(r"(plain-8|ResNet-8-A)_\S+_seed\d: iteration \d+ of \d+, training error \d+\.\d%; ", line)
    assert "2 of 2 runs done" in lines[-1]


@pytest.mark.fault("progress that cannot be told")
@pytest.mark.fault("loss that is not finite")
def test_neither_a_run_that_fails_nor_a_full_file_of_progress_keeps_the_others_from_finishing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RESNET_LIB_PROGRESS", "/dev/full")
    failing = tiny_config(lr=1e30)
    with pytest.raises(UserError, match="the loss is nan"):
        work([failing, *SHORT], jobs=1)
    assert pending([failing, *SHORT]) == [failing]


# Without a pool.


@pytest.mark.fault("two processes sharing the cache")
def test_a_run_under_way_elsewhere_is_refused() -> None:
    config = SHORT[0]
    refused = pytest.raises(UserError, match=f"{config.name} is being trained by another process")
    with locked(checkpoint_path(config).with_suffix(".lock")), refused:
        campaign._run(config, "cpu", False, None)


def test_a_run_is_not_begun_when_the_time_is_up() -> None:
    with pytest.raises(TimeLimitReached, match="no time left to start it"):
        campaign._run(SHORT[0], "cpu", False, time.time() - 1)
    assert not Records(local_dir()).select(SHORT)


def test_retraining_counts_only_records_of_this_very_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "_made", set())  # as in a new process
    monkeypatch.setattr(provenance, "git_state", lambda: ("c0ffee", False))
    config, record = SHORT[0], made_up_record(SHORT[0])
    made_here = {"package": provenance.package_version(), "torch": torch.__version__, "git_commit": "c0ffee"}
    hardware = Hardware.choose(None, config.recipe.precision)
    made_here |= {"git_dirty": False, "device": provenance.device_name(hardware.device)}
    made_here |= {"precision": hardware.precision}

    def left_to_do(**changes: object) -> bool:
        origin = record.provenance.model_copy(update=made_here | changes)
        save_record(record.model_copy(update={"provenance": origin}), local_dir())
        assert pending([config]) == []
        return pending([config], retrain=True) == [config]

    assert not left_to_do()
    assert left_to_do(git_commit="decade")
    assert left_to_do(git_dirty=True)
    assert left_to_do(torch="2.6.0")
    assert left_to_do(package="0.0.1")
    assert left_to_do(device="another processor")
    assert left_to_do(precision={"fp32": "bf16", "bf16": "fp32"}[hardware.precision])
    known = {name: value for name, value in (NOWHERE.model_dump() | made_here).items() if name in Segment.model_fields}
    part = Segment(**known, iteration=0)
    assert not left_to_do(segments=(part,))
    assert left_to_do(segments=(part.model_copy(update={"git_commit": "decade"}),))
    monkeypatch.setattr(provenance, "git_state", lambda: (None, None))
    assert left_to_do(git_commit=None, git_dirty=None), "without git nothing is known of the code"
    monkeypatch.setattr(provenance, "git_state", lambda: ("c0ffee", True))
    assert left_to_do()


def test_retraining_does_not_count_the_books_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "committed_dir", lambda: tmp_path / "book")
    save_record(made_up_record(SHORT[0]), tmp_path / "book")
    assert pending([SHORT[0]]) == []
    assert pending([SHORT[0]], retrain=True) == [SHORT[0]]


# What a chapter asks for.


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes records of the degradation suite into a folder that stands for the package's."""
    monkeypatch.setattr(store, "committed_dir", lambda: tmp_path / "book")

    def record(setting: Setting, profile: str, seeds: range, folder: Path | None = None, error: float = 10.0) -> None:
        for seed in seeds:
            made = made_up_record(setting.at(PROFILES[profile], seed), train_error=error)
            save_record(made, folder or tmp_path / "book")

    return record


def found(*arguments: object, **options: object) -> list[tuple[Setting, int, int, float]]:
    """Net, iterations (which tell profiles apart), seed and error of the records that a chapter gets."""
    records = collect("degradation", *arguments, **options)
    return [(Setting(r.config.net), r.config.recipe.iterations, r.config.seed, r.final.train_error) for r in records]


def test_best_is_the_profile_nearest_the_papers_that_has_every_setting_and_enough_seeds(
    book: Callable[..., None],
) -> None:
    nets = [plain(20), plain(56)]
    for net in nets:
        book(net, "small", range(3))
    book(plain(20), "quick", range(1))
    small = [(net, 400, seed, 10) for net in nets for seed in range(3)]
    assert found(settings=nets) == small  # plain-56 is not recorded at `quick`
    book(plain(56), "quick", range(1))
    assert found(settings=nets, num_seeds=1) == [(net, 6400, 0, 10) for net in nets]
    assert found(settings=nets) == small
    for net in nets:
        book(net, "quick", range(3))
    quick = [(net, 6400, seed, 10) for net in nets for seed in range(3)]
    assert found(settings=nets) == quick
    for net in nets:
        book(net, "paper", range(1))
    assert found(settings=nets) == quick  # a long run of one seed changes nothing
    assert campaign.best_profile(nets).name == "quick"
    assert ENOUGH_SEEDS == rule.MIN_SEEDS


def test_best_is_the_same_on_every_machine(book: Callable[..., None]) -> None:
    book(plain(20), "small", range(3))
    book(plain(20), "quick", range(1), local_dir())
    assert found(settings=[plain(20)], num_seeds=3) == [(plain(20), 400, seed, 10) for seed in range(3)]
    assert found("quick", settings=[plain(20)]) == [(plain(20), 6400, 0, 10)]


def test_retraining_puts_this_machines_first_seed_in_the_place_of_the_recorded_one(
    book: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    book(plain(20), "small", range(3))
    asked: list[RunConfig] = []

    def work_in_no_time(configs: Sequence[RunConfig], *, retrain: bool) -> None:
        assert retrain
        asked.extend(configs)
        book(plain(20), "small", range(1), local_dir(), error=33)

    monkeypatch.setattr(campaign, "work", work_in_no_time)
    nets = [plain(20)]
    assert found("small", True, settings=nets) == [(plain(20), 400, seed, [33, 10, 10][seed]) for seed in range(3)]
    assert [config.seed for config in asked] == [0]


def test_only_the_witnesses_of_a_suite_are_trained_again(
    book: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunConfig] = []
    monkeypatch.setattr(campaign, "work", lambda configs, **_: asked.extend(configs))
    campaign.prepare("degradation", profile="small", retrain=True)
    assert set(asked) == {witness.at(SMALL, 0) for witness in SUITES["degradation"].witnesses}
    asked.clear()
    book(plain(32), "small", range(3))
    book(plain(20), "small", range(3))
    assert [seed for _, _, seed, _ in found("small", True, settings=[plain(20), plain(32)])] == [1, 2, 0, 1, 2]
    # Of plain-20 the first seed is this machine's, and is not there, since `work` did nothing.
    assert asked == [plain(20).at(SMALL, 0)]


def test_the_most_telling_runs_of_a_suite_come_first() -> None:
    suite = SUITES["degradation"]
    configs = suite.runs(SMALL, range(2))
    first = [witness.at(SMALL, 0) for witness in suite.witnesses]
    assert configs[:4] == first
    assert {config.seed for config in configs[: len(suite.settings)]} == {0}, "seed by seed"
    assert len(set(configs)) == len(configs) == 2 * len(suite.settings)


def test_every_witness_is_a_setting_of_its_suite() -> None:
    for suite in SUITES.values():
        assert set(suite.witnesses or ()) <= set(suite.settings), suite.name


@pytest.mark.fault("unknown name")
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("degradatoin",), {}, "no suite is called 'degradatoin'; did you mean degradation"),
        (("degradation", "quik"), {}, "no profile is called 'quik'; did you mean quick"),
        (("degradation",), {"settings": [plain(21)]}, "no setting of suite degradation is called 'plain-21'; did you"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(
    arguments: tuple[str, ...], options: dict[str, list[Setting]], message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        collect(*arguments, **options)


# Arithmetic.


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89.4, "89 s"), (90, "2 min"), (3600, "60 min"), (5400, "1 h 30 min"), (7500, "2 h 05 min")],
)
def test_durations_are_told_in_the_unit_that_suits(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_cost_grows_with_layers_pixels_and_images() -> None:
    base = cost(plain(20).at(SMALL, seed=0))
    assert cost(plain(56).at(SMALL, seed=3)) == pytest.approx(base * 56 / 20)
    assert cost(plain(20).at(PROFILES["quick"], seed=0)) == pytest.approx(base * 4 * 16)


def test_a_chapter_trains_each_of_its_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from code that differs from its commit, which trusts no record that an earlier process left."""
    monkeypatch.setattr(campaign, "SUITES", {"tiny": Suite("tiny", "", "", settings=(tiny(),))})
    monkeypatch.setattr(provenance, "git_state", lambda: ("c0ffee", True))
    campaign.prepare("tiny", profile="small", retrain=False)
    assert not Records(local_dir()).get(tiny_config())
    campaign.prepare("tiny", profile="small", retrain=True)
    made = Records(local_dir()).get(tiny_config())
    monkeypatch.setattr(campaign, "train", lambda *_, **__: pytest.fail("trained again"))
    assert pending([tiny_config()], retrain=True) == []
    assert collect("tiny", "small", retrain=True)[0] == made


@pytest.mark.fault("code or data changed on the way")
@pytest.mark.parametrize("other", ["code", "data"])
def test_a_chapter_begins_anew_what_was_begun_otherwise_and_keeps_its_file(
    other: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As after a retraining that was interrupted, and an update: in a notebook nobody can be asked."""
    monkeypatch.setattr(campaign, "SUITES", {"tiny": Suite("tiny", "", "", settings=(tiny(),))})
    monkeypatch.setattr(provenance, "git_state", lambda: ("c0ffee", True))  # which trusts no record left before
    checkpoint = checkpoint_path(tiny_config())

    def begin() -> None:
        with pytest.raises(TimeLimitReached):
            train(tiny_config(), checkpoint=checkpoint, time_limit=1e-9)

    begin()
    campaign.prepare("tiny", profile="small", retrain=True)
    assert len(Records(local_dir()).get(tiny_config()).provenance.segments) == 2, "this very code goes on"
    begin()
    begun = checkpoint.read_bytes()
    if other == "code":
        monkeypatch.setattr(provenance, "code_digest", lambda: "0123")
    else:
        copy = dataclasses.replace(data.load("fashion-mnist-mini", 16), digest="0123")
        monkeypatch.setattr(data, "load", lambda *_: copy)
    capfd.readouterr()
    campaign._made.clear()
    campaign.prepare("tiny", profile="small", retrain=True)
    assert checkpoint.with_suffix(".aside").read_bytes() == begun
    assert not checkpoint.exists()
    assert Records(local_dir()).get(tiny_config()).provenance.segments == ()
    assert f"{checkpoint.stem}.aside now; the run begins anew" in capfd.readouterr().err
