"""Which runs each figure and table needs: one function per experiment, which returns its suite for a profile."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple, TypeVar

from resnet_lib.errors import UserError
from resnet_lib.runs.config import DataConfig, NetConfig, Recipe, RunConfig

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


def imagenet_recipe(images_per_epoch: int, batch_size: int, epochs: int, milestones: tuple[int, ...]) -> Recipe:
    """Section 3.4 for images of 64 pixels: a recipe in epochs, which become iterations.

    The learning rate is the paper's 0.1 for a batch of 256, in proportion for other sizes (Goyal et al. 2017). The
    paper steps it down when the error stops falling; epochs fixed beforehand keep the schedule a function of the
    iteration alone. Its augmentation crops an enlarged image. At 64 pixels there is nothing to enlarge, so crops are
    taken as on CIFAR-10, with a border that is twice as wide, as the image is.
    """
    epoch = images_per_epoch // batch_size
    return changed(
        PAPER_RECIPE,
        iterations=epochs * epoch,
        milestones=tuple(milestone * epoch for milestone in milestones),
        batch_size=batch_size,
        lr=0.1 * batch_size / 256,
        crop_padding=8,
        log_every=epoch,
        eval_every=epoch,
    )


@dataclass(frozen=True)
class Profile:
    """A scale at which every suite can be run: which images, how long, and how many seeds the book records.

    The nets of Table 1 have images and a recipe of their own.
    """

    name: str
    summary: str
    data: DataConfig
    recipe: Recipe
    imagenet_data: DataConfig
    imagenet_recipe: Recipe
    num_seeds: int


SMOKE_RECIPE = changed(PAPER_RECIPE, iterations=200, milestones=(150,), crop_padding=0, log_every=25, eval_every=50)

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="smoke",
            summary="6,000 images of Fashion-MNIST at 16 x 16 pixels, 200 iterations",
            data=DataConfig(name="fashion-mnist-mini", image_size=16),
            recipe=SMOKE_RECIPE,
            imagenet_data=DataConfig(name="fashion-mnist-mini", image_size=32),
            imagenet_recipe=SMOKE_RECIPE,
            num_seeds=5,
        ),
        Profile(
            name="quick",
            summary="CIFAR-10, one tenth of the paper's schedule (6,400 iterations)",
            data=DataConfig(name="cifar10", image_size=32),
            recipe=changed(PAPER_RECIPE, iterations=6400, milestones=(3200, 4800), log_every=100, eval_every=400),
            imagenet_data=DataConfig(name="tiny-imagenet-25", image_size=64),
            imagenet_recipe=imagenet_recipe(12_500, batch_size=128, epochs=20, milestones=(10, 15)),
            num_seeds=3,
        ),
        Profile(
            name="paper",
            summary="CIFAR-10, the paper's schedule (64,000 iterations)",
            data=DataConfig(name="cifar10", image_size=32),
            recipe=PAPER_RECIPE,
            imagenet_data=DataConfig(name="tiny-imagenet-100", image_size=64),
            imagenet_recipe=imagenet_recipe(50_000, batch_size=256, epochs=90, milestones=(30, 60)),
            num_seeds=5,
        ),
    )
}
"""From seconds a run to hours a run. Nothing but `quick` and `paper` ever needs CIFAR-10 or Tiny ImageNet."""

DEPTHS = (20, 32, 44, 56)
WARMED_UP_DEPTH = 110  # from here on the paper starts with a smaller learning rate
WARMUP_ITERATIONS = 400


def plain(depth: int, **varied: object) -> NetConfig:
    """A plain CIFAR net, with fields of `NetConfig` that are not the paper's."""
    return NetConfig(family="cifar", depth=depth, shortcut="none", **varied)


def resnet(depth: int, shortcut: str = "A", **varied: object) -> NetConfig:
    """A residual CIFAR net; the paper uses option A on CIFAR-10."""
    return NetConfig(family="cifar", depth=depth, shortcut=shortcut, **varied)


def table1_net(depth: int, shortcut: str) -> NetConfig:
    """A net of Table 1, plain if the shortcut is "none"."""
    return NetConfig(family="imagenet", depth=depth, shortcut=shortcut)


def run(net: NetConfig, profile: Profile, seed: int, data: DataConfig | None = None, **changes: object) -> RunConfig:
    """One run of a profile, on other data perhaps, with some of the recipe's fields changed.

    The 110-layer net is warmed up: lr 0.01 for 400 iterations. The paper ends its warm-up when the training error
    falls below 80%, "about 400 iterations", and a fixed number keeps the schedule a function of the iteration alone.
    """
    of_table1 = net.family == "imagenet"
    recipe = profile.imagenet_recipe if of_table1 else profile.recipe
    data = data or (profile.imagenet_data if of_table1 else profile.data)
    if net.family == "cifar" and net.depth >= WARMED_UP_DEPTH:
        recipe = changed(recipe, warmup_iterations=min(WARMUP_ITERATIONS, recipe.iterations // 10))
    return RunConfig(net=net, data=data, recipe=changed(recipe, **changes), seed=seed)


Setting = Callable[[Profile, int], RunConfig]


def setting(net: NetConfig, data: dict[str, object] | None = None, **changes: object) -> Setting:
    """A net under the profile's recipe and on its images, with some fields of either changed."""

    def make(profile: Profile, seed: int) -> RunConfig:
        other = profile.data.model_copy(update=data) if data else None  # nets of Table 1 have no such variants
        return run(net, profile, seed, other, **changes)

    return make


def by_name(*nets: NetConfig, data: dict[str, object] | None = None, **changes: object) -> dict[str, Setting]:
    """One setting per net, called as the net is."""
    return {net.name: setting(net, data, **changes) for net in nets}


@dataclass(frozen=True)
class Suite:
    """The runs that one part of the book needs: named settings, each a function of profile and seed.

    `witnesses` are the settings of which a reader's `make reproduce` trains the first seed again: enough to see the
    suite's main result happen. None means all. They also come first when a suite is trained.
    """

    name: str
    title: str
    source: str
    settings: dict[str, Setting]
    witnesses: tuple[str, ...] | None = None

    def runs(self, profile: Profile, seeds: range | None = None) -> list[RunConfig]:
        """All runs, each once: seed by seed and witnesses first, so that what is done tells the most there can be."""
        seeds = range(profile.num_seeds) if seeds is None else seeds
        names = dict.fromkeys((*(self.witnesses or ()), *self.settings))
        return list(dict.fromkeys(self.settings[name](profile, seed) for seed in seeds for name in names))

    def retrained(self, profile: Profile) -> list[RunConfig]:
        """The runs that a chapter trains again when it is told to: the first seed of the witnesses."""
        names = self.settings if self.witnesses is None else self.witnesses
        return [self.settings[name](profile, 0) for name in names]

    def setting(self, name: str, profile: Profile) -> list[RunConfig]:
        """The runs of one setting, one per seed."""
        return [self.settings[name](profile, seed) for seed in range(profile.num_seeds)]


def degradation() -> Suite:
    """Figure 1, Figure 6 and Table 6 up to 110 layers: plain and residual nets of rising depth.

    At `paper` the residual nets should end at the test errors of Table 6: 8.75, 7.51, 7.17, 6.97 and 6.43 percent.
    Command: `python -m resnet_lib train --suite degradation --profile quick`.
    """
    depths = (*DEPTHS, WARMED_UP_DEPTH)
    settings = by_name(*map(plain, depths), *map(resnet, depths))
    witnesses = ("plain-20", "plain-56", "ResNet-20 A", "ResNet-56 A")
    return Suite("degradation", "Plain and residual nets of rising depth", "sections 1 and 4.2", settings, witnesses)


def long_runs() -> list[RunConfig]:
    """The paper's own schedule on CIFAR-10, most telling runs first, so that what is done tells the most there can be.

    The ends of Figure 6 first, then their second and third seeds, then what stands between and beyond them.
    """
    paper = PROFILES["paper"]
    ends = [[(net(depth), seed) for net in (resnet, plain)] for seed in range(3) for depth in (20, 56)]
    first, second, *others = ends  # depth 20 and depth 56 of seed 0
    others = [others[0], others[2], others[1], others[3]]  # seeds 1 and 2 of depth 20, then of depth 56
    rest = [resnet(110)] + [net(depth) for depth in (32, 44) for net in (resnet, plain)] + [resnet(32, o) for o in "BC"]
    pairs = [pair for group in (first, second, *others) for pair in group] + [(net, 0) for net in rest]
    return [run(net, paper, seed) for net, seed in pairs]


LESIONED = ("plain-56", "ResNet-56 A", "plain-20", "ResNet-20 A")
"""The settings of `degradation` whose trained nets are looked into afterwards."""


def keeps_weights(config: RunConfig) -> bool:
    """Whether trained weights should travel with a record: those of the first seed of a net that is looked into.

    At `smoke` they should not, since a net takes seconds to train again.
    """
    settings = degradation().settings
    long = [profile for profile in PROFILES.values() if profile.name != "smoke"]
    return any(settings[name](profile, 0) == config for name in LESIONED for profile in long)


def deepest() -> Suite:
    """Section 4.2's last experiment: 1202 layers. Hours at any profile."""
    return Suite("deepest", "A net of 1202 layers", "section 4.2", by_name(resnet(1202)), ())


def longer_training() -> Suite:
    """Section 4.1, footnote 3: three times the iterations, for the shallowest and the deepest plain net."""

    def thrice(net: NetConfig) -> Setting:
        def make(profile: Profile, seed: int) -> RunConfig:
            recipe = longer(profile.recipe, 3)
            return run(net, profile, seed, iterations=recipe.iterations, milestones=recipe.milestones)

        return make

    settings = {f"{net.name}, 3x iterations": thrice(net) for net in (plain(20), plain(56))}
    witnesses = ("plain-20, 3x iterations",)
    return Suite("longer-training", "Three times the iterations", "section 4.1, footnote 3", settings, witnesses)


def other_images() -> Suite:
    """Section 4.2: the difficulty is not special to one data set. Handwritten digits of 8x8 pixels, not cropped."""
    digits = {"name": "digits", "image_size": 8}
    nets = (plain(20), plain(56), resnet(20), resnet(56))
    settings = {f"{net.name}, digits": setting(net, digits, crop_padding=0) for net in nets}
    return Suite(
        "other-images", "Handwritten digits", "section 4.2", settings, ("plain-20, digits", "plain-56, digits")
    )


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
    settings = {f"{net.name}, {name}": setting(net, **OPTIMIZERS[name]) for net, name in pairs}
    witnesses = ("plain-56, SGD, lr 0.01", "ResNet-56 A, SGD, lr 0.01")
    return Suite("optimizers", "The deepest nets under other optimisers", "reading note 1", settings, witnesses)


UNNORMALISED_LRS = (0.1, 0.01, 0.001)


def batch_norm() -> Suite:
    """Reading summary S2: nets without batch norm, at the paper's learning rate and smaller ones.

    A net that diverges is a result here, and is recorded as one.
    """
    settings = by_name(plain(20), resnet(20), plain(56), resnet(56))
    for net in (n(depth, batch_norm=False) for depth in (20, 56) for n in (plain, resnet)):
        for lr in UNNORMALISED_LRS:
            settings[f"{net.name}, lr {lr:g}"] = setting(net, lr=lr, on_divergence="record")
    witnesses = ("plain-20", "plain-20, no BN, lr 0.1", "plain-20, no BN, lr 0.01")
    return Suite("batch-norm", "With and without batch norm", "reading summary S2", settings, witnesses)


def early() -> Suite:
    """Section 4.1: the same nets after a quarter of the iterations, when gradients could still tell them apart."""

    def quarter(net: NetConfig) -> Setting:
        def make(profile: Profile, seed: int) -> RunConfig:
            return run(net, profile, seed, iterations=profile.recipe.iterations // 4)

        return make

    nets = (plain(20), plain(56), resnet(20), resnet(56))
    return Suite("early", "A quarter of the way", "section 4.1", {n.name + ", early": quarter(n) for n in nets}, ())


def formulation() -> Suite:
    """Sections 3.1 and 3.2: residual functions of one layer, and blocks that start as the identity."""
    single = [plain(20, block="single"), resnet(20, block="single")]
    zero = [resnet(20, zero_init=True), resnet(56, zero_init=True)]
    settings = by_name(plain(20), resnet(20), resnet(56), *single, *zero)
    witnesses = ("ResNet-20 A, one-layer blocks", "ResNet-20 A, zero init")
    return Suite("formulation", "The residual formulation", "sections 3.1 and 3.2", settings, witnesses)


def shortcut_options() -> Suite:
    """Section 4.1, the structure of Table 3: no shortcut, options A, B and C, and the follow-up paper's weaker ones."""
    options = ("A", "B", "C", "scaled", "gated")
    settings = by_name(plain(32), *(resnet(32, option) for option in options))
    witnesses = ("ResNet-32 B", "ResNet-32 C")
    return Suite("shortcut-options", "Shortcut options", "section 4.1, Table 3", settings, witnesses)


def shortcut_density() -> Suite:
    """Reading note 3: shortcuts in no block, in one block per stage, in every second, in every one."""
    nets = (plain(56), resnet(56, placement="stage"), resnet(56, placement="alternate"), resnet(56))
    witnesses = (nets[1].name, nets[2].name)
    return Suite("shortcut-density", "How many shortcuts", "reading note 3", by_name(*nets), witnesses)


def bottlenecks() -> Suite:
    """Section 4.1, Figure 5: basic and bottleneck blocks of equal cost. 20 and 29 layers, 56 and 83 cost the same."""
    narrow = [net(depth, block="bottleneck") for net in (plain, resnet) for depth in (29, 83)]
    options = [resnet(29, option, block="bottleneck") for option in ("B", "C")]  # B is the paper's for bottlenecks
    settings = by_name(resnet(20), resnet(56), *narrow, *options)
    witnesses = ("ResNet-29 B, bottlenecks", "plain-29, bottlenecks")
    return Suite("bottlenecks", "Bottlenecks", "section 4.1, Figure 5", settings, witnesses)


FEW_IMAGES = 600


def heads() -> Suite:
    """Reading note 9: one, two and three fully connected layers, and VGG's way, with all images and with a tenth.

    VGG's head diverges at the paper's learning rate, so it is compared at a tenth of it, too.
    """
    nets = [resnet(20), resnet(20, head=(256,)), resnet(20, head=(256, 256))]
    vgg = resnet(20, head=(512, 512), pool="flatten")
    settings = {}
    for suffix, data in (("", None), (f", {FEW_IMAGES} images", {"num_train": FEW_IMAGES})):
        settings |= {f"{net.name}{suffix}": setting(net, data) for net in nets}
        settings[f"{vgg.name}{suffix}"] = setting(vgg, data, on_divergence="record")
        for net in (nets[0], vgg):
            settings[f"{net.name}, lr 0.01{suffix}"] = setting(net, data, lr=0.01)
    witnesses = (nets[1].name, f"{nets[0].name}, {FEW_IMAGES} images", f"{nets[1].name}, {FEW_IMAGES} images")
    return Suite("heads", "Heads", "reading note 9", settings, witnesses)


def backbone_or_head() -> Suite:
    """Reading note 8: six more layers, or 194,000 more parameters, in the backbone of ResNet-20 or in its head."""
    layers = [resnet(26), resnet(20, head=(64,) * 6)]
    parameters = [resnet(32), resnet(20, head=(2601,))]
    settings = by_name(resnet(20), *layers, *parameters)
    witnesses = ("ResNet-26 A", layers[1].name)
    return Suite("backbone-or-head", "More backbone or more head", "reading note 8", settings, witnesses)


def on_features(name: str, depth: int, validation: int = 0) -> Setting:
    """Fully connected layers on a set of `tabular`: small batches, three times the profile's iterations."""
    net = NetConfig(family="fully-connected", depth=depth, shortcut="none")
    data = DataConfig(name=name, image_size=1, validation=validation)

    def make(profile: Profile, seed: int) -> RunConfig:
        iterations = 3 * profile.recipe.iterations
        schedule = {"iterations": iterations, "milestones": (iterations * 3 // 4,)}
        points = {"log_every": iterations // 24, "eval_every": iterations // 6}
        return run(net, profile, seed, data, batch_size=32, lr=0.02, crop_padding=0, **schedule, **points)

    return make


def features() -> Suite:
    """Reading note 9: one, two and three fully connected layers on features; seconds on any machine."""
    sets = ("parity", "breast-cancer", "wine")
    settings = {f"{depth} FC, {name}": on_features(name, depth) for name in sets for depth in (1, 2, 3)}
    return Suite("features", "Fully connected layers on features", "reading note 9", settings)


FOLKLORE: dict[str, Setting] = {
    "a warm-up that never ends": lambda profile, seed: run(
        resnet(20), profile, seed, warmup_iterations=profile.recipe.iterations
    ),
    "stride in a block's second layer": setting(resnet(20, stride_in="second")),
    "all stages at one resolution": setting(resnet(20, stride_in="none")),
    "no ReLU after the stem": setting(resnet(20, stem_relu=False)),
    "projections without BN": setting(resnet(20, "B", projection_norm=False)),
    "BN statistics re-estimated": setting(resnet(20), bn_statistics="re-estimated"),
    "weight decay on BN and biases": setting(resnet(20), decayed="all"),
    "momentum in Caffe's form": setting(resnet(20), momentum_form="caffe"),
    "channel means subtracted": setting(resnet(20), subtract="channel mean"),
    "nothing subtracted": setting(resnet(20), subtract="nothing"),
    "fp32": setting(resnet(20), precision="fp32"),
}
"""What implementations do differently from the paper, or from this book where the paper is silent."""


def folklore() -> Suite:
    """Chapter 11: each departure on ResNet-20, to be compared with the recipe's ResNet-20 (B for the projections)."""
    settings = by_name(resnet(20), resnet(20, "B")) | FOLKLORE
    witnesses = ("ResNet-20 A", "a warm-up that never ends", "weight decay on BN and biases")
    return Suite("folklore", "What other implementations do", "implementations' own reports", settings, witnesses)


TRANSFORMER_DEPTHS = (2, 6, 12)


def transformers() -> Suite:
    """Reading summary S6: a small vision transformer with and without its shortcuts, trained with Adam."""
    nets = [
        NetConfig(family="transformer", depth=depth, shortcut=shortcut)
        for shortcut in ("A", "none")
        for depth in TRANSFORMER_DEPTHS
    ]
    settings = by_name(*nets, optimizer="adam", lr=1e-3, on_divergence="record")
    witnesses = ("transformer-6", "transformer-6 without shortcuts")
    return Suite("transformers", "Beyond convolutions", "reading summary S6", settings, witnesses)


def table2() -> Suite:
    """Table 2, scaled down: the nets of Table 1 with 18 and 34 layers, on small images.

    Their stem was made for 224 pixels: at 64 the four stages see 16, 8, 4 and 2, and 8, 4, 2 and 1 at `smoke`'s 32.
    """
    nets = [table1_net(depth, shortcut) for shortcut in ("none", "A") for depth in (18, 34)]
    return Suite("table2", "Table 2, scaled down", "section 4.1, Table 2", by_name(*nets), ())


def table3() -> Suite:
    """Table 3, scaled down: the plain net of 34 layers and the three shortcut options."""
    nets = [table1_net(34, shortcut) for shortcut in ("none", "A", "B", "C")]
    return Suite("table3", "Table 3, scaled down", "section 4.1, Table 3", by_name(*nets), ())


def table3_deep() -> Suite:
    """The rest of Table 3, scaled down: 50, 101 and 152 layers in bottlenecks. Wants a GPU at any profile but smoke."""
    nets = [table1_net(depth, "B") for depth in (50, 101, 152)]
    return Suite("table3-deep", "Table 3's deep nets, scaled down", "section 4.1, Table 3", by_name(*nets), ())


VALIDATION = 1000


def diagnoses() -> Suite:
    """Reading note 10: runs built to be each case of chapter 10, judged on images held back from training.

    The runs "with a head" are second runs of the nets that do not fit: one is helped by it, the other is not.
    """
    held = {"validation": VALIDATION}
    few = {"validation": VALIDATION, "num_train": 200}

    settings = {
        "fine: ResNet-20": setting(resnet(20), held),
        "cannot fit: plain-56": setting(plain(56), held),
        "with a head: plain-56, FC 256": setting(plain(56, head=(256,)), held),
        "overfits: ResNet-20, 200 images": setting(resnet(20), few),
        "too rigid: 1 FC on parity": on_features("parity", 1, validation=400),
        "with a head: 3 FC on parity": on_features("parity", 3, validation=400),
    }
    witnesses = ("too rigid: 1 FC on parity", "with a head: 3 FC on parity")
    return Suite("diagnoses", "Cases of chapter 10", "reading note 10", settings, witnesses)


_suites = (degradation, deepest, longer_training, other_images, optimizers, batch_norm, early, formulation)
_suites += (shortcut_options, shortcut_density, bottlenecks, heads, backbone_or_head, features, folklore)
_suites += (transformers, table2, table3, table3_deep, diagnoses)
SUITES = {suite.name: suite for suite in (make() for make in _suites)}


class Home(NamedTuple):
    """Where a run belongs: a suite, a profile, and the name of its setting there."""

    suite: str
    profile: str
    setting: str

    @property
    def page(self) -> str:
        """The page of the book that lists the run, with all others of the suite and profile."""
        return f"{self.suite}-{self.profile}"


def home(config: RunConfig) -> Home | None:
    """The first suite that makes this run, though others may share it; None for a run of no suite."""
    return _homes().get(config)


@cache
def _homes() -> dict[RunConfig, Home]:
    homes: dict[RunConfig, Home] = {}
    for profile in PROFILES.values():
        for suite in SUITES.values():
            for setting, make in suite.settings.items():
                for seed in range(max(profile.num_seeds for profile in PROFILES.values())):
                    homes.setdefault(make(profile, seed), Home(suite.name, profile.name, setting))
    return homes


T = TypeVar("T")


def lookup(table: dict[str, T], name: str, kind: str) -> T:
    """The entry of a registry.

    Raises:
        UserError: there is none; the message offers the nearest names.
    """
    if name in table:
        return table[name]
    hint = nearest(name, table) or f"choose one of {', '.join(table)}"
    raise UserError(f"no {kind} is called {name!r}; {hint}")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The question whether one of the nearest names was meant, if any is near."""
    near = get_close_matches(name, names, n=2, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else None
