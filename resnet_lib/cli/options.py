"""What the commands share: a parser whose complaints take one line, values of options, options that several have."""

import argparse
import re
from collections.abc import Callable
from typing import Any, NoReturn

from resnet_lib.errors import UserError, nearest
from resnet_lib.runs.config import MOST_LAYERS
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.settings import DEPTHS, Setting, plain, resnet


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints take one line."""

    def error(self, message: str) -> NoReturn:
        """Prints what is wrong and leaves with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


MOST_SEEDS = 1000

AddCommand = Callable[[str, Callable[[argparse.Namespace], int], str], Parser]
"""Makes a command from its name, what runs it and returns the exit status, and a summary; returns its parser."""


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
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def seed_range(text: str) -> range:
    """Seeds: 3 is the first three, 2-4 is seeds 2, 3 and 4."""
    seeds = range(0)
    if match := re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", text):
        seeds = range(int(match[1]), int(match[2]) + 1) if match[2] else range(int(match[1]))
    if not 0 < len(seeds) <= MOST_SEEDS:
        raise argparse.ArgumentTypeError(f"{text!r} names no seeds; write 3 for the first three, or 2-4")
    return seeds


def setting(text: str) -> Setting:
    """A CIFAR net under the paper's recipe, by its name: plain-20, resnet-56, resnet-56-B."""
    from resnet_lib.nets.blocks import SHORTCUTS
    from resnet_lib.nets.models import CifarNet

    kind, _, rest = text.lower().partition("-")
    depth, _, shortcut = rest.partition("-")
    shortcut = shortcut.upper() or "A"
    known = kind == "resnet" or (kind == "plain" and rest == depth)  # a plain net has no shortcut to choose
    if not known or not re.fullmatch(r"[0-9]{1,9}", depth) or shortcut not in SHORTCUTS[1:]:
        usual = [name for depth in DEPTHS for name in (f"plain-{depth}", f"resnet-{depth}", f"resnet-{depth}-B")]
        hint = nearest(text.lower(), usual) or "write plain-20, resnet-56 or resnet-56-B"
        raise UserError(f"no net is called {text!r}; {hint}")
    if int(depth) > MOST_LAYERS:
        raise UserError(f"net {text!r}: {depth} layers are too many; a net can have {MOST_LAYERS}")
    try:
        CifarNet(int(depth), shortcut)
    except ValueError as error:
        raise UserError(f"net {text!r}: {error}") from None
    return plain(int(depth)) if kind == "plain" else resnet(int(depth), shortcut)


SHARED: dict[str, dict[str, Any]] = {
    "--profile": {"default": "small", "metavar": "P", "help": f"{', '.join(PROFILES)} (default: small)"},
    "--seeds": {"type": seed_range, "metavar": "K", "help": "3: the first three; 2-4 (default: the profile's)"},
    "--compile": {"action": "store_true", "help": "faster after a start: seconds on a CPU, a minute on a GPU"},
    "--device": {"metavar": "D", "help": "cpu or cuda (default: cuda if there is one)"},
    "--json": {"action": "store_true", "help": "print JSON for programs"},
}


def add_shared(sub: Parser, *names: str) -> None:
    """Adds options that several commands have."""
    for name in names:
        sub.add_argument(name, **SHARED[name])
