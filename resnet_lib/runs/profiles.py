"""Profiles: the scales at which everything can be run, from a minute a run to hours a run."""

from dataclasses import dataclass

from resnet_lib.runs.config import DataConfig, Recipe, RunConfig, changed

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

    The nets of Table 1 have images and a recipe of their own. `label` is what readers see: the images, and how long.
    """

    name: str
    label: str
    summary: str
    data: DataConfig
    recipe: Recipe
    imagenet_data: DataConfig
    imagenet_recipe: Recipe
    num_seeds: int
    first_seed: int = 0  # readers' runs have others

    @property
    def seeds(self) -> range:
        """Those of its runs."""
        return range(self.first_seed, self.first_seed + self.num_seeds)


SMALL_RECIPE = changed(
    PAPER_RECIPE,
    iterations=400,
    milestones=(300,),
    lr=0.02,
    warmup_iterations=40,
    crop_padding=0,
    log_every=20,
    eval_every=100,
)
"""Found by search on seeds from 100 on, which no verdict uses: nets of 20 to 56 layers have learned something by then,
plain ones too, and seeds scatter little."""
SMALL_TABLE1_RECIPE = changed(
    SMALL_RECIPE,
    iterations=300,
    milestones=(225,),
    batch_size=64,
    lr=0.01,
    warmup_iterations=60,
    warmup_lr=0.001,
    log_every=15,
    eval_every=75,
)
"""The plain net of 34 layers of Table 1 does not start reliably by the other, nor without a slow warm-up."""

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="small",
            label="clothes, 400 steps",
            summary="6,000 images of Fashion-MNIST at 16 x 16 pixels, 400 iterations",
            data=DataConfig(name="fashion-mnist-mini", image_size=16),
            recipe=SMALL_RECIPE,
            imagenet_data=DataConfig(name="fashion-mnist-mini", image_size=32),
            imagenet_recipe=SMALL_TABLE1_RECIPE,
            num_seeds=10,
        ),
        Profile(
            name="quick",
            label="CIFAR-10, a tenth",
            summary="CIFAR-10, one tenth of the paper's schedule (6,400 iterations)",
            data=DataConfig(name="cifar10", image_size=32),
            recipe=changed(PAPER_RECIPE, iterations=6400, milestones=(3200, 4800), log_every=100, eval_every=400),
            imagenet_data=DataConfig(name="tiny-imagenet-25", image_size=64),
            imagenet_recipe=imagenet_recipe(12_500, batch_size=128, epochs=20, milestones=(10, 15)),
            num_seeds=3,
        ),
        Profile(
            name="paper",
            label="CIFAR-10, in full",
            summary="CIFAR-10, the paper's schedule (64,000 iterations)",
            data=DataConfig(name="cifar10", image_size=32),
            recipe=PAPER_RECIPE,
            imagenet_data=DataConfig(name="tiny-imagenet-100", image_size=64),
            imagenet_recipe=imagenet_recipe(50_000, batch_size=256, epochs=90, milestones=(30, 60)),
            num_seeds=5,
        ),
    )
}
"""From a minute a run to hours a run. Nothing but `quick` and `paper` ever needs CIFAR-10 or Tiny ImageNet."""

IMAGES = {
    "fashion-mnist-mini": "clothes",
    "cifar10": "CIFAR-10",
    "tiny-imagenet-25": "25 classes of Tiny ImageNet",
    "tiny-imagenet-100": "100 classes of Tiny ImageNet",
    "breast-cancer": "features of breast cancer",
    "wine": "features of wine",
    "parity": "rows of a parity rule",
}
"""What readers are told a data set is, where its own name does not say it."""


def scale_of(config: RunConfig) -> str:
    """On what a run was trained and for how long, for readers: the label of a profile, or images and steps."""
    data, iterations = config.data, config.recipe.iterations
    labels = {(profile.data.name, profile.recipe.iterations): profile.label for profile in PROFILES.values()}
    told = labels.get((data.name, iterations), f"{IMAGES.get(data.name, data.name)}, {iterations:,} steps")
    return told if data.num_train is None else f"{told}, {data.num_train:,} images"
