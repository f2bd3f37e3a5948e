"""The command line: `python -m resnet_lib --help`. Each module holds a command or a few that belong together.

What a command needs is imported when it runs: `report` does not wait for torch.
"""

import argparse
import io
import os
import select
import sys
import warnings
from collections.abc import Callable, Sequence

from resnet_lib.cli import bench, contribute, data, evaluate, nets, records, study, train, train_imagenet
from resnet_lib.cli.options import Parser
from resnet_lib.errors import UserError, reason, tell

EPILOG = """
examples:
  python -m resnet_lib status                                      what is recorded, what is missing
  python -m resnet_lib train --suite degradation --profile small   trains what is missing, or continues
  python -m resnet_lib train --net resnet-20 --profile quick --time-limit 30m
  python -m resnet_lib train-imagenet DIR --suite table3           ImageNet at full size, many processes by torchrun
  python -m resnet_lib study growth --profile small                measures trained nets made deeper
  python -m resnet_lib report --profile quick                      the paper, the book and this machine side by side
  python -m resnet_lib data fetch cifar10
  python -m resnet_lib nets fetch                                  nets that others trained at full length

environment:
  RESNET_LIB_DATA   folder with data sets of yours: cifar10.npz, or torchvision's cifar-10-batches-py; for the nets of
                    Table 1 tiny-imagenet-200.zip; published/ with nets that others trained
  RESNET_LIB_CACHE  folder for downloads, checkpoints and local records (default: ~/.cache/resnet_lib)
"""


OF_THE_MACHINE = {
    "OutOfMemoryError": "the GPU's memory is full; free some of it, or add --device cpu",
    "BrokenProcessPool": "a process of this command was killed, for want of memory perhaps; repeat the command",
}
"""What a machine can do to any command, by the name of what is raised: not every command has imported torch."""


def build_parser() -> Parser:
    """All commands with their options."""
    parser = Parser(
        prog="python -m resnet_lib",
        description="Trains and reports the runs behind 'Deep residual learning, measured', a companion to the paper.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> Parser:
        sub = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        sub.set_defaults(run=run)
        return sub

    for module in (train, train_imagenet, study, records, contribute, data, nets, evaluate, bench):
        module.add_to(command)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status. Users' mistakes take one line and status 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that cannot show a character gets its number
        sys.stdout.reconfigure(errors="backslashreplace")
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")  # Pillow's; ours is an error of one line
    options = build_parser().parse_args(arguments)
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except UserError as error:
        tell(f"resnet_lib: {error}")
        return 2
    except RuntimeError as error:
        if (name := type(error).__name__) not in OF_THE_MACHINE:
            raise
        tell(f"resnet_lib: {OF_THE_MACHINE[name]}")
        return 2
    except OSError as error:  # of a file or folder that nothing nearer to it has a line for: another user's, mostly
        if isinstance(error, BrokenPipeError) and nobody_reads_on():
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, lives on: what is left in the buffer must go somewhere
            return 0
        place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        tell(f"resnet_lib: {UserError(place + reason(error))}; make it readable, or name another place")
        return 2
    except KeyboardInterrupt:
        lasting = options.command in ("train", "contribute", "train-imagenet", "study", "nets")
        kept = "; what is finished is recorded, repeat the command to go on" if lasting else ""
        tell(f"resnet_lib: interrupted{kept}")
        return 130


def nobody_reads_on() -> bool:
    """Whether the reader of our output, head for one, has seen enough. Other pipes, to a worker, can break as well."""
    if not hasattr(select, "poll"):  # Windows
        return True
    try:
        output = select.poll()
        output.register(sys.stdout, 0)
        return bool(output.poll(0))
    except (OSError, ValueError):  # no file, or a closed one
        return False
