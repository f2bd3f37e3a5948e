"""Which runs each figure and table needs: one function per experiment, which returns its suite for a profile."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from resnet_lib.errors import UserError
from resnet_lib.runs import DataConfig, NetConfig, Recipe, RunConfig


@dataclass(frozen=True)
class Profile:
    """A scale at which every suite can be run: which images, how long, how many seeds are recorded."""

    name: str
    summary: str
    data: DataConfig
    recipe: Recipe
    num_seeds: int


PAPER_RECIPE = Recipe(
    iterations=64_000,
    milestones=(32_000, 48_000),
    batch_size=128,
    optimizer="sgd",
    lr=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    warmup_iterations=0,
    warmup_lr=0.01,
    crop_padding=4,
    precision="auto",
    log_every=500,
    eval_every=1000,
)
"""Section 4.2, word for word where the paper is explicit."""


def scaled(recipe: Recipe, **changes: object) -> Recipe:
    """The recipe with some fields changed, checked like a new one."""
    return Recipe.model_validate(recipe.model_dump() | changes)


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="quick",
            summary="real CIFAR-10, one tenth of the paper's schedule: an afternoon on a laptop's CPU, minutes on a GPU",
            data=DataConfig(name="cifar10", image_size=32),
            recipe=scaled(
                PAPER_RECIPE, iterations=6400, milestones=(3200, 4800), log_every=100, eval_every=400
            ),
            num_seeds=1,
        ),
    )
}

DEPTHS = (20, 32, 44, 56)


def plain(depth: int) -> NetConfig:
    """A plain CIFAR net."""
    return NetConfig(family="cifar", depth=depth, shortcut="none")


def resnet(depth: int, shortcut: str = "A") -> NetConfig:
    """A residual CIFAR net; the paper uses option A on CIFAR-10."""
    return NetConfig(family="cifar", depth=depth, shortcut=shortcut)
