"""The seal of a folder of records: a committed list of the digests of all that is in it, as `sha256sum` writes it.

Whoever changes a digit in a record, a point of a curve or a weight breaks it, and the message names the file.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from resnet_lib.errors import UserError
from resnet_lib.files import boundary, read_regular, write_atomically

SEAL = "SHA256SUMS"  # in the folder; `sha256sum --check SHA256SUMS` reads it, too
AGAIN = "restore it with git, or run `make seal` if it was recorded anew"


def read_seal(folder: Path) -> dict[str, str] | None:
    """Digests by path inside the folder, or None if the folder has no seal.

    Raises:
        UserError: the seal is damaged.
    """
    path = folder / SEAL
    try:
        found = path.stat()
    except OSError:
        return None
    return _read(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, time: int, size: int) -> dict[str, str]:
    with boundary(lambda reason: f"{path}: is damaged ({reason}); {AGAIN}"):
        lines = read_regular(path).decode().splitlines()
        return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def check_seal(folder: Path, path: Path, content: bytes | None = None) -> None:
    """Whether a file is what the seal of its folder says, if the folder has one.

    Args:
        folder: of records.
        path: of a file below it.
        content: of the file, if it was read already.

    Raises:
        UserError: it is not, or the seal does not have it.
    """
    digests = read_seal(folder)
    if digests is None:
        return
    name = path.relative_to(folder).as_posix()
    if name not in digests:
        raise UserError(f"{path}: is not in {SEAL} of its folder; run `make seal` if it belongs there")
    if hashlib.sha256(read_regular(path) if content is None else content).hexdigest() != digests[name]:
        raise UserError(f"{path}: is not what {SEAL} of its folder says; {AGAIN}")


def broken(folder: Path) -> list[str]:
    """What is not as the seal of a folder says, a line each: files changed, added or gone."""
    digests = read_seal(folder)
    if digests is None:
        return [f"{folder / SEAL} is gone; {AGAIN}"]
    there = _files(folder)
    problems = [f"{folder / name}: is gone; {AGAIN}" for name in sorted(digests.keys() - there.keys())]
    for path in there.values():
        try:
            check_seal(folder, path)
        except UserError as error:
            problems.append(str(error))
    return problems


def renew(folder: Path, only: Iterable[Path] | None = None) -> None:
    """Writes the seal of a folder anew: of all that is in it, or only of some of its files, the others as they were."""
    there = _files(folder)
    digests = {} if only is None else dict(read_seal(folder) or {})
    for path in there.values() if only is None else only:
        digests[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    text = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    write_atomically(folder / SEAL, lambda file: file.write(text.encode()))


def _files(folder: Path) -> dict[str, Path]:
    """All that a seal covers, by path inside the folder."""
    found = sorted(path for path in folder.rglob("[!.]*") if path.is_file() and path != folder / SEAL)
    return {path.relative_to(folder).as_posix(): path for path in found}
