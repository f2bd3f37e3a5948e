"""The book has pages that list each run, and its tables and figures lead there."""

from pathlib import Path
from types import SimpleNamespace

from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from samples import made_up_record, made_up_study, tiny_config

from book import ROOT
from book.extensions import run_pages
from book.page_checks import unlinked_chapters
from book.texts import toc_pages
from resnet_lib.runs.experiments import unnormalised
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord, save_record, save_study
from resnet_lib.runs.settings import plain
from resnet_lib.runs.store import committed_dir

SMALL = PROFILES["small"]
PLAIN_20 = plain(20).runs(SMALL)


def test_each_committed_record_is_on_one_page() -> None:
    pages = run_pages.collect(committed_dir())
    paths = [path for runs in pages.values() for path in runs]
    assert sorted(paths) == sorted(
        path.relative_to(committed_dir())
        for path in committed_dir().rglob("*.json")
        if path.parent.name not in ("studies", "published")
    )
    assert len(pages) > 10


def test_chapters_that_these_pages_name_are_links() -> None:
    app = SimpleNamespace(env=SimpleNamespace(found_docs=toc_pages(ROOT)), config=SimpleNamespace(translated=[]))
    bodies = [context["body"] for _, context, _ in run_pages.add_pages(app)]
    page = BeautifulSoup(f"<article>{''.join(bodies)}</article>", "html.parser")
    assert not list(unlinked_chapters(page))
    assert page.find("a", string="chapter 10")["href"] == "../notebooks/10_choosing_an_architecture.html"


def records_folder(folder: Path) -> Path:
    """Two seeds of a net, one with a study, a diverged run, and a run of no suite."""
    first, second = PLAIN_20[:2]
    without = unnormalised(plain(20), 0.1).at(SMALL, 0)
    for config, error in ((first, 12.5), (second, 0.0), (tiny_config(), 40.0)):
        save_record(made_up_record(config, train_error=error, test_error=error), folder / "set")
    lost = made_up_record(without)
    curves = {
        "train_curve": {name: column[:1] for name, column in lost.train_curve},
        "test_curve": {name: column[:1] for name, column in lost.test_curve},
    }
    told = lost.model_dump() | curves | {"diverged_at": curves["train_curve"]["iteration"][0], "probes": None}
    told["final"] |= {"test_error": lost.test_curve.error[0]}
    save_record(RunRecord.model_validate(told), folder / "set")
    save_study(made_up_study("growth", first, {"whole net": 1.0}), folder)
    return folder


def html(folder: Path, name: str) -> BeautifulSoup:
    text = run_pages.page(name, run_pages.collect(folder)[name], run_pages.collect_studies(folder))
    return BeautifulSoup(text, "html.parser")


def test_a_page_says_of_each_run_what_its_record_does(tmp_path: Path) -> None:
    folder = records_folder(tmp_path)
    assert list(run_pages.collect(folder)) == ["degradation-small", "batch-norm-small", "others"]
    page = html(folder, "degradation-small")
    assert page.h1.text == "Runs: degradation, small"
    assert [heading.text for heading in page("h2")] == ["plain-20"]
    assert (
        "depth 20" in page.text
        and "milestones [300]" in page.text
        and "seed 0" not in page.select_one(".settings").text
    )
    first, second = page.select("tbody tr")
    config = PLAIN_20[0]
    assert first["id"] == f"run-{config.digest}"
    cells = [cell.text for cell in first(["th", "td"])]
    assert cells[:3] == ["0", "12.50", "12.50"]
    assert cells[4:] == [
        "made up, 1 thread, fp32",
        "torch 2.13.0, data 0123456789abcdef, 2026-01-01, 1 s",
        "record, growth",
    ]
    assert [link["href"] for link in first("a")] == [
        f"../records/set/{config.name}.json",
        f"../records/studies/growth_{config.name}.json",
    ]
    assert [cell.text for cell in second(["th", "td"])][:3] == ["1", "0.00", "0.00"]
    assert "diverged at iteration 200" in html(folder, "batch-norm-small").text
    assert html(folder, "others").h1.text == "Runs of no suite"


def test_a_curve_is_drawn_to_scale() -> None:
    record = made_up_record(tiny_config(), train_error=39.0, test_error=0.0, halfway=80.0, best=40.0)
    drawing = BeautifulSoup(run_pages.drawing(record, 80.0, "a net"), "html.parser").svg
    train, test = (line["points"] for line in drawing("polyline"))
    assert train == "80.0,2.0 160.0,24.0"  # from the top, 80, to 40, in the middle
    assert test == "80.0,24.0 160.0,46.0"
    assert drawing["aria-label"].startswith("a net: test error 40.0% after 6 iterations, lowest 0.0%, last 0.0%")


def test_a_curve_of_one_point_and_one_of_zeros_are_drawn(tmp_path: Path) -> None:
    points = html(records_folder(tmp_path), "batch-norm-small").polyline["points"].split()
    assert len(points) == 2 and points[0] == points[1]
    nothing = made_up_record(tiny_config(), train_error=0.0, test_error=0.0, halfway=0.0, best=0.0)
    assert "nan" not in run_pages.drawing(nothing, 0.0, "a net")


def test_pages_can_be_read_aloud() -> None:
    folder = committed_dir()
    studies = run_pages.collect_studies(folder)
    for name, runs in run_pages.collect(folder).items():
        page = BeautifulSoup(run_pages.page(name, runs, studies), "html.parser")
        assert len(page("h1")) == 1
        assert all(head.text for head in page("th"))
        labels = [link["aria-label"] for link in page.select("td a")] + [svg["aria-label"] for svg in page("svg")]
        assert len(set(labels)) == len(labels), name
        assert all(link["aria-label"].startswith(link.text) for link in page.select("td a"))


# -------------------------------------------------------------------------------------------------- as part of the book

LINE = '<p class="runs">Runs: <span data-page="degradation-small" data-runs="11111111 22222222">2 of them</span></p>'
LINKED = '<a href="../runs/degradation-small.html" data-runs="11111111 22222222">2 of them</a>'
BUILDER = SimpleNamespace(name="html", get_relative_uri=lambda _page, target: f"../{target}.html")


def doctree(*parts: nodes.Node) -> nodes.document:
    document = new_document("page")
    document += parts
    return document


def raw(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def test_words_become_links_in_figures_and_tables() -> None:
    document = doctree(
        nodes.figure("", raw(f"<svg></svg>{LINE}")), raw("<table></table>"), raw(f"<table></table>{LINE}")
    )
    run_pages.link(SimpleNamespace(builder=BUILDER), document, "notebooks/one")
    assert [part.astext().count(LINKED) for part in document] == [1, 0, 1]


def test_the_single_page_keeps_the_words() -> None:
    document = doctree(raw(f"<table></table>{LINE}"))
    run_pages.link(SimpleNamespace(builder=SimpleNamespace(name="singlehtml")), document, "notebooks/one")
    assert document.astext().count(LINE) == 1
