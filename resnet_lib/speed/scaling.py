"""How much faster training on folders of images gets with more processes, measured on this machine.

`python -m resnet_lib bench-scaling` starts torchrun on this module, once for each team and round.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from resnet_lib.display import Table
from resnet_lib.errors import UserError
from resnet_lib.nets.geometry import table1_cost
from resnet_lib.nets.models import IMAGENET_BLOCKS
from resnet_lib.runs.config import RunConfig, changed
from resnet_lib.runs.settings import table1
from resnet_lib.speed import bench
from resnet_lib.training import Hardware, Progress, imagenet, train
from resnet_lib.training.processes import joined

DEPTH = 18
BATCH_SIZE = 32
NUM_IMAGES = 64  # of noise; speed does not depend on what they show
ITERATIONS = 6  # of which the first half warms up
ROUNDS = 3
PAPER_ITERATIONS = 600_000
TIME_LIMIT = 600.0  # for one team and round, in seconds
FOLDER = bench.FOLDER / "scaling"


class Team(BaseModel):
    """Training images per second of some processes together: the median over rounds, and each round."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    processes: Annotated[int, Field(ge=1)]
    threads: Annotated[int, Field(ge=1)]  # of each process
    images_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    rounds: Annotated[tuple[float, ...], Field(strict=False)]


class Scaling(bench.Sitting):
    """One sitting: the speeds of teams of processes on one machine."""

    depth: int
    batch_size: int
    image_size: int
    teams: Annotated[tuple[Team, ...], Field(strict=False)]


def make_images(path: Path) -> Path:
    """A folder of images of noise, larger than the crops, in two classes."""
    generator = np.random.default_rng(0)
    for split, count in (("train", NUM_IMAGES), ("val", 2)):
        for number in range(count):
            folder = path / split / f"class{number % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 256, (256, 320, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.jpeg")
    return path


def scaling_config(folder: imagenet.Folder, image_size: int) -> RunConfig:
    """Section 3.4's recipe, cut short; a point of the curve at the middle lets the first half go as warming up."""
    recipe = changed(
        imagenet.recipe(NUM_IMAGES, BATCH_SIZE), iterations=ITERATIONS, milestones=(), log_every=ITERATIONS // 2
    )
    return imagenet.run(table1(DEPTH, "A").net, folder, 0, recipe, image_size)


def member(images: Path, image_size: int, device: str | None, out: Path) -> None:
    """One process of a team: trains, and if it is the first one writes the team's images per second to `out`."""
    moments: list[float] = []

    def note(_: Progress) -> None:
        moments.append(time.perf_counter())

    folder = imagenet.open_folder(images)
    config = scaling_config(folder, image_size)
    with joined(device) as (group, where):
        train(config, folder, Hardware.choose(where), group, progress=note)
        if group.rank == 0:
            seconds = moments[1] - moments[0]
            out.write_text(json.dumps(BATCH_SIZE * (ITERATIONS - ITERATIONS // 2) / seconds))


def speed(processes: int, threads: int, images: Path, image_size: int, device: str | None, out: Path) -> float:
    """Images per second of a team.

    Raises:
        UserError: a process failed, or took longer than `TIME_LIMIT`.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command += ["-m", "resnet_lib.speed.scaling", str(images), str(image_size), device or "", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        raise UserError(f"{processes} processes were not done after {TIME_LIMIT:.0f} s; is the machine busy?") from None
    if done.returncode:
        reasons = [line for line in done.stderr.splitlines() if "Error" in line] or ["no reason given"]
        raise UserError(f"{processes} processes could not train together: {reasons[0].strip()}")
    return json.loads(out.read_text())


def measure(
    device: str | None = None,
    image_size: int = imagenet.IMAGE_SIZE,
    rounds: int = ROUNDS,
    say: Callable[[str], object] = lambda line: None,
) -> Scaling:
    """Measures one process on one core, one on all cores, and one process to each core; or one GPU, and all of them."""
    hardware = Hardware.choose(device)
    threads = torch.get_num_threads()
    if hardware.device.type == "cpu":
        teams = dict.fromkeys(((1, 1), (1, threads), (threads, 1)))
    else:
        teams = dict.fromkeys(((1, 1), (torch.cuda.device_count(), 1)))
    results: dict[tuple[int, int], list[float]] = {team: [] for team in teams}
    with tempfile.TemporaryDirectory() as scratch:
        images = make_images(Path(scratch) / "images")
        for number in range(rounds):
            say(f"scaling: round {number + 1} of {rounds}")
            for team, speeds in results.items():
                speeds.append(speed(*team, images, image_size, device, Path(scratch) / "speed"))
    return Scaling(
        **bench.this_sitting(hardware),
        depth=DEPTH,
        batch_size=BATCH_SIZE,
        image_size=image_size,
        teams=tuple(
            Team(processes=processes, threads=each, images_per_second=median(speeds), rounds=tuple(speeds))
            for (processes, each), speeds in results.items()
        ),
    )


def scaling_table(scaling: Scaling) -> Table:
    """A row for each team: images per second, and the ratio to one process with one thread."""
    alone = scaling.teams[0].images_per_second
    return Table(
        {
            "processes": team.processes,
            "threads of each": team.threads,
            "images/s": f"{team.images_per_second:.1f}",
            "ratio": f"{team.images_per_second / alone:.2f}",
        }
        for team in scaling.teams
    )


def full_size_table(scaling: Scaling, gpu_rate: float, gpus: tuple[int, ...] = (1, 8, 64)) -> Table:
    """How long the paper's schedule on ImageNet takes for each net of Table 1, from its multiply-adds alone.

    The first column takes the rate that the whole machine of `scaling` has shown. The others take a rate in
    multiply-adds per second for each GPU, and no loss from sharing the work.
    """
    best = max(team.images_per_second for team in scaling.teams)
    per_image = table1_cost(scaling.depth).multiply_adds * (scaling.image_size / imagenet.IMAGE_SIZE) ** 2
    images = PAPER_ITERATIONS * imagenet.BATCH_SIZE
    rows = []
    for depth in IMAGENET_BLOCKS:
        work = images * table1_cost(depth).multiply_adds
        rows.append(
            {
                "net": f"ResNet-{depth}",
                "multiply-adds (10¹⁸)": f"{3 * work / 1e18:.1f}",  # the way back costs twice the way forward
                "this machine (days)": f"{work / per_image / best / 86400:,.0f}",
            }
            | {f"{n} GPU{'s' if n > 1 else ''} (hours)": f"{3 * work / gpu_rate / n / 3600:.1f}" for n in gpus}
        )
    return Table(rows)


def shares_table(batch_size: int, images_at_once: int, teams: tuple[tuple[int, int], ...]) -> Table:
    """How batches are shared out when each GPU takes `images_at_once`: for so many nodes of so many GPUs.

    The first row keeps the batch and works on it in parts; in the others the batch grows with the GPUs.
    """
    rows = []
    for nodes, gpus in teams:
        processes = nodes * gpus
        parts = max(1, batch_size // (processes * images_at_once))
        size = processes * parts * images_at_once
        recipe = imagenet.recipe(imagenet.IMAGENET_IMAGES, size)
        rows.append(
            {
                "nodes × GPUs": f"{nodes} × {gpus}",
                "parts": parts,
                "images at once": images_at_once,
                "batch": f"{size:,}",
                "learning rate": f"{recipe.lr:g}",
                "iterations": f"{recipe.iterations:,}",
            }
        )
    return Table(rows)


if __name__ == "__main__":
    member(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] or None, Path(sys.argv[4]))
