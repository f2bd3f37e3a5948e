"""`study`: what is measured on trained nets after their run."""

import argparse
import json

from resnet_lib.cli.options import AddCommand, add_shared, positive, setting
from resnet_lib.errors import lookup
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.store import committed_dir


def add_to(command: AddCommand) -> None:
    """Adds the command."""
    sub = command(
        "study", run_study, "measure trained nets with blocks deleted, exchanged or added, where that is missing"
    )
    known = "delete-block, swap-blocks, growth, deletion-curve (default: these); of nets trained to the end also "
    known += "read-off, gradient-step, gradient-paths, filter-line, reset-block; what trains a run anew: one-bit, "
    known += "one-bit-bf16, again"
    sub.add_argument("studies", nargs="*", metavar="STUDY", help=known)
    sub.add_argument("--net", nargs="+", metavar="N", help="only of these nets: plain-20, resnet-56 (default: all)")
    sub.add_argument("--into-book", action="store_true", help="store what is made in the package, for the book to show")
    add_shared(sub, "--profile", "--seeds", "--json")
    text = "test images to use (default: what a study needs, mostly 2000)"
    sub.add_argument("--images", type=positive, metavar="M", help=text)


def run_study(options: argparse.Namespace) -> int:
    """Makes the studies that are missing, and prints those that were asked for."""
    import torch

    from resnet_lib.jobs import studies

    profile = lookup(PROFILES, options.profile, "profile")
    names = options.studies or list(studies.STUDIES)
    settings = options.net and [setting(name) for name in options.net]
    seeds = options.seeds or range(profile.num_seeds)
    torch.set_num_threads(1)  # as the runs are made: the result then does not depend on the number of cores
    folder = committed_dir() if options.into_book else None
    found = studies.work(profile, names, seeds, options.images, settings, folder)
    if options.json:
        print(json.dumps([study.model_dump(mode="json") for study in found]))
        return 0
    for study in found:
        whole, *others = study.value
        if study.label[0] != studies.WHOLE or study.study in studies.TRAINED_ANEW:
            print(f"{study.name}: {min(study.value):.3g} to {max(study.value):.3g}")
            continue
        print(f"{study.name}: test error {whole:.2f}%, of the changed nets {min(others):.2f}% to {max(others):.2f}%")
    return 0
