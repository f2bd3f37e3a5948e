"""The committed notebooks are whole and agree with their texts, and the checks that say so do fail."""

import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_output
from small_book import PARAMETERS, TEXT, edit_a_number, executed, lay_out, nbval, own_cells

from book import ROOT, BookError
from book.checks import ABSOLUTE_PATH, check, long_cells, output_problems, picture_problems, ran
from book.notebooks import name_cells, read_notebook, seal_pictures
from book.sync import sync
from resnet_lib.display import Html
from resnet_lib.show.pictures import Panel, picture


def test_committed_notebooks_are_whole() -> None:
    assert check(ROOT) == []


def test_a_whole_notebook_has_no_problem(tmp_path: Path) -> None:
    assert output_problems(executed(tmp_path)) == []


def set_output(cell: int, output: NotebookNode) -> Callable[[NotebookNode], None]:
    return lambda notebook: own_cells(notebook)[cell].outputs.append(output)


def strip_outputs(notebook: NotebookNode) -> None:
    for cell in own_cells(notebook):
        cell.outputs = []
    own_cells(notebook)[2].metadata.clear()  # which promise a figure


def set_count(count: int | None) -> Callable[[NotebookNode], None]:
    return lambda notebook: own_cells(notebook)[1].update(execution_count=count)


def set_source(source: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: own_cells(notebook)[1].update(source=source)


def set_alt(alt: str | None) -> Callable[[NotebookNode], None]:
    return lambda notebook: own_cells(notebook)[2].metadata.update(mystnb={"image": {"alt": alt}})


@pytest.mark.parametrize(
    ("damage", "problem"),
    {
        "no parameters": (lambda nb: own_cells(nb)[0].metadata.clear(), "no cells are tagged 'parameters', not one"),
        "two cells of parameters": (
            lambda nb: own_cells(nb)[1].update(source=PARAMETERS, metadata={"tags": ["parameters"]}),
            "2 cells are tagged 'parameters', not one",
        ),
        "a parameter missing": (
            lambda nb: own_cells(nb)[0].update(source='profile = "best"'),
            "its parameters lack retrain = False",
        ),
        "a time stamp": (
            lambda nb: own_cells(nb)[1].metadata.update(execution={"start": "12:00"}),
            "holds what differs from run to run, such as times",
        ),
        "a kernel's version": (
            lambda nb: nb.metadata.update(language_info={"version": "3.11.7"}),
            "holds what differs from run to run",
        ),
        "no figure": (
            lambda nb: own_cells(nb)[2].outputs.clear(),
            "code cell 4: shows no figure, though it has an alt text for one",
        ),
        "a measured time": (
            lambda nb: own_cells(nb)[1].metadata.update(tags=["measures-time"]),
            "code cell 3: keeps what it measured",
        ),
        "no output": (strip_outputs, "no cell has an output"),
        "not executed": (set_count(None), "not those of one run"),
        "executed twice": (set_count(7), "not those of one run"),
        "long cell": (set_source("x = 1\n" * 26), "code cell 3 has 26 lines, more than 25"),
        "stderr": (
            set_output(1, new_output("stream", name="stderr", text="a warning\n")),
            "stderr: a warning",
        ),
        "error": (set_output(1, new_output("error", ename="KeyError", evalue="'x'")), "raised KeyError"),
        "path printed": (
            set_output(1, new_output("stream", name="stdout", text="read /home/me/data/x.npz\n")),
            "absolute path /home/me/data/x.npz",
        ),
        "path in HTML": (
            set_output(1, new_output("display_data", {"text/html": "<td>/srv/data/</td>"})),
            "absolute path /srv/data/",
        ),
        "path in code": (set_source('open("/mnt/disk/x")'), "absolute path /mnt/disk/x"),
        "no alt": (lambda nb: own_cells(nb)[2].metadata.clear(), "alt text of its image is missing"),
        "empty alt": (set_alt(" "), "alt text of its image is missing"),
        "path for alt": (set_alt("../_images/fig1.png"), "is a file name: ../_images/fig1.png"),
        "file for alt": (set_alt("figure 1.png"), "is a file name: figure 1.png"),
    }.values(),
)
def test_a_damaged_notebook_is_told(tmp_path: Path, damage: Callable[[NotebookNode], None], problem: str) -> None:
    notebook = executed(tmp_path)
    damage(notebook)
    if "differs from run to run" not in problem:
        name_cells(notebook)  # as in a notebook whose text has the same damage
    (found,) = output_problems(notebook)
    assert problem in found


@pytest.mark.parametrize("text", ["/home/me/x.npz", "at '/usr/lib/python3/x.py'", "=/a/b", r"C:\Users", "/tmp/"])
def test_absolute_paths_are_seen(text: str) -> None:
    assert ABSOLUTE_PATH.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://arxiv.org/abs/1512.03385",
        "</td></tr>",
        "1/2/3",
        "images/s",
        "a/b/c",
        "w / o",
        "../a/b",
        "~/a/b",
    ],
)
def test_what_is_no_absolute_path_is_not(text: str) -> None:
    assert not ABSOLUTE_PATH.search(text)


def test_text_and_notebook_agree(tmp_path: Path) -> None:
    root = lay_out(tmp_path, one=TEXT)
    nbformat.write(executed(tmp_path), root / "notebooks" / "one.ipynb")
    seal_pictures(root / "notebooks")
    assert check(root) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("# A chapter", "# Another chapter", "cell 1 differs from the text in its source"),
        ("1 + 1", "1 + 2", "cell 4 differs from the text in its source"),
        ("[parameters]", "[parameters, hide-input]", "cell 3 differs from the text in its metadata"),
        ("A red dot", "A blue dot", "cell 5 differs from the text in its metadata"),
        ("# A chapter", "# A chapter\n\n+++\n\nMore.", "5 cells, but 6 in the text"),
    ],
)
def test_an_edited_text_is_told(tmp_path: Path, old: str, new: str, problem: str) -> None:
    root = lay_out(tmp_path, one=TEXT.replace(old, new))
    nbformat.write(executed(tmp_path), root / "notebooks" / "one.ipynb")
    seal_pictures(root / "notebooks")
    (found,) = check(root)
    assert found.startswith("notebooks/one.ipynb: ")
    assert problem in found


def test_missing_stray_and_unlisted_notebooks_are_told(tmp_path: Path) -> None:
    root = lay_out(tmp_path, one=TEXT)
    nbformat.write(executed(tmp_path), root / "notebooks" / "other.ipynb")
    seal_pictures(root / "notebooks")
    assert check(root) == [
        "chapters/one.md has no notebook",
        "notebooks/other.ipynb has no text",
        "notebooks/other.ipynb is not in _toc.yml",
    ]
    (root / "chapters" / "one.md").rename(root / "chapters" / "two.md")
    assert "_toc.yml lists notebooks/one, which has no text" in check(root)


def test_long_cells_are_remarked_on(tmp_path: Path) -> None:
    root = lay_out(tmp_path, one=TEXT.replace("print(1 + 1)", "x = 1\n" * 16))
    assert long_cells(root) == ["chapters/one.md: code cell 3 has 16 lines, more than 15"]


@pytest.mark.parametrize(
    ("damage", "problems"),
    [
        (None, []),
        ("skip", ["one: 3 of its 4 cells ran"]),
        ("fail", ["one: 3 of its 4 cells ran"]),
        ("cell", ["one: 3 of its 4 cells ran"]),
        ("notebook", ["two: 0 of its 2 cells ran"]),
    ],
)
def test_cells_that_nbval_did_not_run_are_told(tmp_path: Path, damage: str | None, problems: list[str]) -> None:
    root = lay_out(tmp_path, one=TEXT, two=PARAMETERS)
    cases = [f'<testcase classname="notebooks.one.ipynb" name="Cell {n}"/>' for n in range(4)]
    cases += [f'<testcase classname="notebooks.two.ipynb" name="Cell {n}"/>' for n in range(2)]
    cases = {
        "skip": [cases[0].replace("/>", '><skipped message="tagged"/></testcase>'), *cases[1:]],
        "fail": [cases[0].replace("/>", "><failure/></testcase>"), *cases[1:]],
        "cell": cases[1:],
        "notebook": cases[:4],
    }.get(damage, cases)
    (tmp_path / "report.xml").write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    assert ran(root, tmp_path / "report.xml") == problems


def test_a_report_that_is_not_there_or_cut_short_is_told(tmp_path: Path) -> None:
    root, report = lay_out(tmp_path, one=TEXT), tmp_path / "report.xml"
    for content in (None, "<testsuites>"):
        if content:
            report.write_text(content)
        with pytest.raises(BookError, match=r"report.xml: .*; run `make nbval`"):
            ran(root, report)


def test_nbval_compares_what_a_cell_gives_with_what_is_committed(tmp_path: Path) -> None:
    root = lay_out(tmp_path, one=PARAMETERS.replace("False\n", "False\n1 + 1\n"))
    assert sync(root) == []
    path = root / "notebooks" / "one.ipynb"
    whole = nbval(path, "--junitxml=report.xml")
    assert ran(root, path.parent / "report.xml") == []
    assert (whole.returncode, "2 passed" in whole.stdout) == (0, True), whole.stdout

    notebook = read_notebook(path)
    edit_a_number(notebook)
    nbformat.write(notebook, path)
    edited = nbval(path)
    assert (edited.returncode, "1 failed" in edited.stdout) == (1, True), edited.stdout


# Pictures.


def drawn(text: str) -> Html:
    """A picture as chapters show them."""
    return picture([Panel(f"<svg><text>{text}</text></svg>")])


@pytest.mark.fault("tampered record")
@pytest.mark.parametrize("kind", ["image/png", "text/html"])
def test_a_picture_is_held(kind: str, tmp_path: Path) -> None:
    def notebook(content: str) -> None:
        shown = drawn(content)._repr_html_() if kind == "text/html" else content
        output = nbformat.v4.new_output("display_data", {kind: shown})
        cell = nbformat.v4.new_code_cell("figure", outputs=[output], execution_count=1)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "01_x.ipynb")

    notebook("aaaa")
    seal_pictures(tmp_path)
    assert picture_problems(tmp_path) == []
    notebook("aaab")
    (problem,) = picture_problems(tmp_path)
    assert problem.startswith("notebooks/01_x, code cell 1, output 1: the picture is not the one")
    shutil.copy(tmp_path / "01_x.ipynb", tmp_path / "02_y.ipynb")
    seal_pictures(tmp_path, ["02_y"])
    assert len(picture_problems(tmp_path)) == 1, "sealing one chapter leaves the others' pictures held"
