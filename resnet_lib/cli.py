"""The command line: `python -m resnet_lib --help`."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from resnet_lib.errors import UserError, lookup, nearest
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.settings import DEPTHS, Setting, plain, resnet
from resnet_lib.runs.store import Records, committed_dir, local_dir

EPILOG = """
examples:
  python -m resnet_lib status                                    what is recorded, what is missing
  python -m resnet_lib train --suite degradation --profile smoke  trains what is missing, or continues
  python -m resnet_lib train --net resnet-20 --profile quick --time-limit 30m
  python -m resnet_lib report --profile quick                     the paper, the book and this machine side by side
  python -m resnet_lib data fetch cifar10

environment:
  RESNET_LIB_DATA   folder with data sets of yours: cifar10.npz, or torchvision's cifar-10-batches-py; for the nets of
                    Table 1 tiny-imagenet-200.zip
  RESNET_LIB_CACHE  folder for downloads, checkpoints and local records (default: ~/.cache/resnet_lib)
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints take one line."""

    def error(self, message: str) -> NoReturn:
        """Prints what is wrong and leaves with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def seconds(text: str) -> float:
    """A duration: 90, 90s, 9m or 2h."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    try:
        duration = float(number) * unit
    except ValueError:
        duration = 0.0
    if not 0 < duration < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s, 9m or 2h")
    return duration


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def seed_range(text: str) -> range:
    """Seeds: 3 is the first three, 2-4 is seeds 2, 3 and 4."""
    first, dash, last = text.partition("-")
    try:
        seeds = range(int(first), int(last) + 1) if dash else range(int(first))
    except ValueError:
        seeds = range(0)
    if not seeds:
        raise argparse.ArgumentTypeError(f"{text!r} names no seeds; write 3 for the first three, or 2-4")
    return seeds


def setting(text: str) -> Setting:
    """A CIFAR net under the paper's recipe, by its name: plain-20, resnet-56, resnet-56-B."""
    from resnet_lib.nets.models import SHORTCUTS, CifarNet

    kind, _, rest = text.lower().partition("-")
    depth, _, shortcut = rest.partition("-")
    shortcut = shortcut.upper() or "A"
    known = kind == "resnet" or (kind == "plain" and rest == depth)  # a plain net has no shortcut to choose
    if not known or not depth.isdigit() or shortcut not in SHORTCUTS[1:]:
        usual = [name for depth in DEPTHS for name in (f"plain-{depth}", f"resnet-{depth}", f"resnet-{depth}-B")]
        hint = nearest(text.lower(), usual) or "write plain-20, resnet-56 or resnet-56-B"
        raise UserError(f"no net is called {text!r}; {hint}")
    try:
        CifarNet(int(depth), shortcut)
    except ValueError as error:
        raise UserError(f"net {text!r}: {error}") from None
    return plain(int(depth)) if kind == "plain" else resnet(int(depth), shortcut)


def build_parser() -> Parser:
    """All commands with their options."""
    parser = Parser(
        prog="python -m resnet_lib",
        description="Trains and reports the runs behind 'Deep residual learning, measured', a companion to the paper.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    profiles = ", ".join(PROFILES)

    def command(name: str, function: object, summary: str) -> Parser:
        sub = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        sub.set_defaults(function=function)
        return sub

    def add_profile(sub: Parser) -> None:
        sub.add_argument("--profile", default="smoke", metavar="P", help=f"{profiles} (default: smoke)")

    def add_json(sub: Parser) -> None:
        sub.add_argument("--json", action="store_true", help="print JSON for programs")

    def add_device(sub: Parser) -> None:
        sub.add_argument("--device", metavar="D", help="cpu or cuda (default: cuda if there is one)")

    sub = command("train", train, "train the runs that have no record; continue what was interrupted")
    what = sub.add_mutually_exclusive_group(required=True)
    what.add_argument("--suite", metavar="S", help=f"all runs of a suite: {', '.join(SUITES)}")
    what.add_argument("--net", metavar="N", help="one net by the paper's recipe: plain-20, resnet-56, resnet-56-B")
    what.add_argument(
        "--campaign", action="store_true", help="CIFAR-10 by the paper's own schedule, most telling runs first (days)"
    )
    add_profile(sub)
    sub.add_argument("--seeds", type=seed_range, metavar="K", help="3: the first three; 2-4 (default: the profile's)")
    sub.add_argument("--retrain", action="store_true", help="train also what only the book has a record of")
    sub.add_argument("--compile", action="store_true", help="torch.compile: a minute to start, then a quarter faster")
    sub.add_argument(
        "--jobs", type=positive, metavar="J", help="runs at a time (default: one per core, or one on a GPU)"
    )
    sub.add_argument(
        "--time-limit", type=seconds, metavar="T", help="stop cleanly after 90s, 9m or 2h; repeat to go on"
    )
    sub.add_argument("--plan", action="store_true", help="only print what would run, in which order, and how long")
    sub.add_argument("--out", type=Path, metavar="DIR", help="leave the finished records in DIR as one archive")
    many = sub.add_argument_group("many machines", "pip install 'resnet-lib[cluster]'")
    many.add_argument("--executor", choices=("processes", "ray"), default="processes", help="what places the runs")
    many.add_argument("--address", metavar="A", help="of a Ray cluster, or auto (default: this machine alone)")
    full = sub.add_argument_group("ImageNet at full size", "table2, table3 or table3-deep; many processes by torchrun")
    full.add_argument(
        "--imagenet", type=Path, metavar="DIR", help="train on DIR/train/CLASS/*, test on DIR/val/CLASS/*"
    )
    full.add_argument("--epochs", type=positive, metavar="E", help="the paper's schedule in so many (default: 120)")
    full.add_argument("--batch-size", type=positive, metavar="B", help="of all processes together (default: 256)")
    full.add_argument(
        "--accumulate", type=positive, metavar="K", help="work on a process's share in K parts (default: 1)"
    )
    full.add_argument("--workers", type=positive, metavar="W", help="readers of images per process (default: 4)")
    add_device(sub)
    add_json(sub)

    sub = command("import", import_records, "merge an archive that train --out left, from another machine perhaps")
    sub.add_argument("archive", type=Path, help="records.zip")
    sub.add_argument("--into-book", action="store_true", help="into the package's records, not this machine's")
    add_json(sub)

    sub = command("status", status, "show what is recorded, what is missing, and what that would cost here")
    sub.add_argument("--suite", metavar="S", help="only this suite")
    add_device(sub)
    add_json(sub)

    sub = command("report", report, "print every setting: the paper, the book's records, this machine's, and verdicts")
    add_profile(sub)
    add_json(sub)

    sub.add_argument("--verdicts", action="store_true", help="print only the verdicts from the book's records, as JSON")
    sub.add_argument(
        "--against",
        metavar="R",
        help="print only what moved since R: a commit, a folder or archive of records, or book",
    )
    sub.add_argument(
        "--of", metavar="R", default="book", help="in which records (default: book; local: this machine's)"
    )
    sub.add_argument("--markdown", action="store_true", help="print what moved as Markdown")

    sub = command("data", data, "list the data sets, fetch one, or verify it")
    sub.add_argument("action", choices=("list", "fetch", "verify"))
    sub.add_argument("name", nargs="?", help="a data set (default: all of them, for list and verify)")
    add_json(sub)

    sub = command("evaluate", evaluate, "test ImageNet nets on a folder of images by the paper's protocols")
    sub.add_argument("folder", type=Path, help="a folder of images for each class, in the order of the net's classes")
    sub.add_argument(
        "--net",
        action="append",
        required=True,
        metavar="NAME=FILE",
        help="resnet-50-B=weights.safetensors, or torchvision:resnet50 for its own weights; repeat it for an ensemble",
    )
    sub.add_argument(
        "--protocol", default="10-crop", metavar="P", help="centre, 10-crop, multi-scale or all (default: 10-crop)"
    )
    sub.add_argument(
        "--weights", type=Path, metavar="DIR", help="where torchvision's weights are, or are downloaded to"
    )
    sub.add_argument("--skip-corrupt", action="store_true", help="leave out images that cannot be read, and name them")
    add_device(sub)
    add_json(sub)

    sub = command("bench", bench, "measure the training loop beside the usual one and the machine's limits (minutes)")
    sub.add_argument("--depth", type=int, nargs="+", default=[20, 56], metavar="L", help="ResNets (default: 20 56)")
    sub.add_argument("--scaling", action="store_true", help="instead: training on folders of images, by more processes")
    sub.add_argument("--no-compile", dest="compile", action="store_false", help="leave out the compiled loop")
    sub.add_argument("--into-book", action="store_true", help="store the result in the package, for the book to show")
    add_device(sub)
    add_json(sub)
    return parser


def train(options: argparse.Namespace) -> int:
    """Trains a suite or a net."""
    from resnet_lib.jobs.campaign import pending, work
    from resnet_lib.runs.experiments import long_runs
    from resnet_lib.training.loop import TimeLimitReached

    if options.address and options.executor != "ray":
        raise UserError("--address is of a Ray cluster; add --executor ray")
    if options.imagenet:
        return train_on_imagenet(options)
    if given := [name for name in ("epochs", "batch_size", "accumulate", "workers") if getattr(options, name)]:
        raise UserError(f"--{given[0].replace('_', '-')} is for ImageNet at full size; add --imagenet DIR")
    profile = lookup(PROFILES, options.profile, "profile")
    if options.suite:
        configs = lookup(SUITES, options.suite, "suite").runs(profile, options.seeds)
    elif options.campaign:
        configs = long_runs()
    else:
        configs = [setting(options.net).at(profile, seed) for seed in options.seeds or range(1)]
    todo = pending(configs, options.retrain)
    print(f"runs: {len(configs)}, to train: {len(todo)}", file=sys.stderr)
    if options.plan:
        return plan(todo, options)
    finished = True
    how = {"device": options.device, "compiled": options.compile, "time_limit": options.time_limit}
    try:
        if options.executor == "ray":
            from resnet_lib.jobs import cluster

            cluster.work(configs, retrain=options.retrain, address=options.address, at_once=options.jobs, **how)
        else:
            work(configs, retrain=options.retrain, jobs=options.jobs, **how)
    except TimeLimitReached as reached:
        print(reached, file=sys.stderr)
        finished = False
    return tell_results(configs, options, finished)


def tell_results(configs: Sequence[RunConfig], options: argparse.Namespace, finished: bool) -> int:
    """Prints the errors of the runs that are recorded, and exports their records if that is wanted."""
    from resnet_lib.jobs.exchange import export

    source = Records(local_dir()) if options.retrain else Records.all()
    records = source.select(configs)
    if options.out:
        print(f"{len(records)} records in {export(configs, source, options.out)}", file=sys.stderr)
    if options.json:
        print(json.dumps([record.model_dump(mode="json") for record in records]))
    else:
        for record in records:
            final = record.final
            print(f"{record.config.name}: training error {final.train_error:.2f}%, test error {final.test_error:.2f}%")
        print(f"{len(records)} of {len(configs)} runs recorded{'' if finished else '; repeat the command to go on'}")
    return 0


def plan_on_imagenet(todo: Sequence[RunConfig]) -> int:
    """Prints the runs to do in their order with the work in each, since a device for it need not be at hand."""
    from resnet_lib.nets.geometry import table1_cost

    for config in todo:
        images = config.recipe.iterations * config.recipe.batch_size
        work = 3 * images * table1_cost(config.net.depth, config.net.shortcut).multiply_adds  # backward counts twice
        print(f"{work:.1e} multiply-adds  {config.name}")
    return 0


def train_on_imagenet(options: argparse.Namespace) -> int:
    """Trains the nets of a suite on ImageNet at full size, as one of the processes of torchrun or alone."""
    from resnet_lib.jobs import campaign
    from resnet_lib.training import imagenet
    from resnet_lib.training.hardware import Hardware
    from resnet_lib.training.loop import TimeLimitReached

    if not options.suite or options.jobs or options.executor == "ray":
        raise UserError("--imagenet goes with --suite, and one run at a time; torchrun spreads a run over processes")
    suite = lookup(SUITES, options.suite, "suite")
    nets = imagenet.nets_of(suite.runs(PROFILES["paper"], range(1)), suite.name)
    folder = imagenet.open_folder(options.imagenet)
    num_images, accumulate = len(folder.train.files), options.accumulate or 1
    recipe = imagenet.recipe(num_images, options.batch_size or imagenet.BATCH_SIZE, options.epochs or imagenet.EPOCHS)
    configs = [imagenet.run(net, folder, seed, recipe) for seed in options.seeds or range(1) for net in nets]
    todo = campaign.pending(configs, options.retrain)
    with imagenet.joined(options.device) as (group, device):
        hardware = Hardware.choose(device, recipe.precision, options.compile)
        if first := group.rank == 0:
            print(imagenet.arithmetic(recipe, group, accumulate, num_images), file=sys.stderr)
            print(f"runs: {len(configs)}, to train: {len(todo)}", file=sys.stderr)
        if options.plan:
            return plan_on_imagenet(todo) if first else 0
        started, finished = time.monotonic(), True
        try:
            for config in todo:
                left = options.time_limit and max(0.0, options.time_limit - (time.monotonic() - started))
                record, net = imagenet.train(
                    config,
                    folder,
                    hardware,
                    group,
                    accumulate=accumulate,
                    workers=options.workers or 4,
                    checkpoint=campaign.checkpoint_path(config),
                    time_limit=left,
                    progress=campaign.tell_one if first else None,
                )
                if first:
                    campaign.store(record, net)
        except TimeLimitReached as reached:
            finished = False
            if first:
                print(reached, file=sys.stderr)
    return tell_results(configs, options, finished) if first else 0


def plan(todo: Sequence[RunConfig], options: argparse.Namespace) -> int:
    """Prints the runs to do in their order, and the time each would take alone on this device."""
    from resnet_lib.jobs.campaign import clock, cost
    from resnet_lib.speed.bench import seconds_per_cost

    price = seconds_per_cost(options.device)
    seconds = {config.name: price * cost(config) for config in todo}
    if options.json:
        print(json.dumps([{"run": name, "seconds": round(took)} for name, took in seconds.items()]))
        return 0
    for name, took in seconds.items():
        print(f"{clock(took):>10}  {name}")
    print(f"{clock(sum(seconds.values())):>10}  all of them, one after the other")
    return 0


def import_records(options: argparse.Namespace) -> int:
    """Merges an archive of records."""
    from resnet_lib.jobs.exchange import bring_in

    imported = bring_in(options.archive, committed_dir() if options.into_book else local_dir())
    if options.json:
        print(json.dumps(asdict(imported)))
    else:
        print(f"{imported.new} new, {imported.known} known already")
    return 0


def status(options: argparse.Namespace) -> int:
    """Counts records and prices what is missing."""
    from resnet_lib.jobs.campaign import clock, cost, pending
    from resnet_lib.speed.bench import seconds_per_cost

    suites = [lookup(SUITES, options.suite, "suite")] if options.suite else list(SUITES.values())
    price = seconds_per_cost(options.device)
    rows = []
    for suite in suites:
        for profile in PROFILES.values():
            configs = suite.runs(profile)
            missing = pending(configs)
            rows.append(
                {
                    "suite": suite.name,
                    "profile": profile.name,
                    "recorded": len(configs) - len(missing),
                    "runs": len(configs),
                    "seconds_to_do": round(price * sum(map(cost, missing))),
                }
            )
    if options.json:
        print(json.dumps(rows))
        return 0
    print(f"{'suite':18}{'profile':9}{'recorded':>12}  the rest would take here about")
    for row in rows:
        recorded = f"{row['recorded']} of {row['runs']}"
        left = clock(row["seconds_to_do"]) if row["recorded"] < row["runs"] else "-"
        print(f"{row['suite']:18}{row['profile']:9}{recorded:>12}  {left}")
    for profile in PROFILES.values():
        print(f"{profile.name}: {profile.summary}; seeds: {profile.num_seeds}")
    return 0


def report(options: argparse.Namespace) -> int:
    """Prints the paper's, the book's and this machine's numbers, and the verdicts."""
    from resnet_lib.display import plain_text
    from resnet_lib.evidence.claims import verdicts
    from resnet_lib.show import tables

    if options.against:
        return report_changes(options)
    if options.verdicts:
        stated = verdicts(Records.committed())
        print(json.dumps([{"claim": v.claim, "profile": v.profile, "status": v.status} for v in stated], indent=1))
        return 0
    profile: Profile = lookup(PROFILES, options.profile, "profile")
    recorded, local = Records.committed(), Records(local_dir())
    table = tables.report(profile, recorded, local)
    if options.json:
        judged = [asdict(verdict) for verdict in verdicts(recorded)]
        print(json.dumps({"profile": profile.name, "settings": table.to_dict("records"), "verdicts": judged}))
        return 0
    print(f"Profile {profile.name}: {profile.summary}.")
    if profile.data.name != "cifar10":
        print("The paper has no numbers for these images; what can be compared with it are the differences.")
    print("Errors in percent: mean ± deviation over seeds (n = number of seeds); ≈: read off a figure of the paper.\n")
    print(plain_text(table))
    print("\nVerdicts from the book's records (effect in points of error):\n")
    print(plain_text(tables.verdict_table(profile, recorded)))
    return 0


def report_changes(options: argparse.Namespace) -> int:
    """Prints what is different between two sets of records; status 1 if it is more than chance explains."""
    from resnet_lib.evidence import comparison

    with comparison.opened(options.against) as before, comparison.opened(options.of) as after:
        found = comparison.compare(before, after)
    if options.json:
        told = asdict(found) | {"alarming": found.alarming, "summary": comparison.summary(found)}
        for change, row in zip(found.changes, told["changes"], strict=True):
            row |= {"difference": change.difference, "in_spreads": change.in_spreads, "moved": change.moved}
        print(json.dumps(told))
    else:
        print(comparison.text(found, options.markdown))
    return int(found.alarming)


def data(options: argparse.Namespace) -> int:
    """Lists, fetches or verifies data sets."""
    from resnet_lib import data as data_module
    from resnet_lib.data.sets import SOURCES

    if options.name:
        lookup(SOURCES, options.name, "data set")
    if options.action == "fetch":
        if not options.name:
            raise UserError(f"say which data set to fetch: {', '.join(SOURCES)}")
        data_module.fetch(options.name)
    rows = []
    for name in [options.name] if options.name else SOURCES:
        path = data_module.locate(name)
        row = {"name": name, "title": SOURCES[name].title, "path": str(path) if path else None}
        if options.action != "list" and path is not None:
            row["digest"] = data_module.load(name, SOURCES[name].image_sizes[-1]).digest  # raises if anything is wrong
        rows.append(row)
    if options.action == "verify" and options.name and rows[0]["path"] is None:
        raise UserError(f"{options.name} is not on this machine; {data_module.how_to_bring(options.name)}")
    if options.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        digest = f"  whole, digest {row['digest']}" if "digest" in row else ""
        print(f"{row['name']:20}{row['path'] or 'not on this machine'}{digest}")
    return 0


def bench(options: argparse.Namespace) -> int:
    """Prints speeds, ratios to the usual loop, the machine's limits and where the time of a step goes."""
    from resnet_lib.display import plain_text
    from resnet_lib.speed import bench as benchmarks

    if options.scaling:
        return bench_scaling(options)
    for depth in options.depth:
        setting(f"resnet-{depth}")  # complains of an impossible depth
    result = benchmarks.bench(
        options.depth, options.device, options.compile, say=lambda line: print(line, file=sys.stderr)
    )
    if options.into_book:
        print(f"stored in {benchmarks.save(result)}", file=sys.stderr)
    if options.json:
        print(result.model_dump_json())
        return 0
    print(f"{result.device}, {result.threads} threads, torch {result.torch}, {result.date}; batch 128, 32 x 32 pixels")
    print(
        f"training images per second, median of {len(result.speeds[0].rounds)} rounds; ratio to the usual loop alone:\n"
    )
    print(plain_text(benchmarks.speed_table(result)))
    memory, arithmetic = f"{result.bandwidth / 1e9:.0f} GB/s", f"{result.peak / 1e9:,.0f} billion multiply-adds/s"
    print(f"\nwhat memory ({memory}) and arithmetic ({arithmetic}) allow:\n")
    print(plain_text(benchmarks.limit_table(result)))
    print("\nwhere the time of a step goes:\n")
    print(plain_text(benchmarks.share_table(result)))
    return 0


def bench_scaling(options: argparse.Namespace) -> int:
    """Prints how much faster more processes are together."""
    from resnet_lib.display import plain_text
    from resnet_lib.speed import bench as benchmarks
    from resnet_lib.speed import scaling

    result = scaling.measure(options.device, say=lambda line: print(line, file=sys.stderr))
    if options.into_book:
        print(f"stored in {benchmarks.save(result, scaling.FOLDER)}", file=sys.stderr)
    if options.json:
        print(result.model_dump_json())
        return 0
    print(
        f"{result.device}, {result.threads} threads, torch {result.torch}, {result.precision}, {result.date}; ResNet-"
        f"{result.depth}, batch {result.batch_size}, {result.image_size} x {result.image_size} pixels"
    )
    print(plain_text(scaling.scaling_table(result)))
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Tests ImageNet nets on a folder of images."""
    from resnet_lib.display import plain_text
    from resnet_lib.show import tables
    from resnet_lib.training import protocols

    known = {name: [protocol] for name, protocol in protocols.PROTOCOLS.items()}
    chosen = lookup(known | {"all": list(protocols.PROTOCOLS.values())}, options.protocol, "protocol")
    images = protocols.find_images(options.folder)
    nets = [protocols.load_net(text, options.weights) for text in options.net]
    results = protocols.evaluate(
        nets,
        images,
        chosen,
        device=options.device,
        skip_corrupt=options.skip_corrupt,
        say=lambda line: print(line, file=sys.stderr),
    )
    if options.json:
        print(json.dumps([asdict(result) for result in results]))
        return 0
    print(plain_text(tables.evaluation(results)))
    if any(name.startswith("torchvision:") for name, _ in nets):
        print(
            "\ntorchvision's bottlenecks have the stride in the 3x3 layer, and its nets were trained by "
            "another recipe than the paper's."
        )
    if results[0].skipped:
        print(f"\nleft out, since they cannot be read: {', '.join(results[0].skipped)}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status. Users' mistakes take one line and status 2."""
    options = build_parser().parse_args(arguments)
    try:
        return options.function(options)
    except UserError as error:
        print(f"resnet_lib: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's own, which not every command has imported
            raise
        print("resnet_lib: the GPU's memory is full; free some of it, or add --device cpu", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output, head for one, has seen enough
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        kept = "; finished runs are recorded, repeat the command to go on" if options.command == "train" else ""
        print(f"resnet_lib: interrupted{kept}", file=sys.stderr)
        return 130
