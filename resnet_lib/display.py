"""What a notebook or terminal shows: tables that name the runs they were made from, and how numbers are written."""

import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from html import escape
from statistics import mean, stdev
from typing import ClassVar

import pandas as pd

from resnet_lib.runs.experiments import home
from resnet_lib.runs.profiles import scale_of
from resnet_lib.runs.records import RunRecord, Study

NO_RUN = "no run yet"
MOST_GROUPS = 4  # of runs that stand in the open below a table


def spread(values: Sequence[float]) -> str:
    """Mean, sample deviation and number of seeds: 12.34 ± 0.56 (n=5)."""
    if not values:
        return NO_RUN
    if len(values) == 1:
        return f"{values[0]:.2f} (n=1)"
    return f"{mean(values):.2f} ± {stdev(values):.2f} (n={len(values)})"


def two_digits(value: float) -> str:
    """A number of any size to two significant digits: 0.0031, 2.4, 330,000, 4.1e-07, 1.2e+09."""
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        rounded = float(f"{value:.1e}")
        return f"{rounded:,.0f}" if abs(rounded) >= 10 else f"{rounded:.6f}".rstrip("0").rstrip(".")
    return f"{value:.1e}"


def clock(seconds: float) -> str:
    """41 s, 3 min, 2 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def roughly(seconds: float) -> str:
    """For a guess, to two digits: 41 s, 3 min, 2.1 h, 12 days."""
    size, unit = next(
        (each for each in ((86400, "days"), (3600, "h"), (60, "min")) if seconds >= 2 * each[0]), (1, "s")
    )
    return f"{two_digits(seconds / size)} {unit}"


class Html(str):
    """Text that a notebook shows as it is marked up."""

    def _repr_html_(self) -> str:
        return str(self)

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        printer.text("<HTML>")  # else a notebook would hold all of it twice


class Markdown(str):
    """Text that a notebook renders."""

    def _repr_markdown_(self) -> str:
        return str(self)


def source(function: Callable) -> Markdown:
    """The code of a function or method of the library, as it stands there."""
    return Markdown(f"```python\n{textwrap.dedent(inspect.getsource(function))}```")


class Table(pd.DataFrame):
    """A data frame that a notebook shows without row numbers, and below it the runs that it was made from."""

    _metadata: ClassVar = ["made_from"]  # what pandas hands on to a table made of this one
    made_from: tuple[RunRecord | Study, ...] | None = None  # None: runs have no part in it

    @property
    def _constructor(self) -> type["Table"]:
        return Table

    def from_runs(self, records: Iterable[RunRecord | Study]) -> "Table":
        """This table, which now says that it was made from these records and studies."""
        self.made_from = tuple(records)
        return self

    def _repr_html_(self) -> str:
        """Digests stand in a comment: a test notices that one has changed, and nobody has to read it."""
        table = self.drop(columns="digest", errors="ignore").to_html(index=False, border=0)
        if "digest" in self:
            table += f"\n<!-- {' '.join(map(str, self['digest']))} -->"
        return table if self.made_from is None else f"{table}\n{runs_line(self.made_from)}"


def runs_line(records: Iterable[RunRecord | Study]) -> Html:
    """What stands below a table: how many runs it was made from, and on what; more than `MOST_GROUPS` are folded away.

    It carries the name of the page that lists them, and their digests, and is plain text: a notebook on Colab has no
    such page beside it. Where the pages are, tools/book/extensions/run_pages.py makes links of it.
    """
    runs = dict.fromkeys(record.config for record in records)
    groups: dict[tuple[str, str, str], list[str]] = {}
    for run in runs:
        if place := home(run):  # a run that only a live cell makes has none, and no page
            groups.setdefault((scale_of(run), place.suite.name, place.page), []).append(run.digest)
    if runs and not groups:
        return Html()
    sharing = Counter(scale for scale, *_ in groups)
    parts = [
        f'<span data-page="{page}" data-runs="{" ".join(digests)}">'
        f"{len(digests)} run{'s' if len(digests) > 1 else ''} on {scale}</span>"
        + (f" ({suite})" if sharing[scale] > 1 else "")
        for (scale, suite, page), digests in groups.items()
    ]
    line = f'<p class="runs">{"; ".join(parts) or "No runs yet"}</p>'
    if len(parts) > MOST_GROUPS:
        count = sum(map(len, groups.values()))
        line = f'<details class="runs"><summary>Made from {count:,} runs</summary>{line}</details>'
    return Html(line)


def plain_text(table: pd.DataFrame) -> str:
    """A table for the terminal, columns aligned, empty cells empty."""
    rows = [list(map(str, table.columns)), *(list(map(str, row)) for row in table.itertuples(index=False))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


class Cards(Table):
    """A table whose last columns are shown below its first one, and whose rows are cards on a phone."""

    _metadata: ClassVar = [*Table._metadata, "notes"]
    notes: tuple[str, ...] = ()  # the names of these columns

    @property
    def _constructor(self) -> type["Cards"]:
        return Cards

    def with_notes(self, *columns: str) -> "Cards":
        """This table, which now shows these columns below its first one."""
        self.notes = columns
        return self

    def to_html(self, **options: object) -> str:
        """The table as HTML, notes and all; options are those of pandas."""
        rows = []
        for row in self.astype(str).to_dict("records"):
            notes = " · ".join(f"{name}: {row[name]}" for name in self.notes if row[name])
            cells = {escape(name): escape(text) for name, text in row.items() if name not in self.notes}
            first = next(iter(cells), "")
            rows.append(cells | {first: f"{cells[first]} <small>{escape(notes)}</small>"})
        return pd.DataFrame(rows).to_html(**options, escape=False, classes="cards")
