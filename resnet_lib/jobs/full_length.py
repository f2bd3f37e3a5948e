"""What chapter 15 measures on trained nets, our own and those of others; most of it on nets trained to the end.

`python -m resnet_lib study read-off --profile paper --seeds 1` makes such a study of our own nets, `nets measure` those
of others. What claims ask is measured on ten nets of the small scale, too.
"""

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from resnet_lib import training
from resnet_lib.jobs.examined import WHOLE, Examined, Trained, test_error
from resnet_lib.nets import models, probes, signals

PATHS_DRAWN = 4  # of each length
POSITIONS = tuple(tenth / 10 for tenth in range(-5, 6))  # along a line, in units of the net's own length
DIRECTIONS = 2
ON_A_PLANE = tuple(tenth / 10 for tenth in range(-10, 11))  # in each of its two directions
SETTLED = "batch norm re-estimated"
SETTLING_IMAGES = 1000  # training images for batch norm's statistics, of a net with a block reset


def _test_images(examined: Examined) -> tuple[Tensor, Tensor]:
    dataset = examined.dataset
    return dataset.normalize(dataset.test_images), dataset.test_labels


def _training_images(examined: Examined) -> tuple[Tensor, Tensor]:
    dataset, count = examined.dataset, len(examined.dataset.test_labels)
    return dataset.normalize(dataset.train_images[:count]), dataset.train_labels[:count]


def read_off(examined: Examined) -> dict[str, float]:
    """Test error if the blocks after each one add nothing; see `signals.read_off`."""
    images, labels = _test_images(examined)
    said = signals.read_off(examined.net, images)
    errors = {name: 100 * (logits.argmax(dim=1) != labels).double().mean().item() for name, logits in said.items()}
    return {WHOLE: list(errors.values())[-1]} | errors


def gradient_step(examined: Examined) -> dict[str, float]:
    """Cosine between F(x) and the direction that lowers the loss, by block; see `signals.step_cosines`.

    In float64: where a net is sure of its answer, the gradient of the loss is less than fp32 can tell from zero.
    """
    images, labels = _test_images(examined)
    return signals.step_cosines(copy.deepcopy(examined.net).double(), images.double(), labels)


def gradient_paths(examined: Examined) -> dict[str, float]:
    """Norm of the gradient on paths through so many residual branches; see `signals.path_gradients`.

    Blocks are drawn at random, for each seed anew, so that the scatter over seeds holds that of the draw. A number is
    the geometric mean over images and paths: of an arithmetic one, the few images that the net gets wrong would make up
    nearly all.
    """
    images, labels = _test_images(examined)
    names = [name for name, _ in probes.blocks(examined.net)]
    draw = random.Random(examined.seed)
    norms = {}
    for length in range(len(names) + 1):
        paths = [draw.sample(names, length) for _ in range(PATHS_DRAWN)]
        found = torch.cat([signals.path_gradients(examined.net, path, images, labels) for path in paths])
        norms[f"{length}"] = found.clamp_min(torch.finfo(found.dtype).tiny).log().mean().exp().item()
    return norms


def filter_line(examined: Examined) -> dict[str, float]:
    """Mean loss on the first training images, on lines through the trained weights; see `signals.filter_direction`.

    Batch norm keeps its running statistics. Labels are "DIRECTION: POSITION".
    """
    images, labels = _training_images(examined)
    losses = {}
    for number in range(DIRECTIONS):
        direction = signals.filter_direction(examined.net, seed=number)
        for position in POSITIONS:
            other = signals.moved(examined.net, direction, position)
            losses[f"{number}: {position:+.1f}"] = signals.loss_at(other, images, labels)
    return losses


def filter_plane(examined: Examined) -> dict[str, float]:
    """Mean loss on the first training images, on the plane of the two lines of `filter_line`, twice as far.

    Labels are "POSITION POSITION", along the first and along the second direction.
    """
    images, labels = _training_images(examined)
    first, second = (signals.filter_direction(examined.net, seed=number) for number in range(2))
    losses = {}
    for x in ON_A_PLANE:
        aside = signals.moved(examined.net, first, x)
        for y in ON_A_PLANE:
            losses[f"{x:+.1f} {y:+.1f}"] = signals.loss_at(signals.moved(aside, second, y), images, labels)
    return losses


def reset_block(trained: Trained) -> dict[str, float]:
    """Test error with the weights of one block as they were before training, or those of the stem or the classifier.

    Batch norm's statistics are taken anew in the whole net, over training images; "batch norm re-estimated" is the
    trained net with only that done.
    """
    dataset = trained.dataset
    few = replace(
        dataset,
        train_images=dataset.train_images[:SETTLING_IMAGES],
        train_labels=dataset.train_labels[:SETTLING_IMAGES],
    )
    start = copy.deepcopy(trained.net)
    models.initialize(start, trained.config.seed)
    for module in start.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # scale 1 and shift 0, which `initialize` takes for granted
    values = {WHOLE: test_error(trained, trained.net)}
    for name in (SETTLED, "stem", *(name for name, _ in probes.blocks(start)), "fc"):
        net = copy.deepcopy(trained.net)
        for part in {"stem": ("conv1", "bn1"), SETTLED: ()}.get(name, (name,)):
            net.get_submodule(part).load_state_dict(start.get_submodule(part).state_dict())
        with torch.no_grad():
            training.reestimate_bn(net, few, trained.hardware)
        values[name] = test_error(trained, net)
    return values


@dataclass(frozen=True)
class Measure:
    """What to measure, on how many of the first test images, and on which nets."""

    of: Callable[[Examined], dict[str, float]]
    images: int
    plain: bool = True  # whether on plain nets, too
    pairs_only: bool = False  # of others only the nets of whoever trained plain and residual ones
    depths: tuple[int, ...] = (20,)  # of our own nets
    others: tuple[int, ...] = (20, 56)  # depths of nets that others trained


MEASURES = {
    "read-off": Measure(read_off, 1000, plain=False, pairs_only=True),
    "gradient-step": Measure(gradient_step, 200, plain=False, pairs_only=True, depths=(20, 56)),
    "gradient-paths": Measure(gradient_paths, 16, plain=False, depths=(20, 56)),
    "filter-line": Measure(filter_line, 150, pairs_only=True, depths=(20, 56)),
    "filter-plane": Measure(filter_plane, 150, pairs_only=True, depths=(), others=(56,)),
    "reset-block": Measure(reset_block, 1000, depths=(20, 56), others=()),  # the weights before training must be known
}
"""Name of a study -> what it measures."""
