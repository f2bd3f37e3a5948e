"""The ledger: each claim with its source, the runs that decide it, a rule, and a verdict computed from records.

A rule compares one number per seed, the effect, with a threshold. Runs that are compared share their seeds (the same
initial weights where shapes agree, the same order of the same augmented images), so each effect is a paired
difference and few seeds decide. The verdict follows from the 95% Student interval of the mean effect over seeds:
supported if it lies above the threshold, refuted if it lies below, undecided if it holds it, and not yet run with
fewer than `MIN_SEEDS` seeds. A claim that nothing happens asks the opposite: supported if the interval lies within
the threshold on both sides of zero, refuted if it lies wholly outside.

What arithmetic alone settles is in `facts`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev
from typing import Literal

from scipy.stats import t as student_t

from resnet_lib.evidence import diagnosis
from resnet_lib.runs.experiments import FEW_IMAGES, FOLKLORE, OPTIMIZERS, PROFILES, RESIDUAL_OPTIMIZERS, SUITES, Profile
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.store import Records

MIN_SEEDS = 3
THRESHOLD = 0.5  # points of error: less would not change anybody's choice of a net

TO_COVER = (
    *(f"S{number}" for number in range(1, 7)),  # the summary of the reading notes
    *(f"note {number}" for number in range(1, 11)),  # the reading notes
    *(f"paper {number}" for number in range(1, 16)),  # `PAPER_CLAIMS`
)
"""What the ledger must cover, each by a claim or a fact."""

PAPER_CLAIMS = {
    "paper 1": "section 1: degradation shows on training images, so it is not overfitting",
    "paper 2": "sections 1, 3.1: a deeper net that is no worse exists by construction, and solvers do not find it",
    "paper 3": "section 3.1: the identity is a good starting point, though seldom the optimum",
    "paper 4": "section 3.2: a residual function of a single layer shows no advantage",
    "paper 5": "section 3.2: identity shortcuts add neither parameters nor computation",
    "paper 6": "section 4.1: plain-34 has a higher training error than plain-18",
    "paper 7": "section 4.1: with batch norm, vanishing gradients are not the reason",
    "paper 8": "section 4.1, footnote 3: three times the iterations do not cure it",
    "paper 9": "section 4.1: ResNet-34 beats ResNet-18 and plain-34; at 18 layers only the speed differs",
    "paper 10": "section 4.1: A, B and C all beat plain nets and differ little",
    "paper 11": "section 4.1: projections in place of identities double the cost of bottlenecks",
    "paper 12": "section 4.1, footnote 4: basic blocks gain from depth too, and plain bottlenecks degrade",
    "paper 13": "section 4.2: the difficulty is not special to one data set",
    "paper 14": "section 4.2: responses are smaller in residual nets, and smaller the deeper the net",
    "paper 15": "section 4.2: 1202 layers train without difficulty and test worse than 110",
}
"""The paper's claims in this book's words."""

Values = dict[int, float]  # seed -> error in percent, or what else is compared
Effects = Callable[[Profile, Records], list[float]]


@dataclass(frozen=True)
class Verdict:
    """What the records of one profile say of a claim. Effect and interval are in the claim's unit."""

    claim: str
    profile: str
    status: str  # supported, refuted, undecided, not yet run
    num_seeds: int
    effect: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Claim:
    """A statement that runs can support or refute.

    `effect` says in words what `effects` computes: one number per seed that has all its runs. `rule` is "above" (the
    effect is larger than the threshold) or "within" (it is smaller than the threshold, whatever its sign).
    """

    name: str
    statement: str
    source: str
    chapter: str  # the notebook's name
    covers: tuple[str, ...]  # of `TO_COVER`
    effect: str
    effects: Effects
    threshold: float = THRESHOLD
    rule: Literal["above", "within"] = "above"
    unit: str = "points"

    def verdict(self, profile: Profile, records: Records) -> Verdict:
        """The verdict under one profile, from the records there are."""
        return judge(self.name, profile.name, self.effects(profile, records), self.threshold, self.rule)


def interval(effects: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95% Student interval of two or more values."""
    centre = mean(effects)
    half = float(student_t.ppf(0.975, len(effects) - 1)) * stdev(effects) / len(effects) ** 0.5
    return centre, centre - half, centre + half


def judge(claim: str, profile: str, effects: Sequence[float], threshold: float, rule: str = "above") -> Verdict:
    """The rules: see the module's own docstring."""
    if len(effects) < MIN_SEEDS:
        effect = mean(effects) if effects else None
        return Verdict(claim, profile, "not yet run", len(effects), effect, None, None)
    effect, low, high = interval(effects)
    if rule == "above":
        status = "supported" if low > threshold else "refuted" if high < threshold else "undecided"
    else:
        inside, outside = -threshold < low and high < threshold, low > threshold or high < -threshold
        status = "supported" if inside else "refuted" if outside else "undecided"
    return Verdict(claim, profile, status, len(effects), effect, low, high)


# ------------------------------------------------------------------------------------------ what effects are made of


def measured(
    suite: str, setting: str, profile: Profile, records: Records, what: Callable[[RunRecord], float]
) -> Values:
    """A number of each recorded seed of a setting."""
    found = records.select(SUITES[suite].setting(setting, profile))
    return {record.config.seed: what(record) for record in found}


def train_error(record: RunRecord) -> float:
    """Final training error, in percent and without augmentation."""
    return record.final.train_error


def test_error(record: RunRecord) -> float:
    """Final test error in percent."""
    return record.final.test_error


def training_errors(suite: str, setting: str, profile: Profile, records: Records) -> Values:
    """Final training error of each recorded seed of a setting."""
    return measured(suite, setting, profile, records, train_error)


def paired(*settings: Values) -> list[tuple[float, ...]]:
    """The values of all settings, for each seed that every one of them has."""
    seeds = sorted(set.intersection(*(set(values) for values in settings)))
    return [tuple(values[seed] for values in settings) for seed in seeds]


def difference(suite: str, worse: str, better: str, what: Callable[[RunRecord], float] = train_error) -> Effects:
    """The effect "error of one setting minus that of another", both of one suite."""

    def effects(profile: Profile, records: Records) -> list[float]:
        pair = (measured(suite, setting, profile, records, what) for setting in (worse, better))
        return [a - b for a, b in paired(*pair)]

    return effects


def penalty_difference(suite: str, without: tuple[str, str], with_shortcuts: tuple[str, str]) -> Effects:
    """The effect "cost of depth without shortcuts minus cost of depth with them"; each pair is (deep, shallow)."""

    def effects(profile: Profile, records: Records) -> list[float]:
        values = (training_errors(suite, setting, profile, records) for setting in (*without, *with_shortcuts))
        return [(a - b) - (c - d) for a, b, c, d in paired(*values)]

    return effects


def best_of(candidates: Sequence[Values]) -> Values:
    """The candidate with the lowest mean; nothing unless all have been run: "the best of all" needs all of them.

    The best is chosen on the very runs it is then judged by, which favours the net that has more to choose from.
    """
    return min(candidates, key=lambda values: mean(values.values())) if all(candidates) else {}


def _tuned(net: str, names: Sequence[str], profile: Profile, records: Records) -> Values:
    """The errors of the setting that served a net best on the mean: the paper's recipe, or one of `names`."""
    candidates = [training_errors("degradation", net, profile, records)]
    return best_of(candidates + [training_errors("optimizers", f"{net}, {n}", profile, records) for n in names])


def _no_optimizer_closes_the_gap(profile: Profile, records: Records) -> list[float]:
    best = _tuned("plain-56", list(OPTIMIZERS), profile, records)
    return [a - b for a, b in paired(best, training_errors("degradation", "ResNet-56 A", profile, records))]


def _tuning_both_leaves_the_gap(profile: Profile, records: Records) -> list[float]:
    plain = _tuned("plain-56", list(OPTIMIZERS), profile, records)
    residual = _tuned("ResNet-56 A", RESIDUAL_OPTIMIZERS, profile, records)
    return [a - b for a, b in paired(plain, residual)]


def _batch_norm_helps(profile: Profile, records: Records) -> list[float]:
    tried = [name for name in SUITES["batch-norm"].settings if name.startswith("plain-20, no BN")]
    best = best_of([training_errors("batch-norm", name, profile, records) for name in tried])
    return [a - b for a, b in paired(best, training_errors("batch-norm", "plain-20", profile, records))]


def weakest_gradient(record: RunRecord) -> float:
    """Smallest gradient norm of a layer, relative to the median layer's; 0 for a net that has none to measure."""
    norms = record.probes.gradient_norm if record.probes else (0.0,)
    return min(norms) / median(norms) if median(norms) else 0.0


def _gradients_are_healthy(profile: Profile, records: Records) -> list[float]:
    return list(measured("degradation", "plain-56", profile, records, weakest_gradient).values())


def mean_response(record: RunRecord) -> float:
    """Mean over the 3x3 layers of the deviation of their responses (Figure 7)."""
    return mean(record.probes.response_std) if record.probes else 0.0


def _lesion_costs(setting: str, profile: Profile, records: Records) -> Values:
    """Per seed, the median over blocks of what deleting one adds to the test error."""
    values = {}
    for config in SUITES["degradation"].setting(setting, profile):
        if study := records.study("delete-block", config):
            errors = dict(zip(study.label, study.value, strict=True))
            whole = errors.pop("whole net")
            values[config.seed] = median(errors.values()) - whole
    return values


def lesions_cost_less(plain: str, residual: str) -> Effects:
    """The effect "what deleting a block costs the plain net minus what it costs the residual one"."""

    def effects(profile: Profile, records: Records) -> list[float]:
        costs = (_lesion_costs(setting, profile, records) for setting in (plain, residual))
        return [a - b for a, b in paired(*costs)]

    return effects


def _options_beat_plain(profile: Profile, records: Records) -> list[float]:
    nets = ("plain-32", "ResNet-32 A", "ResNet-32 B", "ResNet-32 C")
    values = (measured("shortcut-options", net, profile, records, test_error) for net in nets)
    return [plain - max(options) for plain, *options in paired(*values)]


def _projections_are_not_the_source(profile: Profile, records: Records) -> list[float]:
    nets = ("plain-32", "ResNet-32 A", "ResNet-32 C")
    values = (measured("shortcut-options", net, profile, records, test_error) for net in nets)
    return [(plain - a) - (a - c) for plain, a, c in paired(*values)]


def _layers_help_on_real_features(profile: Profile, records: Records) -> list[float]:
    names = [f"{depth} FC, {data}" for data in ("breast-cancer", "wine") for depth in (1, 2)]
    values = (measured("features", name, profile, records, test_error) for name in names)
    return [((a1 - a2) + (b1 - b2)) / 2 for a1, a2, b1, b2 in paired(*values)]


def folklore_effects(key: str, profile: Profile, records: Records) -> list[float]:
    """What a departure of chapter 11 costs in points of test error, seed by seed, against the book's recipe."""
    departure = measured("folklore", key, profile, records, test_error)
    net = SUITES["folklore"].settings[key](profile, 0).net
    base = measured("folklore", f"ResNet-20 {net.shortcut}", profile, records, test_error)
    return [a - b for a, b in paired(departure, base)]


def _best_epoch_flatters(profile: Profile, records: Records) -> list[float]:
    def gain(record: RunRecord) -> float:
        return record.final.test_error - min(record.test_curve.error)

    return list(measured("folklore", "ResNet-20 A", profile, records, gain).values())


def _is_overfitting_at_1202(profile: Profile, records: Records) -> list[float]:
    deep = measured("deepest", "ResNet-1202 A", profile, records, test_error)
    return [a - b for a, b in paired(deep, measured("degradation", "ResNet-110 A", profile, records, test_error))]


def halfway_error(record: RunRecord) -> float:
    """Training error halfway through the run, on augmented images."""
    curve = record.train_curve
    half = record.config.recipe.iterations / 2
    return next(error for iteration, error in zip(curve.iteration, curve.error, strict=True) if iteration >= half)


def _lower_halfway(profile: Profile, records: Records) -> list[float]:
    nets = ("plain-18 (Table 1)", "ResNet-18 A (Table 1)")
    return [a - b for a, b in paired(*(measured("table2", net, profile, records, halfway_error) for net in nets))]


CH = {  # a chapter's number -> the notebook's name
    1: "01_degradation",
    2: "02_batch_norm",
    3: "03_residual_formulation",
    4: "04_shortcuts",
    5: "05_stride_channels_kernel",
    6: "06_bottleneck",
    7: "07_heads",
    8: "08_cifar10",
    9: "09_imagenet",
    10: "10_choosing_an_architecture",
    11: "11_folklore",
    12: "12_beyond_convolutions",
}
_RESNET_STAGE, _RESNET_EVERY = "ResNet-56 A, one per stage", "ResNet-56 A"
_HEAD = "ResNet-20 A, FC 256"
_VGG = "ResNet-20 A, flattened, FC 512-512"


def _no_gain(suite: str, more: str, less: str) -> Effects:
    """The effect "what the larger head loses": above minus the threshold means that it does not gain."""
    return difference(suite, more, less, test_error)


CLAIMS = {
    claim.name: claim
    for claim in (
        Claim(
            "degradation",
            "A deeper plain net fits its own training images worse, so its larger test error is not overfitting.",
            "section 1; reading note S1",
            CH[1],
            ("S1", "S2", "paper 1"),
            "training error of plain-56 minus that of plain-20",
            difference("degradation", "plain-56", "plain-20"),
        ),
        Claim(
            "longer-training",
            "Three times the iterations do not cure it.",
            "section 4.1, footnote 3",
            CH[1],
            ("paper 8",),
            "the same difference after three times the iterations",
            difference("longer-training", "plain-56, 3x iterations", "plain-20, 3x iterations"),
        ),
        Claim(
            "shortcuts-help",
            "Shortcuts take away most of what depth costs.",
            "section 4.2; reading note 1",
            CH[1],
            ("S3", "note 1"),
            "cost of depth (56 layers minus 20) in plain nets minus the same cost in residual nets",
            penalty_difference("degradation", ("plain-56", "plain-20"), ("ResNet-56 A", "ResNet-20 A")),
        ),
        Claim(
            "depth-helps-resnets",
            "With shortcuts the deeper net fits its training images better, not worse.",
            "sections 4.1 and 4.2",
            CH[1],
            ("paper 12",),
            "training error of ResNet-20 minus that of ResNet-56",
            difference("degradation", "ResNet-20 A", "ResNet-56 A"),
        ),
        Claim(
            "no-optimizer-cures",
            "Changing the optimiser or its learning rate does not do for the plain net what the shortcut does.",
            "reading note 1",
            CH[1],
            ("note 1",),
            "training error of plain-56 under its best optimiser minus that of ResNet-56 under the paper's recipe",
            _no_optimizer_closes_the_gap,
        ),
        Claim(
            "tuning-both",
            "With the learning rate tuned for both nets, the residual one still fits better.",
            "reading note 1",
            CH[1],
            ("note 1",),
            "training error of plain-56 under its best optimiser minus that of ResNet-56 under its best",
            _tuning_both_leaves_the_gap,
        ),
        Claim(
            "other-images",
            "The degradation is not special to one data set: it appears on handwritten digits too.",
            "section 4.2",
            CH[1],
            ("paper 13",),
            "training error of plain-56 minus that of plain-20, on digits of 8x8 pixels",
            difference("other-images", "plain-56, digits", "plain-20, digits"),
        ),
        Claim(
            "batch-norm-helps",
            "Batch normalisation lets a plain net of 20 layers fit better than any learning rate does without it.",
            "reading note S2",
            CH[2],
            ("S2",),
            "training error of plain-20 without batch norm at its best learning rate minus that with it",
            _batch_norm_helps,
        ),
        Claim(
            "shortcuts-need-batch-norm",
            "At the paper's learning rate shortcuts do not replace batch normalisation.",
            "section 3.4; reading note S2",
            CH[2],
            ("S2",),
            "training error of ResNet-20 without batch norm at lr 0.1 minus that with it",
            difference("batch-norm", "ResNet-20 A, no BN, lr 0.1", "ResNet-20 A"),
        ),
        Claim(
            "gradients-healthy",
            "With batch norm no layer of a deep plain net is starved of gradient, and yet the net degrades.",
            "section 4.1; reading note 1",
            CH[2],
            ("paper 7", "note 1"),
            "in the trained plain-56, the smallest gradient norm of a layer divided by the median layer's",
            _gradients_are_healthy,
            threshold=0.1,
            unit="times the median",
        ),
        Claim(
            "solver-misses-construction",
            "The deeper plain net that is no worse exists, and gradient descent does not find it.",
            "sections 1 and 3.1",
            CH[3],
            ("paper 2",),
            "training error of plain-56 minus that of plain-20, which plain-56 contains",
            difference("degradation", "plain-56", "plain-20"),
        ),
        Claim(
            "one-layer",
            "A residual function of a single layer gives no advantage over a plain net.",
            "section 3.2",
            CH[3],
            ("paper 4",),
            "training error of plain-20 minus that of the same 20 layers with a shortcut over each",
            difference("formulation", "plain-20, one-layer blocks", "ResNet-20 A, one-layer blocks"),
            rule="within",
        ),
        Claim(
            "responses-smaller",
            "Layers of a residual net respond less than those of a plain net: they change their input a little.",
            "section 4.2, Figure 7; reading notes S5 and 2",
            CH[3],
            ("S5", "note 2", "paper 14", "paper 3"),
            "mean deviation of the layers' responses in plain-56 minus that in ResNet-56",
            difference("degradation", "plain-56", "ResNet-56 A", mean_response),
            threshold=0.0,
            unit="",
        ),
        Claim(
            "responses-shrink-with-depth",
            "The deeper the residual net, the less each layer changes its input.",
            "section 4.2, Figure 7",
            CH[3],
            ("paper 14",),
            "mean deviation of the layers' responses in ResNet-20 minus that in ResNet-110",
            difference("degradation", "ResNet-20 A", "ResNet-110 A", mean_response),
            threshold=0.0,
            unit="",
        ),
        Claim(
            "lesion-cheap",
            "Deleting a block costs a trained residual net less than a plain one.",
            "reading notes S5 and 2",
            CH[3],
            ("S5", "note 2"),
            "median over blocks of what deleting one adds to the test error, plain-56 minus ResNet-56",
            lesions_cost_less("plain-56", "ResNet-56 A"),
        ),
        Claim(
            "lesion-cheap-20",
            "The same of two nets of 20 layers, which both train well.",
            "reading notes S5 and 2; added when plain-56 turned out to have little left to lose",
            CH[3],
            ("S5", "note 2"),
            "median over blocks of what deleting one adds to the test error, plain-20 minus ResNet-20",
            lesions_cost_less("plain-20", "ResNet-20 A"),
        ),
        Claim(
            "zero-init-helps",
            "Residual blocks that start as the identity train better.",
            "section 3.1; Goyal et al. 2017, section 5.1",
            CH[3],
            ("paper 3",),
            "training error of ResNet-56 minus that of ResNet-56 with the last scale of each block started at zero",
            difference("formulation", "ResNet-56 A", "ResNet-56 A, zero init"),
        ),
        Claim(
            "any-option-helps",
            "Options A, B and C are all better than no shortcut.",
            "section 4.1, Table 3",
            CH[4],
            ("paper 10",),
            "test error of plain-32 minus that of the worst of ResNet-32 A, B and C",
            _options_beat_plain,
        ),
        Claim(
            "options-alike",
            "It matters little which option is taken: projections everywhere are no better than padding.",
            "section 4.1, Table 3; reading note 6",
            CH[4],
            ("S4", "note 6", "paper 10"),
            "test error of ResNet-32 A minus that of ResNet-32 C",
            difference("shortcut-options", "ResNet-32 A", "ResNet-32 C", test_error),
            threshold=1.0,  # the paper calls its 0.8 points small
            rule="within",
        ),
        Claim(
            "b-over-a",
            "Option B is slightly better than A.",
            "section 4.1, Table 3",
            CH[4],
            ("paper 10",),
            "test error of ResNet-32 A minus that of ResNet-32 B",
            difference("shortcut-options", "ResNet-32 A", "ResNet-32 B", test_error),
            threshold=0.0,
        ),
        Claim(
            "c-over-b",
            "Option C is marginally better than B.",
            "section 4.1, Table 3",
            CH[4],
            ("paper 10",),
            "test error of ResNet-32 B minus that of ResNet-32 C",
            difference("shortcut-options", "ResNet-32 B", "ResNet-32 C", test_error),
            threshold=0.0,
        ),
        Claim(
            "projection-not-the-source",
            "The gain comes from the shortcut, not from the projection.",
            "reading note 6",
            CH[4],
            ("note 6",),
            "what the identity gains over the plain net minus what projections gain over the identity (test error)",
            _projections_are_not_the_source,
        ),
        Claim(
            "shortcut-in-every-block",
            "A shortcut belongs in every block, not only in the first of each stage.",
            "reading note 3",
            CH[4],
            ("note 3",),
            "training error of ResNet-56 with one shortcut per stage minus that with one in every block",
            difference("shortcut-density", _RESNET_STAGE, _RESNET_EVERY),
        ),
        Claim(
            "stage-only-is-plain",
            "With one shortcut per stage the net falls back to a plain one.",
            "reading note 3",
            CH[4],
            ("note 3",),
            "training error of plain-56 minus that of ResNet-56 with one shortcut per stage",
            difference("shortcut-density", "plain-56", _RESNET_STAGE),
            threshold=5.0,  # of the tens of points between a plain net of 56 layers and a residual one
            rule="within",
        ),
        Claim(
            "weaker-shortcuts-hurt",
            "Halving what the shortcut carries makes the net worse.",
            "1603.05027, section 3.1",
            CH[4],
            (),
            "training error of ResNet-32 with shortcuts of 0.5 x minus that with identities",
            difference("shortcut-options", "ResNet-32 scaled", "ResNet-32 A"),
        ),
        Claim(
            "gates-hurt",
            "Gating the shortcut makes the net worse.",
            "1603.05027, section 3.1",
            CH[4],
            (),
            "training error of ResNet-32 with gated shortcuts minus that with identities",
            difference("shortcut-options", "ResNet-32 gated", "ResNet-32 A"),
        ),
        Claim(
            "bottleneck-at-equal-cost",
            "At equal cost a net of bottlenecks, with half as many layers again, is no worse than one of basic blocks.",
            "section 4.1; reading note 7",
            CH[6],
            ("note 7",),
            "test error of ResNet-20 minus that of the 29-layer net of bottlenecks with option B, as in the paper",
            difference("bottlenecks", "ResNet-20 A", "ResNet-29 B, bottlenecks", test_error),
            threshold=-THRESHOLD,
        ),
        Claim(
            "plain-bottlenecks-degrade",
            "Nets of bottlenecks without shortcuts degrade too.",
            "section 4.1, footnote 4",
            CH[6],
            ("paper 12",),
            "training error of the plain net of bottlenecks with 83 layers minus that with 29",
            difference("bottlenecks", "plain-83, bottlenecks", "plain-29, bottlenecks"),
        ),
        Claim(
            "basic-blocks-gain-too",
            "Basic blocks gain from depth as well: bottlenecks are a matter of cost.",
            "section 4.1, footnote 4",
            CH[6],
            ("paper 12",),
            "test error of ResNet-20 minus that of ResNet-56, both of basic blocks",
            difference("bottlenecks", "ResNet-20 A", "ResNet-56 A", test_error),
        ),
        Claim(
            "fc-on-images",
            "On images with much data a second fully connected layer gains nothing.",
            "reading note 9",
            CH[7],
            ("note 9",),
            "test error of ResNet-20 with two fully connected layers minus that with one",
            _no_gain("heads", _HEAD, "ResNet-20 A"),
            threshold=-THRESHOLD,
        ),
        Claim(
            "fc-on-few-images",
            "Nor does it with few images.",
            "reading note 9",
            CH[7],
            ("note 9",),
            "the same difference when trained on a tenth of the images",
            _no_gain("heads", f"{_HEAD}, {FEW_IMAGES} images", f"ResNet-20 A, {FEW_IMAGES} images"),
            threshold=-THRESHOLD,
        ),
        Claim(
            "vgg-head-on-images",
            "A head in VGG's way, flattened with two hidden layers, gains nothing either.",
            "reading note 9",
            CH[7],
            ("note 9",),
            "test error of ResNet-20 with such a head minus that with average pooling and one layer, both at lr 0.01",
            _no_gain("heads", f"{_VGG}, lr 0.01", "ResNet-20 A, lr 0.01"),
            threshold=-THRESHOLD,
        ),
        Claim(
            "fc-on-rules",
            "Where features are structured and the rule is complicated, fully connected layers help.",
            "reading note 9",
            CH[7],
            ("note 9",),
            "test error of one fully connected layer minus that of two, on the parity of three signs",
            difference("features", "1 FC, parity", "2 FC, parity", test_error),
        ),
        Claim(
            "fc-on-real-features",
            "They help on real, small sets of features too.",
            "reading note 9",
            CH[7],
            ("note 9",),
            "test error of one fully connected layer minus that of two, mean of breast cancer and wine",
            _layers_help_on_real_features,
        ),
        Claim(
            "backbone-not-head-layers",
            "Six more layers belong in the backbone, not in the head.",
            "reading note 8",
            CH[7],
            ("note 8",),
            "test error of ResNet-20 with six hidden fully connected layers minus that of ResNet-26",
            difference("backbone-or-head", f"ResNet-20 A, FC {'-'.join(['64'] * 6)}", "ResNet-26 A", test_error),
        ),
        Claim(
            "backbone-not-head-parameters",
            "So do 194,000 more parameters.",
            "reading note 8",
            CH[7],
            ("note 8",),
            "test error of ResNet-20 with a hidden layer of 2,601 units minus that of ResNet-32",
            difference("backbone-or-head", "ResNet-20 A, FC 2601", "ResNet-32 A", test_error),
        ),
        Claim(
            "overfit-1202",
            "A net of 1202 layers has a larger test error than one of 110.",
            "section 4.2",
            CH[8],
            ("paper 15",),
            "test error of ResNet-1202 minus that of ResNet-110",
            _is_overfitting_at_1202,
        ),
        Claim(
            "plain-34-worse",
            "Of the plain nets of Table 1, the one with 34 layers fits worse than the one with 18.",
            "section 4.1, Table 2",
            CH[9],
            ("paper 6",),
            "training error of plain-34 minus that of plain-18",
            difference("table2", "plain-34 (Table 1)", "plain-18 (Table 1)"),
        ),
        Claim(
            "resnet-34-better",
            "Of the residual nets of Table 1, the one with 34 layers is better than the one with 18.",
            "section 4.1, Table 2",
            CH[9],
            ("paper 9",),
            "test error of ResNet-18 minus that of ResNet-34",
            difference("table2", "ResNet-18 A (Table 1)", "ResNet-34 A (Table 1)", test_error),
        ),
        Claim(
            "resnet-18-comparable",
            "At 18 layers plain and residual net end at about the same test error.",
            "section 4.1, Table 2",
            CH[9],
            ("paper 9",),
            "test error of plain-18 minus that of ResNet-18",
            difference("table2", "plain-18 (Table 1)", "ResNet-18 A (Table 1)", test_error),
            threshold=1.0,
            rule="within",
        ),
        Claim(
            "resnet-18-faster",
            "And the residual one gets there sooner.",
            "section 4.1, Figure 4",
            CH[9],
            ("paper 9",),
            "training error halfway through the schedule, plain-18 minus ResNet-18",
            _lower_halfway,
        ),
        Claim(
            "diagnosis-right",
            "Training and validation curves tell what an architecture lacks.",
            "reading note 10",
            CH[10],
            ("note 10",),
            "share of the constructed cases that the diagnosis names rightly, on seeds it was not tuned on",
            diagnosis.right,
            threshold=80.0,
            unit="percent",
        ),
        *(
            Claim(
                f"folklore: {key}",
                f"Compared with the book's recipe, {key}: it costs test error.",
                "implementations' own reports",
                CH[11],
                (),
                "test error with it minus test error without",
                lambda profile, records, key=key: folklore_effects(key, profile, records),
                threshold=0.0,
            )
            for key in FOLKLORE
        ),
        Claim(
            "best-epoch-flatters",
            "Reporting the best epoch on the test set flatters a net.",
            "implementations' own reports",
            CH[11],
            (),
            "test error of the last iteration of ResNet-20 minus the lowest of all evaluations",
            _best_epoch_flatters,
            threshold=0.0,
        ),
        Claim(
            "transformer-shortcuts-help",
            "Shortcuts take away most of what depth costs a transformer, too.",
            "reading note S6",
            CH[12],
            ("S6",),
            "cost of depth (12 blocks minus 2) without shortcuts minus the same cost with them",
            penalty_difference(
                "transformers",
                ("transformer-12 without shortcuts", "transformer-2 without shortcuts"),
                ("transformer-12", "transformer-2"),
            ),
        ),
        Claim(
            "transformer-degrades",
            "A transformer without shortcuts fits its own training images worse when it is deeper.",
            "reading note S6",
            CH[12],
            ("S6",),
            "training error with 12 blocks minus that with 2, both without shortcuts",
            difference("transformers", "transformer-12 without shortcuts", "transformer-2 without shortcuts"),
        ),
    )
}


def verdicts(records: Records) -> list[Verdict]:
    """Every claim under every profile, claims first."""
    return [claim.verdict(profile, records) for claim in CLAIMS.values() for profile in PROFILES.values()]
