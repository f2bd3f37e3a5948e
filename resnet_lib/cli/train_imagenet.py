"""`train-imagenet`: the nets of Table 1 on ImageNet at full size, by one process or by those of torchrun."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from resnet_lib.cli.options import AddCommand, positive, seed_range
from resnet_lib.cli.train import add_run_options, tell_results
from resnet_lib.errors import lookup, tell
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.profiles import PROFILES


def add_to(command: AddCommand) -> None:
    """Adds the command."""
    sub = command("train-imagenet", run_train_imagenet, "train on ImageNet at full size; many processes by torchrun")
    sub.add_argument("folder", type=Path, metavar="DIR", help="train on DIR/train/CLASS/*, test on DIR/val/CLASS/*")
    sub.add_argument("--suite", required=True, metavar="S", help="table2, table3 or table3-deep")
    sub.add_argument("--seeds", type=seed_range, metavar="K", help="3: the first three; 2-4 (default: 1)")
    sub.add_argument("--epochs", type=positive, metavar="E", help="the paper's schedule in so many (default: 120)")
    sub.add_argument("--batch-size", type=positive, metavar="B", help="of all processes together (default: 256)")
    sub.add_argument(
        "--accumulate", type=positive, default=1, metavar="K", help="work on a process's share in K parts (default: 1)"
    )
    sub.add_argument(
        "--workers", type=positive, default=4, metavar="W", help="readers of images per process (default: 4)"
    )
    add_run_options(sub)


def run_train_imagenet(options: argparse.Namespace) -> int:
    """Trains the nets of a suite on ImageNet at full size, as one of the processes of torchrun or alone."""
    from resnet_lib.jobs import campaign
    from resnet_lib.training import Hardware, TimeLimitReached, imagenet, train
    from resnet_lib.training.processes import joined

    suite = lookup(SUITES, options.suite, "suite")
    nets = imagenet.nets_of(suite.runs(PROFILES["paper"], range(1)), suite.name)
    folder = imagenet.open_folder(options.folder, options.workers)
    num_images = len(folder.train.files)
    recipe = imagenet.recipe(num_images, options.batch_size or imagenet.BATCH_SIZE, options.epochs or imagenet.EPOCHS)
    configs = [imagenet.run(net, folder, seed, recipe) for seed in options.seeds or range(1) for net in nets]
    todo = campaign.pending(configs, options.retrain, options.device)
    with joined(options.device, options.accumulate) as (group, device):
        hardware = Hardware.choose(device, recipe.precision, options.compile)
        if first := group.rank == 0:
            tell(imagenet.arithmetic(recipe, group, num_images))
            tell(f"runs: {len(configs)}, to train: {len(todo)}")
        if options.plan:
            return plan(todo) if first else 0
        started, finished = time.monotonic(), True
        try:
            for config in todo:
                left = options.time_limit and max(0.0, options.time_limit - (time.monotonic() - started))
                record, net = train(
                    config,
                    folder,
                    hardware,
                    group,
                    checkpoint=campaign.checkpoint_path(config),
                    checkpoint_every=600.0,  # half a gigabyte for ResNet-152
                    time_limit=left,
                    progress=campaign.tell_one if first else None,
                    accept_changes=options.accept_changes,
                )
                if first:
                    campaign.store(record, net)
        except TimeLimitReached as reached:
            finished = False
            if first:
                tell(str(reached))
    return tell_results(configs, options, finished) if first else 0


def plan(todo: Sequence[RunConfig]) -> int:
    """Prints the runs to do in their order with the work in each, since a device for it need not be at hand."""
    from resnet_lib.nets.geometry import table1_cost

    for config in todo:
        images = config.recipe.iterations * config.recipe.batch_size
        work = 3 * images * table1_cost(config.net.depth, config.net.shortcut).multiply_adds  # backward counts twice
        print(f"{work:.1e} multiply-adds  {config.name}")
    return 0
