"""Runs that readers made to decide an open claim: whose they are, which seeds they have, and where they lie.

They lie beside the book's records, never among them: whatever reads records does not find them, and verdicts on them
are made from them alone. A folder holds one contribution: `credit.yml`, its records, and weights of its first seed.
"""

import hashlib
import re
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from resnet_lib.files import PACKAGE, boundary, read_regular
from resnet_lib.runs.config import Frozen, Positive
from resnet_lib.runs.records import Shown

CREDIT = "credit.yml"
MOST_CREDIT = 10_000  # bytes of it
BLOCK = 1000  # seeds that one contributor has
FIRST_BLOCK = 1  # those of the book and of its searches lie before it
BLOCKS = 1_000_000


class Credit(Frozen):
    """Who trained runs for which claim, at which scale, and how many seeds."""

    by: Annotated[Shown, Field(min_length=2, max_length=80)]
    claim: Annotated[str, Field(min_length=1, max_length=100)]
    profile: Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
    num_seeds: Annotated[Positive, Field(le=BLOCK)]

    @property
    def first_seed(self) -> int:
        """Follows from the contributor's name, so that nobody chooses seeds, and two bring different ones."""
        digest = hashlib.sha256(" ".join(self.by.lower().split()).encode()).digest()
        return (FIRST_BLOCK + int.from_bytes(digest[:8], "big") % BLOCKS) * BLOCK

    @property
    def seeds(self) -> range:
        """The first ones of the contributor's own."""
        return range(self.first_seed, self.first_seed + self.num_seeds)

    @property
    def name(self) -> str:
        """For files and folders: one for each contributor, claim and scale."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.claim} {self.profile} {self.first_seed}".lower()).strip("-")

    def to_yaml(self) -> str:
        """As stored."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)


def read_credit(content: bytes, where: str) -> Credit:
    """The credit of a contribution.

    Raises:
        UserError: it is malformed; the line begins with `where`.
    """
    with boundary(lambda reason: f"{where}: it is no {CREDIT} ({reason}); make the contribution anew"):
        return Credit.model_validate(yaml.safe_load(content))


def load_credit(path: Path) -> Credit:
    """The credit in a file; raises as `read_credit` does."""
    with boundary(lambda reason: f"{path}: cannot be read ({reason}); make the contribution anew"):
        return read_credit(read_regular(path, MOST_CREDIT), str(path))


def contributed_dir() -> Path:
    """The contributions that ship with the package."""
    return PACKAGE / "contributed"


def contributions(folder: Path | None = None) -> dict[Path, Credit]:
    """The place of each contribution in a folder, by default those that ship with the package, and its credit."""
    paths = sorted((folder or contributed_dir()).glob(f"*/{CREDIT}"))
    return {path.parent: load_credit(path) for path in paths}
