"""`train`: the runs of a suite, of one net or of the long campaign."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from resnet_lib.cli.options import AddCommand, Parser, add_shared, positive, seconds, setting
from resnet_lib.errors import UserError, lookup, tell
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import SUITES, long_runs
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.store import Records, local_dir


def add_to(command: AddCommand) -> None:
    """Adds the command."""
    sub = command("train", run_train, "train the runs that have no record; continue what was interrupted")
    what = sub.add_mutually_exclusive_group(required=True)
    what.add_argument("--suite", metavar="S", help=f"all runs of a suite: {', '.join(SUITES)}")
    what.add_argument("--net", metavar="N", help="one net by the paper's recipe: plain-20, resnet-56, resnet-56-B")
    what.add_argument(
        "--campaign", action="store_true", help="CIFAR-10 by the paper's own schedule, most telling runs first (days)"
    )
    add_shared(sub, "--profile", "--seeds")
    sub.add_argument(
        "--jobs", type=positive, metavar="J", help="runs at a time (default: one per core, or one on a GPU)"
    )
    add_run_options(sub)
    many = sub.add_argument_group("many machines", "pip install 'resnet-lib[cluster]'")
    many.add_argument("--executor", choices=("processes", "ray"), default="processes", help="what places the runs")
    many.add_argument("--address", metavar="A", help="of a Ray cluster, or auto (default: this machine alone)")


def add_run_options(sub: Parser) -> None:
    """Adds what holds for training of any kind."""
    sub.add_argument("--retrain", action="store_true", help="train also what only the book has a record of")
    add_shared(sub, "--compile")
    sub.add_argument(
        "--time-limit", type=seconds, metavar="T", help="stop cleanly after 90s, 9m or 2h; repeat to go on"
    )
    sub.add_argument(
        "--accept-changes", action="store_true", help="go on also where code or data changed since; the record says so"
    )
    sub.add_argument("--plan", action="store_true", help="only print what would run, in which order, and how long")
    sub.add_argument("--out", type=Path, metavar="DIR", help="leave the finished records in DIR as one archive")
    add_shared(sub, "--device", "--json")


def run_train(options: argparse.Namespace) -> int:
    """Trains a suite or a net."""
    from resnet_lib.jobs.campaign import pending, work
    from resnet_lib.training.loop import TimeLimitReached

    if options.address and options.executor != "ray":
        raise UserError("--address is of a Ray cluster; add --executor ray")
    profile = lookup(PROFILES, options.profile, "profile")
    if options.suite:
        configs = lookup(SUITES, options.suite, "suite").runs(profile, options.seeds)
    elif options.campaign:
        configs = long_runs()
    else:
        configs = [setting(options.net).at(profile, seed) for seed in options.seeds or range(1)]
    todo = pending(configs, options.retrain, options.device)
    tell(f"runs: {len(configs)}, to train: {len(todo)}")
    if options.plan:
        return plan(todo, options)
    finished = True
    how = {"device": options.device, "compiled": options.compile, "time_limit": options.time_limit}
    how |= {"accept_changes": options.accept_changes}
    try:
        if options.executor == "ray":
            from resnet_lib.jobs import cluster

            cluster.work(configs, retrain=options.retrain, address=options.address, at_once=options.jobs, **how)
        else:
            work(configs, retrain=options.retrain, jobs=options.jobs, **how)
    except TimeLimitReached as reached:
        tell(str(reached))
        finished = False
    return tell_results(configs, options, finished)


def plan(todo: Sequence[RunConfig], options: argparse.Namespace) -> int:
    """Prints the runs to do in their order, and the time each would take alone on this device."""
    from resnet_lib.display import clock
    from resnet_lib.jobs.campaign import cost
    from resnet_lib.speed.bench import seconds_per_cost

    price = seconds_per_cost(options.device, options.compile)
    seconds = {config.name: price * cost(config) for config in todo}
    if options.json:
        print(json.dumps([{"run": name, "seconds": round(took)} for name, took in seconds.items()]))
        return 0
    for name, took in seconds.items():
        print(f"{clock(took):>10}  {name}")
    print(f"{clock(sum(seconds.values())):>10}  all of them, one after the other")
    return 0


def tell_results(configs: Sequence[RunConfig], options: argparse.Namespace, finished: bool) -> int:
    """Prints the errors of the runs that are recorded, and exports their records if that is wanted."""
    from resnet_lib.jobs.exchange import export

    source = Records(local_dir()) if options.retrain else Records.all()
    records = source.select(configs)
    if finished and len(records) < len(configs):
        raise UserError(f"{len(configs) - len(records)} of {len(configs)} runs left no record; repeat the command")
    if options.out:
        tell(f"{len(records)} records in {export(configs, source, options.out)}")
    if options.json:
        print(json.dumps([record.model_dump(mode="json") for record in records]))
    else:
        for record in records:
            final = record.final
            print(f"{record.config.name}: training error {final.train_error:.2f}%, test error {final.test_error:.2f}%")
        print(f"{len(records)} of {len(configs)} runs recorded{'' if finished else '; repeat the command to go on'}")
    return 0
