"""The one exception that users see, and how a name that is not known is answered."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")


class UserError(ValueError):
    """A mistake the user can mend. Its message is one line: what is wrong, and what to do about it.

    The command line prints it and exits with status 2; everything else that is raised is a bug and keeps its traceback.
    """


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
