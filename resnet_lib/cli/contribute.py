"""`contribute`: from an open challenge to an archive of runs that the book can take."""

import argparse
import json
from pathlib import Path
from shlex import quote

from resnet_lib.cli.options import AddCommand, add_shared, positive, seconds
from resnet_lib.errors import UserError, tell
from resnet_lib.runs.contributions import contributed_dir
from resnet_lib.runs.store import Records, local_dir


def add_to(command: AddCommand) -> None:
    """Adds the command."""
    sub = command("contribute", run_contribute, "train what an undecided claim needs, and pack it for the book")
    sub.add_argument("action", choices=("list", "train", "check", "accept"))
    sub.add_argument("what", nargs="?", help="train: the claim; check and accept: the archive, or a folder")
    sub.add_argument("--by", metavar="NAME", help="train: to whom the runs are to be credited")
    sub.add_argument("--jobs", type=positive, metavar="J", help="runs at a time (default: one per core)")
    add_shared(sub, "--compile")
    sub.add_argument("--time-limit", type=seconds, metavar="T", help="stop cleanly after 90s, 9m or 2h")
    sub.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="train: where to leave the archive")
    add_shared(sub, "--profile", "--device", "--json")


def run_contribute(options: argparse.Namespace) -> int:
    """Lists challenges, takes one on, or checks what came of one."""
    from resnet_lib.evidence.challenges import runs
    from resnet_lib.jobs import contributions

    if options.action == "list":
        return list_challenges(options)
    if not options.what:
        raise UserError(f"say what to {options.action}: `contribute --help`")
    if options.action == "train":
        return train(options)
    archive = Path(options.what)
    if options.action == "check":
        credit, _ = contributions.check(archive, runs)
        print(f"{archive} is whole: {credit.claim}, {credit.profile}, {credit.num_seeds} seeds by {credit.by}")
    else:
        print(f"accepted as {contributions.accept(archive, runs, contributed_dir())}")
    return 0


def list_challenges(options: argparse.Namespace) -> int:
    """Prints the open challenges and how long each would take here."""
    from resnet_lib.display import clock
    from resnet_lib.evidence.challenges import open_challenges, runs
    from resnet_lib.jobs.campaign import cost
    from resnet_lib.speed.bench import seconds_per_cost

    price = seconds_per_cost(options.device)
    rows = [
        {
            "claim": each.claim.name,
            "profile": each.profile.name,
            "seeds": each.num_seeds,
            "seconds": round(price * sum(map(cost, runs(each.by("nobody"))))),
        }
        for each in open_challenges(Records.committed())
    ]
    if options.json:
        print(json.dumps(rows))
        return 0
    print(f"{'claim':55}{'profile':9}{'new seeds':>10}{'here about':>14}")
    for row in rows:
        print(f"{quote(row['claim']):55}{row['profile']:9}{row['seeds']:10}{clock(row['seconds']):>14}")
    return 0


def train(options: argparse.Namespace) -> int:
    """Trains all runs of a challenge, or goes on, and packs and checks them once all are there."""
    from resnet_lib.evidence.challenges import challenge, runs
    from resnet_lib.jobs import contributions
    from resnet_lib.jobs.campaign import work
    from resnet_lib.training.loop import TimeLimitReached
    from resnet_lib.training.provenance import git_state

    if not options.by or not 2 <= len(options.by) <= 80:
        raise UserError("say to whom the runs are to be credited: --by NAME, of 2 to 80 letters")
    credit = challenge(options.what, options.profile, Records.committed()).by(options.by)
    commit, changed = git_state()
    if commit is None or changed:
        raise UserError("runs for the book need its code as it was committed: a clone without changes in resnet_lib/")
    configs = runs(credit)
    tell(f"{credit.num_seeds} seeds from {credit.first_seed} on, {len(configs)} runs")
    try:
        work(configs, device=options.device, compiled=options.compile, jobs=options.jobs, time_limit=options.time_limit)
    except TimeLimitReached as reached:
        tell(str(reached))
        print("repeat the command to go on")
        return 0
    archive = contributions.pack(credit, configs, Records(local_dir()), options.out)
    contributions.check(archive, runs)
    print(f"{archive} is whole; CONTRIBUTING.md says where it goes")
    return 0
