"""Which runs each figure and table needs: one function per experiment, which returns its suite for a profile."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from resnet_lib.errors import UserError
from resnet_lib.runs import DataConfig, NetConfig, Recipe, RunConfig

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
"""Section 4.2, as far as the paper says."""


def changed(recipe: Recipe, **changes: object) -> Recipe:
    """The recipe with some fields changed, checked like a new one."""
    return Recipe.model_validate(recipe.model_dump() | changes)


def longer(recipe: Recipe, factor: int) -> Recipe:
    """The recipe with all its iterations, and the milestones with them, multiplied."""
    return changed(
        recipe,
        iterations=recipe.iterations * factor,
        milestones=tuple(milestone * factor for milestone in recipe.milestones),
    )


@dataclass(frozen=True)
class Profile:
    """A scale at which every suite can be run: which images, how long, and how many seeds the book records."""

    name: str
    summary: str
    data: DataConfig
    recipe: Recipe
    num_seeds: int


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="smoke",
            summary="6,000 images of Fashion-MNIST at 16 x 16 pixels, 200 iterations",
            data=DataConfig(name="fashion-mnist-mini", image_size=16),
            recipe=changed(
                PAPER_RECIPE, iterations=200, milestones=(150,), crop_padding=0, log_every=25, eval_every=50
            ),
            num_seeds=5,
        ),
        Profile(
            name="quick",
            summary="CIFAR-10, one tenth of the paper's schedule (6,400 iterations)",
            data=DataConfig(name="cifar10", image_size=32),
            recipe=changed(PAPER_RECIPE, iterations=6400, milestones=(3200, 4800), log_every=100, eval_every=400),
            num_seeds=1,
        ),
        Profile(
            name="paper",
            summary="CIFAR-10, the paper's schedule (64,000 iterations)",
            data=DataConfig(name="cifar10", image_size=32),
            recipe=PAPER_RECIPE,
            num_seeds=5,
        ),
    )
}
"""From seconds a run to hours a run. Nothing but `quick` and `paper` ever needs CIFAR-10."""

DEPTHS = (20, 32, 44, 56)
WARMED_UP_DEPTH = 110  # from here on the paper starts with a smaller learning rate
WARMUP_ITERATIONS = 400


def plain(depth: int) -> NetConfig:
    """A plain CIFAR net."""
    return NetConfig(family="cifar", depth=depth, shortcut="none")


def resnet(depth: int, shortcut: str = "A") -> NetConfig:
    """A residual CIFAR net; the paper uses option A on CIFAR-10."""
    return NetConfig(family="cifar", depth=depth, shortcut=shortcut)


def run(net: NetConfig, profile: Profile, seed: int, **changes: object) -> RunConfig:
    """One run of a profile, with some of the recipe's fields changed.

    The 110-layer net is warmed up: lr 0.01 for 400 iterations. The paper ends its warm-up when the training error
    falls below 80%, "about 400 iterations", and a fixed number keeps the schedule a function of the iteration alone.
    """
    recipe = profile.recipe
    if net.family == "cifar" and net.depth >= WARMED_UP_DEPTH:
        recipe = changed(recipe, warmup_iterations=min(WARMUP_ITERATIONS, recipe.iterations // 10))
    return RunConfig(net=net, data=profile.data, recipe=changed(recipe, **changes), seed=seed)


@dataclass(frozen=True)
class Suite:
    """The runs that one part of the book needs: named settings, each a function of profile and seed."""

    name: str
    title: str
    source: str
    settings: dict[str, Callable[[Profile, int], RunConfig]]

    def runs(self, profile: Profile, seeds: range | None = None) -> list[RunConfig]:
        """All runs, seed by seed, so that an interrupted suite has whole seeds to show."""
        seeds = range(profile.num_seeds) if seeds is None else seeds
        return [make(profile, seed) for seed in seeds for make in self.settings.values()]

    def setting(self, name: str, profile: Profile) -> list[RunConfig]:
        """The runs of one setting, one per seed."""
        return [self.settings[name](profile, seed) for seed in range(profile.num_seeds)]


def degradation() -> Suite:
    """Figure 1 and Figure 6, left and middle: plain and residual nets of 20 to 56 layers.

    At `paper` the residual nets should end at the test errors of Table 6: 8.75, 7.51, 7.17 and 6.97 percent.
    Command: `python -m resnet_lib train --suite degradation --profile quick`.
    """
    nets = [plain(depth) for depth in DEPTHS] + [resnet(depth) for depth in DEPTHS]
    settings = {net.name: (lambda profile, seed, net=net: run(net, profile, seed)) for net in nets}
    return Suite("degradation", "Plain and residual nets of rising depth", "sections 1 and 4.2", settings)


def longer_training() -> Suite:
    """Section 4.1, footnote 3: three times the iterations, for the shallowest and the deepest plain net."""

    def setting(net: NetConfig) -> Callable[[Profile, int], RunConfig]:
        def make(profile: Profile, seed: int) -> RunConfig:
            recipe = longer(profile.recipe, 3)
            return run(net, profile, seed, iterations=recipe.iterations, milestones=recipe.milestones)

        return make

    settings = {f"{net.name}, 3x iterations": setting(net) for net in (plain(20), plain(56))}
    return Suite("longer-training", "Three times the iterations", "section 4.1, footnote 3", settings)


OPTIMIZERS: dict[str, dict[str, object]] = {
    "SGD, lr 0.01": {"lr": 0.01},
    "SGD, lr 0.03": {"lr": 0.03},
    "SGD, lr 0.3": {"lr": 0.3},
    "Adam, lr 0.001": {"optimizer": "adam", "lr": 1e-3},
    "RMSprop, lr 0.001": {"optimizer": "rmsprop", "lr": 1e-3, "momentum": 0.0},
}
"""What the optimiser test changes in the paper's recipe, which is SGD with momentum 0.9 at lr 0.1."""

RESIDUAL_OPTIMIZERS = ("SGD, lr 0.01", "SGD, lr 0.03")
"""Those that the residual twin gets too, so that tuning one net is not compared with not tuning the other."""


def optimizers() -> Suite:
    """Reading note 1: the deepest plain net, and its residual twin, under other optimisers and learning rates."""
    pairs = [(plain(56), name) for name in OPTIMIZERS] + [(resnet(56), name) for name in RESIDUAL_OPTIMIZERS]
    settings = {
        f"{net.name}, {name}": (lambda profile, seed, net=net, name=name: run(net, profile, seed, **OPTIMIZERS[name]))
        for net, name in pairs
    }
    return Suite("optimizers", "The deepest nets under other optimisers", "reading note 1", settings)


SUITES = {suite.name: suite for suite in (degradation(), longer_training(), optimizers())}

T = TypeVar("T")


def lookup(table: dict[str, T], name: str, kind: str) -> T:
    """The entry of a registry.

    Raises:
        UserError: there is none; the message offers the nearest names.
    """
    if name in table:
        return table[name]
    near = get_close_matches(name, table, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(table)}"
    raise UserError(f"no {kind} is called {name!r}; {hint}")
