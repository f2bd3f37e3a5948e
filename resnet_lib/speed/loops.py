"""The two loops whose speed is compared, one net at a time or several at once, each in a process of its own.

Speed does not depend on what the pictures show, so random images do.
"""

import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from threading import Barrier

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from resnet_lib.data.sets import Dataset
from resnet_lib.nets.build import build
from resnet_lib.nets.models import initialize
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.settings import resnet
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import train

NUM_IMAGES = 2048
IMAGE_SHAPE = (3, 32, 32)
PATIENCE = 900.0  # seconds that one process waits for the others: a compilation may take minutes


def random_dataset() -> Dataset:
    """Random images in the shape of CIFAR-10."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (NUM_IMAGES, *IMAGE_SHAPE), dtype=torch.uint8, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (NUM_IMAGES,), generator=generator)
    few = slice(0, 100)
    mean = torch.full(IMAGE_SHAPE, 127.5)
    return Dataset("random", 10, "none", images, labels, images[few], labels[few], mean, 73.9)


def bench_config(depth: int, iterations: int) -> RunConfig:
    """The paper's recipe, cut short; a point of the curve at the middle lets the first half go as warming up."""
    short = {"iterations": 2 * iterations, "milestones": (), "log_every": iterations, "eval_every": 2 * iterations}
    return resnet(depth).with_recipe(**short).at(PROFILES["paper"], seed=0)


class Stopwatch:
    """Images per second between two moments, at each of which several processes wait for each other."""

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self.wait = wait
        self.moments: list[float] = []

    def mark(self) -> None:
        """One of the two moments."""
        self.wait()
        self.moments.append(time.perf_counter())

    def speed(self, images: int) -> float:
        """Images per second."""
        first, last = self.moments
        return images / (last - first)


def our_loop(config: RunConfig, dataset: Dataset, hardware: Hardware, watch: Stopwatch | None = None) -> float:
    """Images per second of `training.train`, over the second half of its iterations."""
    watch = watch or Stopwatch()
    train(config, dataset, hardware, progress=lambda _: watch.mark())
    return watch.speed(config.recipe.log_every * config.recipe.batch_size)


class _PILImages(TorchDataset):
    """What torchvision's CIFAR10 does: an array in memory, one PIL image per item, transforms in Python."""

    def __init__(self, dataset: Dataset) -> None:
        from resnet_lib.data.torchvision_compat import torchvision

        transforms = torchvision.transforms
        self.images = dataset.train_images.permute(0, 2, 3, 1).contiguous().numpy()  # (N, H, W, C)
        self.labels = dataset.train_labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(self.images.shape[1], padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(np.asarray(self.images[index]))), self.labels[index]


def usual_loop(
    config: RunConfig, dataset: Dataset, device: torch.device, num_workers: int, watch: Stopwatch | None = None
) -> float:
    """Images per second of the loop most people write: DataLoader, PIL transforms, fp32, default memory layout."""
    watch = watch or Stopwatch()
    recipe = config.recipe
    net = build(config.net)
    initialize(net, config.seed)
    net.to(device).train()
    optimizer = torch.optim.SGD(net.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay)
    criterion = nn.CrossEntropyLoss()
    loader = DataLoader(
        _PILImages(dataset),
        recipe.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        multiprocessing_context="fork"
        if num_workers
        else None,  # what Linux does unasked, outside of spawned processes
        pin_memory=device.type == "cuda",
    )

    def forever() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield from loader

    batches = forever()
    for iteration in range(1, recipe.iterations + 1):
        images, labels = next(batches)
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        optimizer.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimizer.step()
        if iteration % recipe.log_every == 0:
            loss.item()  # waits for the device
            watch.mark()
    return watch.speed(recipe.log_every * recipe.batch_size)


@dataclass(frozen=True)
class Contestant:
    """A loop and how it is run: `num_workers` belongs to the usual loop, None means ours; several at once or alone."""

    num_workers: int | None
    precision: str = "fp32"
    compiled: bool = False
    at_once: int = 1

    @property
    def name(self) -> str:
        """As in the table, without the number at once."""
        if self.num_workers is not None:
            return f"usual, fp32, {self.num_workers} workers"
        return f"this book's, {self.precision}{', compiled' if self.compiled else ''}"


_barrier: Barrier  # of a worker: where it meets the others


def _start_worker(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier
    warnings.filterwarnings("ignore", message="This DataLoader will create")  # more than cores are worth a try


def _measure(contestant: Contestant, config: RunConfig, dataset: Dataset, device: str, threads: int) -> float:
    torch.set_num_threads(threads)
    watch = Stopwatch(lambda: _barrier.wait(PATIENCE))
    if contestant.num_workers is not None:
        return usual_loop(config, dataset, torch.device(device), contestant.num_workers, watch)
    return our_loop(config, dataset, Hardware.choose(device, compiled=contestant.compiled), watch)


def speed(contestant: Contestant, config: RunConfig, dataset: Dataset, device: str) -> float:
    """Images per second of all nets together; on a CPU its cores are shared out among those that run at once."""
    threads = max(1, torch.get_num_threads() // contestant.at_once)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(contestant.at_once)
    with ProcessPoolExecutor(contestant.at_once, context, _start_worker, (barrier,)) as pool:
        futures = [
            pool.submit(_measure, contestant, config, dataset, device, threads) for _ in range(contestant.at_once)
        ]
        return sum(future.result() for future in futures)
