"""The cache on real machines: what killed processes left, another user's files, no home, pipes and devices."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from samples import HUNG, complaint, made_up_record, surroundings, tiny_config

from resnet_lib.cli import main
from resnet_lib.files import cache_dir, staging, write_atomically
from resnet_lib.runs.records import save_record
from resnet_lib.training.protocols import load_net

# The litter of killed processes.

HALFWAY = """
import sys, time
from pathlib import Path
from resnet_lib.files import staging, write_atomically

folder = Path(sys.argv[1])

def write(file):
    file.write(b"half")
    file.flush()
    with staging(folder) as place:
        (place / "record").touch()
        print("halfway", flush=True)
        time.sleep(600)

write_atomically(folder / "weights", write)
"""


@contextmanager
def halfway(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has half written a file and half an import into this folder, until it is killed."""
    command = [sys.executable, "-c", HALFWAY, str(folder)]
    with subprocess.Popen(command, env=surroundings(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "halfway\n"
            yield process
        finally:
            process.kill()


def write_into(folder: Path) -> None:
    write_atomically(folder / "mine", lambda file: file.write(b"mine"))


@pytest.mark.fault("killed process")
def test_litter_of_a_killed_process_is_removed_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    with halfway(tmp_path) as live:
        theirs = set(tmp_path.iterdir())
        assert sorted(path.is_dir() for path in theirs) == [False, True]
        write_into(tmp_path)
        with staging(tmp_path) as ours:
            assert set(tmp_path.iterdir()) == theirs | {tmp_path / "mine", ours}
        live.kill()
        live.wait()
        assert set(tmp_path.iterdir()) == theirs | {tmp_path / "mine"}
        write_into(tmp_path)
        assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


@pytest.mark.fault("killed process")
def test_what_only_looks_like_litter_stays(tmp_path: Path) -> None:
    """A link is not followed, and a pipe is not waited for."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".link.partial").symlink_to(outside)
    (folder / ".file.partial").symlink_to(outside / "file")
    os.mkfifo(folder / ".pipe.partial")
    (folder / "data.partial").touch()
    before = set(folder.iterdir())
    write_into(folder)
    assert set(folder.iterdir()) == before | {folder / "mine"}
    assert [path.name for path in outside.iterdir()] == ["file"]


# A cache that cannot be used.

BLIND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]  # root, who may write anywhere, no more


def as_somebody() -> list[str]:
    """How to start a command that is bound by the permissions of files."""
    if os.geteuid() != 0:
        return []
    try:
        subprocess.run([*BLIND, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("root is bound by no permissions, and setpriv, which could bind it, is not there or not allowed")
    return BLIND


def somebody_elses(path: Path) -> None:
    """Gives files and folders to another user, or takes from their owner, who is the same to the system, the right."""
    for each in (path, *path.rglob("*")):
        each.chmod(0o555 if each.is_dir() else 0o444)
        if os.geteuid() == 0:
            os.chown(each, 65534, 65534)


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command as somebody who is bound by permissions."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        program = [*as_somebody(), sys.executable, "-m", "resnet_lib", *words]
        return subprocess.run(program, env=surroundings(**environment), capture_output=True, text=True, timeout=HUNG)

    return run


@pytest.fixture
def foreign_cache() -> Iterator[Path]:
    """A cache of another user, who trained there."""
    save_record(made_up_record(tiny_config()), cache_dir() / "records")
    (cache_dir() / "checkpoints").mkdir()
    somebody_elses(cache_dir())
    yield cache_dir()
    for path in (cache_dir(), *cache_dir().rglob("*")):
        path.chmod(0o755)


@pytest.mark.fault("no cache to write to")
def test_a_cache_of_another_users_is_named_in_one_line(
    foreign_cache: Path, command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = command("train", "--net", "plain-8", "--seeds", "1", "--jobs", "1")
    assert (done.returncode, done.stdout) == (2, "")
    told = done.stderr.splitlines()[1:]  # after the number of runs
    assert told == [
        f"resnet_lib: cannot write to {foreign_cache}/checkpoints (Permission denied); "
        "set RESNET_LIB_CACHE to a folder you can write to, with space left"
    ]


@pytest.mark.fault("no cache to write to")
def test_what_is_in_another_users_cache_can_be_read(
    foreign_cache: Path, command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = command("report", "--against", str(foreign_cache / "records"), "--of", "local", "--json")
    assert done.returncode in (0, 1)
    assert done.stderr == ""
    assert '"alarming"' in done.stdout


@pytest.mark.fault("no cache to write to")
def test_a_lock_of_another_users_is_named_in_one_line(tmp_path: Path) -> None:
    lock = tmp_path / "plain-8.lock"
    lock.touch()
    somebody_elses(lock)
    program = [*as_somebody(), sys.executable, "-c", TAKE_LOCK, str(lock)]
    done = subprocess.run(program, env=surroundings(), capture_output=True, text=True, timeout=HUNG)
    expected = f"cannot lock {lock} (Permission denied); set RESNET_LIB_CACHE to a folder of yours on a disk with locks"
    assert done.stdout == expected + "\n"


TAKE_LOCK = """
import sys
from pathlib import Path
from resnet_lib.errors import UserError
from resnet_lib.files import locked

try:
    with locked(Path(sys.argv[1])):
        print("locked")
except UserError as error:
    print(error)
"""


@pytest.fixture
def _homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of a user whom the system does not know, as containers have."""

    def nobody(_: int) -> None:
        raise KeyError

    for variable in ("HOME", "XDG_CACHE_HOME", "RESNET_LIB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)


@pytest.mark.fault("no cache to write to")
@pytest.mark.usefixtures("_homeless")
def test_without_a_home_the_line_says_which_variable_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 2
    assert capsys.readouterr().err == (
        "resnet_lib: there is no home folder for the cache; set RESNET_LIB_CACHE to a folder of yours\n"
    )


@pytest.mark.fault("no cache to write to")
@pytest.mark.usefixtures("_homeless")
def test_without_a_home_no_folder_is_made_for_torchvisions_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert "no home folder" in complaint(lambda: load_net("torchvision:resnet18"))
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_homeless")
def test_with_a_cache_no_home_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESNET_LIB_CACHE", str(tmp_path / "cache"))
    assert main(["data", "list"]) == 0
    assert "fashion-mnist-mini" in capsys.readouterr().out
