"""`nets`: nets that others trained, where they are, and what is measured on them."""

import argparse
import json

from resnet_lib.cli.options import AddCommand, add_shared
from resnet_lib.runs.experiments import lookup
from resnet_lib.runs.store import committed_dir, local_dir


def add_to(command: AddCommand) -> None:
    """Adds the command."""
    sub = command("nets", run_nets, "list the nets that others trained, fetch and check them, or measure them")
    sub.add_argument("action", choices=("list", "fetch", "measure"))
    sub.add_argument("names", nargs="*", metavar="NET", help="a-martyn/plain-56, akamaster/ResNet-56 (default: all)")
    sub.add_argument("--into-book", action="store_true", help="store studies in the package, for the book to show")
    add_shared(sub, "--json")


def run_nets(options: argparse.Namespace) -> int:
    """Lists, fetches or measures nets that others trained."""
    import torch

    from resnet_lib.jobs import published
    from resnet_lib.runs.published import published_nets

    nets = [lookup(published_nets(), name, "net of others") for name in options.names or published_nets()]
    if options.action == "fetch":
        for net in nets:
            published.fetch(net)
    if options.action == "measure":
        torch.set_num_threads(1)  # the result then does not depend on the number of cores
        published.work(nets, committed_dir() if options.into_book else local_dir())
    rows = []
    for net in nets:
        path = published.locate(net)
        row = {"name": net.name, "error": net.file.error, "licence": net.publisher.licence}
        rows.append(row | {"path": str(path) if path else None})
    if options.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        place = row["path"] or "not on this machine"
        print(f"{row['name']:22}{row['error']:6.2f}%  {row['licence']:14}{place}")
    return 0
