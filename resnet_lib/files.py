"""Where files live, and how they are written so that no half-written file is ever taken for a whole one."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from resnet_lib.errors import UserError

PACKAGE = Path(__file__).resolve().parent


def cache_dir() -> Path:
    """Folder for downloads, checkpoints and local records: `RESNET_LIB_CACHE`, by default ~/.cache/resnet_lib."""
    if folder := os.environ.get("RESNET_LIB_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resnet_lib"


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
            f"cannot write to {folder} ({error.strerror or error}); "
            "set RESNET_LIB_CACHE to a folder you can write to, with space left"
        ) from None
    return folder


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Calls `write(file)` on a temporary file beside `path`, then renames it: readers see the old file or the new one.

    Raises:
        UserError: the folder cannot be written to, or the disk is full; `path` is then as it was.
    """
    folder = writable(path.parent)
    descriptor, partial = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.", suffix=".partial")
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
            raise UserError(f"cannot write {path} ({error.strerror or error}); free some space and repeat") from None
        raise


@contextmanager
def locked(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Holds a lock file, so that two processes do not train one run or download one data set at the same time.

    The lock is the operating system's: a killed process leaves none behind.

    Args:
        path: of the lock file, named after what it protects.
        patience: seconds to wait for it; negative: as long as it takes.

    Raises:
        UserError: another process still holds it.
    """
    writable(path.parent)
    try:
        with FileLock(path, timeout=patience):
            yield
    except Timeout:
        raise UserError(f"{path.stem} is being trained by another process; wait for it or stop it") from None
