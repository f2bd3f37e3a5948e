"""Where a record comes from: the code, the device and the parts of a run that was interrupted."""

import hashlib
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from resnet_lib.errors import UserError, tell
from resnet_lib.files import PACKAGE
from resnet_lib.runs.records import Provenance, Segment
from resnet_lib.training.hardware import Hardware, bf16_units

SOURCES = ("*.py", "*.cpp", "*.h")


def begin_segment(iteration: int, hardware: Hardware, data_digest: str | None = None) -> Segment:
    """The part of a run that begins here and now, after so many iterations.

    Taken when the process starts: the checkout may change while a long run goes on with the code it has loaded.
    """
    commit, dirty = git_state()
    return Segment(
        iteration=iteration,
        git_commit=commit,
        git_dirty=dirty,
        torch=torch.__version__,
        device=device_name(hardware.device),
        precision=hardware.precision,
        compiled=hardware.compiled,
        date=datetime.now(UTC).date().isoformat(),
        code=code_digest(),
        data_digest=data_digest,
    )


@cache
def code_digest() -> str:
    """Of the package's source files, as they are when it is first asked for: git is not needed for it."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in SOURCES for path in PACKAGE.rglob(pattern)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(PACKAGE).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def what_changed(before: Segment, now: Segment) -> str | None:
    """In which way the code or the data of two parts of a run differ, in words; None if they do not.

    Parts begun before digests of the code were kept are compared by their commits.
    """
    if before.data_digest not in (None, now.data_digest):
        return f"with another copy of the data (digest {before.data_digest}, here {now.data_digest})"
    if before.code is not None:
        differs = before.code != now.code
    else:
        differs = (before.git_commit, before.git_dirty) != (now.git_commit, now.git_dirty) or now.git_dirty is not False
    return f"by other code ({_code_of(before)}, here {_code_of(now)})" if differs else None


def _code_of(part: Segment) -> str:
    commit = "outside git" if part.git_commit is None else f"commit {part.git_commit[:8]}"
    return f"{commit}, changed" if part.git_dirty else commit


def tell_changes(name: str, before: Sequence[Segment], now: Segment, accepted: bool) -> None:
    """Refuses, or says in a line to stderr, that a run goes on in another way than before; its record will say so, too.

    Args:
        name: of the run.
        before: its parts until now.
        now: the part that begins.
        accepted: whether it may go on with other code or data, which the user has to say.

    Raises:
        UserError: code or data are others, and that was not accepted.
    """
    if not before:
        return
    if change := what_changed(before[-1], now):
        if not accepted:
            raise UserError(
                f"{name}: its checkpoint was made {change}; go back to that, add --accept-changes to go on, with both "
                "parts in the record, or delete the checkpoint to start the run anew"
            )
        tell(f"{name}: begun {change}; the record lists both parts")
    if before[-1].precision != now.precision:
        tell(
            f"{name}: begun in {before[-1].precision}, goes on in {now.precision}, which suits this processor; "
            "the record lists both parts"
        )


def provenance(
    data_digest: str, segments: Sequence[Segment], seconds: float, images: int, processes: int = 1, parts: int = 1
) -> Provenance:
    """Where a record comes from; `segments` are the parts of its run, of which most have one.

    Args:
        data_digest: of the data set.
        segments: as of `begin_segment`, in order.
        seconds: of all parts together.
        images: that the net saw in this time.
        processes, parts: how each batch was shared out.
    """
    last = segments[-1]
    return Provenance(
        package=package_version(),
        git_commit=last.git_commit,
        git_dirty=last.git_dirty,
        python=platform.python_version(),
        torch=last.torch,
        device=last.device,
        threads=torch.get_num_threads(),
        precision=last.precision,
        compiled=last.compiled,
        data_digest=data_digest,
        date=datetime.now(UTC).date().isoformat(),
        seconds=round(seconds, 1),
        images_per_second=round(images / seconds, 1),
        processes=processes,
        parts=parts,
        segments=tuple(segments) if len(segments) > 1 else (),
    )


def device_name(device: torch.device) -> str:
    """The processor's own name, without the machine's; a CPU's with its units for bf16, which decide its speed."""
    if device.type == "cuda":
        return shown(torch.cuda.get_device_name(device))
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return shown(", ".join([name, *bf16_units()]))


def shown(name: str) -> str:
    """A device's name without the characters that a record does not take."""
    return re.sub(r"""[^\w .,:;()@/+®™-]""", "", name)[:200]


def package_version() -> str:
    """The installed version of this package, or "unknown" when it is imported without being installed."""
    try:
        return version("resnet-lib")
    except PackageNotFoundError:
        return "unknown"


def git_state() -> tuple[str | None, bool | None]:
    """The commit the package's code comes from, and whether the code differs from it; None, None outside a checkout."""
    try:
        return _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain", "--", *SOURCES))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def in_history(commit: str) -> bool | None:
    """Whether the history of the package's code has such a commit; None where there is no history, or a part of it."""
    try:
        if _git("rev-parse", "--is-shallow-repository") == "true":
            return None
    except (OSError, subprocess.CalledProcessError):
        return None
    try:
        _git("cat-file", "-e", f"{commit}^{{commit}}")
    except subprocess.CalledProcessError:
        return False
    return True


def _git(*arguments: str) -> str:
    """What git says of the checkout that the package lies in.

    Raises:
        CalledProcessError: git refuses, or the package is in no checkout.
        OSError: there is no git.
    """

    def say(*arguments: str) -> str:
        command = ["git", "-C", str(PACKAGE), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    say("ls-files", "--error-unmatch", "training/provenance.py")  # else an enclosing, unrelated repository would answer
    return say(*arguments)
