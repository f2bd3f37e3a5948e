"""Claims settled by arithmetic or by construction: no run is needed, and nothing is left to chance.

Each fact is checked anew wherever it is shown; a test checks all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resnet_lib.experiments import lookup
from resnet_lib.tables import Markdown


@dataclass(frozen=True)
class Fact:
    """A statement, its source, and a check that returns whether it holds and the evidence in one sentence."""

    name: str
    statement: str
    source: str
    chapter: str  # the notebook's name
    covers: tuple[str, ...]  # see `claims.TO_COVER`
    check: Callable[[], tuple[bool, str]]


FACTS: dict[str, Fact] = {fact.name: fact for fact in ()}


def findings(names: Sequence[str]) -> Markdown:
    """One paragraph per fact: what it says, whether it holds, and the evidence.

    Raises:
        UserError: a name is no fact's.
    """
    lines = []
    for name in names:
        fact = lookup(FACTS, name, "fact")
        holds, evidence = fact.check()
        lines += [f"**{fact.statement}** ({fact.source})", f"- *{'holds' if holds else 'fails'}*: {evidence}", ""]
    return Markdown("\n".join(lines))
