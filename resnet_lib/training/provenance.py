"""Where a record comes from: the code, the device and the parts of a run that was interrupted."""

import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from resnet_lib.files import PACKAGE
from resnet_lib.runs.records import Provenance, Segment
from resnet_lib.training.hardware import Hardware, bf16_units


def begin_segment(iteration: int, hardware: Hardware) -> Segment:
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
    )


def tell_changes(name: str, before: Sequence[Segment], hardware: Hardware) -> None:
    """One line to stderr when a run goes on in another precision than it was begun in: its record will say so, too."""
    if before and before[-1].precision != hardware.precision:
        print(
            f"{name}: begun in {before[-1].precision}, goes on in {hardware.precision}, which suits this processor; "
            "the record lists both parts",
            file=sys.stderr,
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
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return ", ".join([name, *bf16_units()])


def package_version() -> str:
    """The installed version of this package, or "unknown" when it is imported without being installed."""
    try:
        return version("resnet-lib")
    except PackageNotFoundError:
        return "unknown"


def git_state() -> tuple[str | None, bool | None]:
    """The commit the package's code comes from, and whether the code differs from it; None, None outside a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(PACKAGE), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        git(
            "ls-files", "--error-unmatch", "training/provenance.py"
        )  # else an enclosing, unrelated repository would be named
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", "*.py"))
    except (OSError, subprocess.CalledProcessError):
        return None, None
