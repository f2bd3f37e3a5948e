"""`evaluate`: nets of Table 1 on a folder of images, by the paper's ways of testing."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from resnet_lib.cli.options import AddCommand, add_shared
from resnet_lib.errors import lookup, one_line, tell


def add_to(command: AddCommand) -> None:
    """Adds the command."""
    sub = command("evaluate", run_evaluate, "test ImageNet nets on a folder of images by the paper's protocols")
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
    add_shared(sub, "--device", "--json")


def run_evaluate(options: argparse.Namespace) -> int:
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
        say=tell,
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
        print(f"\nleft out, since they cannot be read: {', '.join(map(one_line, results[0].skipped))}")
    return 0
