"""`bench`, `bench-scaling` and `bench-variants`: how fast this machine trains, by more processes and in other ways."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_lib.cli.options import AddCommand, Parser, add_shared, setting
from resnet_lib.errors import tell

if TYPE_CHECKING:
    from resnet_lib.display import Table


def add_to(command: AddCommand) -> None:
    """Adds the commands."""
    sub = command(
        "bench", run_bench, "measure the training loop beside the usual one and the machine's limits (minutes)"
    )
    sub.add_argument("--depth", type=int, nargs="+", default=[20, 56], metavar="L", help="ResNets (default: 20 56)")
    sub.add_argument("--no-compile", dest="compile", action="store_false", help="leave out the compiled loop")
    add_measurement(sub)
    sub = command(
        "bench-scaling", run_bench_scaling, "measure training on folders of images by more processes (minutes)"
    )
    add_measurement(sub)
    sub = command(
        "bench-variants", run_bench_variants, "time a step on a CPU in all the ways that were tried (minutes)"
    )
    sub.add_argument("--into-book", action="store_true", help=INTO_BOOK)
    add_shared(sub, "--json")


INTO_BOOK = "store the result in the package, for the book to show"


def add_measurement(sub: Parser) -> None:
    """Adds where to measure, and what becomes of the result."""
    sub.add_argument("--into-book", action="store_true", help=INTO_BOOK)
    add_shared(sub, "--device", "--json")


def run_bench(options: argparse.Namespace) -> int:
    """Prints speeds, ratios to the usual loop, the machine's limits and where the time of a step goes."""
    from resnet_lib.display import plain_text
    from resnet_lib.speed import bench

    for depth in options.depth:
        setting(f"resnet-{depth}")  # complains of an impossible depth
    result = bench.bench(options.depth, options.device, options.compile, say=tell)
    if options.into_book:
        tell(f"stored in {bench.save(result)}")
    if options.json:
        print(result.model_dump_json())
        return 0
    print(f"{result.device}, {result.threads} threads, torch {result.torch}, {result.date}; batch 128, 32 x 32 pixels")
    print(
        f"training images per second, median of {len(result.speeds[0].rounds)} rounds; ratio to the usual loop alone:\n"
    )
    print(plain_text(bench.speed_table(result)))
    memory, arithmetic = f"{result.bandwidth / 1e9:.0f} GB/s", f"{result.peak / 1e9:,.0f} billion multiply-adds/s"
    print(f"\nwhat memory ({memory}) and arithmetic ({arithmetic}) allow:\n")
    print(plain_text(bench.limit_table(result)))
    print("\nwhere the time of a step goes:\n")
    print(plain_text(bench.share_table(result)))
    return 0


def run_bench_scaling(options: argparse.Namespace) -> int:
    """Prints how much faster more processes are together."""
    from resnet_lib.speed import scaling

    return tell_sitting(scaling.measure(options.device, say=tell), scaling.FOLDER, scaling.scaling_table, options)


def run_bench_variants(options: argparse.Namespace) -> int:
    """Prints the time of a step in each way."""
    from resnet_lib.speed import variants

    return tell_sitting(variants.measure(say=tell), variants.FOLDER, variants.variants_table, options)


def tell_sitting(result: Any, folder: Path, table: Callable[[Any], "Table"], options: argparse.Namespace) -> int:
    """Stores and prints what a sitting gave, as the options say."""
    from resnet_lib.display import plain_text
    from resnet_lib.speed import bench

    if options.into_book:
        tell(f"stored in {bench.save(result, folder)}")
    if options.json:
        print(result.model_dump_json())
        return 0
    print(
        f"{result.device}, {result.threads} threads, torch {result.torch}, {result.precision}, {result.date}; ResNet-"
        f"{result.depth}, batch {result.batch_size}"
    )
    print(plain_text(table(result)))
    return 0
