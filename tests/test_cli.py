"""The command line tells in text and in JSON what is recorded, and each mistake takes one line and status 2."""

import dataclasses
import functools
import io
import json
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from samples import BENCHMARK, made_up_record, python

from resnet_lib import cli
from resnet_lib.cli import main, options
from resnet_lib.data.sets import SOURCES, how_to_bring
from resnet_lib.errors import UserError
from resnet_lib.evidence.claims import CLAIMS
from resnet_lib.jobs.campaign import cost
from resnet_lib.jobs.studies import STUDIES
from resnet_lib.runs import store
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import save_record
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import local_dir
from resnet_lib.speed import bench, loops

Outcome = tuple[int, str, str]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs a command in this process: status, what went to stdout, what went to stderr."""

    def call(*arguments: str) -> Outcome:
        try:
            status = main(arguments)
        except SystemExit as left:  # argparse's way to return
            status = left.code
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def quick_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    """`status` and `bench` measure for real, on fewer images and for fewer rounds than a result would need."""
    monkeypatch.setattr(loops, "NUM_IMAGES", 256)
    monkeypatch.setattr(bench, "WORKER_COUNTS", (0,))
    monkeypatch.setattr(bench, "bench", functools.partial(bench.bench, iterations=1, rounds=2))
    monkeypatch.setattr(bench, "bandwidth", functools.partial(bench.bandwidth, size=2**20))
    monkeypatch.setattr(bench, "peak", functools.partial(bench.peak, side=256))


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the package's records."""
    monkeypatch.setattr(store, "committed_dir", lambda: tmp_path / "book")
    return tmp_path / "book"


# Help.

COMMANDS = (
    "train",
    "train-imagenet",
    "study",
    "status",
    "report",
    "import",
    "data",
    "evaluate",
    "bench",
    "bench-scaling",
    "bench-variants",
)


def test_help_lists_all_commands() -> None:
    done = python("-m", "resnet_lib", "--help")
    assert done.returncode == 0
    assert not done.stderr
    for name in COMMANDS:
        assert re.search(rf"^    {name}\s+\w", done.stdout, re.MULTILINE), name
    assert "RESNET_LIB_DATA" in done.stdout
    assert "RESNET_LIB_CACHE" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_its_options(name: str, command: Callable[..., Outcome]) -> None:
    status, out, err = command(name, "--help")
    assert (status, err) == (0, "")
    for line in out.partition("options:")[2].splitlines():
        assert not re.fullmatch(r" +--?\w[\w-]*( \w)?", line), f"an option without explanation: {line}"


def test_examples_in_the_help_are_commands_that_exist(command: Callable[..., Outcome]) -> None:
    examples = re.findall(r"python -m resnet_lib (.*?)(?:  .*)?$", cli.EPILOG, re.MULTILINE)
    assert len(examples) >= 4
    for example in examples:
        given = cli.build_parser().parse_args(example.split())
        for registry, name in ((SUITES, "suite"), (PROFILES, "profile"), (SOURCES, "name")):
            assert (getattr(given, name, None) or next(iter(registry))) in registry, example
        assert set(getattr(given, "studies", ())) <= set(STUDIES), example
        if getattr(given, "net", None):
            options.setting(given.net)


def test_a_library_that_is_not_needed_is_not_waited_for() -> None:
    done = python("-X", "importtime", "-m", "resnet_lib", "report", "--json")
    assert done.returncode == 0, done.stderr
    assert not re.search(r"\| +torch$", done.stderr, re.MULTILINE)


# Mistakes.

MISTAKES = {
    "no command": ("", "required: COMMAND"),
    "unknown command": ("trian", "invalid choice: 'trian'"),
    "unknown option": ("report --profil small --colour", "unrecognized arguments: --colour"),
    "missing option": ("train", "one of the arguments --suite --net --campaign is required"),
    "option without value": ("train --net", "--net: expected one argument"),
    "suite and net": ("train --suite degradation --net plain-20", "--net: not allowed with argument --suite"),
    "unknown profile": ("train --net plain-8 --profile smal", "no profile is called 'smal'; did you mean small?"),
    "far-off profile": ("report --profile x", "no profile is called 'x'; choose one of small, quick, paper"),
    "unknown suite": ("train --suite degradatoin", "no suite is called 'degradatoin'; did you mean degradation?"),
    "unknown suite's status": ("status --suite optimizer", "did you mean optimizers?"),
    "misspelt net": ("train --net resnt-56", "no net is called 'resnt-56'; did you mean resnet-56 or resnet-56-B?"),
    "unknown net": ("train --net vgg-16", "no net is called 'vgg-16'; write plain-20, resnet-56 or resnet-56-B"),
    "net without depth": ("train --net plain", "no net is called 'plain'"),
    "unknown shortcut": ("train --net resnet-20-D", "no net is called 'resnet-20-D'"),
    "plain net with shortcut": ("train --net plain-20-B", "no net is called 'plain-20-B'"),
    "bad depth": ("train --net plain-21", "depth is 21; a CIFAR net of basic blocks has 6n+2 layers: 8, 14, 20"),
    "no images to study": ("study --images 0", "'0' is not a whole number from 1 on"),
    "unknown study": ("study growht", "no study is called 'growht'; did you mean growth?"),
    "unknown net to study": ("study --net resnet-57", "depth is 57"),
    "net that is not studied": (
        "study growth --net resnet-56",
        "ResNet-56 A is not studied; choose from plain-20, Res",
    ),
    "no folder of ImageNet": ("train-imagenet --suite table3", "the following arguments are required: DIR"),
    "no suite for ImageNet": ("train-imagenet nowhere", "the following arguments are required: --suite"),
    "bad depth to bench": ("bench --depth 21", "depth is 21"),
    "depth that is no number": ("bench --depth deep", "--depth: invalid int value: 'deep'"),
    "bad duration": ("train --net plain-8 --time-limit soon", "'soon' is no duration; write 90s, 9m or 2h"),
    "negative duration": ("train --net plain-8 --time-limit=-5m", "'-5m' is no duration"),
    "endless duration": ("train --net plain-8 --time-limit inf", "'inf' is no duration"),
    "bad seeds": ("train --net plain-8 --seeds few", "'few' names no seeds; write 3 for the first three, or 2-4"),
    "no seeds": ("train --net plain-8 --seeds 0", "'0' names no seeds"),
    "falling seeds": ("train --net plain-8 --seeds 4-2", "'4-2' names no seeds"),
    "bad jobs": ("train --net plain-8 --jobs 0", "'0' is not a whole number from 1 on"),
    "jobs that are no number": ("train --net plain-8 --jobs many", "'many' is not a whole number from 1 on"),
    "unknown device": ("bench --device gpu", "device 'gpu' cannot be used here ("),
    "device that holds no values": ("status --device meta", "device 'meta' cannot be used here ("),
    "unknown data set": ("data verify cifar", "no data set is called 'cifar'; did you mean cifar10 or cifar100?"),
    "no data set": ("data fetch", "say which data set to fetch: cifar10, cifar100, fashion-mnist-mini"),
    "unknown action": ("data delete", "invalid choice: 'delete'"),
    "absent data set": ("data verify cifar100", f"cifar100 is not on this machine; {how_to_bring('cifar100')}"),
}


@pytest.mark.fault("unknown name")
@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_takes_one_line_and_status_2(
    arguments: str, message: str, command: Callable[..., Outcome], tmp_path: Path
) -> None:
    status, out, err = command(*arguments.split())
    assert status == 2
    assert out == ""
    (line,) = [line for line in err.splitlines() if not line.startswith("measuring, in turn")]
    assert message in line
    assert not (tmp_path / "cache").exists(), "it was noticed too late"


def test_a_mistake_looks_the_same_from_the_shell() -> None:
    done = python("-m", "resnet_lib", "train", "--net", "plain-21")
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"resnet_lib: net 'plain-21': .*\n", done.stderr)


def test_an_unknown_device_stops_training_before_it_begins(command: Callable[..., Outcome]) -> None:
    status, out, err = command("train", "--net", "plain-8", "--device", "gpu")
    assert (status, out) == (2, "")
    assert "device 'gpu' cannot be used here" in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.fault("truncated download")
def test_a_truncated_data_set_of_the_users_is_named(
    command: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESNET_LIB_DATA", str(tmp_path))
    path = tmp_path / "cifar10.npz"
    np.savez(path, x_train=np.zeros((50, 32, 32, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:1000])
    status, out, err = command("data", "verify", "cifar10")
    assert (status, out) == (2, "")
    assert re.fullmatch(rf"resnet_lib: {path} is truncated or damaged \(.*\); replace it, or delete .*\n", err)


def test_a_folder_of_data_that_does_not_exist_is_named(
    command: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESNET_LIB_DATA", str(tmp_path / "nowhere"))
    status, out, err = command("data", "verify", "cifar10")
    assert (status, out) == (2, "")
    assert re.fullmatch(rf"resnet_lib: RESNET_LIB_DATA is {tmp_path}/nowhere, which is no folder; .*\n", err)


@pytest.mark.parametrize("arguments", ["data fetch cifar10", "train --net plain-8 --profile quick"])
def test_without_network_the_last_line_says_how_to_bring_the_file(
    arguments: str, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    archive = dataclasses.replace(SOURCES["cifar10"].archive, urls=[f"http://127.0.0.1:{port}/cifar.tar.gz"])
    monkeypatch.setitem(SOURCES, "cifar10", dataclasses.replace(SOURCES["cifar10"], archive=archive))
    status, out, err = command(*arguments.split())
    assert (status, out) == (2, "")
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("resnet_lib: CIFAR-10 could not be downloaded (")
    assert last.endswith(how_to_bring("cifar10"))


@pytest.mark.fault("no cache to write to")
@pytest.mark.parametrize("arguments", ["data fetch cifar10", "train --net plain-8"])
def test_a_cache_that_cannot_be_written_to_is_named(
    arguments: str, tmp_path: Path, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RESNET_LIB_CACHE", str(tmp_path / "file"))
    status, out, err = command(*arguments.split())
    assert (status, out) == (2, "")
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith(f"resnet_lib: cannot write to {tmp_path}/file")
    assert last.endswith("set RESNET_LIB_CACHE to a folder you can write to, with space left")


def test_a_damaged_record_is_named(command: Callable[..., Outcome], book: Path) -> None:
    path = save_record(made_up_record(plain(20).at(PROFILES["small"], seed=0)), book)
    path.write_text(path.read_text().replace('"train_error": 10.0', '"train_error": 1000'))
    status, out, err = command("report")
    assert (status, out) == (2, "")
    assert re.fullmatch(rf"resnet_lib: {re.escape(str(path))}: final.train_error: .*\n", err)


def test_a_terminal_that_is_not_utf8_gets_the_numbers_of_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["report"]) == 0
    shown = terminal.buffer.getvalue().decode("ascii")
    assert re.search(r"^plain-20 +\\u2248 [\d.]+ .*\\xb1", shown, re.MULTILINE)


@pytest.mark.fault("unknown name")
def test_a_mistake_takes_one_line_also_where_nothing_is_utf8() -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = python("-m", "resnet_lib", "report", "--profile", "smöke\n\x1b[2J", **ascii_only)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"resnet_lib: no profile is called 'sm\S+ke\\n\\x1b\[2J'; .*\n", done.stderr)


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> int:
        raise ValueError("a bug")

    monkeypatch.setattr(cli.records, "run_report", broken)
    with pytest.raises(ValueError, match="a bug") as caught:
        main(["report"])
    assert not isinstance(caught.value, UserError)


# Values of options.


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200)])
def test_durations_have_units(text: str, expected: float) -> None:
    assert options.seconds(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("3", [0, 1, 2]), ("2-4", [2, 3, 4]), ("0-0", [0])])
def test_seeds_are_a_count_or_a_range(text: str, expected: list[int]) -> None:
    assert list(options.seed_range(text)) == expected


def test_nets_are_named_as_in_the_paper() -> None:
    assert options.setting("plain-20") == plain(20)
    assert options.setting("resnet-56") == options.setting("ResNet-56-a") == resnet(56)
    assert options.setting("resnet-56-B") == resnet(56, "B")


# What the commands print.


def test_data_list_says_where_each_set_is(
    command: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESNET_LIB_DATA", str(tmp_path))
    (tmp_path / "cifar100-python").mkdir()
    (tmp_path / "cifar-100-python").mkdir()
    status, out, _ = command("data", "list", "--json")
    assert status == 0
    rows = {row["name"]: row["path"] for row in json.loads(out)}
    assert rows["cifar10"] is None
    assert rows["cifar100"] == str(tmp_path / "cifar-100-python")
    assert rows["fashion-mnist-mini"].endswith("fashion-mnist-mini.npz")
    _, text, _ = command("data", "list")
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert lines.keys() == rows.keys()
    for name, path in rows.items():
        assert (path or "not on this machine") in lines[name]


def test_data_verify_reads_what_is_there_and_gives_its_digest(command: Callable[..., Outcome]) -> None:
    status, out, _ = command("data", "verify", "--json")
    assert status == 0
    rows = {row["name"]: row for row in json.loads(out)}
    digest = rows["fashion-mnist-mini"]["digest"]
    assert "digest" not in rows["cifar10"]
    _, text, _ = command("data", "verify", "fashion-mnist-mini")
    assert f"whole, digest {digest}" in text


def test_data_fetch_of_what_is_there_is_quiet(command: Callable[..., Outcome]) -> None:
    status, out, err = command("data", "fetch", "fashion-mnist-mini")
    assert (status, err) == (0, "")
    assert "fashion-mnist-mini" in out


def test_report_holds_the_same_in_text_and_in_json(command: Callable[..., Outcome], book: Path) -> None:
    small = PROFILES["small"]
    for seed in range(3):
        save_record(made_up_record(plain(20).at(small, seed), train_error=10), book)
        save_record(made_up_record(plain(56).at(small, seed), train_error=15 + seed), book)
    save_record(made_up_record(plain(20).at(small, 0), train_error=10.5), local_dir())
    status, out, _ = command("report", "--json")
    assert status == 0
    report = json.loads(out)
    assert report["profile"] == "small"
    settings = {row["setting"]: row for row in report["settings"]}
    assert settings["plain-56"]["recorded, training"] == "16.00 ± 1.00 (n=3)"
    assert settings["plain-20"]["moved"] == "+0.50"
    assert [(v["claim"], v["profile"]) for v in report["verdicts"]] == [(c, p) for c in CLAIMS for p in PROFILES]
    (degradation,) = [v for v in report["verdicts"] if (v["claim"], v["profile"]) == ("degradation", "small")]
    assert (degradation["status"], degradation["effect"]) == ("supported", 6)

    _, text, _ = command("report")
    lines = text.splitlines()
    for row in report["settings"]:
        (line,) = [line for line in lines if re.split(r"  +", line)[0] == row["setting"]]
        assert [cell for cell in row.values() if cell] == re.split(r"  +", line)
    assert any(line.split()[:2] == ["degradation", "supported"] for line in lines)
    assert small.summary in text
    assert "no numbers for these images" in text


def test_report_of_cifar10_is_compared_with_the_paper(command: Callable[..., Outcome]) -> None:
    status, text, _ = command("report", "--profile", "quick")
    assert status == 0
    assert "no numbers for these images" not in text
    assert re.search(r"^ResNet-20 A +8\.75 ", text, re.MULTILINE)


def test_status_prices_what_is_missing_by_a_measurement_made_here(
    command: Callable[..., Outcome], book: Path, quick_measures: None
) -> None:
    status, out, _ = command("status", "--suite", "longer-training", "--json")
    assert status == 0
    small, quick, paper = (row["seconds_to_do"] for row in json.loads(out))
    assert 0 < small < quick < paper


def test_a_plan_counts_on_compiled_operations_where_they_are_asked_for(
    command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "seconds_per_cost", lambda _, compiled: 1e3 if compiled else 2e3)
    plans = [command("train", "--net", "plain-8", "--plan", "--json", *more) for more in ([], ["--compile"])]
    usual, compiled = ([row["seconds"] for row in json.loads(out)] for _, out, _ in plans)
    assert usual == pytest.approx([2 * seconds for seconds in compiled], abs=1)
    assert min(compiled) > 0


def test_status_counts_what_is_recorded_in_text_and_in_json(
    command: Callable[..., Outcome], book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "seconds_per_cost", lambda _: 2.0)
    suite, small = SUITES["longer-training"], PROFILES["small"]
    for config in suite.runs(small)[:3]:
        save_record(made_up_record(config), book)
    _, out, _ = command("status", "--suite", "longer-training", "--json")
    rows = {row["profile"]: row for row in json.loads(out)}
    assert rows.keys() == PROFILES.keys()
    assert (rows["small"]["recorded"], rows["small"]["runs"]) == (3, 2 * small.num_seeds)
    assert rows["small"]["seconds_to_do"] == round(2 * sum(map(cost, suite.runs(small)[3:])))

    status, text, _ = command("status")
    assert status == 0
    table = [line for line in text.splitlines() if " of " in line and ":" not in line]
    assert len(table) == len(SUITES) * len(PROFILES)
    assert any(line.split()[:5] == ["longer-training", "small", "3", "of", "20"] for line in table)

    for config in suite.runs(small)[3:]:
        save_record(made_up_record(config), book)
    _, text, _ = command("status", "--suite", "longer-training")
    assert re.search(r"^longer-training +small +20 of 20 +-$", text, re.MULTILINE)


def test_bench_measures_both_loops_the_limits_and_the_parts_of_a_step(
    command: Callable[..., Outcome], quick_measures: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = functools.partial(bench.save, folder=tmp_path / "book")
    monkeypatch.setattr(bench, "save", save)
    status, out, err = command("bench", "--depth", "8", "--no-compile", "--json", "--into-book")
    assert status == 0
    assert "round 2 of 2" in err
    (stored,) = bench.committed(tmp_path / "book")
    assert stored == bench.Benchmark.model_validate_json(out)
    assert [row.loop.rpartition(",")[0] for row in stored.speeds[:1]] == ["usual, fp32"]
    assert all(row.loop.startswith(("usual, fp32, 0 workers", "this book's, ")) for row in stored.speeds)
    for row in stored.speeds:
        assert len(row.rounds) == 2
        assert 0 < min(row.rounds) <= row.images_per_second <= max(row.rounds)
    assert {row.at_once for row in stored.speeds} == {1, stored.threads}
    shares = {row.part: row.percent for row in stored.shares}
    assert sum(shares.values()) == pytest.approx(100)
    assert shares["convolutions, backward"] > 0
    assert shares["optimiser"] > 0


def test_bench_prints_speeds_ratios_limits_and_parts(
    command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "bench", lambda *_, **__: BENCHMARK)
    _, text, _ = command("bench")
    assert "a processor, 2 threads, torch 2.13.0, 2026-01-01" in text
    assert "median of 3 rounds" in text
    assert re.search(r"^ResNet-20 +usual +1 +500 +1\.0 +12% +4\.55$", text, re.MULTILINE)  # 8,192,000 / 500 / 3600
    assert re.search(r"^ResNet-20 +ours +2 +1,600 +3\.2 +40% +2\.84$", text, re.MULTILINE)  # two nets in that time
    assert re.search(r"^ResNet-20 +4,000 +8,000$", text, re.MULTILINE)
    assert re.search(r"^optimiser +12\.5$", text, re.MULTILINE)


def test_train_lists_what_is_recorded_without_training_it_again(command: Callable[..., Outcome], book: Path) -> None:
    record = made_up_record(plain(8).at(PROFILES["small"], seed=1), train_error=12, test_error=34)
    save_record(record, book)
    status, out, err = command("train", "--net", "plain-8", "--seeds", "1-1")
    assert status == 0
    assert f"{record.config.name}: training error 12.00%, test error 34.00%" in out
    assert "1 of 1 runs recorded" in out
    assert "to train: 0" in err
    _, out, _ = command("train", "--net", "plain-8", "--seeds", "1-1", "--json")
    assert json.loads(out) == [record.model_dump(mode="json")]
