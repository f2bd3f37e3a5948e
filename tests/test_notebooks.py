"""The committed notebooks are whole and agree with their texts, and the checks that say so do fail."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_output

import book

COMMITTED = sorted((book.ROOT / "notebooks").glob("*.ipynb"))

PARAMETERS = """\
# A chapter

```{code-cell} ipython3
:tags: [parameters]

profile = "best"
retrain = False
```
"""
TEXT = f"""\
{PARAMETERS}
```{{code-cell}} ipython3
print(1 + 1)
```

```{{code-cell}} ipython3
---
mystnb:
  image:
    alt: A red dot in the middle.
---
draw()
```
"""
FAILING = f"""\
{PARAMETERS}
```{{code-cell}} ipython3
1 / 0
```
"""


def lay_out(root: Path, **texts: str) -> Path:
    """A repository of nothing but chapters, one for each keyword, and their table of contents."""
    (root / "chapters").mkdir()
    (root / "notebooks").mkdir()
    for name, text in texts.items():
        (root / "chapters" / f"{name}.md").write_text(text)
    entries = "".join(f"  - file: notebooks/{name}.ipynb\n" for name in texts)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: intro\nchapters:\n{entries}")
    (root / "_config.yml").write_text("repository: { url: https://example.org/book }\n")
    return root


def executed(root: Path) -> NotebookNode:
    """What executing TEXT would give."""
    path = root / "chapters" / "text.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(TEXT)
    (root / "_config.yml").write_text("repository: { url: https://example.org/book }\n")
    notebook = book.read_text(path)
    path.unlink()
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
    _, second, third = code_cells(notebook)
    second.outputs = [new_output("stream", name="stdout", text="2\n")]
    third.outputs = [new_output("display_data", {"image/png": "aGk=", "text/plain": "<Figure with 1 Axes>"})]
    return notebook


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """All but the first, which installs the package."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"][1:]


def nbval(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What `make test` asks of a notebook."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-current-env",
        "-p",
        "no:cacheprovider",
        *options,
        path,
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(command, cwd=path.parent, env=environment, capture_output=True, text=True, check=False)


# ------------------------------------------------------------------------------------ the committed notebooks


def test_committed_notebooks_are_whole():
    assert book.check(book.ROOT) == []


def test_nbval_fails_when_a_number_in_a_committed_output_is_edited(tmp_path):
    notebook = book.read_notebook(COMMITTED[0])
    edit_a_number(notebook)
    edited = tmp_path / COMMITTED[0].name
    nbformat.write(notebook, edited)
    result = nbval(edited)
    assert result.returncode == 1, result.stdout
    assert "1 failed" in result.stdout


def edit_a_number(notebook: NotebookNode) -> None:
    """Makes another digit of the last digit of the first number in an output's text."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            texts = output if output.output_type == "stream" else output.get("data", {})
            for kind in ("text", "text/plain"):
                if kind in texts and not texts[kind].startswith("<Figure") and re.search(r"\d", texts[kind]):
                    texts[kind] = re.sub(r"\d\b", lambda m: str((int(m[0]) + 1) % 10), texts[kind], count=1)
                    return
    pytest.fail("no number in the outputs")


# ------------------------------------------------------------------------------------------------- the checks


def test_a_whole_notebook_has_no_problem(tmp_path):
    assert book.output_problems(executed(tmp_path)) == []


def set_output(cell: int, output: NotebookNode) -> Callable[[NotebookNode], None]:
    return lambda notebook: code_cells(notebook)[cell].outputs.append(output)


def strip_outputs(notebook: NotebookNode) -> None:
    for cell in code_cells(notebook):
        cell.outputs = []
    code_cells(notebook)[2].metadata.clear()  # which promise a figure


def set_count(count: int | None) -> Callable[[NotebookNode], None]:
    return lambda notebook: code_cells(notebook)[1].update(execution_count=count)


def set_source(source: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: code_cells(notebook)[1].update(source=source)


def set_alt(alt: str | None) -> Callable[[NotebookNode], None]:
    return lambda notebook: code_cells(notebook)[2].metadata.update(mystnb={"image": {"alt": alt}})


@pytest.mark.parametrize(
    ("damage", "problem"),
    {
        "no parameters": (lambda nb: code_cells(nb)[0].metadata.clear(), "no cells are tagged 'parameters', not one"),
        "two cells of parameters": (
            lambda nb: code_cells(nb)[1].update(source=PARAMETERS, metadata={"tags": ["parameters"]}),
            "2 cells are tagged 'parameters', not one",
        ),
        "a parameter missing": (
            lambda nb: code_cells(nb)[0].update(source='profile = "best"'),
            "its parameters lack retrain = False",
        ),
        "a time stamp": (
            lambda nb: code_cells(nb)[1].metadata.update(execution={"start": "12:00"}),
            "holds what differs from run to run, such as times",
        ),
        "a kernel's version": (
            lambda nb: nb.metadata.update(language_info={"version": "3.11.7"}),
            "holds what differs from run to run",
        ),
        "no figure": (
            lambda nb: code_cells(nb)[2].outputs.clear(),
            "code cell 4: shows no figure, though it has an alt text for one",
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
        "no alt": (lambda nb: code_cells(nb)[2].metadata.clear(), "alt text of its image is missing"),
        "empty alt": (set_alt(" "), "alt text of its image is missing"),
        "path for alt": (set_alt("../_images/fig1.png"), "is a file name: ../_images/fig1.png"),
        "file for alt": (set_alt("figure 1.png"), "is a file name: figure 1.png"),
    }.values(),
)
def test_a_damaged_notebook_is_told(tmp_path, damage, problem):
    notebook = executed(tmp_path)
    damage(notebook)
    if "differs from run to run" not in problem:
        book.name_cells(notebook)  # as in a notebook whose text has the same damage
    (found,) = book.output_problems(notebook)
    assert problem in found


@pytest.mark.parametrize("text", ["/home/me/x.npz", "at '/usr/lib/python3/x.py'", "=/a/b", r"C:\Users", "/tmp/"])
def test_absolute_paths_are_seen(text):
    assert book.ABSOLUTE_PATH.search(text)


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
def test_what_is_no_absolute_path_is_not(text):
    assert not book.ABSOLUTE_PATH.search(text)


def test_text_and_notebook_agree(tmp_path):
    root = lay_out(tmp_path, one=TEXT)
    nbformat.write(executed(tmp_path), root / "notebooks" / "one.ipynb")
    assert book.check(root) == []


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
def test_an_edited_text_is_told(tmp_path, old, new, problem):
    root = lay_out(tmp_path, one=TEXT.replace(old, new))
    nbformat.write(executed(tmp_path), root / "notebooks" / "one.ipynb")
    (found,) = book.check(root)
    assert found.startswith("notebooks/one.ipynb: ")
    assert problem in found


def test_the_first_cell_installs_from_the_one_line_that_names_the_repository(tmp_path):
    root = lay_out(tmp_path, one=TEXT)
    nbformat.write(executed(tmp_path), root / "notebooks" / "one.ipynb")
    first, second = [cell for cell in book.read_notebook(root / "notebooks" / "one.ipynb").cells if cell.source][1:3]
    assert "%pip install --quiet git+https://example.org/book" in first.source
    assert first.metadata.tags == ["remove-cell"]
    assert "parameters" in second.metadata.tags
    (root / "_config.yml").write_text("repository: { url: https://example.org/fork }\n")
    (problem,) = book.check(root)
    assert "cell 2 differs from the text in its source: run `make notebooks`" in problem
    (root / "_config.yml").write_text("title: no repository\n")
    with pytest.raises(book.BookError, match="no repository with a url"):
        book.check(root)


def test_on_a_hosting_service_the_buttons_lead_to_its_repository(tmp_path, monkeypatch):
    root = lay_out(tmp_path, one=TEXT)
    assert "https://example.org/book" in book.served_config(root)
    monkeypatch.setenv("GITHUB_REPOSITORY", "me/mine")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://git.example")
    assert book.served_config(root) == "repository: { url: https://git.example/me/mine }\n"
    assert book.repository(root) == "https://example.org/book"  # which the committed notebooks go by


def test_missing_stray_and_unlisted_notebooks_are_told(tmp_path):
    root = lay_out(tmp_path, one=TEXT)
    nbformat.write(executed(tmp_path), root / "notebooks" / "other.ipynb")
    assert book.check(root) == [
        "chapters/one.md has no notebook",
        "notebooks/other.ipynb has no text",
        "notebooks/other.ipynb is not in _toc.yml",
    ]
    (root / "chapters" / "one.md").rename(root / "chapters" / "two.md")
    assert "_toc.yml lists notebooks/one, which has no text" in book.check(root)


def test_long_cells_are_remarked_on(tmp_path):
    root = lay_out(tmp_path, one=TEXT.replace("print(1 + 1)", "x = 1\n" * 16))
    assert book.long_cells(root) == ["chapters/one.md: code cell 3 has 16 lines, more than 15"]


# -------------------------------------------------------------------------------------------------- executing


def test_sync_gives_the_same_bytes_twice_and_keeps_the_notebook_of_a_failing_chapter(tmp_path):
    prints_twice = """
```{code-cell} ipython3
import time
print(profile, flush=True)
time.sleep(0.3)
print(retrain)
```
"""
    root = lay_out(tmp_path, one=PARAMETERS + prints_twice + prints_twice, two=FAILING)
    one, two = root / "notebooks" / "one.ipynb", root / "notebooks" / "two.ipynb"
    two.write_text("as it was")
    assert book.sync(root) == [
        "chapters/two.md: code cell 3: ZeroDivisionError: division by zero (its old notebook stays)"
    ]
    first = one.read_bytes()
    book.sync(root, fresh=True)
    assert one.read_bytes() == first
    assert two.read_text() == "as it was"
    assert sorted(path.name for path in one.parent.iterdir()) == ["one.ipynb", "two.ipynb"]

    notebook = book.read_notebook(one)
    assert [[output.text for output in cell.outputs] for cell in code_cells(notebook)] == [[]] + [["best\nFalse\n"]] * 2
    assert len({cell.id for cell in notebook.cells}) == 5


COUNTING = (
    PARAMETERS
    + """
```{code-cell} ipython3
with open("runs", "a") as file:
    print("ran", file=file)
print(len(open("runs").readlines()))
```
"""
)


def test_a_chapter_is_executed_again_when_its_cells_or_what_they_use_changed(tmp_path):
    root = lay_out(tmp_path, one=COUNTING)
    (root / "resnet_lib" / "records").mkdir(parents=True)
    (root / "requirements.txt").write_text("torch==2\n")
    text, notebook = root / "chapters" / "one.md", root / "notebooks" / "one.ipynb"

    def runs_after_sync(**options: bool) -> int:
        assert book.sync(root, **options) == []
        assert book.check(root) == []
        shown = int(code_cells(book.read_notebook(notebook))[1].outputs[0].text)
        assert shown == len((root / "notebooks" / "runs").read_text().splitlines())
        return shown

    def edit(path: Path, content: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    assert runs_after_sync() == 1
    notebook.unlink()
    edit(text, COUNTING.replace("# A chapter", "# A chapter of other prose"))
    edit(root / "resnet_lib" / "__pycache__" / "x.pyc", "")
    assert runs_after_sync() == 1
    assert "other prose" in notebook.read_text()
    changes = [
        (text, COUNTING.replace("print(len", "print( len")),
        (root / "resnet_lib" / "new.py", ""),
        (root / "resnet_lib" / "new.py", "x = 1"),
        (root / "resnet_lib" / "records" / "one.json", "{}"),
        (root / "requirements.txt", "torch==3\n"),
    ]
    for count, (path, content) in enumerate(changes, start=2):
        edit(path, content)
        assert runs_after_sync() == count, path
    assert runs_after_sync() == count
    assert runs_after_sync(fresh=True) == count + 1
    (kept,) = (root / "build" / "executed").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert runs_after_sync() == count + 2, "half a file is not taken for whole"

    book.run(root, tmp_path / "out", "smoke", retrain=True)
    assert (tmp_path / "out" / "runs").exists(), "reproducing is running"


def test_a_cell_that_is_passed_over_is_told(tmp_path):
    skipped = COUNTING.replace("ipython3\nwith", "ipython3\n:tags: [skip-execution]\n\nwith")
    root = lay_out(tmp_path, one=skipped)
    assert book.sync(root) == [f"chapters/one.md: {book.ORDER} (its old notebook stays)"]
    nbformat.write(book.read_text(root / "chapters" / "one.md"), root / "notebooks" / "one.ipynb")
    assert book.run(root, tmp_path / "out", "smoke", retrain=False) == [f"one: {book.ORDER}"]


def test_a_run_of_fewer_cells_than_the_text_has_is_told(tmp_path):
    root = lay_out(tmp_path, one=PARAMETERS)
    assert book.sync(root) == []
    (root / "chapters" / "one.md").write_text(COUNTING)
    (problem,) = book.run(root, tmp_path / "out", "smoke", retrain=False)
    assert problem == "one: 2 cells ran, but its text has 3: run `make notebooks`"


def test_a_chapter_is_added_and_removed_as_contributing_says(tmp_path):
    for name in ("_toc.yml", "_config.yml"):
        shutil.copy(book.ROOT / name, tmp_path)
    for name in ("chapters", "notebooks"):
        shutil.copytree(book.ROOT / name, tmp_path / name)
    toc, before = tmp_path / "_toc.yml", book.contents(tmp_path)
    steps = (book.ROOT / "CONTRIBUTING.md").read_text().partition("## Adding a chapter\n")[2]
    text = tmp_path / "chapters" / "99_walk.md"
    text.write_text(textwrap.dedent(steps.partition("   ````md\n")[2].partition("   ````\n")[0]))
    assert book.check(tmp_path) == ["chapters/99_walk.md has no notebook"]
    assert book.sync(tmp_path, ["99_walk"]) == []
    assert book.check(tmp_path) == ["notebooks/99_walk.ipynb is not in _toc.yml"]
    listed = toc.read_text()
    toc.write_text(f"{listed.rstrip()}\n      - file: notebooks/99_walk.ipynb\n")
    assert book.check(tmp_path) == []
    after = book.contents(tmp_path)
    assert (after.pages, after.figures) == (before.pages + 1, before.figures + 1)
    assert after.cells == before.cells | {"99_walk": 4}

    text.unlink()
    (tmp_path / "notebooks" / "99_walk.ipynb").unlink()
    toc.write_text(listed)
    assert book.check(tmp_path) == []
    assert book.contents(tmp_path) == before


# ---------------------------------------------------------------------------------------------- complete or red


def test_the_book_is_counted_from_its_texts(tmp_path):
    root = lay_out(tmp_path, one=TEXT, two=PARAMETERS)
    assert book.contents(root) == book.Contents(pages=3, figures=1, cells={"one": 4, "two": 2})
    assert str(book.contents(root)) == "3 pages, 1 figures, 6 cells executed"


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
def test_cells_that_nbval_did_not_run_are_told(tmp_path, damage, problems):
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
    assert book.ran(root, tmp_path / "report.xml") == problems


def test_a_report_that_is_not_there_or_cut_short_is_told(tmp_path):
    root, report = lay_out(tmp_path, one=TEXT), tmp_path / "report.xml"
    for content in (None, "<testsuites>"):
        if content:
            report.write_text(content)
        with pytest.raises(book.BookError, match=r"report.xml: .*; run `make nbval`"):
            book.ran(root, report)


def test_nbval_compares_what_a_cell_gives_with_what_is_committed(tmp_path):
    root = lay_out(tmp_path, one=PARAMETERS.replace("False\n", "False\n1 + 1\n"))
    assert book.sync(root) == []
    path = root / "notebooks" / "one.ipynb"
    whole = nbval(path, "--junitxml=report.xml")
    assert book.ran(root, path.parent / "report.xml") == []
    assert (whole.returncode, "2 passed" in whole.stdout) == (0, True), whole.stdout

    notebook = book.read_notebook(path)
    edit_a_number(notebook)
    nbformat.write(notebook, path)
    edited = nbval(path)
    assert (edited.returncode, "1 failed" in edited.stdout) == (1, True), edited.stdout


def test_run_goes_on_after_a_failure_and_lets_the_library_speak(tmp_path, capsys):
    speak = """
```{code-cell} ipython3
import os
with open(os.environ["RESNET_LIB_PROGRESS"], "a") as file:
    print("training", profile, retrain, file=file)
```
"""
    root = lay_out(
        tmp_path, dead=FAILING.replace("1 / 0", "import os\nos._exit(1)"), one=FAILING, two=PARAMETERS + speak
    )
    for name in ("dead", "one", "two"):
        nbformat.write(book.read_text(root / "chapters" / f"{name}.md"), root / "notebooks" / f"{name}.ipynb")
    out = tmp_path / "out"

    dead, one = book.run(root, out, "smoke", retrain=True)
    assert dead == "dead: DeadKernelError: Kernel died"
    assert one == "one: code cell 4: ZeroDivisionError: division by zero"
    printed = capsys.readouterr().out
    assert "[1/3] dead, time left not known yet" in printed
    assert re.search(r"\[3/3\] two, about 0:0\d left\n    training smoke True\n\[3/3\] two done after 0:0", printed)
    assert "1 of 3 notebooks ran" in printed

    assert book.seconds_before(out / "two.ipynb", {"profile": "smoke", "retrain": True}) > 0
    assert book.seconds_before(out / "two.ipynb", {"profile": "paper", "retrain": True}) is None
    assert book.seconds_before(out / "one.ipynb", {"profile": "smoke", "retrain": True}) is None, "it failed"
    assert book.seconds_before(out / "three.ipynb", {}) is None


def test_time_left():
    assert book.time_left([None, 5.0], []) == "time left not known yet"
    assert book.time_left([None, 5.0], [60.0, 70.0]) == "about 1:10 left"
    assert book.time_left([3600.0, 5.0], []) == "about 1:00:05 left"


# -------------------------------------------------------------------------------------------------- the pages


@pytest.fixture
def site(tmp_path) -> tuple[Path, Path]:
    """A root with one executed chapter, and pages such as jupyter-book would make of it."""
    root = lay_out(tmp_path, one=TEXT)
    nbformat.write(executed(tmp_path), root / "notebooks" / "one.ipynb")
    pages = tmp_path / "html"
    for folder in ("notebooks", "_images", "_static"):
        (pages / folder).mkdir(parents=True)
    (pages / "_images" / "dot.png").touch()
    (pages / "_static" / "part.html").touch()
    for name in ("index", "genindex", "search", "intro"):
        (pages / f"{name}.html").write_text('<script src="_static/x.js"></script>')
    (pages / "notebooks" / "one.html").write_text(
        '<article><div class="cell"></div><div class="cell"></div><div class="cell"><div class="cell_output">'
        '<img src="../_images/dot.png" alt="A red dot."></div></div></article>'
    )
    return root, pages


def test_whole_pages_have_no_problem(site):
    assert book.page_problems(*site) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("<img", "<b", "shows 0 figures of the 1 in its notebook"),
        ('<article><div class="cell">', "<article><div>", "shows 2 cells of the 3 in its notebook"),
        ("dot.png", "gone.png", "its image ../_images/gone.png is not in the build"),
        ("A red dot.", "../_images/dot.png", "the alt text of ../_images/dot.png is a file name"),
        (
            "<article>",
            '<script src="https://cdn.example/x.js"></script><article>',
            "loads https://cdn.example/x.js",
        ),
        ("<article>", '<link rel="stylesheet" href="//fonts.example/x"><article>', "loads //fonts.example/x"),
    ],
)
def test_a_damaged_page_is_told(site, old, new, problem):
    root, pages = site
    page = pages / "notebooks" / "one.html"
    page.write_text(page.read_text().replace(old, new))
    (found,) = book.page_problems(root, pages)
    assert problem in found


def test_missing_and_stray_pages_are_told(site):
    root, pages = site
    (pages / "intro.html").rename(pages / "other.html")
    assert book.page_problems(root, pages) == [
        "_toc.yml lists intro, which was not built",
        "other was built, but is not in _toc.yml",
    ]


# ----------------------------------------------------------------------------------------------- command line


def test_a_mistake_gets_one_line_and_status_2(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(book, "ROOT", tmp_path)
    assert book.main(["check"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit, match="2"):
        book.main(["bake"])


def test_a_problem_gets_one_line_and_status_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(book, "ROOT", lay_out(tmp_path, one=TEXT))
    assert book.main(["check"]) == 1
    assert capsys.readouterr().err.endswith("check: chapters/one.md has no notebook\n")
