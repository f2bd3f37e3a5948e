"""Where files live, and how they are written so that no half-written file is ever taken for a whole one."""

import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from resnet_lib.errors import UserError, reason

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows
    flock = None

PACKAGE = Path(__file__).resolve().parent
MOST_BYTES = 4 << 30  # of a file that is read at once
MOST_ENTRIES = 200_000  # of an archive
PARTIAL = ".partial"  # the ending of files that are being written


def cache_dir() -> Path:
    """Folder for downloads, checkpoints and local records: `RESNET_LIB_CACHE`, by default ~/.cache/resnet_lib.

    Raises:
        UserError: there is no home folder.
    """
    if folder := os.environ.get("RESNET_LIB_CACHE"):
        return Path(folder)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resnet_lib"
    except RuntimeError:
        raise UserError("there is no home folder for the cache; set RESNET_LIB_CACHE to a folder of yours") from None


def writable(folder: Path) -> Path:
    """Makes `folder` if needed and returns it.

    Raises:
        UserError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write to {folder} ({reason(error)}); "
            "set RESNET_LIB_CACHE to a folder you can write to, with space left"
        ) from None
    return folder


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Calls `write(file)` on a temporary file beside `path`, then renames it: readers see the old file or the new one.

    Raises:
        UserError: the folder cannot be written to, or the disk is full; `path` is then as it was.
    """
    folder = writable(path.parent)
    try:
        remove_litter(folder)
        descriptor, partial = _begun(folder, path.name)
    except OSError as error:
        raise UserError(f"cannot write {path} ({reason(error)}); free some space and repeat") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)  # mkstemp makes files that only their owner may read
        os.replace(partial, path)
    except BaseException as error:
        Path(partial).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UserError(f"cannot write {path} ({reason(error)}); free some space and repeat") from None
        raise


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A new folder inside this one, for files that are written out before they are moved to their places."""
    descriptor = None
    while descriptor is None:
        place = tempfile.mkdtemp(dir=folder, prefix=".", suffix=PARTIAL)
        if flock is None:
            break
        with suppress(FileNotFoundError):  # taken for litter before it was held
            descriptor = os.open(place, os.O_RDONLY)
            if _held(descriptor) and not os.path.exists(place):
                os.close(descriptor)
                descriptor = None
    try:
        yield Path(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def _begun(folder: Path, name: str) -> tuple[int, str]:
    """A new file to write to, open and held by this process for as long as it is open, and its name."""
    while True:
        descriptor, partial = tempfile.mkstemp(dir=folder, prefix=f".{name[:100]}.", suffix=PARTIAL)
        if _held(descriptor) and os.fstat(descriptor).st_nlink == 0:  # taken for litter before it was held
            os.close(descriptor)
            continue
        return descriptor, partial


def _held(descriptor: int) -> bool:
    """Whether what is open is now held by this process, and by no other. The system lets go of what a process held."""
    try:
        return flock is not None and flock(descriptor, LOCK_EX | LOCK_NB) is None
    except OSError:
        return False


def remove_litter(folder: Path) -> None:
    """Removes the half-written files and folders of killed processes: those that no process holds."""
    if flock is None:
        return
    for partial in folder.glob(f".*{PARTIAL}"):
        mode = os.O_RDONLY if partial.is_dir() else os.O_RDWR  # some file systems hold only what can be written to
        try:
            descriptor = os.open(partial, mode | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            kind = os.fstat(descriptor).st_mode
            if stat.S_ISREG(kind) and _held(descriptor):
                partial.unlink(missing_ok=True)
            elif stat.S_ISDIR(kind) and _held(descriptor):
                shutil.rmtree(partial)
        except OSError:
            pass  # another user's
        finally:
            os.close(descriptor)


def read_regular(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file, which must be one: a pipe or a device would be waited for, or never end.

    Raises:
        OSError: it is none, has more than `most` bytes, or cannot be read.
    """
    check_regular(path, most)
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
        return file.read(most)


def check_regular(path: Path, most: int = MOST_BYTES) -> None:
    """Raises OSError unless there is a file here, no larger than this."""
    try:
        found = os.stat(path)
    except ValueError as error:  # a name with a null byte
        raise OSError(str(error)) from None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError("Is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise OSError("it is no file")
    if found.st_size > most:
        raise OSError(f"it has {found.st_size:,} bytes, more than the {most:,} that such a file can have")


@contextmanager
def boundary(said: Callable[[str], str]) -> Iterator[None]:
    """Around all that reads one kind of file: whatever a damaged or forged one makes its readers raise is one line.

    What they raise has no common type: libraries of C and Rust, decoders and decompressors each have their own.

    Args:
        said: makes the line of the reason.

    Raises:
        UserError: something else was raised.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(said(reason(error))) from None


def zip_contents(path: Path, wanted: Callable[[str], int]) -> dict[str, bytes]:
    """What is in a zip archive, by name. Sizes are looked at before anything is unpacked.

    Args:
        path: of the archive.
        wanted: how many bytes an entry of this name may have at most; 0: it is not read.

    Raises:
        ValueError, and whatever a damaged archive makes `zipfile` raise: see `boundary`.
    """
    check_regular(path)
    contents: dict[str, bytes] = {}
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_ENTRIES:
            raise ValueError(f"{len(entries):,} files are in it")
        chosen = [(entry, most) for entry in entries if (most := wanted(entry.filename))]
        if len({entry.filename for entry, _ in chosen}) < len(chosen):
            raise ValueError("two files in it have one name")
        for entry, most in chosen:
            if entry.file_size > most:
                raise ValueError(f"{entry.filename} has {entry.file_size:,} bytes unpacked, more than {most:,}")
        if (total := sum(entry.file_size for entry, _ in chosen)) > MOST_BYTES:
            raise ValueError(f"it has {total:,} bytes unpacked")
        for entry, _ in chosen:
            with archive.open(entry) as file:
                contents[entry.filename] = file.read(entry.file_size)
            if len(contents[entry.filename]) != entry.file_size:
                raise ValueError(f"{entry.filename} is cut short")
    return contents


@contextmanager
def locked(path: Path, patience: float = 0.0, doing: str = "trained") -> Iterator[None]:
    """Holds a lock file, so that two processes do not train one run or download one data set at the same time.

    The lock is the operating system's: a killed process leaves none behind.

    Args:
        path: of the lock file, named after what it protects.
        patience: seconds to wait for it; negative: as long as it takes.
        doing: what is done to what it protects, as a user is told who cannot have it.

    Raises:
        UserError: another process still holds it.
    """
    writable(path.parent)
    lock = FileLock(path, timeout=patience)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"{path.stem} is being {doing} by another process; wait for it or stop it") from None
    except (OSError, NotImplementedError) as error:  # another user's, or a file system without locks
        raise UserError(
            f"cannot lock {path} ({reason(error)}); set RESNET_LIB_CACHE to a folder of yours on a disk with locks"
        ) from None
    try:
        yield
    finally:
        lock.release()
