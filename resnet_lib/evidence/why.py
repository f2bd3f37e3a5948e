"""Facts about nets at their start, for chapter 15: measured anew on untrained nets of several seeds.

Nothing is trained, but weights are drawn: a fact holds if the 95% interval over the seeds lies where its rule says, as
for claims that runs decide (`rule`). The rules were fixed after a look at other seeds than these. All is computed in
float64: in a deep plain net what fp32 rounds away grows to what a reader sees, and rounding differs between processors.
"""

from collections.abc import Callable
from math import log
from statistics import geometric_mean, mean

from torch import Tensor

from resnet_lib import data
from resnet_lib.evidence.rule import Verdict, judge
from resnet_lib.nets import models, probes, signals

SEEDS = range(10, 15)
IMAGES = 16
DEPTHS = (20, 56, 110)
KINDS = {"plain": "none", "residual": "A"}  # -> shortcut
POINTS = 64  # from one image to another


def images_and_labels(count: int = IMAGES) -> tuple[Tensor, Tensor]:
    """The first training images of fashion-mnist-mini at 16×16 pixels, normalised (N, 1, 16, 16), and labels (N,)."""
    dataset = data.load("fashion-mnist-mini", 16)
    return dataset.normalize(dataset.train_images[:count]).double(), dataset.train_labels[:count]


def untrained(depth: int, shortcut: str, seed: int, **varied: object) -> models.CifarNet:
    """A new net for these images, with arguments of `models.CifarNet` that are not the paper's."""
    net = models.CifarNet(depth, shortcut, in_channels=1, **varied)
    models.initialize(net, seed)
    return net.double()


def at_the_start(net: models.CifarNet, images: Tensor, labels: Tensor) -> dict[str, float]:
    """What this chapter measures on a new net, in three numbers; batch norm then has the statistics of these images.

    Returns:
        The mean of the relative steps, the gradient at the first block over that at the last, and the cosine of the
        gradients at neighbouring points of a line between two of the images.
    """
    steps, norms = probes.branch_ratios(net, images), signals.gradients_on_the_way(net, images, labels)
    along = signals.gradients_along_a_line(signals.settle(net, images), images[0], images[1], POINTS)
    return {
        "mean step": mean(steps),
        "gradient, first block over last": norms[0] / norms[-1],
        "cosine of neighbours": signals.autocorrelation(along)[1],
    }


def starts(nets: dict[str, dict[str, object]], depth: int = 56) -> list[dict[str, str]]:
    """A row for each kind of new net, name -> arguments of `models.CifarNet`: what `at_the_start` gives, over `SEEDS`.

    Means, and of the growth of the gradient the geometric one.
    """
    images, labels = images_and_labels()
    rows = []
    for name, varied in nets.items():
        told = [at_the_start(untrained(depth, seed=seed, **varied), images, labels) for seed in SEEDS]
        means = {what: f"{round(mean(each[what] for each in told), 2) + 0:.2f}" for what in told[0]}
        growth = "gradient, first block over last"
        means[growth] = f"{float(f'{geometric_mean(each[growth] for each in told):.2g}'):,.0f}"
        rows.append({"net": name} | means)
    return rows


def exponent(values: dict[int, float]) -> float:
    """The p of y ∝ n^p by least squares on logarithms, of n -> y."""
    x, y = [log(n) for n in values], [log(value) for value in values.values()]
    return sum((a - mean(x)) * (b - mean(y)) for a, b in zip(x, y, strict=True)) / sum((a - mean(x)) ** 2 for a in x)


def _over_seeds(measure: Callable[[str, int], float]) -> dict[str, list[float]]:
    """One number per seed of each kind of net; `measure` takes its shortcut and the seed."""
    return {kind: [measure(shortcut, seed) for seed in SEEDS] for kind, shortcut in KINDS.items()}


def _told(verdict: Verdict, digits: int = 2) -> str:
    """Mean and interval."""
    mean, low, high = (
        f"{round(value, digits) + 0.0:.{digits}f}" for value in (verdict.effect, verdict.low, verdict.high)
    )
    return f"{mean} ({low} to {high})"


def branch_shrinks_with_depth() -> tuple[bool, str]:
    """Exponent of the mean relative step against the number of blocks: near -1/2 in residual nets, near 0 in plain."""
    images, _ = images_and_labels()

    def measure(shortcut: str, seed: int) -> float:
        steps = {depth: probes.branch_ratios(untrained(depth, shortcut, seed), images) for depth in DEPTHS}
        return exponent({len(of): mean(of) for of in steps.values()})

    found = _over_seeds(measure)
    near_half = judge("", "", [p + 0.5 for p in found["residual"]], 0.1, "within")
    residual, plain = (judge("", "", found[kind], 0.1, "within") for kind in ("residual", "plain"))
    return near_half.status == plain.status == "supported", (
        f"with the number n of blocks the mean of std F(x) / std x over the blocks goes as n^p, with p = "
        f"{_told(residual)} in residual nets and {_told(plain)} in plain ones ({_whose()}). The rule asks for -0.5 and "
        "0, each to 0.1."
    )


def gradients_grow_in_plain() -> tuple[bool, str]:
    """Powers of ten by which 54 more layers make the gradient grow more: over 2 in plain nets, under 1 in residual."""
    images, labels = images_and_labels()

    def growth(depth: int, shortcut: str, seed: int) -> float:
        norms = signals.gradients_on_the_way(untrained(depth, shortcut, seed), images, labels)
        return log(norms[0] / norms[-1], 10)

    found = _over_seeds(lambda shortcut, seed: growth(110, shortcut, seed) - growth(56, shortcut, seed))
    plain = judge("", "", found["plain"], 2)
    residual = judge("", "", found["residual"], 1)
    return plain.status == "supported" and residual.status == "refuted", (
        f"from 56 to 110 layers the growth from the last block to the first rises by {_told(plain, 1)} powers of ten "
        f"in plain nets and by {_told(residual, 1)} in residual ones ({_whose()}). The rule asks for over 2 "
        "and under 1."
    )


def gradients_shatter() -> tuple[bool, str]:
    """Cosine of the gradients of neighbouring points: under 0.1 in plain-56, over 0.5 in ResNet-56."""
    images, _ = images_and_labels()

    def measure(shortcut: str, seed: int) -> float:
        net = signals.settle(untrained(56, shortcut, seed), images)
        return signals.autocorrelation(signals.gradients_along_a_line(net, images[0], images[1], POINTS))[1]

    found = _over_seeds(measure)
    plain, residual = judge("", "", found["plain"], 0.1), judge("", "", found["residual"], 0.5)
    return plain.status == "refuted" and residual.status == "supported", (
        f"between two points that are 1/{POINTS - 1} of the way from one image to another apart, the cosine of the "
        f"gradients is {_told(plain, 1)} in plain-56 and {_told(residual)} in ResNet-56 ({_whose()}). The rule asks "
        "for under 0.1 and over 0.5."
    )


def _whose() -> str:
    return f"{len(SEEDS)} seeds, mean and 95% interval"
