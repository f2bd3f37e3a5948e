"""`data`: where data sets are, and whether they are whole."""

import argparse
import json

from resnet_lib.cli.options import AddCommand, add_shared
from resnet_lib.errors import UserError, lookup


def add_to(command: AddCommand) -> None:
    """Adds the command."""
    sub = command("data", run_data, "list the data sets, fetch one, or verify it")
    sub.add_argument("action", choices=("list", "fetch", "verify"))
    sub.add_argument("name", nargs="?", help="a data set (default: all of them, for list and verify)")
    add_shared(sub, "--json")


def run_data(options: argparse.Namespace) -> int:
    """Lists, fetches or verifies data sets."""
    from resnet_lib import data

    if options.name:
        lookup(data.SOURCES, options.name, "data set")
    if options.action == "fetch":
        if not options.name:
            raise UserError(f"say which data set to fetch: {', '.join(data.SOURCES)}")
        data.fetch(options.name)
    rows = []
    for name in [options.name] if options.name else data.SOURCES:
        path = data.locate(name)
        row = {"name": name, "title": data.SOURCES[name].title, "path": str(path) if path else None}
        if options.action != "list" and path is not None:
            row["digest"] = data.load(name, data.SOURCES[name].image_sizes[-1]).digest  # raises if anything is wrong
        rows.append(row)
    if options.action == "verify" and options.name and rows[0]["path"] is None:
        raise UserError(f"{options.name} is not on this machine; {data.how_to_bring(options.name)}")
    if options.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        digest = f"  whole, digest {row['digest']}" if "digest" in row else ""
        print(f"{row['name']:20}{row['path'] or 'not on this machine'}{digest}")
    return 0
