"""The pages that list the runs, one for each suite and profile, made from the records when the book is built.

A Sphinx extension, named in _config.yml. Figures and tables say in plain text which runs they were made from
(`display.runs_line`). On a page the words become links, and the records lie beside the pages, so that all of it can be
read from a folder. `run_links` holds pages to that.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from book.extensions.chapters import NAMED as NAMED_CHAPTER
from book.extensions.chapters import numbered
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import SUITES, home
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import STUDIES, RunRecord, Study, load_record, load_study
from resnet_lib.runs.store import committed_dir, is_run

FOLDER, RECORDS = "runs", "records"  # of the built book
OTHERS = "others"  # the page of runs that no suite makes
NAMED = re.compile(r'<span data-page="([\w-]+)"( data-runs="[\w ]+")?>(.*?)</span>', re.DOTALL)
LINE = re.compile(r'<p class="runs">.*?</p>', re.DOTALL)
HEADS = ("seed", "training error", "test error", "error by iteration", "made on", "made with", "files")
WIDTH, HEIGHT = 160, 48  # of a small drawing

Pages = dict[str, dict[Path, RunRecord]]  # name of a page -> its runs, with where their records lie below the folder


# ---------------------------------------------------------------------------------------------------- what a page holds


def collect(folder: Path) -> Pages:
    """Every record in a folder, by page; there as the suite has its settings, and by seed."""
    records = {path.relative_to(folder): load_record(path) for path in sorted(folder.rglob("*.json")) if is_run(path)}

    def place(item: tuple[Path, RunRecord]) -> tuple[int, str, int]:
        config, at = item[1].config, home(item[1].config)
        return at.suite.settings.index(at.setting) if at else 0, config.net.name, config.seed

    pages: Pages = {f"{suite}-{profile}": {} for suite in SUITES for profile in PROFILES} | {OTHERS: {}}
    for path, record in sorted(records.items(), key=place):
        pages[page_of(record.config)][path] = record
    return {name: runs for name, runs in pages.items() if runs}


def page_of(config: RunConfig) -> str:
    """The name of the page that lists a run."""
    at = home(config)
    return at.page if at else OTHERS


def title(name: str, runs: dict[Path, RunRecord]) -> str:
    """A page's title: Runs: degradation, small."""
    at = home(next(iter(runs.values())).config)
    return f"Runs: {at.suite.name}, {at.profile.name}" if at else "Runs of no suite"


def index(pages: Pages) -> str:
    """The page that leads to all the others."""
    items = "\n".join(
        f'<li><a href="{name}.html">{escape(title(name, runs).removeprefix("Runs: "))}</a> ({len(runs)})</li>'
        for name, runs in pages.items()
    )
    count = sum(map(len, pages.values()))
    return (
        f"<section><h1>All runs</h1>\n<p>The {count} runs that this book was made from, by suite and profile. "
        f"A run that several suites share stands with the first.</p>\n<ul>\n{items}\n</ul></section>"
    )


def page(name: str, runs: dict[Path, RunRecord], studies: dict[str, list[Path]]) -> str:
    """What a page says of its runs: a table for each setting, with what all seeds share above it.

    Args:
        name: of the page.
        runs: path below the folder of records -> record.
        studies: digest of a run -> paths of what was measured on its net afterwards.
    """
    at = home(next(iter(runs.values())).config)
    top = max(max(*record.train_curve.error, *record.test_curve.error) for record in runs.values())
    parts = [f"<section><h1>{escape(title(name, runs))}</h1>", '<p><a href="index.html">All runs</a></p>']
    if at:
        suite, profile = at.suite, at.profile
        command = f"python -m resnet_lib train --suite {suite.name} --profile {profile.name}"
        parts += [
            f"<p>{escape(suite.title)} ({escape(suite.source)}). Profile <code>{profile.name}</code>: "
            f"{escape(profile.summary)}, where a setting does not say otherwise. To train them: "
            f"<code>{command}</code></p>"
        ]
    parts.append(
        f"<p>Errors are those of the last iteration, in percent. The drawings reach from 0 to {top:.0f}% and from the "
        "first iteration to the last: bold the test error, thin the training error on augmented images.</p>"
    )
    settings: dict[tuple, dict[Path, RunRecord]] = {}
    for path, record in runs.items():
        settings.setdefault((record.config.net, record.config.data, record.config.recipe), {})[path] = record
    for group in settings.values():
        config = next(iter(group.values())).config
        heading = home(config).setting.name if at else config.net.name
        rows = [row(path, record, top, heading, studies) for path, record in group.items()]
        head = "".join(f'<th scope="col">{text}</th>' for text in HEADS)
        parts += [
            f'<h2>{escape(heading)}</h2>\n<p class="settings">{settings_of(config)}</p>\n<div class="runs"><table>'
        ]
        parts += [f"<thead><tr>{head}</tr></thead>\n<tbody>", *rows, "</tbody></table></div>"]
    return "\n".join([*parts, "</section>"])


def settings_of(config: RunConfig) -> str:
    """All that a config says, but for the seed, as its record says it."""
    said = config.model_dump(mode="json", exclude_defaults=True)
    return " ".join(
        f"<b>{part}</b> " + ", ".join(f"{field} {escape(str(value))}" for field, value in said[part].items()) + "."
        for part in ("net", "data", "recipe")
    )


def row(path: Path, record: RunRecord, top: float, setting: str, studies: dict[str, list[Path]]) -> str:
    """One run."""
    config, made, name = record.config, record.provenance, escape(f"{setting}, seed {record.config.seed}")
    diverged = f", diverged at iteration {record.diverged_at}" if record.diverged_at else ""
    hardware = f"{made.device}, {made.threads} thread{'s' if made.threads > 1 else ''}, {made.precision}"
    hardware += (", compiled" if made.compiled else "") + (
        f", {made.processes} processes" if made.processes > 1 else ""
    )
    commit = f", commit {made.git_commit[:8]}{', changed' if made.git_dirty else ''}" if made.git_commit else ""
    files = {"record": path} | {study.stem.partition("_")[0]: study for study in studies.get(config.digest, ())}
    links = ", ".join(
        f'<a href="../{RECORDS}/{file.as_posix()}" aria-label="{kind} of {name}">{kind}</a>'
        for kind, file in files.items()
    )
    cells = (
        f"{record.final.train_error:.2f}",
        f"{record.final.test_error:.2f}{diverged}",
        drawing(record, top, name),
        escape(hardware),
        escape(f"torch {made.torch}{commit}, data {made.data_digest}, {made.date}, {made.seconds:.0f} s"),
        links,
    )
    tail = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr id="run-{config.digest}"><th scope="row">{config.seed}</th>{tail}</tr>'


def drawing(record: RunRecord, top: float, name: str) -> str:
    """The run's two curves as a picture of a line's height, and in words for who cannot see it."""
    end = record.train_curve.iteration[-1]

    def points(iterations: Sequence[int], errors: Sequence[float]) -> str:
        places = [
            f"{WIDTH * i / end:.1f},{2 + (HEIGHT - 4) * (1 - error / (top or 1)):.1f}"
            for i, error in zip(iterations, errors, strict=True)
        ]
        return " ".join(places if len(places) > 1 else places * 2)  # a line of one point is drawn as a dot

    train, test = record.train_curve, record.test_curve
    words = f"{name}: test error {test.error[0]:.1f}% after {test.iteration[0]:,} iterations, "
    words += f"lowest {min(test.error):.1f}%, last {test.error[-1]:.1f}%; "
    words += f"training error from {train.error[0]:.1f}% to {train.error[-1]:.1f}%"
    return (
        f'<svg class="curve" role="img" aria-label="{words}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}"><polyline points="{points(train.iteration, train.error)}" stroke-width="0.8"/>'
        f'<polyline points="{points(test.iteration, test.error)}" stroke-width="2"/></svg>'
    )


# -------------------------------------------------------------------------------------------------- as part of the book


def link(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Makes links of what figures and tables say of their runs.

    The single page, which becomes the PDF, has no pages of runs beside it and keeps the words.
    """

    def linked(found: re.Match[str]) -> str:
        uri = app.builder.get_relative_uri(docname, f"{FOLDER}/{found[1]}")
        return f'<a href="{uri}"{found[2] or ""}>{found[3]}</a>'

    if app.builder.name == "html":
        for node in list(doctree.findall(nodes.raw)):
            if NAMED.search(text := node.astext()):
                node.children = [nodes.Text(NAMED.sub(linked, text))]


def add_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    """What Sphinx writes beside the pages that have a source; translated pages lead to that of the English ones."""
    if app.config.translated:
        return
    folder = committed_dir()
    pages, studies = collect(folder), collect_studies(folder)
    yield f"{FOLDER}/index", {"title": "All runs", "body": index(pages)}, "page.html"
    chapters = numbered(app.env.found_docs)

    def linked(found: re.Match[str]) -> str:
        return f'<a href="../{chapters[int(found[0].split()[1])]}.html">{found[0]}</a>'

    for name, runs in pages.items():
        body = NAMED_CHAPTER.sub(linked, page(name, runs, studies))
        yield f"{FOLDER}/{name}", {"title": title(name, runs), "body": body}, "page.html"


def collect_studies(folder: Path) -> dict[str, list[Path]]:
    """Digest of a run -> what was measured on its net afterwards."""
    found: dict[str, list[Path]] = {}
    for path in sorted((folder / STUDIES).glob("*.json")):
        study: Study = load_study(path)
        found.setdefault(study.config.digest, []).append(path.relative_to(folder))
    return found


def copy_records(app: Sphinx, exception: Exception | None) -> None:
    """Puts the records beside the pages; weights stay where they are."""
    if app.builder.name == "html" and exception is None and not app.config.translated:
        target = Path(app.outdir, RECORDS)
        shutil.rmtree(target, ignore_errors=True)
        for path in committed_dir().rglob("*.json"):
            copied = target / path.relative_to(committed_dir())
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copied)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", link)
    app.connect("html-collect-pages", add_pages)
    app.connect("build-finished", copy_records)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
