"""Claims settled by arithmetic, by construction, or on untrained nets (`why`): no run of ours is needed.

Each fact is checked anew wherever it is shown; a test checks all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch

from resnet_lib.evidence import noise, why
from resnet_lib.nets import geometry, models, probes, surgery
from resnet_lib.nets.blocks import Bottleneck, make_shortcut
from resnet_lib.runs.paper import paper, paper_table


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A statement, its source, and a check that returns whether it holds and the evidence in one sentence.

    A check that can hardly fail shows no more than `consistency`, and counts in no score.
    """

    name: str
    statement: str
    source: str
    chapter: str  # the notebook's name
    covers: tuple[str, ...]  # see `claims.TO_COVER`
    check: Callable[[], tuple[bool, str]]
    consistency: bool = False

    def word(self, holds: bool) -> str:
        """What is said of it."""
        return ("consistent" if holds else "inconsistent") if self.consistency else ("holds" if holds else "fails")


@cache
def checked(fact: Fact) -> tuple[bool, str]:
    """Whether a fact holds, and the evidence; checked once in a process."""
    return fact.check()


def _briefly_used_net(shortcut: str, seed: int) -> tuple[models.CifarNet, torch.Tensor]:
    """A small net with random weights whose batch norms have seen some batches, and other images (N, C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    net = models.CifarNet(8, shortcut, in_channels=1)
    models.initialize(net, seed)
    with torch.no_grad():
        for _ in range(5):
            net(torch.randn(32, 1, 8, 8, generator=generator))
    return net.eval(), torch.randn(128, 1, 8, 8, generator=generator)


NUM_SEEDS = 5


def _growth_keeps() -> tuple[bool, str]:
    """New residual blocks whose last layer gives zero change no output, and their gradients are not zero."""
    kept = in_training = trainable = lost = 0
    for seed in range(NUM_SEEDS):
        net, images = _briefly_used_net("A", seed)
        deeper = surgery.deepen(net, 4, "zero", seed=seed)
        kept += surgery.disagreement(net, deeper, images)[0] == 0
        in_training += surgery.disagreement(net, deeper, images, in_training=True)[0] == 0
        deeper.train()(images).square().sum().backward()
        new = [block for stage in deeper.stages for block in stage[1:]]
        trainable += all(bool(block.bn2.weight.grad.any()) for block in new)
        plain, images = _briefly_used_net("none", seed)
        outputs = surgery.deepen(plain, 4, "zero", seed=seed)(images)
        lost += bool((outputs == outputs[0]).all())
    evidence = (
        f"of {NUM_SEEDS} ResNet-8 deepened to 32 layers with blocks that start at F(x) = 0, {kept} give exactly the "
        f"outputs they gave before, {in_training} do so with the batch's statistics, too, and in {trainable} every new "
        f"block has a gradient. Of {NUM_SEEDS} plain-8 deepened in this way, {lost} give one answer to all images."
    )
    return kept == in_training == trainable == lost == NUM_SEEDS, evidence


def _plain_contains_shallower() -> tuple[bool, str]:
    """New plain blocks that are the identity change no output, as long as batch norm has fixed statistics."""
    kept = settled = differ = settled_differ = 0
    for seed in range(NUM_SEEDS):
        net, images = _briefly_used_net("none", seed)
        seen, unseen = images.split(64)
        new, told = surgery.deepen(net, 4, "dirac"), surgery.deepen(net, 4, "dirac", images=seen)
        kept += surgery.disagreement(net, new, unseen)[0] < ROUNDING
        settled += surgery.disagreement(net, told, unseen)[0] < ROUNDING
        differ += surgery.disagreement(net, new, unseen, in_training=True)[0] > VISIBLE
        settled_differ += surgery.disagreement(net, told, unseen, in_training=True)[0] > VISIBLE
    evidence = (
        f"of {NUM_SEEDS} plain-8 deepened to 32 layers with blocks that copy their input, {kept} give the outputs they "
        f"gave before, to {ROUNDING:g} of the largest. That is with batch norm's running statistics, as a finished "
        f"net is used. With those of a batch, as in training, {differ} of them differ by more than {VISIBLE:.0%}, and "
        f"still {settled_differ} if scale and shift of the new batch norms were set to undo the normalisation of other "
        "images."
    )
    return kept == settled == NUM_SEEDS, evidence


ROUNDING = 1e-4  # relative to the largest output, after 24 more layers in fp32
VISIBLE = 0.01


def _shapes_must_agree() -> tuple[bool, str]:
    """The identity fits exactly where C, H and W stay; elsewhere a sum with it is refused, or stretched unasked."""
    kept = changed = refused = 0
    alike = True
    with torch.device("meta"):
        nets = [(models.CifarNet(56, option), torch.empty(1, 3, 32, 32)) for option in ("A", "B")]
        nets += [(models.ImageNetNet(depth, "B"), torch.empty(1, 3, 224, 224)) for depth in (34, 50)]
    for net, images in nets:
        for row in probes.residual_shapes(net, images):
            same = row["x"] == row["F(x)"]
            alike &= same == (row["shortcut"] == "Identity")
            kept += same
            if same:
                continue
            changed += 1
            block = net.get_submodule(row["block"])
            aligned, block.downsample = block.downsample, torch.nn.Identity()
            try:
                probes.residual_shapes(net, images)
            except ValueError:
                refused += 1
            block.downsample = aligned
    evidence = (
        f"in ResNet-56 A and B and in ResNet-34 and 50 B of Table 1, {kept} blocks keep the shape and "
        f"{'have the identity' if alike else 'do not all have the identity'}; {changed} change it, and in {refused} of "
        "these a sum with the identity is refused."
    )
    return alike and refused == changed > 0, evidence


def _independent_choices() -> tuple[bool, str]:
    """Over all 36 combinations of three kernels, three strides and four numbers of filters, on 32x32 pixels."""
    holds, layers = True, 0
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for kernel in (1, 3, 5):
        for stride in (1, 2, 4):
            for filters in (4, 8, 16, 32):
                layer = torch.nn.Conv2d(3, filters, kernel, stride, kernel // 2)
                channels, height, width = geometry.output_shape(layer, (3, 32, 32))
                field = geometry.extent(geometry.gradient_map(layer, images))
                holds &= (height, width, channels, field) == (32 // stride, 32 // stride, filters, kernel)
                layers += 1
    return holds, (
        f"in {layers} layers the side of the output is the image's divided by the stride, its channels are the "
        "filters, and the field measured by gradients is the kernel, whatever the other two are."
    )


def _table1_costs() -> tuple[bool, str]:
    """Each printed number has one decimal, so a count agrees if it rounds to within one of it."""
    printed = paper()["paper"]["table1"]["flops_e9"]
    counted = {depth: geometry.table1_cost(depth).multiply_adds / 1e9 for depth in printed}
    furthest = max(abs(counted[depth] - printed[depth]) for depth in printed)
    listed = ", ".join(f"{depth}: {counted[depth]:.2f} ({printed[depth]:g})" for depth in printed)
    return furthest < 0.1, f"billions of multiply-adds counted, and in brackets printed, for {listed}."


def _projections_double() -> tuple[bool, str]:
    """Doubled, for a block, within a tenth; the paper gives no number."""
    with torch.device("meta"):
        shortcuts = [make_shortcut(option, 256, 256, 1) for option in ("B", "C")]
        blocks = [Bottleneck(256, 64, shortcut=shortcut) for shortcut in shortcuts]
    identity, projected = (geometry.cost(block, (256, 56, 56)) for block in blocks)
    time = projected.multiply_adds / identity.multiply_adds
    size = projected.parameters / identity.parameters
    net, all_projected = geometry.table1_cost(50), geometry.table1_cost(50, "C")
    return 1.9 < time < 2.1 and 1.9 < size < 2.1, (
        f"a block of 256 channels costs {time:.2f} times the multiply-adds and has {size:.2f} times the parameters; "
        f"all of ResNet-50 goes from {net.multiply_adds / 1e9:.2f} to {all_projected.multiply_adds / 1e9:.2f} billion "
        f"multiply-adds and from {net.parameters / 1e6:.1f} to {all_projected.parameters / 1e6:.1f} million parameters."
    )


def _identity_is_free() -> tuple[bool, str]:
    """Plain nets and their residual twins with option A cost the same; additions are not multiply-adds."""
    depths = (20, 56, 110)
    with torch.device("meta"):
        twins = [[models.CifarNet(depth, option) for option in ("none", "A")] for depth in depths]
    same = all(geometry.cost(plain, (3, 32, 32)) == geometry.cost(residual, (3, 32, 32)) for plain, residual in twins)
    return same, (
        f"plain nets and their residual twins with option A, of {', '.join(map(str, depths))} layers, have the same "
        "parameters, multiply-adds and activations; what is left is one addition for each output of a block."
    )


def _two_resnet50s() -> tuple[bool, str]:
    """The stride of a bottleneck in its first 1x1 layer, as Table 1's costs have it, or in its 3x3 layer."""
    with torch.device("meta"):
        net = models.ImageNetNet(50, "B")
    moved = geometry.move_stride(net)
    here, there = ([tensor.shape for tensor in one.state_dict().values()] for one in (net, moved))
    costs = [f"{geometry.cost(one, (3, 224, 224)).multiply_adds / 1e9:.2f}" for one in (net, moved)]
    printed = paper()["paper"]["table1"]["flops_e9"][50]
    return here == there and costs[0] != costs[1], (
        f"with the stride in the first 1×1 layer of a bottleneck ResNet-50 takes {costs[0]} billion multiply-adds, "
        f"with the stride in the 3×3 layer {costs[1]} billion; the paper prints {printed:g}. "
        f"{'All' if here == there else 'Not all'} {len(here)} tensors of the one fit the other."
    )


def _testing_outweighs_depth() -> tuple[bool, str]:
    """Top-1 errors on ImageNet of the nets of 50, 101 and 152 layers: one crop, ten crops, several scales."""
    one_crop = paper()["author_repo_S3"]["val_1crop"]
    nets = {depth: f"ResNet-{depth}" for depth in (50, 101, 152)}
    ways = [
        {depth: one_crop[depth][0] for depth in nets},
        *({depth: paper_table(number)[net][0] for depth, net in nets.items()} for number in (3, 4)),
    ]
    least = min(ways[0][depth] - ways[2][depth] for depth in nets)
    most = max(way[50] - way[152] for way in ways)
    crops, scales = ways[1][152], ways[2][50]
    return least > most, (
        f"testing at several scales in place of one crop takes at least {least:.1f} points off the error of each net; "
        f"going from 50 to 152 layers takes off at most {most:.1f}, however they are tested. ResNet-50 at several "
        f"scales has {scales:.2f}%, ResNet-152 with ten crops {crops:.2f}%."
    )


FACTS: dict[str, Fact] = {
    fact.name: fact
    for fact in (
        Fact(
            name="independent-choices",
            statement="Stride, filters and kernel of a layer are three choices: one sets the resolution, one the "
            "channels, one how far it sees.",
            source="reading note 5",
            chapter="05_stride_channels_kernel",
            covers=("note 5",),
            check=_independent_choices,
        ),
        Fact(
            name="table1-costs",
            statement="The nets of Table 1 cost what it says.",
            source="section 3.3, Table 1",
            chapter="06_bottleneck",
            covers=("paper Table 1",),
            check=_table1_costs,
        ),
        Fact(
            name="projections-double",
            statement="With projections in place of identities, bottlenecks cost twice the time and have twice the "
            "size.",
            source="section 4.1; reading note 7",
            chapter="06_bottleneck",
            covers=("note 7", "paper 11"),
            check=_projections_double,
        ),
        Fact(
            name="identity-is-free",
            statement="Identity shortcuts add neither parameters nor computation.",
            source="section 3.2",
            chapter="06_bottleneck",
            covers=("paper 5",),
            check=_identity_is_free,
        ),
        Fact(
            name="growth-keeps",
            statement="A residual net can be deepened without changing what it computes, and go on training: the new "
            "blocks start at zero.",
            source="sections 1 and 3.1; reading notes S5 and 2",
            chapter="03_residual_formulation",
            covers=("S5", "note 2", "paper 3"),
            check=_growth_keeps,
        ),
        Fact(
            name="plain-contains-shallower",
            statement="A deeper plain net that is no worse exists as well: its new layers copy their input.",
            source="sections 1 and 3.1",
            chapter="03_residual_formulation",
            covers=("paper 2",),
            check=_plain_contains_shallower,
        ),
        Fact(
            name="shapes-must-agree",
            statement="The shortcut has to change where a block changes the shape, and nowhere else.",
            source="section 3.3; reading notes S4 and 4",
            chapter="04_shortcuts",
            covers=("S4", "note 4"),
            check=_shapes_must_agree,
        ),
        Fact(
            name="two-resnet50s",
            statement="Two nets are called ResNet-50: they differ in their cost, and the weights of one fit the other.",
            source="section 3.3, Table 1; torchvision",
            chapter="06_bottleneck",
            covers=("paper Table 1",),
            check=_two_resnet50s,
        ),
        Fact(
            name="testing-outweighs-depth",
            statement="Testing a net at several scales gains more than a hundred layers do.",
            source="Tables 3 and 4; the authors' page",
            chapter="09_imagenet",
            covers=(),
            check=_testing_outweighs_depth,
        ),
        Fact(
            name="branch-shrinks-with-depth",
            statement="At the start, batch norm makes the residual branch smaller than the shortcut, by about one over "
            "the square root of depth.",
            source="De & Smith 2020, 2002.10444",
            chapter="15_why_shortcuts_work",
            covers=(),
            check=why.branch_shrinks_with_depth,
        ),
        Fact(
            name="gradients-grow-in-plain",
            statement="At the start, gradients of plain nets with batch norm grow exponentially towards the image, "
            "those of residual nets do not.",
            source="Yang et al. 2019, 1902.08129",
            chapter="15_why_shortcuts_work",
            covers=(),
            check=why.gradients_grow_in_plain,
        ),
        Fact(
            name="gradients-shatter",
            statement="At the start, gradients of a deep plain net change from image to image like white noise, those "
            "of a residual net far less.",
            source="Balduzzi et al. 2017, 1702.08591",
            chapter="15_why_shortcuts_work",
            covers=(),
            check=why.gradients_shatter,
        ),
        Fact(
            name="best-of-five",
            statement="The 6.43% that the paper prints for ResNet-110 is what the best of five such runs is expected "
            "to be.",
            source="Table 6",
            chapter="16_how_much_is_noise",
            covers=(),
            check=noise.best_of_five,
            consistency=True,
        ),
        Fact(
            name="no-outlier-among-resnet-56",
            statement="The two worst errors that others report of single runs of ResNet-56 need not be outliers.",
            source="8.22 and 8.42 in the repositories AmroAbujabal/resnet-cifar-repro and "
            "akamaster/pytorch_resnet_cifar10",
            chapter="16_how_much_is_noise",
            covers=(),
            check=noise.no_outlier,
        ),
    )
}
