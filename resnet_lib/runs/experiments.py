"""Which runs each figure and table needs: the suites, and the settings in them that are more than a net."""

from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from resnet_lib.runs.config import RunConfig, changed
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.settings import DEPTHS, Setting, Share, fully_connected, plain, resnet, table1, transformer

ENDS = (plain(20), plain(56), resnet(20), resnet(56))
"""Where most comparisons of depth, with shortcuts and without, are made."""


def on_digits(net: Setting) -> Setting:
    """On handwritten digits of 8x8 pixels, not cropped."""
    return net.with_data(name="digits", image_size=8).with_recipe(crop_padding=0)


WARM = {"warmup_iterations": Share(1, 10), "warmup_lr": 0.01}
RATES = ({"lr": 0.003}, {"lr": 0.01}, {"lr": 0.03}, {"lr": 0.1}, {"lr": 0.02} | WARM, {"lr": 0.1} | WARM)
"""Learning rates of which each net gets its best, chosen on `CHOOSING_SEEDS`."""
RATED = tuple(net(depth) for depth in (20, 56, 32) for net in (plain, resnet))
IDENTITIES = tuple(resnet(depth, zero_init=True) for depth in (20, 56))
IDENTITY_RATES = (*RATES, {"lr": 0.3}, {"lr": 1.0, "on_divergence": "record"})
"""More of them, since nets whose blocks start as the identity were best at the largest of the others."""
WARMED_UP = tuple(net.with_recipe(**RATES[-1]) for net in ENDS)
"""At the paper's rate of 0.1, after a tenth of the iterations at 0.01."""
CHOOSING_SEEDS = (100, 101)  # of no verdict
CHOSEN = {plain(20): RATES[2], resnet(20): RATES[2], plain(56): RATES[4], resnet(56): RATES[4]}
CHOSEN |= dict.fromkeys(IDENTITIES, IDENTITY_RATES[6])
"""The best rate of each net by the mean training error on `CHOOSING_SEEDS` at `small`; a test works it out again."""


SMALL_BRANCHES = tuple(
    resnet(depth, batch_norm=False, init=init) for init in ("skipinit", "fixup") for depth in (20, 56)
)
BETTER_STARTS = tuple(plain(56, init=init) for init in ("dirac", "orthogonal"))
BRANCH_RATES = tuple({"lr": lr, "on_divergence": "record"} for lr in (0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5))
START_RATES = ({"lr": 0.001}, *RATES)
RATES_OF = dict.fromkeys(SMALL_BRANCHES, BRANCH_RATES) | dict.fromkeys(BETTER_STARTS, START_RATES)
"""The rates that nets which start otherwise have to choose from, on the same seeds."""
CHOSEN_OF = {net: BRANCH_RATES[5 if net.net.init == "fixup" else 4] for net in SMALL_BRANCHES}
CHOSEN_OF |= dict(zip(BETTER_STARTS, (RATES[4], RATES[0]), strict=True))
"""The best of them, chosen in the same way."""
MOVED = tuple(resnet(depth, block=block) for depth in (20, 56) for block in ("pre-activation", "norm after addition"))
"""Residual nets whose batch norm and ReLU stand elsewhere."""


def tuned(net: Setting) -> Setting:
    """The net at its own best learning rate."""
    return net.with_recipe(**(CHOSEN | CHOSEN_OF)[net])


OPTIMIZERS = (
    *({"optimizer": "adam", "lr": lr} for lr in (3e-4, 1e-3, 3e-3, 1e-2)),
    *({"optimizer": "rmsprop", "lr": lr, "momentum": 0.0} for lr in (3e-4, 1e-3, 3e-3)),
    *({"lr": lr, "clip_norm": 1.0} | WARM for lr in (0.02, 0.1, 0.3, 1.0)),
)
"""Other ways to train the deep plain net than SGD at one of `RATES`, the best of them chosen on the same seeds."""
OPTIMIZED = tuple(plain(56).with_recipe(**optimizer) for optimizer in OPTIMIZERS)
BEST_OPTIMIZED = OPTIMIZED[-3]
"""The best of them by the mean training error on `CHOOSING_SEEDS` at `small`; a test works it out again."""

UNNORMALISED_LRS = (0.1, 0.01, 0.001)


def unnormalised(net: Setting, lr: float) -> Setting:
    """The net without batch norm at a learning rate; that it diverges is a result, and is recorded as one."""
    return replace(net, net=changed(net.net, batch_norm=False)).with_recipe(lr=lr, on_divergence="record")


UNNORMALISED = tuple(
    unnormalised(net(depth), lr) for depth in (20, 56) for net in (plain, resnet) for lr in UNNORMALISED_LRS
)


def early(net: Setting) -> Setting:
    """Stopped after a quarter of the iterations."""
    return net.with_recipe(iterations=Share(1, 4)).called(f"{net.name}, early")


TWO_LAYERS, THREE_LAYERS = resnet(20, head=(256,)), resnet(20, head=(256, 256))
VGG_HEAD = resnet(20, head=(512, 512), pool="flatten")
SIX_LAYERS, MANY_UNITS = resnet(20, head=(64,) * 6), resnet(20, head=(2601,))
SLOW = [net.with_recipe(lr=0.01) for net in (resnet(20), VGG_HEAD)]  # VGG's head diverges at the paper's learning rate
HEADS = (resnet(20), TWO_LAYERS, THREE_LAYERS, VGG_HEAD.with_recipe(on_divergence="record"), *SLOW)
HASTY = (
    resnet(20)
    .with_recipe(
        lr=0.1, iterations=Share(1, 2), milestones=[Share(3, 8)], log_every=Share(1, 16), eval_every=Share(1, 8)
    )
    .called("ResNet-20 A, half as long at lr 0.1")
)
"""At the paper's learning rate for so few steps that seeds scatter widely."""
FEW_IMAGES = 600


def on_few_images(net: Setting) -> Setting:
    """On a tenth of the small training set."""
    return net.with_data(num_train=FEW_IMAGES)


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
CONSTRUCTED = tuple(setting for case in CASES for setting in case[1:] if setting)


@dataclass(frozen=True)
class Suite:
    """The runs that one part of the book needs.

    `witnesses` are the settings of which a reader's `make reproduce` trains the first seed again: enough to see the
    suite's main result happen. None means all. They also come first when a suite is trained. `seeds` are the suite's
    own where something is chosen by it: a profile's seeds are those that judge.
    """

    name: str
    title: str
    source: str
    settings: tuple[Setting, ...]
    witnesses: tuple[Setting, ...] | None = None
    seeds: tuple[int, ...] = ()

    def runs(self, profile: Profile, seeds: range | None = None) -> list[RunConfig]:
        """All runs, each once: seed by seed and witnesses first, so that what is done tells the most there can be."""
        seeds = (self.seeds or profile.seeds) if seeds is None else seeds
        settings = dict.fromkeys((*(self.witnesses or ()), *self.settings))
        return list(dict.fromkeys(setting.at(profile, seed) for seed in seeds for setting in settings))

    def retrained(self, profile: Profile) -> list[RunConfig]:
        """The runs that a chapter trains again when it is told to: the first seed of the witnesses."""
        settings = self.settings if self.witnesses is None else self.witnesses
        return [setting.at(profile, 0) for setting in settings]


SUITES = {
    suite.name: suite
    for suite in (
        # Figure 1, Figure 6 and Table 6 up to 110 layers. At `paper` the residual nets should end at the test errors of
        # Table 6: 8.75, 7.51, 7.17, 6.97 and 6.43 percent.
        Suite(
            "degradation",
            "Plain and residual nets of rising depth",
            "sections 1 and 4.2",
            settings=tuple(net(depth) for net in (plain, resnet) for depth in (*DEPTHS, 110)),
            witnesses=(plain(20), plain(56), resnet(20), resnet(56)),
        ),
        # Hours at any profile.
        Suite("deepest", "A net of 1202 layers", "section 4.2", settings=(resnet(1202),), witnesses=()),
        Suite(
            "longer-training",
            "Three times the iterations",
            "section 4.1, footnote 3",
            settings=(plain(20).longer(3), plain(56).longer(3)),
            witnesses=(),
        ),
        # The difficulty is not special to one data set.
        Suite(
            "other-images",
            "Handwritten digits",
            "section 4.2",
            settings=tuple(map(on_digits, ENDS)),
            witnesses=(on_digits(plain(20)), on_digits(plain(56))),
        ),
        # Of which the best is chosen, as of the rates.
        Suite(
            "optimizers",
            "The deep plain net under other optimisers",
            "reading note 1",
            settings=OPTIMIZED,
            witnesses=(),
            seeds=CHOOSING_SEEDS,
        ),
        # Each net's best learning rate, chosen on seeds that judge nothing: deep and shallow, plain and residual, and
        # residual nets whose blocks all start as the identity.
        Suite(
            "rates",
            "Learning rates by depth",
            "reading note 1",
            settings=(
                *(net.with_recipe(**rate) for net in RATED for rate in RATES),
                *(net.with_recipe(**rate) for net in IDENTITIES for rate in IDENTITY_RATES),
            ),
            witnesses=(),
            seeds=CHOOSING_SEEDS,
        ),
        # Judged on other seeds.
        Suite(
            "tuned",
            "Each net at its own learning rate, and the deep plain net under another optimiser",
            "reading note 1",
            settings=(*map(tuned, CHOSEN), BEST_OPTIMIZED),
            witnesses=(),
        ),
        # The paper warms up its net of 110 layers alone. On CIFAR-10 at a tenth: what a warm-up does for the others.
        Suite(
            "warmed-up",
            "The paper's rate, warmed up at all depths",
            "section 4.2",
            settings=WARMED_UP,
            witnesses=(),
        ),
        # Chosen and judged in the same way: nets without batch norm whose branches start small, and plain nets whose
        # layers start as the identity or as rotations.
        Suite(
            "start-rates",
            "Learning rates of nets that start otherwise",
            "reading notes S2 and 1",
            settings=tuple(net.with_recipe(**rate) for net, rates in RATES_OF.items() for rate in rates),
            witnesses=(),
            seeds=CHOOSING_SEEDS,
        ),
        Suite(
            "small-branches",
            "Branches that start small, without batch norm",
            "reading note S2",
            settings=tuple(map(tuned, SMALL_BRANCHES)),
            witnesses=(),
        ),
        Suite(
            "better-starts",
            "The deep plain net from a better start",
            "reading note 1",
            settings=tuple(map(tuned, BETTER_STARTS)),
            witnesses=(),
        ),
        Suite(
            "moved",
            "Batch norm and ReLU in other places",
            "1603.05027",
            settings=(resnet(20), resnet(56), *MOVED),
            witnesses=(),
        ),
        Suite(
            "batch-norm",
            "With and without batch norm",
            "reading summary S2",
            settings=(plain(20), resnet(20), plain(56), resnet(56), *UNNORMALISED),
            witnesses=(plain(20), unnormalised(plain(20), 0.01)),
        ),
        # When gradients could still tell the nets apart.
        Suite("early", "A quarter of the way", "section 4.1", settings=tuple(map(early, ENDS)), witnesses=()),
        # Residual functions of one layer, and blocks that start as the identity.
        Suite(
            "formulation",
            "The residual formulation",
            "sections 3.1 and 3.2",
            settings=(
                *(plain(20), resnet(20), resnet(56)),
                *(plain(20, block="single"), resnet(20, block="single")),
                *(resnet(20, zero_init=True), resnet(56, zero_init=True)),
            ),
            witnesses=(resnet(20, block="single"),),
        ),
        # The structure of Table 3, and the follow-up paper's weaker shortcuts.
        Suite(
            "shortcut-options",
            "Shortcut options",
            "section 4.1, Table 3",
            settings=(plain(32), *(resnet(32, option) for option in ("A", "B", "C", "scaled", "gated"))),
            witnesses=(resnet(32, "C"),),
        ),
        # In no block, in one block per stage, in every second, in every one.
        Suite(
            "shortcut-density",
            "How many shortcuts",
            "reading note 3",
            settings=(plain(56), resnet(56, placement="stage"), resnet(56, placement="alternate"), resnet(56)),
            witnesses=(resnet(56, placement="stage"),),
        ),
        # Basic and bottleneck blocks of equal cost: 20 and 29 layers, 56 and 83. Option B is as in the paper.
        Suite(
            "bottlenecks",
            "Bottlenecks",
            "section 4.1, Figure 5",
            settings=(
                *(resnet(20), resnet(56)),
                *(net(depth, block="bottleneck") for net in (plain, resnet) for depth in (29, 83)),
                *(resnet(29, option, block="bottleneck") for option in "BC"),
            ),
            witnesses=(resnet(29, "B", block="bottleneck"),),
        ),
        # One, two and three fully connected layers, and a head like VGG's, with all images and with a tenth.
        Suite(
            "heads",
            "Heads",
            "reading note 9",
            settings=(*HEADS, *map(on_few_images, HEADS)),
            witnesses=(TWO_LAYERS,),
        ),
        # Six more layers, or 194,000 more parameters, in the backbone of ResNet-20 or in its head.
        Suite(
            "backbone-or-head",
            "More backbone or more head",
            "reading note 8",
            settings=(resnet(20), resnet(26), SIX_LAYERS, resnet(32), MANY_UNITS),
            witnesses=(SIX_LAYERS,),
        ),
        # Seconds on any machine.
        Suite(
            "features",
            "Fully connected layers on features",
            "reading note 9",
            settings=tuple(fully_connected(n, name) for name in ("parity", "breast-cancer", "wine") for n in (1, 2, 3)),
        ),
        # Each departure of chapter 11 is compared with the recipe's ResNet-20, the projections with its option B. The
        # warm-up that never ends is priced in a second form, with its rate divided where the recipe's is.
        Suite(
            "folklore",
            "What other implementations do",
            "implementations' own reports",
            settings=(resnet(20), resnet(20, "B"), resnet(20).with_recipe(lr=0.01), *FOLKLORE),
            witnesses=(resnet(20), ENDLESS_WARMUP),
        ),
        # Recorded on an Intel Xeon, and studied ("again") on an AMD EPYC.
        Suite(
            "elsewhere",
            "The same seeds on another processor",
            "chapter 16",
            settings=(HASTY,),
            witnesses=(),
            seeds=tuple(range(5)),
        ),
        Suite(
            "transformers",
            "Beyond convolutions",
            "reading summary S6",
            settings=tuple(transformer(depth, shortcut) for shortcut in ("A", "none") for depth in (2, 6, 12)),
            witnesses=(transformer(6), transformer(6, "none")),
        ),
        # The stem of Table 1's nets was made for 224 pixels: at 64 the four stages see 16, 8, 4 and 2, and 8, 4, 2 and
        # 1 at `small`'s 32.
        Suite(
            "table2",
            "Table 2, scaled down",
            "section 4.1, Table 2",
            settings=tuple(table1(depth, shortcut) for shortcut in ("none", "A") for depth in (18, 34)),
            witnesses=(),
        ),
        Suite(
            "table3",
            "Table 3, scaled down",
            "section 4.1, Table 3",
            settings=tuple(table1(34, shortcut) for shortcut in ("none", "A", "B", "C")),
            witnesses=(),
        ),
        # Wants a GPU at any profile.
        Suite(
            "table3-deep",
            "Table 3's deep nets, scaled down",
            "section 4.1, Table 3",
            settings=tuple(table1(depth, "B") for depth in (50, 101, 152)),
            witnesses=(),
        ),
        # The runs "with a head" are second runs of the nets that do not fit: one is helped by it, the other is not.
        Suite(
            "diagnoses",
            "Cases of chapter 10",
            "reading note 10",
            settings=CONSTRUCTED,
            witnesses=CASES[-1][1:],
        ),
        Suite(
            "thresholds",
            "What the diagnosis of chapter 10 was adjusted to",
            "reading note 10",
            settings=CONSTRUCTED,
            witnesses=(),
            seeds=CHOOSING_SEEDS,
        ),
    )
}


def long_runs() -> list[RunConfig]:
    """The paper's own schedule on CIFAR-10, most telling runs first, so that what is done tells the most there can be.

    The ends of Figure 6 first, then their second and third seeds, then what stands between and beyond them.
    """
    paper = PROFILES["paper"]
    ends = ((20, 0), (56, 0), (20, 1), (20, 2), (56, 1), (56, 2))  # depth, seed
    rest = [resnet(110)] + [net(depth) for depth in (32, 44) for net in (resnet, plain)] + [resnet(32, o) for o in "BC"]
    runs = [net(depth).at(paper, seed) for depth, seed in ends for net in (resnet, plain)]
    return runs + [setting.at(paper, 0) for setting in rest]


ENOUGH_SEEDS = 3  # a table or figure shows the fullest profile of which it has so many
LESIONED = (plain(56), resnet(56), plain(20), resnet(20))
"""The settings of `degradation` whose trained nets are looked into afterwards."""


def keeps_weights(config: RunConfig) -> bool:
    """Whether trained weights should travel with a record: those of the first seed of a net that is looked into.

    On small images they should not, since a net takes a minute to train again.
    """
    long = [profile for profile in PROFILES.values() if profile.data.name == "cifar10"]
    return any(setting.at(profile, 0) == config for setting in LESIONED for profile in long)


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
                for seed in suite.seeds or range(max(profile.num_seeds for profile in PROFILES.values())):
                    homes.setdefault(setting.at(profile, seed), Home(suite, profile, setting))
    return homes
