"""Which runs each figure and table needs: one function per experiment, which returns its suite."""

from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from resnet_lib.runs.config import RunConfig, changed
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.settings import (
    DEPTHS,
    WARMED_UP_DEPTH,
    Setting,
    Share,
    fully_connected,
    plain,
    resnet,
    table1,
    transformer,
)


@dataclass(frozen=True)
class Suite:
    """The runs that one part of the book needs.

    `witnesses` are the settings of which a reader's `make reproduce` trains the first seed again: enough to see the
    suite's main result happen. None means all. They also come first when a suite is trained.
    """

    name: str
    title: str
    source: str
    settings: tuple[Setting, ...]
    witnesses: tuple[Setting, ...] | None = None

    def runs(self, profile: Profile, seeds: range | None = None) -> list[RunConfig]:
        """All runs, each once: seed by seed and witnesses first, so that what is done tells the most there can be."""
        seeds = range(profile.num_seeds) if seeds is None else seeds
        settings = dict.fromkeys((*(self.witnesses or ()), *self.settings))
        return list(dict.fromkeys(setting.at(profile, seed) for seed in seeds for setting in settings))

    def retrained(self, profile: Profile) -> list[RunConfig]:
        """The runs that a chapter trains again when it is told to: the first seed of the witnesses."""
        settings = self.settings if self.witnesses is None else self.witnesses
        return [setting.at(profile, 0) for setting in settings]


def degradation() -> Suite:
    """Figure 1, Figure 6 and Table 6 up to 110 layers: plain and residual nets of rising depth.

    At `paper` the residual nets should end at the test errors of Table 6: 8.75, 7.51, 7.17, 6.97 and 6.43 percent.
    Command: `python -m resnet_lib train --suite degradation --profile quick`.
    """
    depths = (*DEPTHS, WARMED_UP_DEPTH)
    return Suite(
        name="degradation",
        title="Plain and residual nets of rising depth",
        source="sections 1 and 4.2",
        settings=(*map(plain, depths), *map(resnet, depths)),
        witnesses=(plain(20), plain(56), resnet(20), resnet(56)),
    )


def long_runs() -> list[RunConfig]:
    """The paper's own schedule on CIFAR-10, most telling runs first, so that what is done tells the most there can be.

    The ends of Figure 6 first, then their second and third seeds, then what stands between and beyond them.
    """
    paper = PROFILES["paper"]
    ends = ((20, 0), (56, 0), (20, 1), (20, 2), (56, 1), (56, 2))  # depth, seed
    rest = [resnet(110)] + [net(depth) for depth in (32, 44) for net in (resnet, plain)] + [resnet(32, o) for o in "BC"]
    runs = [net(depth).at(paper, seed) for depth, seed in ends for net in (resnet, plain)]
    return runs + [setting.at(paper, 0) for setting in rest]


LESIONED = (plain(56), resnet(56), plain(20), resnet(20))
"""The settings of `degradation` whose trained nets are looked into afterwards."""


def keeps_weights(config: RunConfig) -> bool:
    """Whether trained weights should travel with a record: those of the first seed of a net that is looked into.

    At `smoke` they should not, since a net takes seconds to train again.
    """
    long = [profile for profile in PROFILES.values() if profile.name != "smoke"]
    return any(setting.at(profile, 0) == config for setting in LESIONED for profile in long)


def deepest() -> Suite:
    """Section 4.2's last experiment: 1202 layers. Hours at any profile."""
    return Suite("deepest", "A net of 1202 layers", "section 4.2", settings=(resnet(1202),), witnesses=())


def longer_training() -> Suite:
    """Section 4.1, footnote 3: three times the iterations, for the shallowest and the deepest plain net."""
    settings = (plain(20).longer(3), plain(56).longer(3))
    return Suite("longer-training", "Three times the iterations", "section 4.1, footnote 3", settings, settings[:1])


def on_digits(net: Setting) -> Setting:
    """On handwritten digits of 8x8 pixels, not cropped."""
    return net.with_data(name="digits", image_size=8).with_recipe(crop_padding=0)


def other_images() -> Suite:
    """Section 4.2: the difficulty is not special to one data set."""
    settings = tuple(map(on_digits, (plain(20), plain(56), resnet(20), resnet(56))))
    return Suite("other-images", "Handwritten digits", "section 4.2", settings, witnesses=settings[:2])


SMALLER_LRS = ({"optimizer": "sgd", "lr": 0.01}, {"optimizer": "sgd", "lr": 0.03})
OPTIMIZERS = (
    *SMALLER_LRS,
    {"optimizer": "sgd", "lr": 0.3},
    {"optimizer": "adam", "lr": 1e-3},
    {"optimizer": "rmsprop", "lr": 1e-3, "momentum": 0.0},
)
"""What the optimiser test changes in the paper's recipe, which is SGD with momentum 0.9 at lr 0.1."""

PLAIN_OPTIMIZED = tuple(plain(56).with_recipe(**changes) for changes in OPTIMIZERS)
RESIDUAL_OPTIMIZED = tuple(resnet(56).with_recipe(**changes) for changes in SMALLER_LRS)
"""The residual twin is tuned, too, so that tuning one net is not compared with not tuning the other."""


def optimizers() -> Suite:
    """Reading note 1: the deepest plain net, and its residual twin, under other optimisers and learning rates."""
    return Suite(
        name="optimizers",
        title="The deepest nets under other optimisers",
        source="reading note 1",
        settings=PLAIN_OPTIMIZED + RESIDUAL_OPTIMIZED,
        witnesses=(PLAIN_OPTIMIZED[0], RESIDUAL_OPTIMIZED[0]),
    )


UNNORMALISED_LRS = (0.1, 0.01, 0.001)


def unnormalised(net: Setting, lr: float) -> Setting:
    """The net without batch norm at a learning rate; that it diverges is a result, and is recorded as one."""
    bare = replace(net, net=changed(net.net, batch_norm=False))
    return bare.with_recipe(lr=lr, on_divergence="record")


def batch_norm() -> Suite:
    """Reading summary S2: nets without batch norm, at the paper's learning rate and smaller ones."""
    nets = (plain(20), resnet(20), plain(56), resnet(56))
    return Suite(
        name="batch-norm",
        title="With and without batch norm",
        source="reading summary S2",
        settings=(*nets, *(unnormalised(net, lr) for net in nets for lr in UNNORMALISED_LRS)),
        witnesses=(plain(20), unnormalised(plain(20), 0.1), unnormalised(plain(20), 0.01)),
    )


def early() -> Suite:
    """Section 4.1: the same nets after a quarter of the iterations, when gradients could still tell them apart."""
    nets = (plain(20), plain(56), resnet(20), resnet(56))
    settings = (net.with_recipe(iterations=Share(1, 4)).called(f"{net.name}, early") for net in nets)
    return Suite("early", "A quarter of the way", "section 4.1", tuple(settings), witnesses=())


def formulation() -> Suite:
    """Sections 3.1 and 3.2: residual functions of one layer, and blocks that start as the identity."""
    single = (plain(20, block="single"), resnet(20, block="single"))
    zero = (resnet(20, zero_init=True), resnet(56, zero_init=True))
    return Suite(
        name="formulation",
        title="The residual formulation",
        source="sections 3.1 and 3.2",
        settings=(plain(20), resnet(20), resnet(56), *single, *zero),
        witnesses=(single[1], zero[0]),
    )


def shortcut_options() -> Suite:
    """Section 4.1, the structure of Table 3: no shortcut, options A, B and C, and the follow-up paper's weaker ones."""
    return Suite(
        name="shortcut-options",
        title="Shortcut options",
        source="section 4.1, Table 3",
        settings=(plain(32), *(resnet(32, option) for option in ("A", "B", "C", "scaled", "gated"))),
        witnesses=(resnet(32, "B"), resnet(32, "C")),
    )


def shortcut_density() -> Suite:
    """Reading note 3: shortcuts in no block, in one block per stage, in every second, in every one."""
    some = (resnet(56, placement="stage"), resnet(56, placement="alternate"))
    settings = (plain(56), *some, resnet(56))
    return Suite("shortcut-density", "How many shortcuts", "reading note 3", settings, witnesses=some)


def bottlenecks() -> Suite:
    """Section 4.1, Figure 5: basic and bottleneck blocks of equal cost. 20 and 29 layers, 56 and 83 cost the same."""
    narrow = [net(depth, block="bottleneck") for net in (plain, resnet) for depth in (29, 83)]
    options = [resnet(29, option, block="bottleneck") for option in "BC"]  # B is the paper's for bottlenecks
    return Suite(
        name="bottlenecks",
        title="Bottlenecks",
        source="section 4.1, Figure 5",
        settings=(resnet(20), resnet(56), *narrow, *options),
        witnesses=(options[0], narrow[0]),
    )


FEW_IMAGES = 600
TWO_LAYERS, THREE_LAYERS = resnet(20, head=(256,)), resnet(20, head=(256, 256))
VGG_HEAD = resnet(20, head=(512, 512), pool="flatten")


def on_few_images(net: Setting) -> Setting:
    """On a tenth of the small training set."""
    return net.with_data(num_train=FEW_IMAGES)


def heads() -> Suite:
    """Reading note 9: one, two and three fully connected layers, and VGG's way, with all images and with a tenth.

    VGG's head diverges at the paper's learning rate, so it is compared at a tenth of it, too.
    """
    slow = [net.with_recipe(lr=0.01) for net in (resnet(20), VGG_HEAD)]
    full = (resnet(20), TWO_LAYERS, THREE_LAYERS, VGG_HEAD.with_recipe(on_divergence="record"), *slow)
    return Suite(
        name="heads",
        title="Heads",
        source="reading note 9",
        settings=(*full, *map(on_few_images, full)),
        witnesses=(TWO_LAYERS, on_few_images(resnet(20)), on_few_images(TWO_LAYERS)),
    )


SIX_LAYERS, MANY_UNITS = resnet(20, head=(64,) * 6), resnet(20, head=(2601,))


def backbone_or_head() -> Suite:
    """Reading note 8: six more layers, or 194,000 more parameters, in the backbone of ResNet-20 or in its head."""
    return Suite(
        name="backbone-or-head",
        title="More backbone or more head",
        source="reading note 8",
        settings=(resnet(20), resnet(26), SIX_LAYERS, resnet(32), MANY_UNITS),
        witnesses=(resnet(26), SIX_LAYERS),
    )


def features() -> Suite:
    """Reading note 9: one, two and three fully connected layers on features; seconds on any machine."""
    sets = ("parity", "breast-cancer", "wine")
    settings = tuple(fully_connected(depth, name) for name in sets for depth in (1, 2, 3))
    return Suite("features", "Fully connected layers on features", "reading note 9", settings)


ENDLESS_WARMUP = resnet(20).with_recipe(warmup_iterations=Share(1)).called("a warm-up that never ends")
DECAYED_BN = resnet(20).with_recipe(decayed="all").called("weight decay on BN and biases")
FP32 = resnet(20).with_recipe(precision="fp32").called("fp32")
FOLKLORE = (
    ENDLESS_WARMUP,
    resnet(20, stride_in="second").called("stride in a block's second layer"),
    resnet(20, stride_in="none").called("all stages at one resolution"),
    resnet(20, stem_relu=False).called("no ReLU after the stem"),
    resnet(20, "B", projection_norm=False).called("projections without BN"),
    resnet(20).with_recipe(bn_statistics="re-estimated").called("BN statistics re-estimated"),
    DECAYED_BN,
    resnet(20).with_recipe(momentum_form="caffe").called("momentum in Caffe's form"),
    resnet(20).with_recipe(subtract="channel mean").called("channel means subtracted"),
    resnet(20).with_recipe(subtract="nothing").called("nothing subtracted"),
    FP32,
)
"""What implementations do differently from the paper, or from this book where the paper is silent."""


def folklore() -> Suite:
    """Chapter 11: each departure on ResNet-20, to be compared with the recipe's ResNet-20 (B for the projections)."""
    return Suite(
        name="folklore",
        title="What other implementations do",
        source="implementations' own reports",
        settings=(resnet(20), resnet(20, "B"), *FOLKLORE),
        witnesses=(resnet(20), ENDLESS_WARMUP, DECAYED_BN),
    )


def transformers() -> Suite:
    """Reading summary S6: a small vision transformer with and without its shortcuts, trained with Adam."""
    settings = tuple(transformer(depth, shortcut) for shortcut in ("A", "none") for depth in (2, 6, 12))
    witnesses = (transformer(6), transformer(6, "none"))
    return Suite("transformers", "Beyond convolutions", "reading summary S6", settings, witnesses)


def table2() -> Suite:
    """Table 2, scaled down: the nets of Table 1 with 18 and 34 layers, on small images.

    Their stem was made for 224 pixels: at 64 the four stages see 16, 8, 4 and 2, and 8, 4, 2 and 1 at `smoke`'s 32.
    """
    settings = tuple(table1(depth, shortcut) for shortcut in ("none", "A") for depth in (18, 34))
    return Suite("table2", "Table 2, scaled down", "section 4.1, Table 2", settings, witnesses=())


def table3() -> Suite:
    """Table 3, scaled down: the plain net of 34 layers and the three shortcut options."""
    settings = tuple(table1(34, shortcut) for shortcut in ("none", "A", "B", "C"))
    return Suite("table3", "Table 3, scaled down", "section 4.1, Table 3", settings, witnesses=())


def table3_deep() -> Suite:
    """The rest of Table 3, scaled down: 50, 101 and 152 layers in bottlenecks. Wants a GPU at any profile but smoke."""
    settings = tuple(table1(depth, "B") for depth in (50, 101, 152))
    return Suite("table3-deep", "Table 3's deep nets, scaled down", "section 4.1, Table 3", settings, witnesses=())


VALIDATION = 1000  # images held back from training
FINE, OVERFITS, CANNOT_FIT, TOO_RIGID = "fine", "overfits", "cannot fit", "too rigid"


class Case(NamedTuple):
    """A run that was built to be a case of chapter 10, and the second run, with a head, that its curves ask for."""

    built: str
    setting: Setting
    second: Setting | None = None


_held = {"validation": VALIDATION}
_parity = [fully_connected(depth, "parity").with_data(validation=400) for depth in (1, 3)]
CASES = (
    Case(FINE, resnet(20).with_data(**_held).called("fine: ResNet-20")),
    Case(
        CANNOT_FIT,
        plain(56).with_data(**_held).called("cannot fit: plain-56"),
        second=plain(56, head=(256,)).with_data(**_held).called("with a head: plain-56, FC 256"),
    ),
    Case(OVERFITS, resnet(20).with_data(**_held, num_train=200).called("overfits: ResNet-20, 200 images")),
    Case(
        TOO_RIGID,
        _parity[0].called("too rigid: 1 FC on parity"),
        second=_parity[1].called("with a head: 3 FC on parity"),
    ),
)


def diagnoses() -> Suite:
    """Reading note 10: runs built to be each case of chapter 10, judged on images held back from training.

    The runs "with a head" are second runs of the nets that do not fit: one is helped by it, the other is not.
    """
    settings = tuple(setting for case in CASES for setting in case[1:] if setting is not None)
    return Suite("diagnoses", "Cases of chapter 10", "reading note 10", settings, witnesses=settings[-2:])


_suites = (degradation, deepest, longer_training, other_images, optimizers, batch_norm, early, formulation)
_suites += (shortcut_options, shortcut_density, bottlenecks, heads, backbone_or_head, features, folklore)
_suites += (transformers, table2, table3, table3_deep, diagnoses)
SUITES = {suite.name: suite for suite in (make() for make in _suites)}


class Home(NamedTuple):
    """Where a run belongs."""

    suite: Suite
    profile: Profile
    setting: Setting

    @property
    def page(self) -> str:
        """The page of the book that lists the run, with all others of the suite and profile."""
        return f"{self.suite.name}-{self.profile.name}"


def home(config: RunConfig) -> Home | None:
    """The first suite that makes this run, though others may share it; None for a run of no suite."""
    return _homes().get(config)


@cache
def _homes() -> dict[RunConfig, Home]:
    homes: dict[RunConfig, Home] = {}
    for profile in PROFILES.values():
        for suite in SUITES.values():
            for setting in suite.settings:
                for seed in range(max(profile.num_seeds for profile in PROFILES.values())):
                    homes.setdefault(setting.at(profile, seed), Home(suite, profile, setting))
    return homes
