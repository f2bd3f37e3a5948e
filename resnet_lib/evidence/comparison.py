"""What moved between two sets of records: errors, in units of the spread of seeds, and verdicts.

A set of records is the book's, the book's with this machine's runs in the place of their namesakes, a folder or archive
of records, or what some commit of the repository had.
"""

import io
import re
import subprocess
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from resnet_lib.display import Table, plain_text
from resnet_lib.errors import UserError
from resnet_lib.evidence.claims import verdicts
from resnet_lib.evidence.rule import DECIDED
from resnet_lib.files import PACKAGE, boundary, zip_contents
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.records import MOST_BYTES, RunRecord
from resnet_lib.runs.store import Records, committed_dir, local_dir

TOLERANCE = 4.0
"""How many standard errors a mean may move. Another processor trains other weights from the first rounding on: its runs
are new draws from the same distribution. At two standard errors one setting in twenty would raise an alarm."""

Name = str  # of a set of records
BOOK, LOCAL = "book", "local"


@dataclass(frozen=True)
class Change:
    """One error of one setting before and after: means over the seeds that both sets have.

    `spread` is the deviation over all seeds before, None if there was but one. `moved` is whether the difference is
    more than chance explains: over `TOLERANCE` standard errors, or, without a spread, any at all.
    """

    setting: str
    error: str  # training or test
    num_seeds: int
    before: float
    after: float
    spread: float | None

    @property
    def difference(self) -> float:
        """In points."""
        return self.after - self.before

    @property
    def in_spreads(self) -> float | None:
        """In units of the spread of seeds."""
        return self.difference / self.spread if self.spread else None

    @property
    def moved(self) -> bool:
        """Beyond what chance explains."""
        if not self.spread:
            return self.difference != 0
        return abs(self.difference) > TOLERANCE * self.spread * (2 / self.num_seeds) ** 0.5


@dataclass(frozen=True)
class Comparison:
    """What is different. Settings whose numbers are the same to the last digit are only counted."""

    same: int
    changes: tuple[Change, ...]
    gone: tuple[str, ...]  # runs
    new: tuple[str, ...]
    verdicts: tuple[tuple[str, str, str, str], ...]  # claim, profile, status before, status after

    @property
    def alarming(self) -> bool:
        """Whether a number moved beyond chance, a run is gone, or a verdict turned over.

        A verdict that is decided now and was not before, or the other way round, is no alarm: another processor's runs
        are new draws, and an interval that ends near its threshold comes to lie on either side of it.
        """
        turned = any({before, after} == set(DECIDED) for _, _, before, after in self.verdicts)
        return bool(self.gone) or turned or any(change.moved for change in self.changes)


@contextmanager
def opened(name: Name) -> Iterator[Records]:
    """The set of records that a name stands for: "book", "local", a folder, an archive, or a commit.

    Raises:
        UserError: it is none of these, or no records are in it.
    """
    if not name.strip():
        raise UserError("no records are named; name a folder or archive of records, a commit, book or local")
    path = Path(name)
    if name == BOOK:
        yield Records.committed()
    elif name == LOCAL:
        yield Records(local_dir(), committed_dir())
    elif path.is_dir():
        yield _not_empty(Records(path), name)
    else:
        with tempfile.TemporaryDirectory() as folder:
            with boundary(lambda reason: f"{name} cannot be read as an archive of records ({reason})"):
                if path.is_file():
                    _unpack(path, Path(folder))
                else:
                    with tarfile.open(fileobj=io.BytesIO(_committed_at(name))) as archive:
                        archive.extractall(folder, filter="data")
            try:
                yield _not_empty(Records(next(Path(folder).rglob("records"), Path(folder))), name)
            except UserError as error:  # of a record in it, here or where they are read
                raise UserError(str(error).replace(f"{folder}/", f"{name}: ")) from None


def _not_empty(records: Records, name: Name) -> Records:
    if next(iter(records), None) is None:
        raise UserError(f"{name} holds no records; name a folder or archive of records, a commit, book or local")
    return records


def _unpack(path: Path, folder: Path) -> None:
    """The records of an archive as files; their names must be those of files below the folder."""
    for name, content in zip_contents(path, lambda name: MOST_BYTES if name.endswith(".json") else 0).items():
        if not re.fullmatch(r"(?:[\w+-][\w.+-]*/)*[\w+-][\w.+-]*", name):
            raise ValueError(f"{name!r} is no name of a record")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _committed_at(revision: str) -> bytes:
    """The records of a commit as a tar archive."""

    def git(*arguments: str) -> bytes:
        return subprocess.run(["git", "-C", str(PACKAGE), *arguments], check=True, capture_output=True).stdout

    try:
        # What was typed is only ever looked up, as a name and not as an option; what is used is the commit's digest.
        commit = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
        return git("archive", "--format=tar", commit, "records")
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip().splitlines() or ["git knows none"]
        raise UserError(
            f"{revision!r} is no folder, no archive, no commit that has records ({said[0]}); or say book or local"
        ) from None


def compare(before: Records, after: Records) -> Comparison:
    """What is different between two sets of records, setting by setting. A setting is a config but for its seed."""
    old, new = ({record.config: record for record in reversed([*records])} for records in (before, after))
    settings: dict[RunConfig, list[RunConfig]] = defaultdict(list)
    for config in old:
        settings[config.model_copy(update={"seed": 0})].append(config)
    same, changes = 0, []
    for configs in settings.values():
        both = sorted((config for config in configs if config in new), key=lambda config: config.seed)
        found = list(_changes(configs, both, old, new)) if both else []
        same += bool(both) and not found
        changes += found
    stated = {(v.claim, v.profile): v.status for v in verdicts(before)}
    now = {(v.claim, v.profile): v.status for v in verdicts(after)}
    return Comparison(
        same=same,
        changes=tuple(sorted(changes, key=lambda change: (not change.moved, change.setting))),
        gone=tuple(sorted(config.name for config in old.keys() - new.keys())),
        new=tuple(sorted(config.name for config in new.keys() - old.keys())),
        verdicts=tuple((*key, stated[key], status) for key, status in now.items() if stated.get(key) != status),
    )


def _changes(
    configs: list[RunConfig],
    both: list[RunConfig],
    old: dict[RunConfig, RunRecord],
    new: dict[RunConfig, RunRecord],
) -> Iterator[Change]:
    """The errors of one setting that differ in any seed that both sets have."""
    name = both[0].name.rsplit("_", 2)[0]  # without seed and digest
    for error in ("training", "test"):
        field = "train_error" if error == "training" else "test_error"
        earlier = {config: getattr(old[config].final, field) for config in configs}
        later = [getattr(new[config].final, field) for config in both]
        if [earlier[config] for config in both] == later:
            continue
        yield Change(
            setting=name,
            error=error,
            num_seeds=len(both),
            before=mean(earlier[config] for config in both),
            after=mean(later),
            spread=stdev(earlier.values()) if len(earlier) > 1 else None,
        )


def change_table(comparison: Comparison) -> Table:
    """A row for each error that differs, those that moved beyond chance first."""
    return Table(
        {
            "setting": change.setting,
            "error": change.error,
            "seeds": change.num_seeds,
            "before (%)": f"{change.before:.2f}",
            "after (%)": f"{change.after:.2f}",
            "points": f"{change.difference:+.2f}",
            "in spreads of seeds": "" if change.in_spreads is None else f"{change.in_spreads:+.1f}",
            "": "moved" if change.moved else "",
        }
        for change in comparison.changes
    )


def verdict_table(comparison: Comparison) -> Table:
    """A row for each verdict that changed."""
    return Table(comparison.verdicts, columns=["claim", "profile", "before", "after"])


def summary(comparison: Comparison) -> str:
    """One line: how much is the same, and how much is not."""
    moved = sum(change.moved for change in comparison.changes)
    return (
        f"{comparison.same} settings the same to the last digit; {moved} errors moved beyond chance, "
        f"{len(comparison.changes) - moved} within it; {len(comparison.verdicts)} verdicts changed; "
        f"{len(comparison.gone)} runs gone, {len(comparison.new)} new"
    )


def text(comparison: Comparison, markdown: bool) -> str:
    """Summary and tables, for a terminal or as Markdown."""

    def shown(table: Table) -> str:
        return table.to_markdown(index=False, disable_numparse=True) if markdown else plain_text(table)

    parts = [summary(comparison)]
    if comparison.changes:
        parts.append(shown(change_table(comparison)))
    if comparison.verdicts:
        parts.append(shown(verdict_table(comparison)))
    if comparison.gone:
        parts.append("gone: " + ", ".join(comparison.gone))
    return "\n\n".join(parts)
