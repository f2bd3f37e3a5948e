"""How fast the training loop is, next to the loop that most people write, on one machine in one sitting.

Speed does not depend on what the pictures show, so random images do.
"""

import time
import warnings
from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from resnet_lib.campaign import cost
from resnet_lib.data import Dataset
from resnet_lib.experiments import PROFILES, changed, resnet
from resnet_lib.models import initialize
from resnet_lib.runs import RunConfig
from resnet_lib.training import Hardware, Progress, build, train

NUM_IMAGES = 2048
WORKER_COUNTS = (0, 1, 2, 4)


class Speed(NamedTuple):
    """Training images per second: the median over rounds, and each round."""

    name: str
    images_per_second: float
    rounds: tuple[float, ...]


def random_dataset(image_size: int = 32) -> Dataset:
    """Random images in the shape of CIFAR-10."""
    generator = torch.Generator().manual_seed(0)
    shape = (NUM_IMAGES, 3, image_size, image_size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (NUM_IMAGES,), generator=generator)
    few = slice(0, 100)
    mean = torch.full(shape[1:], 127.5)
    return Dataset("random", 10, "none", images, labels, images[few], labels[few], mean, 73.9)


def bench_config(depth: int, iterations: int) -> RunConfig:
    """The paper's recipe, cut short; a point of the curve at the middle lets the first half go as warming up."""
    profile = PROFILES["paper"]
    recipe = changed(
        profile.recipe,
        iterations=2 * iterations,
        milestones=(),
        log_every=iterations,
        eval_every=2 * iterations,
    )
    return RunConfig(net=resnet(depth), data=profile.data, recipe=recipe, seed=0)


def our_loop(config: RunConfig, dataset: Dataset, hardware: Hardware) -> float:
    """Images per second of `training.train`, over the second half of its iterations."""
    reports: list[Progress] = []
    train(config, dataset, hardware, progress=reports.append)
    first, last = reports
    return (last.iteration - first.iteration) * config.recipe.batch_size / (last.seconds - first.seconds)


class _PILImages(TorchDataset):
    """What torchvision's CIFAR10 does: an array in memory, one PIL image per item, transforms in Python."""

    def __init__(self, dataset: Dataset) -> None:
        from resnet_lib.torchvision_compat import torchvision

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


def usual_loop(config: RunConfig, dataset: Dataset, device: torch.device, num_workers: int) -> float:
    """Images per second of the loop most people write: DataLoader, PIL transforms, fp32, default memory layout."""
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
        pin_memory=device.type == "cuda",
    )

    def forever() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield from loader

    batches = forever()
    warm_up = recipe.iterations // 2
    started = 0.0
    for iteration in range(recipe.iterations):
        if iteration == warm_up:
            if device.type == "cuda":
                torch.cuda.synchronize()
            started = time.perf_counter()
        images, labels = next(batches)
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        optimizer.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimizer.step()
    loss.item()  # waits for the device
    return (recipe.iterations - warm_up) * recipe.batch_size / (time.perf_counter() - started)


def bench(depth: int, device: str | None, compiled: bool, iterations: int = 16, rounds: int = 3) -> list[Speed]:
    """Both loops, taken in turn so that a busy moment of the machine touches both.

    The usual loop is given the number of workers that suits it best here, found in a trial round.

    Returns:
        The usual loop, ours, and ours compiled if asked for.
    """
    config, dataset = bench_config(depth, iterations), random_dataset()
    hardware = Hardware.choose(device)
    warnings.filterwarnings("ignore", message="This DataLoader will create")  # more workers than cores are worth a try
    workers = max(WORKER_COUNTS, key=lambda count: usual_loop(config, dataset, hardware.device, count))
    ours = f"this book's, {hardware.precision}"
    contestants = {
        f"usual, fp32, {workers} workers": lambda: usual_loop(config, dataset, hardware.device, workers),
        ours: lambda: our_loop(config, dataset, hardware),
    }
    if compiled:
        compiling = Hardware.choose(device, compiled=True)
        contestants[f"{ours}, compiled"] = lambda: our_loop(config, dataset, compiling)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            times[name].append(contestant())
    return [Speed(name, median(values), tuple(values)) for name, values in times.items()]


def seconds_per_cost(device: str | None) -> float:
    """Seconds that one unit of `campaign.cost` takes here, the way `campaign.work` runs: one thread to a run."""
    hardware = Hardware.choose(device)
    threads = torch.get_num_threads()
    side_by_side = threads if hardware.device.type == "cpu" else 1
    config = bench_config(20, 4)
    torch.set_num_threads(1)
    try:
        speed = our_loop(config, random_dataset(), hardware)
    finally:
        torch.set_num_threads(threads)
    images = config.recipe.iterations * config.recipe.batch_size
    return images / speed / cost(config) / side_by_side
