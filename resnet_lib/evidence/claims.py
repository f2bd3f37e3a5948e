"""The claims that runs decide: what each says, where it was made, which effect judges it, and from which number on.

What an effect is, `effects` says; how verdicts follow from it, `rule`. What arithmetic alone settles is in `facts`.
"""

from dataclasses import dataclass, replace
from statistics import mean

from resnet_lib.evidence.effects import (
    BestOf,
    Difference,
    Effect,
    Level,
    RightDiagnoses,
    Together,
    added_by,
    branch_ratio,
    falls_outward,
    flattery,
    gap,
    half_gap,
    halfway_error,
    last_step_steepest,
    lesion_cost,
    median_response,
    nearer_to_exponential,
    one_bit_apart,
    quotient,
    reset_cost,
    share_of_the_first,
    short_paths,
    steps_downhill,
    test_error,
    time_to_learn,
    weakest_gradient,
)
from resnet_lib.evidence.learning import LEARNED, not_started
from resnet_lib.evidence.rule import Rule, Verdict
from resnet_lib.runs.experiments import (
    BEST_OPTIMIZED,
    FOLKLORE,
    MANY_UNITS,
    SIX_LAYERS,
    TWO_LAYERS,
    UNNORMALISED_LRS,
    VGG_HEAD,
    on_digits,
    on_few_images,
    tuned,
    unnormalised,
)
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.settings import DEPTHS, fully_connected, plain, resnet, table1, transformer
from resnet_lib.runs.store import Records

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

THRESHOLD = 0.5  # points of error: less would not change anybody's choice of a net


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement that runs can support or refute.

    `rule` is "above" (the effect is larger than the threshold) or "within" (it is smaller than the threshold, whatever
    its sign). A claim about nets that have to learn first, as one about degradation, says so with `of_learned`: it is
    not asked where one of them did not start. Nor is one whose effect cannot be larger than an error, `room`, if no
    more than the threshold is left of that.
    """

    name: str
    statement: str
    source: str
    covers: tuple[str, ...] = ()  # of `TO_COVER`
    effect: Effect
    threshold: float = THRESHOLD
    rule: Rule = "above"
    unit: str = "points"
    of_learned: bool = False
    room: Level | None = None
    chapter: str = ""  # the notebook's name, by `in_chapter`

    def verdict(self, profile: Profile, records: Records) -> Verdict:
        """The verdict under one profile, from the records there are."""
        verdict = self.effect.judged(self.name, profile, records, self.threshold, self.rule)
        if verdict.low is None:
            return verdict
        if self.of_learned and (why := self.not_learned(profile, records)):
            return verdict.not_asked("did not start", why)
        if self.room and (left := mean(self.room.per_seed(profile, records))) <= self.threshold:
            return verdict.not_asked("nothing to gain", f"{self.room.text} is {left:.1f}%")
        return verdict

    def not_learned(self, profile: Profile, records: Records, share: float = LEARNED) -> str:
        """Which of the nets compared have not learned, or nothing, by such a share of the error of guessing."""
        nets = dict.fromkeys(self.effect.compared(profile, records))
        return "; ".join(filter(None, (not_started(records.select(net.runs(profile)), share) for net in nets)))


def in_chapter(notebook: str, *claims: Claim) -> dict[str, Claim]:
    """The claims that a chapter tests, by name."""
    return {claim.name: replace(claim, chapter=notebook) for claim in claims}


CLAIMS = in_chapter(
    "01_degradation",
    Claim(
        name="degradation",
        statement="A deeper plain net fits its own training images worse, so its larger test error is not overfitting.",
        source="section 1; reading note S1",
        covers=("S1", "S2", "paper 1", "paper 2"),
        effect=Difference("training error of plain-56 minus that of plain-20", worse=plain(56), better=plain(20)),
        of_learned=True,
    ),
    Claim(
        name="longer-training",
        statement="Three times the iterations do not cure the degradation of plain nets.",
        source="section 4.1, footnote 3",
        covers=("paper 8",),
        effect=Difference(
            "the same difference after three times the iterations",
            worse=plain(56).longer(3),
            better=plain(20).longer(3),
        ),
        of_learned=True,
    ),
    Claim(
        name="shortcuts-help",
        statement="Shortcuts take away most of what depth costs.",
        source="section 4.2; reading note 1",
        covers=("S3", "note 1"),
        effect=Difference(
            "half the cost of depth (56 layers minus 20) in plain nets minus the cost in residual nets",
            worse=Together((plain(56), plain(20)), by=half_gap),
            better=Together((resnet(56), resnet(20)), by=gap),
        ),
        threshold=0.0,
        of_learned=True,
    ),
    Claim(
        name="depth-helps-resnets",
        statement="With shortcuts the deeper net fits its training images better, not worse.",
        source="sections 4.1 and 4.2",
        covers=("paper 12",),
        effect=Difference("training error of ResNet-20 minus that of ResNet-56", worse=resnet(20), better=resnet(56)),
        of_learned=True,
    ),
    Claim(
        name="no-optimizer-cures",
        statement="Changing the optimiser does not do for the plain net what the shortcut does.",
        source="reading note 1",
        covers=("note 1",),
        effect=Difference(
            "training error of plain-56 under the other optimiser that was best on other seeds minus that of ResNet-56 "
            "under SGD",
            worse=BEST_OPTIMIZED,
            better=resnet(56),
        ),
        of_learned=True,
    ),
    Claim(
        name="tuned-degradation",
        statement="Each at its own best learning rate, the deeper plain net still fits worse.",
        source="reading note 1",
        covers=("note 1",),
        effect=Difference(
            "training error of plain-56 minus that of plain-20, each at the rate that was best on other seeds",
            worse=tuned(plain(56)),
            better=tuned(plain(20)),
        ),
        of_learned=True,
    ),
    Claim(
        name="tuning-both",
        statement="With the learning rate tuned for both nets, the residual one still fits better.",
        source="reading note 1",
        covers=("note 1",),
        effect=Difference(
            "training error of plain-56 minus that of ResNet-56, each at the rate that was best on other seeds",
            worse=tuned(plain(56)),
            better=tuned(resnet(56)),
        ),
        of_learned=True,
    ),
    Claim(
        name="tuned-depth-helps",
        statement="Each at its own best learning rate, the deeper residual net fits better by at least half a point.",
        source="sections 4.1 and 4.2",
        covers=("paper 12",),
        effect=Difference(
            "training error of ResNet-20 minus that of ResNet-56, each at the rate that was best on other seeds",
            worse=tuned(resnet(20)),
            better=tuned(resnet(56)),
        ),
        of_learned=True,
    ),
    Claim(
        name="other-images",
        statement="The degradation is not special to one data set: it appears on handwritten digits too.",
        source="section 4.2",
        covers=("paper 13",),
        effect=Difference(
            "training error of plain-56 minus that of plain-20, on digits of 8x8 pixels",
            worse=on_digits(plain(56)),
            better=on_digits(plain(20)),
        ),
        of_learned=True,
    ),
)
CLAIMS |= in_chapter(
    "02_batch_norm",
    Claim(
        name="batch-norm-helps",
        statement="Batch normalisation lets a plain net of 20 layers fit better than any of three learning rates does "
        "without it.",
        source="reading note S2",
        covers=("S2",),
        effect=Difference(
            "training error of plain-20 without batch norm at its best learning rate minus that with it",
            worse=BestOf(tuple(unnormalised(plain(20), lr) for lr in UNNORMALISED_LRS)),
            better=plain(20),
        ),
    ),
    Claim(
        name="shortcuts-need-batch-norm",
        statement="Shortcuts do not replace batch normalisation at any of three learning rates.",
        source="section 3.4; reading note S2",
        covers=("S2",),
        effect=Difference(
            "training error of ResNet-20 without batch norm at its best learning rate minus that with it",
            worse=BestOf(tuple(unnormalised(resnet(20), lr) for lr in UNNORMALISED_LRS)),
            better=resnet(20),
        ),
    ),
    Claim(
        name="gradients-healthy",
        statement="With batch norm no layer of a deep plain net is more starved of gradient than in its residual twin, "
        "and yet the net degrades.",
        source="section 4.1; reading note 1",
        covers=("paper 7", "note 1"),
        effect=Level(
            "the smallest gradient norm of a layer over the median layer's, in plain-56 divided by that in ResNet-56",
            Together((plain(56), resnet(56)), by=quotient),
            of=weakest_gradient,
        ),
        threshold=1.0,
        unit="times the twin's",
        of_learned=True,
    ),
)
CLAIMS |= in_chapter(
    "03_residual_formulation",
    Claim(
        name="one-layer",
        statement="A residual function of a single layer gives no advantage over a plain net.",
        source="section 3.2",
        covers=("paper 4",),
        effect=Difference(
            "training error of plain-20 minus that of the same 20 layers with a shortcut over each",
            worse=plain(20, block="single"),
            better=resnet(20, block="single"),
        ),
        rule="within",
    ),
    Claim(
        name="responses-smaller",
        statement="Layers of a residual net respond less than those of a plain net.",
        source="section 4.2, Figure 7; reading notes S5 and 2",
        covers=("S5", "note 2", "paper 14", "paper 3"),
        effect=Difference(
            "median deviation of the layers' responses in plain-56 minus that in ResNet-56",
            worse=plain(56),
            better=resnet(56),
            of=median_response,
        ),
        threshold=0.0,
        unit="",
        of_learned=True,
    ),
    Claim(
        name="branches-small",
        statement="The blocks of a residual net change their input a little: F(x) is smaller than x.",
        source="sections 3.1 and 4.2; reading notes S5 and 2",
        covers=("S5", "note 2", "paper 3"),
        effect=Level(
            "deviation of F(x) over that of x, median of the blocks of ResNet-56",
            resnet(56),
            of=branch_ratio,
        ),
        threshold=1.0,
        rule="within",
        unit="times x",
        of_learned=True,
    ),
    Claim(
        name="responses-shrink-with-depth",
        statement="The deeper the residual net, the less each layer changes its input.",
        source="section 4.2, Figure 7",
        covers=("paper 14",),
        effect=Difference(
            "median deviation of the layers' responses in ResNet-20 minus that in ResNet-110",
            worse=resnet(20),
            better=resnet(110),
            of=median_response,
        ),
        threshold=0.0,
        unit="",
        of_learned=True,
    ),
    Claim(
        name="lesion-cheap",
        statement="Deleting a block costs a trained residual net less than a plain one.",
        source="reading notes S5 and 2",
        covers=("S5", "note 2"),
        effect=Difference(
            "median over blocks of what deleting one adds to the test error, plain-56 minus ResNet-56",
            worse=plain(56),
            better=resnet(56),
            of=lesion_cost,
        ),
        of_learned=True,
    ),
    Claim(
        name="lesion-cheap-20",
        statement="Deleting a block costs a trained residual net of 20 layers less than a plain one.",
        source="reading notes S5 and 2; added when plain-56 turned out to have little left to lose",
        covers=("S5", "note 2"),
        effect=Difference(
            "median over blocks of what deleting one adds to the test error, plain-20 minus ResNet-20",
            worse=plain(20),
            better=resnet(20),
            of=lesion_cost,
        ),
        of_learned=True,
    ),
    Claim(
        name="zero-init-helps",
        statement="Residual blocks that start as the identity fit their training images better.",
        source="section 3.1; Goyal et al. 2017, section 5.1",
        covers=("paper 3",),
        effect=Difference(
            "training error of ResNet-56 minus that of ResNet-56 with the last scale of each block started at zero",
            worse=resnet(56),
            better=resnet(56, zero_init=True),
        ),
        of_learned=True,
    ),
    Claim(
        name="tuned-zero-init-helps",
        statement="Residual blocks that start as the identity train better if each start has the learning rate that "
        "suits it best.",
        source="section 3.1; Goyal et al. 2017, section 5.1",
        covers=("paper 3",),
        effect=Difference(
            "training error of ResNet-56 minus that of ResNet-56 with the last scale of each block started at zero, "
            "each at the rate that was best on other seeds",
            worse=tuned(resnet(56)),
            better=tuned(resnet(56, zero_init=True)),
        ),
        of_learned=True,
    ),
)
CLAIMS |= in_chapter(
    "04_shortcuts",
    Claim(
        name="any-option-helps",
        statement="Options A, B and C are all better than no shortcut.",
        source="section 4.1, Table 3",
        covers=("paper 10",),
        effect=Difference(
            "test error of plain-32 minus that of the worst of ResNet-32 A, B and C",
            worse=plain(32),
            better=Together((resnet(32, "A"), resnet(32, "B"), resnet(32, "C")), by=max),
            of=test_error,
        ),
    ),
    Claim(
        name="options-alike",
        statement="It matters little which option is taken: projections everywhere are no better than padding.",
        source="section 4.1, Table 3; reading note 6",
        covers=("S4", "note 6", "paper 10"),
        effect=Difference(
            "test error of ResNet-32 A minus that of ResNet-32 C",
            worse=resnet(32, "A"),
            better=resnet(32, "C"),
            of=test_error,
        ),
        threshold=1.0,  # the paper calls its 0.8 points small
        rule="within",
    ),
    Claim(
        name="b-over-a",
        statement="Option B is slightly better than A.",
        source="section 4.1, Table 3",
        covers=("paper 10",),
        effect=Difference(
            "test error of ResNet-32 A minus that of ResNet-32 B",
            worse=resnet(32, "A"),
            better=resnet(32, "B"),
            of=test_error,
        ),
        threshold=0.0,
    ),
    Claim(
        name="c-over-b",
        statement="Option C is marginally better than B.",
        source="section 4.1, Table 3",
        covers=("paper 10",),
        effect=Difference(
            "test error of ResNet-32 B minus that of ResNet-32 C",
            worse=resnet(32, "B"),
            better=resnet(32, "C"),
            of=test_error,
        ),
        threshold=0.0,
    ),
    Claim(
        name="projection-not-the-source",
        statement="The gain comes from the shortcut, not from the projection.",
        source="reading note 6",
        covers=("note 6",),
        effect=Difference(
            "what the identity gains over the plain net minus what projections gain over the identity (test error)",
            worse=Together((plain(32), resnet(32, "A")), by=gap),
            better=Together((resnet(32, "A"), resnet(32, "C")), by=gap),
            of=test_error,
        ),
    ),
    Claim(
        name="shortcut-in-every-block",
        statement="A shortcut belongs in every block, not only in the first of each stage.",
        source="reading note 3",
        covers=("note 3",),
        effect=Difference(
            "training error of ResNet-56 with one shortcut per stage minus that with one in every block",
            worse=resnet(56, placement="stage"),
            better=resnet(56),
        ),
    ),
    Claim(
        name="stage-only-is-plain",
        statement="With one shortcut per stage the net falls back to a plain one.",
        source="reading note 3",
        covers=("note 3",),
        effect=Difference(
            "training error of plain-56 minus that of ResNet-56 with one shortcut per stage",
            worse=plain(56),
            better=resnet(56, placement="stage"),
        ),
        threshold=5.0,  # of the tens of points between a plain net of 56 layers and a residual one
        rule="within",
    ),
    Claim(
        name="weaker-shortcuts-hurt",
        statement="Halving what the shortcut carries makes the net worse.",
        source="1603.05027, section 3.1",
        effect=Difference(
            "training error of ResNet-32 with shortcuts of 0.5 x minus that with identities",
            worse=resnet(32, "scaled"),
            better=resnet(32),
        ),
    ),
    Claim(
        name="gates-hurt",
        statement="Gating the shortcut makes the net worse.",
        source="1603.05027, section 3.1",
        effect=Difference(
            "training error of ResNet-32 with gated shortcuts minus that with identities",
            worse=resnet(32, "gated"),
            better=resnet(32),
        ),
    ),
)
CLAIMS |= in_chapter(
    "06_bottleneck",
    Claim(
        name="bottleneck-at-equal-cost",
        statement="At equal cost a net of bottlenecks, with half as many layers again, is no worse than one of basic "
        "blocks.",
        source="section 4.1; reading note 7",
        covers=("note 7",),
        effect=Difference(
            "test error of ResNet-20 minus that of the 29-layer net of bottlenecks with option B, as in the paper",
            worse=resnet(20),
            better=resnet(29, "B", block="bottleneck"),
            of=test_error,
        ),
        threshold=-THRESHOLD,
    ),
    Claim(
        name="bottleneck-at-equal-cost-A",
        statement="At equal cost bottlenecks are no worse with shortcuts that have no parameters, either.",
        source="section 4.1; reading note 7",
        covers=("note 7",),
        effect=Difference(
            "test error of ResNet-20 minus that of the 29-layer net of bottlenecks with option A",
            worse=resnet(20),
            better=resnet(29, block="bottleneck"),
            of=test_error,
        ),
        threshold=-THRESHOLD,
    ),
    Claim(
        name="plain-bottlenecks-degrade",
        statement="Nets of bottlenecks without shortcuts degrade too.",
        source="section 4.1, footnote 4",
        covers=("paper 12",),
        effect=Difference(
            "training error of the plain net of bottlenecks with 83 layers minus that with 29",
            worse=plain(83, block="bottleneck"),
            better=plain(29, block="bottleneck"),
        ),
        of_learned=True,
    ),
    Claim(
        name="basic-blocks-gain-too",
        statement="Basic blocks gain from depth as well, at least half a point: bottlenecks are a matter of cost.",
        source="section 4.1, footnote 4",
        covers=("paper 12",),
        effect=Difference(
            "test error of ResNet-20 minus that of ResNet-56, both of basic blocks",
            worse=resnet(20),
            better=resnet(56),
            of=test_error,
        ),
        of_learned=True,
    ),
)
CLAIMS |= in_chapter(
    "07_heads",
    Claim(
        name="fc-on-images",
        statement="On images with much data a second fully connected layer gains nothing.",
        source="reading note 9",
        covers=("note 9",),
        effect=Difference(
            "test error of ResNet-20 with two fully connected layers minus that with one",
            worse=TWO_LAYERS,
            better=resnet(20),
            of=test_error,
        ),
        threshold=-THRESHOLD,
    ),
    Claim(
        name="fc-on-few-images",
        statement="With few images a second fully connected layer gains nothing, either.",
        source="reading note 9",
        covers=("note 9",),
        effect=Difference(
            "the same difference when trained on a tenth of the images",
            worse=on_few_images(TWO_LAYERS),
            better=on_few_images(resnet(20)),
            of=test_error,
        ),
        threshold=-THRESHOLD,
    ),
    Claim(
        name="vgg-head-on-images",
        statement="A head like VGG's, with two hidden layers on flattened maps, gains nothing either, trained at half "
        "the rate.",
        source="reading note 9",
        covers=("note 9",),
        effect=Difference(
            "test error of ResNet-20 with such a head minus that with average pooling and one layer, both at lr 0.01",
            worse=VGG_HEAD.with_recipe(lr=0.01),
            better=resnet(20).with_recipe(lr=0.01),
            of=test_error,
        ),
        threshold=-THRESHOLD,
    ),
    Claim(
        name="fc-on-rules",
        statement="Where features are structured and the rule is complicated, fully connected layers help.",
        source="reading note 9",
        covers=("note 9",),
        effect=Difference(
            "test error of one fully connected layer minus that of two, on the parity of three signs",
            worse=fully_connected(1, "parity"),
            better=fully_connected(2, "parity"),
            of=test_error,
        ),
    ),
    Claim(
        name="fc-on-real-features",
        statement="Fully connected layers help on real, small sets of features too, by at least half a point.",
        source="reading note 9",
        covers=("note 9",),
        effect=Level(
            "test error of one fully connected layer minus that of two, mean of breast cancer and wine",
            Together(
                (
                    Together((fully_connected(1, "breast-cancer"), fully_connected(2, "breast-cancer")), by=gap),
                    Together((fully_connected(1, "wine"), fully_connected(2, "wine")), by=gap),
                ),
                by=mean,
            ),
            of=test_error,
        ),
        room=Level(
            "the mean test error of one layer",
            Together((fully_connected(1, "breast-cancer"), fully_connected(1, "wine")), by=mean),
            of=test_error,
        ),
    ),
    Claim(
        name="backbone-not-head-layers",
        statement="Six more layers serve better in the backbone than in the head.",
        source="reading note 8",
        covers=("note 8",),
        effect=Difference(
            "test error of ResNet-20 with six hidden fully connected layers minus that of ResNet-26",
            worse=SIX_LAYERS,
            better=resnet(26),
            of=test_error,
        ),
    ),
    Claim(
        name="backbone-not-head-parameters",
        statement="194,000 more parameters serve better in the backbone than in the head.",
        source="reading note 8",
        covers=("note 8",),
        effect=Difference(
            "test error of ResNet-20 with a hidden layer of 2,601 units minus that of ResNet-32",
            worse=MANY_UNITS,
            better=resnet(32),
            of=test_error,
        ),
    ),
)
CLAIMS |= in_chapter(
    "08_cifar10",
    Claim(
        name="overfit-1202",
        statement="A net of 1202 layers has a larger test error than one of 110.",
        source="section 4.2",
        covers=("paper 15",),
        effect=Difference(
            "test error of ResNet-1202 minus that of ResNet-110", worse=resnet(1202), better=resnet(110), of=test_error
        ),
    ),
)
CLAIMS |= in_chapter(
    "09_imagenet",
    Claim(
        name="plain-34-worse",
        statement="Of the plain nets of Table 1, the one with 34 layers fits worse than the one with 18.",
        source="section 4.1, Table 2",
        covers=("paper 6",),
        effect=Difference(
            "training error of plain-34 minus that of plain-18", worse=table1(34, "none"), better=table1(18, "none")
        ),
        of_learned=True,
    ),
    Claim(
        name="resnet-34-better",
        statement="Of the residual nets of Table 1, the one with 34 layers is better than the one with 18.",
        source="section 4.1, Table 2",
        covers=("paper 9",),
        effect=Difference(
            "test error of ResNet-18 minus that of ResNet-34",
            worse=table1(18, "A"),
            better=table1(34, "A"),
            of=test_error,
        ),
        of_learned=True,
    ),
    Claim(
        name="resnet-18-comparable",
        statement="At 18 layers plain and residual net end at about the same test error.",
        source="section 4.1, Table 2",
        covers=("paper 9",),
        effect=Difference(
            "test error of plain-18 minus that of ResNet-18",
            worse=table1(18, "none"),
            better=table1(18, "A"),
            of=test_error,
        ),
        threshold=1.0,
        rule="within",
        of_learned=True,
    ),
    Claim(
        name="resnet-18-faster",
        statement="At 18 layers the residual net of Table 1 learns sooner than the plain one.",
        source="section 4.1, Figure 4",
        covers=("paper 9",),
        effect=Difference(
            "training error halfway through the schedule, plain-18 minus ResNet-18",
            worse=table1(18, "none"),
            better=table1(18, "A"),
            of=halfway_error,
        ),
        of_learned=True,
    ),
)
CLAIMS |= in_chapter(
    "10_choosing_an_architecture",
    Claim(
        name="diagnosis-right",
        statement="With a second run, four constructed cases are recognised, in more than four trials of five.",
        source="reading note 10",
        covers=("note 10",),
        effect=RightDiagnoses(
            "share of the constructed cases that the diagnosis names rightly, on seeds it was not tuned on"
        ),
        threshold=80.0,
        unit="percent",
    ),
)
CLAIMS |= in_chapter(
    "11_folklore",
    *(
        Claim(
            name=f"folklore: {departure.name}",
            statement=f"Compared with the book's recipe, {departure.name}: it costs test error.",
            source="implementations' own reports",
            effect=added_by(departure),
            threshold=0.0,
        )
        for departure in FOLKLORE
    ),
    Claim(
        name="best-epoch-flatters",
        statement="Reporting the best epoch on the test set flatters a net.",
        source="implementations' own reports",
        effect=Level(
            "test error of the last iteration of ResNet-20 minus the lowest of all evaluations",
            resnet(20),
            of=flattery,
        ),
        room=Level("what the best epoch is ahead of the last iteration", resnet(20), of=flattery),
        threshold=0.0,
    ),
)
CLAIMS |= in_chapter(
    "12_beyond_convolutions",
    Claim(
        name="transformer-shortcuts-help",
        statement="Shortcuts take away most of what depth costs a transformer, too.",
        source="reading note S6",
        covers=("S6",),
        effect=Difference(
            "half the cost of depth (12 blocks minus 2) without shortcuts minus the cost with them",
            worse=Together((transformer(12, "none"), transformer(2, "none")), by=half_gap),
            better=Together((transformer(12), transformer(2)), by=gap),
        ),
        threshold=0.0,
        of_learned=True,
    ),
    Claim(
        name="transformer-degrades",
        statement="A transformer without shortcuts fits its own training images worse when it is deeper.",
        source="reading note S6",
        covers=("S6",),
        effect=Difference(
            "training error with 12 blocks minus that with 2, both without shortcuts",
            worse=transformer(12, "none"),
            better=transformer(2, "none"),
        ),
        of_learned=True,
    ),
)
CLAIMS |= in_chapter(
    "15_why_shortcuts_work",
    Claim(
        name="time-outgrows-depth",
        statement="The time until a plain net has learned grows faster than its depth.",
        source="section 4.1",
        effect=Level(
            "iterations until the training error falls to 60%, of plain-56 over those of plain-20",
            Together((plain(56), plain(20)), by=quotient),
            of=time_to_learn,
        ),
        threshold=2.8,  # of the depths
        unit="times the iterations",
    ),
    Claim(
        name="time-grows-exponentially",
        statement="The time until a plain net has learned grows exponentially with its depth.",
        source='section 4.1: "exponentially low convergence rates"',
        effect=Level(
            "iterations until the training error falls to 60%, of plain-20, 32, 44 and 56: what the best power of the "
            "depth misses of their logarithms minus what exponential growth misses (root mean squares)",
            Together(tuple(map(plain, DEPTHS)), by=nearer_to_exponential),
            of=time_to_learn,
        ),
        threshold=0.0,
        unit="",
    ),
    Claim(
        name="time-stays-with-shortcuts",
        statement="With shortcuts the deeper net has learned about as soon as the shallower one.",
        source="sections 4.1 and 4.2",
        effect=Level(
            "iterations until the training error falls to 60%, of ResNet-56 over those of ResNet-20",
            Together((resnet(56), resnet(20)), by=quotient),
            of=time_to_learn,
        ),
        threshold=1.5,
        rule="within",
        unit="times the iterations",
    ),
    Claim(
        name="first-block-ruins",
        statement="Of the harm that many deleted blocks do, a plain net has nearly all with the first, a residual one "
        "takes it little by little.",
        source="Veit et al. 2016, 1605.06431",
        effect=Difference(
            "share of what 20 deleted blocks add to the test error that one adds, in plain-56 minus that in ResNet-56",
            worse=plain(56),
            better=resnet(56),
            of=share_of_the_first,
        ),
        threshold=0.5,
        unit="of the whole",
        of_learned=True,
    ),
    Claim(
        name="gradient-takes-short-paths",
        statement="Most of the gradient comes through few of a residual net's blocks, no more than a third.",
        source="Veit et al. 2016, 1605.06431",
        effect=Level(
            "share of the gradient that comes on paths through the branches of at most 9 of the 27 blocks of ResNet-56",
            resnet(56),
            of=short_paths,
        ),
        threshold=50.0,
        unit="percent",
        of_learned=True,
    ),
    Claim(
        name="blocks-step-downhill",
        statement="Most blocks of a residual net move the signal down the loss.",
        source="Jastrzębski et al. 2018, 1710.04773",
        effect=Level(
            "share of the blocks of ResNet-56 whose F(x) points down the loss, in the mean over test images",
            resnet(56),
            of=steps_downhill,
        ),
        unit="of the blocks",
        of_learned=True,
    ),
    Claim(
        name="last-block-steepest",
        statement="The last block of a residual net moves the signal down the loss more than any other.",
        source="Jastrzębski et al. 2018, 1710.04773",
        effect=Level(
            "cosine between F(x) and the way down the loss in the last block of ResNet-56 minus the largest of the "
            "other blocks",
            resnet(56),
            of=last_step_steepest,
        ),
        threshold=0.0,
        unit="",
        of_learned=True,
    ),
    Claim(
        name="resets-cost-plain-more",
        statement="A deep plain net misses the training of a block more than a residual net does.",
        source="Zhang et al. 2022, 1902.01996",
        effect=Difference(
            "what a block with its weights from before training adds to the test error, median over blocks, of "
            "plain-56 minus that of ResNet-56",
            worse=plain(56),
            better=resnet(56),
            of=reset_cost,
        ),
        of_learned=True,
    ),
    Claim(
        name="resets-cost-little",
        statement="Most blocks of a deep residual net can lose their training for next to nothing.",
        source="Zhang et al. 2022, 1902.01996",
        effect=Level(
            "what a block with its weights from before training adds to the test error of ResNet-56, median over "
            "blocks",
            resnet(56),
            of=reset_cost,
        ),
        threshold=1.0,
        rule="within",
        of_learned=True,
    ),
    Claim(
        name="plain-loss-falls-again",
        statement="Away from the trained weights, the loss of a deep plain net goes down again in more places than "
        "that of a residual net.",
        source="Li et al. 2018, 1712.09913",
        effect=Difference(
            "share of the steps along lines away from the trained weights at which the loss falls, of plain-56 minus "
            "that of ResNet-56",
            worse=plain(56),
            better=resnet(56),
            of=falls_outward,
        ),
        threshold=0.0,
        unit="of the steps",
        of_learned=True,
    ),
    Claim(
        name="branches-at-zero-train",
        statement="Without batch norm a deep residual net fits better if its branches start at zero.",
        source="De & Smith 2020, 2002.10444",
        covers=("S2",),
        effect=Difference(
            "training error of ResNet-56 without batch norm at its best learning rate minus that of the same net with "
            "SkipInit, at the rate that was best on other seeds",
            worse=BestOf(tuple(unnormalised(resnet(56), lr) for lr in UNNORMALISED_LRS)),
            better=tuned(resnet(56, batch_norm=False, init="skipinit")),
        ),
    ),
    Claim(
        name="skipinit-like-batch-norm",
        statement="With branches that start at zero a deep residual net fits as well without batch norm as with it.",
        source="De & Smith 2020, 2002.10444",
        covers=("S2",),
        effect=Difference(
            "training error of ResNet-56 with batch norm minus that with SkipInit in its place, each at the rate that "
            "was best on other seeds",
            worse=tuned(resnet(56)),
            better=tuned(resnet(56, batch_norm=False, init="skipinit")),
        ),
        threshold=-THRESHOLD,
    ),
    Claim(
        name="fixup-like-batch-norm",
        statement="Without batch norm, Fixup's weights make a deep residual net fit as well as batch norm does.",
        source="Zhang et al. 2019, 1901.09321",
        covers=("S2",),
        effect=Difference(
            "training error of ResNet-56 with batch norm minus that with Fixup in its place, each at the rate that was "
            "best on other seeds",
            worse=tuned(resnet(56)),
            better=tuned(resnet(56, batch_norm=False, init="fixup")),
        ),
        threshold=-THRESHOLD,
    ),
    Claim(
        name="pre-activation-helps",
        statement="A residual net of 56 layers does better with batch norm and ReLU before its convolutions.",
        source="He et al. 2016, 1603.05027",
        effect=Difference(
            "test error of ResNet-56 minus that with pre-activation",
            worse=resnet(56),
            better=resnet(56, block="pre-activation"),
            of=test_error,
        ),
        threshold=0.0,  # the follow-up paper's gain, with 110 layers, is a quarter of a point
        of_learned=True,
    ),
    Claim(
        name="norm-after-addition-hurts",
        statement="A residual net of 56 layers does worse if batch norm stands behind the addition.",
        source="He et al. 2016, 1603.05027",
        effect=Difference(
            "test error of ResNet-56 with batch norm after the addition minus that of ResNet-56",
            worse=resnet(56, block="norm after addition"),
            better=resnet(56),
            of=test_error,
        ),
    ),
    Claim(
        name="dirac-start-no-cure",
        statement="To start as the identity does not do for the plain net what the shortcut does.",
        source="reading note 1; Zagoruyko & Komodakis 2017, 1706.00388",
        covers=("note 1",),
        effect=Difference(
            "training error of plain-56 from layers that are the identity minus that of ResNet-56, each at the rate "
            "that was best on other seeds",
            worse=tuned(plain(56, init="dirac")),
            better=tuned(resnet(56)),
        ),
        of_learned=True,
    ),
    Claim(
        name="dirac-start-helps",
        statement="To start as the identity takes away most of what the missing shortcut costs a deep plain net.",
        source="reading note 1; Zagoruyko & Komodakis 2017, 1706.00388",
        covers=("note 1",),
        effect=Difference(
            "training error halfway between plain-56 and ResNet-56 minus that of plain-56 from layers that are the "
            "identity, each at the rate that was best on other seeds",
            worse=Together((tuned(plain(56)), tuned(resnet(56))), by=mean),
            better=tuned(plain(56, init="dirac")),
        ),
        threshold=0.0,
        of_learned=True,
    ),
    Claim(
        name="dirac-start-no-degradation",
        statement="Started as the identity, the deep plain net fits as well as the plain net of 20 layers.",
        source="section 4.1; Zagoruyko & Komodakis 2017, 1706.00388",
        effect=Difference(
            "training error of plain-20 minus that of plain-56 from layers that are the identity, each at the rate "
            "that was best on other seeds",
            worse=tuned(plain(20)),
            better=tuned(plain(56, init="dirac")),
        ),
        threshold=-THRESHOLD,
        of_learned=True,
    ),
    Claim(
        name="orthogonal-start-no-cure",
        statement="A start that keeps all lengths does not do for a deep plain net what the shortcut does.",
        source="reading note 1; Xiao et al. 2018, 1806.05393",
        covers=("note 1",),
        effect=Difference(
            "training error of plain-56 from layers that are rotations minus that of ResNet-56, each at the rate "
            "that was best on other seeds",
            worse=tuned(plain(56, init="orthogonal")),
            better=tuned(resnet(56)),
        ),
        of_learned=True,
    ),
)
CLAIMS |= in_chapter(
    "16_how_much_is_noise",
    Claim(
        name="one-bit-a-new-seed",
        statement="One changed bit of one weight, before training, does at least half of what a new seed does.",
        source="Summers & Dinneen 2021, 2103.04514",
        effect=Level(
            "test images that ResNet-20 with one bit changed answers differently, over those that another seed does, "
            "both trained in fp32",
            resnet(20),
            of=one_bit_apart,
        ),
        unit="times another seed's",
    ),
)


def verdicts(records: Records) -> list[Verdict]:
    """Every claim under every profile, claims first."""
    return [claim.verdict(profile, records) for claim in CLAIMS.values() for profile in PROFILES.values()]
