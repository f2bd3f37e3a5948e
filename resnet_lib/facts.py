"""Claims settled by arithmetic or by construction: no run is needed, and nothing is left to chance.

Each fact is checked anew wherever it is shown; a test checks all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from resnet_lib import models, probes
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


def _shapes_must_agree() -> tuple[bool, str]:
    """The identity fits exactly where C, H and W stay; elsewhere a sum with it is refused, or stretched unasked."""
    kept = changed = refused = 0
    alike = True
    with torch.device("meta"):
        nets = [(models.CifarNet(56, option), torch.empty(1, 3, 32, 32)) for option in ("A", "B")]
        nets += [(models.ImageNetNet(depth, "B"), torch.empty(1, 3, 224, 224)) for depth in (34, 50)]
    for net, images in nets:
        for row in probes.residual_shapes(net, images):
            same = row["x"] == row["F(x)"]
            alike &= same == (row["shortcut"] == "Identity")
            kept += same
            if same:
                continue
            changed += 1
            block = net.get_submodule(row["block"])
            aligned, block.downsample = block.downsample, torch.nn.Identity()
            try:
                probes.residual_shapes(net, images)
            except ValueError:
                refused += 1
            block.downsample = aligned
    evidence = (
        f"in ResNet-56 A and B and in ResNet-34 and 50 B of Table 1, {kept} blocks keep the shape and "
        f"{'have the identity' if alike else 'do not all have the identity'}; {changed} change it, and in {refused} of "
        "these a sum with the identity is refused."
    )
    return alike and refused == changed > 0, evidence


FACTS: dict[str, Fact] = {
    fact.name: fact
    for fact in (
        Fact(
            "shapes-must-agree",
            "The shortcut has to change where a block changes the shape, and nowhere else.",
            "section 3.3; reading notes S4 and 4",
            "04_shortcuts",
            ("S4", "note 4"),
            _shapes_must_agree,
        ),
    )
}


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
