"""`status`, `report` and `import`: what is recorded, what it says, and records from elsewhere."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from resnet_lib.cli.options import AddCommand, add_shared
from resnet_lib.errors import lookup
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.store import Records, committed_dir, local_dir


def add_to(command: AddCommand) -> None:
    """Adds the commands."""
    sub = command("status", run_status, "show what is recorded, what is missing, and what that would cost here")
    sub.add_argument("--suite", metavar="S", help="only this suite")
    add_shared(sub, "--device", "--json")

    sub = command(
        "report", run_report, "print every setting: the paper, the book's records, this machine's, and verdicts"
    )
    add_shared(sub, "--profile", "--json")
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

    sub = command("import", run_import, "merge an archive that train --out left, from another machine perhaps")
    sub.add_argument("archive", type=Path, help="records.zip")
    sub.add_argument("--into-book", action="store_true", help="into the package's records, not this machine's")
    sub.add_argument("--verify", action="store_true", help="also test its nets: their errors must be the records'")
    add_shared(sub, "--json")


def run_status(options: argparse.Namespace) -> int:
    """Counts records and prices what is missing."""
    from resnet_lib.display import clock
    from resnet_lib.jobs.campaign import cost, pending
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


def run_report(options: argparse.Namespace) -> int:
    """Prints the paper's, the book's and this machine's numbers, and the verdicts."""
    from resnet_lib.display import plain_text
    from resnet_lib.evidence import claims, verdicts
    from resnet_lib.show import tables

    if options.against is not None:
        return report_changes(options)
    if options.verdicts:
        stated = claims.verdicts(Records.committed())
        print(json.dumps([{"claim": v.claim, "profile": v.profile, "status": v.status} for v in stated], indent=1))
        return 0
    profile: Profile = lookup(PROFILES, options.profile, "profile")
    recorded, local = Records.committed(), Records(local_dir())
    table = tables.report(profile, recorded, local)
    if options.json:
        judged = [asdict(verdict) for verdict in claims.verdicts(recorded)]
        print(json.dumps({"profile": profile.name, "settings": table.to_dict("records"), "verdicts": judged}))
        return 0
    print(f"Profile {profile.name}: {profile.summary}.")
    if profile.data.name != "cifar10":
        print("The paper has no numbers for these images; what can be compared with it are the differences.")
    print("Errors in percent: mean ± deviation over seeds (n = number of seeds); ≈: read off a figure of the paper.\n")
    print(plain_text(table))
    print("\nVerdicts from the book's records (effect in points of error):\n")
    print(plain_text(verdicts.table(profile, recorded)))
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


def run_import(options: argparse.Namespace) -> int:
    """Merges an archive of records."""
    from resnet_lib.jobs.exchange import bring_in

    imported = bring_in(options.archive, committed_dir() if options.into_book else local_dir(), options.verify)
    if options.json:
        print(json.dumps(asdict(imported)))
    else:
        print(f"{imported.new} new, {imported.known} known already")
    return 0
