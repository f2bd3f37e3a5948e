"""The one exception that users see, lines to a terminal, and how a name that is not known is answered."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")


class UserError(ValueError):
    """A mistake the user can mend. Its message is one line: what is wrong, and what to do about it.

    The command line prints it and exits with status 2; everything else that is raised is a bug and keeps its traceback.
    What comes from files, such as their names, is shown escaped: see `one_line`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(text: str, longest: int = 20_000) -> str:
    """Text of anybody's as it can be shown: line breaks, terminal controls and the like as escapes, its end cut off."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: longest + 1])
    return shown if len(text) <= longest else f"{shown[:longest]}…"


def reason(error: BaseException) -> str:
    """What an exception of the system or of a library says, in one line."""
    text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return one_line(text.splitlines()[0], 200)


def tell(line: str) -> None:
    """A line to stderr. Nobody needs it: where it cannot be written, the work goes on."""
    with suppress(OSError, ValueError, AttributeError):  # a reader that has gone, a full disk, a closed stderr
        print(line, file=sys.stderr, flush=True)


def lookup(table: Mapping[str, T], name: str, kind: str) -> T:
    """The entry of a registry.

    Raises:
        UserError: there is none; the message offers the nearest names.
    """
    if name not in table:
        raise unknown(kind, name, table)
    return table[name]


def unknown(kind: str, name: str, names: Iterable[str]) -> UserError:
    """What to raise for a name that is none of these: the message offers the nearest ones, or all if none is near."""
    names = list(names)
    hint = nearest(name, names) or f"choose one of {', '.join(names)}"
    return UserError(f"no {kind} is called {name!r}; {hint}")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The question whether one of the nearest names was meant, if any is near."""
    near = get_close_matches(name, names, n=2, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else None
