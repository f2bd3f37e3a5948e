"""What is measured on trained nets after their run, such as lesions and growth. Each result is a `runs.Study`.

`python -m resnet_lib study --profile small` makes those that are missing, from the weights that the runs have left
(beside the committed records, or in the cache), and trains a net again that has left none.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import comb
from pathlib import Path

import torch
from torch import nn

from resnet_lib import data, training
from resnet_lib.errors import UserError, lookup
from resnet_lib.jobs import campaign, weights
from resnet_lib.jobs.examined import WHOLE, Examined, Trained, test_error
from resnet_lib.jobs.full_length import MEASURES
from resnet_lib.jobs.twins import FROM_THE_START
from resnet_lib.nets import surgery
from resnet_lib.nets.probes import as_in_training
from resnet_lib.runs.config import RunConfig, changed
from resnet_lib.runs.experiments import LESIONED
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import PublishedStudy, Study, save_study
from resnet_lib.runs.seal import read_seal, renew
from resnet_lib.runs.settings import Setting, plain, resnet
from resnet_lib.runs.store import Records, local_dir
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import step
from resnet_lib.training.provenance import begin_segment, provenance
from resnet_lib.training.recording import PROBE_IMAGES

NUM_IMAGES = 2000  # test images, if there are so many
FEWER_IMAGES = {"deletion-curve": 1000} | {name: measure.images for name, measure in MEASURES.items()}
RANDOM_BLOCKS, RANDOM_DRAWS = (2, 4, 8), 5
FROM_ONE_TO_MOST = (1, 2, 3, 4, 5, 6, 8, 12, 16, 20)  # blocks; a net of 56 layers has 25 to lose, one of 20 has 7
GROWN_DEPTH = 56
GROWTH_ITERATIONS = 50


def load_trained(config: RunConfig, num_images: int = NUM_IMAGES) -> Trained:
    """The net of a run, from its weights; trains it again if there are none.

    Args:
        config: the run.
        num_images: how many of the first test images to keep.

    Raises:
        UserError: the weights are gone though their run is recorded; or as `campaign.work` does.
    """
    records = Records.all()
    if records.weights(config) is None:
        campaign.work([config], retrain=True)
    path = records.weights(config)
    if path is None:
        raise UserError(f"{config.name}: recorded, but its weights are gone; delete its record in {local_dir()}")
    trained = _trained(config, None, num_images)
    trained.net.load_state_dict(weights.read(path, config))
    return trained


def train_now(config: RunConfig, num_images: int = NUM_IMAGES) -> Trained:
    """The net of a run, trained here and now; nothing is stored. See `training.train`."""
    return _trained(config, training.train(config)[1], num_images)


def _trained(config: RunConfig, net: nn.Module | None, num_images: int) -> Trained:
    """The net, or a new one, with what `Trained` adds."""
    hardware = Hardware.choose(precision=config.recipe.precision)
    dataset = data.load(config.data.name, config.data.image_size).for_run(config, hardware.device)
    if net is None:
        net = training.build(config.net, dataset.in_channels, dataset.num_classes, config.data.image_size)
        net = net.to(hardware.device, memory_format=torch.channels_last)
    few = replace(dataset, test_images=dataset.test_images[:num_images], test_labels=dataset.test_labels[:num_images])
    return Trained(net, few, hardware, config)


@torch.no_grad()
def error_as_in_training(trained: Trained, net: nn.Module) -> float:
    """The same with batch norm on the statistics of each batch, of the size that the net was trained with."""
    images, labels = trained.dataset.test_images, trained.dataset.test_labels
    size = trained.config.recipe.batch_size
    wrong = 0
    with as_in_training(net), trained.hardware.autocast():
        for batch, targets in zip(images.split(size), labels.split(size), strict=True):
            wrong += int((net(trained.dataset.normalize(batch)).argmax(dim=1) != targets).sum())
    return 100 * wrong / len(labels)


def delete_block(trained: Examined) -> dict[str, float]:
    """Test error without each block in turn, of those whose input and output agree in shape."""
    values = {WHOLE: test_error(trained, trained.net)}
    for name in surgery.block_names(trained.net):
        values[name] = test_error(trained, surgery.delete_blocks(trained.net, name))
    return values


def swap_blocks(trained: Examined) -> dict[str, float]:
    """Test error with each block and the next one exchanged, of one stage and of those that keep the shape.

    The label is the first block's name.
    """
    values = {WHOLE: test_error(trained, trained.net)}
    names = surgery.block_names(trained.net)
    for first, second in pairwise(names):
        if first.partition(".")[0] == second.partition(".")[0]:
            values[first] = test_error(trained, surgery.swap_blocks(trained.net, first, second))
    return values


def delete_at_random(trained: Examined, counts: Sequence[int] = RANDOM_BLOCKS) -> dict[str, float]:
    """Test error without 2, 4 and 8 blocks drawn at random, five draws of each, of those that keep the shape.

    Nets of one depth lose the same blocks. The label names them: layer1.2+layer3.4. Counts that would leave none of
    these blocks are left out.
    """
    values = {WHOLE: test_error(trained, trained.net)}
    names = surgery.block_names(trained.net)
    draw = random.Random(0)
    for count in (count for count in counts if count < len(names)):
        drawn: set[tuple[str, ...]] = set()
        while len(drawn) < min(RANDOM_DRAWS, comb(len(names), count)):
            drawn.add(tuple(sorted(draw.sample(names, count))))
        for gone in sorted(drawn):
            values["+".join(gone)] = test_error(trained, surgery.delete_blocks(trained.net, *gone))
    return values


def deletion_curve(trained: Examined) -> dict[str, float]:
    """The same from one block to nearly all (Veit et al. 2016, section 4.3)."""
    return delete_at_random(trained, FROM_ONE_TO_MOST)


def growth(trained: Trained) -> dict[str, float]:
    """Test error of the net deepened to 56 layers: at once, with the batch's statistics, and after training on.

    Labels are "START", "START, as in training" and "START, trained on", for the net as it is and for those starts of
    `surgery.deepen` that make sense for it; "dirac, settled" knows the statistics of 1,000 training images. Training
    on takes 50 iterations at the rate at which the run ended.
    """
    config, dataset = trained.config, trained.dataset
    num_blocks = (GROWN_DEPTH - config.net.depth) // 6
    nets = {WHOLE: trained.net}
    for start in ("random", "zero") if config.net.shortcut != "none" else surgery.STARTS:
        nets[start] = surgery.deepen(trained.net, num_blocks, start, seed=config.seed)
    if "dirac" in nets:
        images = dataset.normalize(dataset.train_images[:PROBE_IMAGES])
        nets["dirac, settled"] = surgery.deepen(trained.net, num_blocks, "dirac", images=images)
    values = {}
    for start, net in nets.items():
        values[start] = test_error(trained, net)
        values[f"{start}, as in training"] = error_as_in_training(trained, net)
    for start, net in nets.items():
        lr = training.lr_at(config.recipe, config.recipe.iterations - 1)
        train_on(trained, net, GROWTH_ITERATIONS, lr)
        values[f"{start}, trained on"] = test_error(trained, net)
    return values


def train_on(trained: Trained, net: nn.Module, iterations: int, lr: float) -> list[float]:
    """Trains a net, in place, for some iterations more at one learning rate; all else is as in the run's recipe.

    The images come in the order of the run's first epochs, and the optimiser starts without momentum.

    Returns:
        The loss of each iteration.
    """
    recipe = changed(trained.config.recipe, iterations=iterations)
    optimizer = training.make_optimizer(net, recipe)
    training.set_lr(optimizer, lr, recipe.momentum_form)
    batches = trained.dataset.batches(recipe, trained.config.seed, start=0)
    losses = []
    was_training = net.training
    net.train()
    for _ in range(iterations):
        sums = torch.zeros(2, dtype=torch.float64, device=trained.hardware.device)  # loss, errors
        step(net, optimizer, batches, trained.hardware, sums)
        losses.append(sums[0].item())
    net.train(was_training)
    return losses


STUDIES: dict[str, tuple[Callable[[Trained], dict[str, float]], tuple[Setting, ...]]] = {
    "delete-block": (delete_block, LESIONED),
    "swap-blocks": (swap_blocks, LESIONED),
    "growth": (growth, (plain(20), resnet(20))),
    "deletion-curve": (deletion_curve, LESIONED),
}
"""Name -> what to measure, and on the nets of which settings."""

AT_FULL_LENGTH = {
    name: (measure.of, tuple(net(depth) for depth in measure.depths for net in (plain, resnet)[not measure.plain :]))
    for name, measure in MEASURES.items()
    if measure.depths
}
"""The same for what is only measured on nets that were trained to the end."""


TRAINED_ANEW = {name: (measure.of, (resnet(20),)) for name, measure in FROM_THE_START.items()}
"""The same for what trains a run again, and others beside it."""

EVERY = STUDIES | AT_FULL_LENGTH | TRAINED_ANEW


def make_study(study: str, config: RunConfig, num_images: int | None = None) -> Study:
    """Measures one trained net.

    Args:
        study: a key of `EVERY`.
        config: the run whose net it is.
        num_images: how many of the first test images to use; by default those of `FEWER_IMAGES`, or `NUM_IMAGES`.

    Raises:
        UserError: unknown study; or as `load_trained` does.
    """
    measure, _ = lookup(EVERY, study, "study")
    if study in FROM_THE_START:
        trained = _trained(config, None, num_images or NUM_IMAGES)
        trained = replace(trained, hardware=Hardware.choose(precision=FROM_THE_START[study].precision))
    else:
        trained = load_trained(config, num_images or FEWER_IMAGES.get(study, NUM_IMAGES))
    if study in MEASURES:  # some look at gradients, and each counts every digit
        trained = replace(trained, hardware=Hardware.choose(precision="fp32"))
    started = time.perf_counter()
    values = measure(trained)
    seconds = time.perf_counter() - started
    used = len(trained.dataset.test_labels)
    here = begin_segment(config.recipe.iterations, trained.hardware)
    return Study(
        format=1,
        study=study,
        config=config,
        num_images=used,
        label=tuple(values),
        value=tuple(float(f"{value:.7g}") for value in values.values()),
        provenance=provenance(trained.dataset.digest, [here], seconds, used * len(values)),
    )


def store(study: Study | PublishedStudy, folder: Path) -> None:
    """Writes a study into a folder of records; if that has a seal, it then has the study, too."""
    path = save_study(study, folder)
    if read_seal(folder) is not None:
        renew(folder, [path])


def work(
    profile: Profile,
    names: Sequence[str],
    seeds: range,
    num_images: int | None = None,
    settings: Sequence[Setting] | None = None,
    folder: Path | None = None,
) -> list[Study]:
    """Makes and stores the studies that are missing, seed by seed.

    Args:
        profile: at which the nets were trained.
        names: keys of `EVERY`.
        seeds: of the nets.
        num_images: as of `make_study`.
        settings: study only the nets of these; by default of all that a study names.
        folder: of records, where studies are stored that it does not have; by default this machine's.

    Returns:
        All that were asked for, those that were there already, too.

    Raises:
        UserError: a net is not studied; or as `make_study` does; what was finished before is stored.
    """
    records, folder = Records.all(), folder or local_dir()
    wanted = [(name, setting) for name in names for setting in lookup(EVERY, name, "study")[1]]
    if settings is not None:
        studied = {setting: setting.name for _, setting in wanted}
        if strange := [setting.name for setting in settings if setting not in studied]:
            raise UserError(f"{strange[0]} is not studied; choose from {', '.join(studied.values())}")
        wanted = [(name, setting) for name, setting in wanted if setting in settings]
    found = []
    for seed in seeds:
        for name, setting in wanted:
            config = setting.at(profile, seed)
            study = records.study(name, config)
            if study is None:
                study = make_study(name, config, num_images)
                campaign.say(f"{study.name}: {study.provenance.seconds:.0f} s")
            if Records(folder).study(name, config) is None:
                store(study, folder)
            found.append(study)
    return found
