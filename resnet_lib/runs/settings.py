"""Settings: which net, and how its training departs from a profile's. They are values, to be read and compared.

From a setting to a run: `plain(56).at(PROFILES["small"], seed=0)`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from resnet_lib.runs.config import NetConfig, RunConfig, Shortcut, changed
from resnet_lib.runs.profiles import Profile

DEPTHS = (20, 32, 44, 56)
WARMED_UP_DEPTH = 110  # from here on the paper starts with a smaller learning rate
WARMUP_ITERATIONS = 400
OPTIMIZER_NAMES = {"sgd": "SGD", "adam": "Adam", "rmsprop": "RMSprop"}

Changes = tuple[tuple[str, object], ...]  # fields with their values, by field


class Share(Fraction):
    """A share of a run's iterations, in the place of a number of them that depends on the profile."""

    def of(self, iterations: int) -> int:
        """Rounded down."""
        return int(self * iterations)


@dataclass(frozen=True)
class Setting:
    """A net and how its training departs from a profile's: with a profile and a seed it is a run.

    `recipe` and `data` are fields of `Recipe` and of `DataConfig` that are not the profile's. `length` multiplies all
    iterations, and the milestones with them; shares are of the iterations that result. `label` is what readers see
    where the name that follows from the rest would not tell them enough.
    """

    net: NetConfig
    recipe: Changes = ()
    data: Changes = ()
    length: int = 1
    label: str = ""

    @property
    def name(self) -> str:
        """For readers: the net, and what they should know of its training: plain-56, SGD, lr 0.01."""
        return self.label or ", ".join([self.net.name, *self._unusual()])

    def _unusual(self) -> Iterator[str]:
        recipe, data = dict(self.recipe), dict(self.data)
        if self.length != 1:
            yield f"{self.length}x iterations"
        if "optimizer" in recipe:
            yield OPTIMIZER_NAMES[recipe["optimizer"]]
        if "lr" in recipe:
            yield f"lr {recipe['lr']:g}"
        if "warmup_lr" in recipe:
            yield "warmed up"
        if "clip_norm" in recipe:
            yield f"gradients cut to {recipe['clip_norm']:g}"
        if "name" in data:
            yield f"{data['name']}"
        if "num_train" in data:
            yield f"{data['num_train']} images"

    def with_recipe(self, **changes: object) -> "Setting":
        """With other values of some of the recipe's fields; a number of iterations may be a `Share`."""
        return replace(self, recipe=_merged(self.recipe, changes))

    def with_data(self, **changes: object) -> "Setting":
        """On other images, or on some of them: see `DataConfig`."""
        return replace(self, data=_merged(self.data, changes))

    def longer(self, factor: int) -> "Setting":
        """With all iterations, and the milestones with them, multiplied."""
        return replace(self, length=self.length * factor)

    def called(self, label: str) -> "Setting":
        """The same under a name of its own."""
        return replace(self, label=label)

    def at(self, profile: Profile, seed: int) -> RunConfig:
        """The run that this setting is at a profile, with a seed.

        Nets of 110 layers and more are warmed up: lr 0.01 for 400 iterations. The paper ends its warm-up when the
        training error falls below 80%, "about 400 iterations", and a fixed number keeps the schedule a function of
        the iteration alone. A setting with a learning rate of its own is not warmed up unless it says so.
        """
        of_table1 = self.net.family == "imagenet"
        recipe = profile.imagenet_recipe if of_table1 else profile.recipe
        data = profile.imagenet_data if of_table1 else profile.data
        iterations = recipe.iterations * self.length
        schedule: dict[str, object] = {
            "iterations": iterations,
            "milestones": tuple(milestone * self.length for milestone in recipe.milestones),
        }
        if self.net.family == "cifar" and self.net.depth >= WARMED_UP_DEPTH:
            schedule["warmup_iterations"] = min(WARMUP_ITERATIONS, iterations // 10)
        elif "lr" in dict(self.recipe):
            schedule["warmup_iterations"] = 0
        changes = {field: _counted(value, iterations) for field, value in self.recipe}
        return RunConfig(
            net=self.net, data=changed(data, **dict(self.data)), recipe=changed(recipe, **schedule | changes), seed=seed
        )

    def runs(self, profile: Profile) -> list[RunConfig]:
        """One run for each seed of the profile."""
        return [self.at(profile, seed) for seed in profile.seeds]


def _merged(old: Changes, new: dict[str, object]) -> Changes:
    values = {field: tuple(value) if isinstance(value, list) else value for field, value in new.items()}
    return tuple(sorted((dict(old) | values).items()))


def _counted(value: object, iterations: int) -> object:
    """A value of the recipe with every `Share` in it made a number of iterations."""
    if isinstance(value, tuple):
        return tuple(_counted(part, iterations) for part in value)
    return value.of(iterations) if isinstance(value, Share) else value


def plain(depth: int, **varied: object) -> Setting:
    """A plain CIFAR net, with fields of `NetConfig` that are not the paper's."""
    return Setting(NetConfig(family="cifar", depth=depth, shortcut="none", **varied))


def resnet(depth: int, shortcut: Shortcut = "A", **varied: object) -> Setting:
    """A residual CIFAR net; the paper uses option A on CIFAR-10."""
    return Setting(NetConfig(family="cifar", depth=depth, shortcut=shortcut, **varied))


def table1(depth: int, shortcut: Shortcut) -> Setting:
    """A net of Table 1, plain if the shortcut is "none"."""
    return Setting(NetConfig(family="imagenet", depth=depth, shortcut=shortcut))


def transformer(depth: int, shortcut: Shortcut = "A") -> Setting:
    """A small vision transformer of so many blocks, trained with Adam; one that diverges is a result."""
    net = NetConfig(family="transformer", depth=depth, shortcut=shortcut)
    return Setting(net, label=net.name).with_recipe(optimizer="adam", lr=1e-3, on_divergence="record")


def fully_connected(depth: int, features: str) -> Setting:
    """So many layers on a set of `tabular`: small batches, three times the profile's iterations."""
    net = NetConfig(family="fully-connected", depth=depth, shortcut="none")
    return (
        Setting(net, length=3, label=f"{net.name}, {features}")
        .with_data(name=features, image_size=1)
        .with_recipe(batch_size=32, lr=0.02, crop_padding=0)
        .with_recipe(milestones=(Share(3, 4),), log_every=Share(1, 24), eval_every=Share(1, 6))
    )
