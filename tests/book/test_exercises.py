"""Each exercise has a solution, which is hidden until it is opened; the build holds that it follows its exercise."""

import re
from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from book import ROOT
from book.texts import chapter_texts

EXERCISE = re.compile(r"^:::\{exercise\}\n:label: (ex-[\w-]+)\n", re.MULTILINE)
SOLUTION = re.compile(r"^:::\{solution\} (\S+)\n:class: dropdown\n", re.MULTILINE)
PAGE = """\
Page
====

.. card:: A title that another extension shows

.. exercise::
   :label: ex-one

   First.

.. exercise::
   :label: ex-two

   Second.
"""


@pytest.mark.parametrize("text", chapter_texts(ROOT), ids=lambda path: path.stem)
def test_each_exercise_has_a_hidden_solution(text: Path) -> None:
    written = text.read_text()
    assert EXERCISE.findall(written) == SOLUTION.findall(written)
    assert written.count("{exercise}") == len(EXERCISE.findall(written))


@pytest.mark.parametrize("builder", ["html", "singlehtml"])
def test_a_page_has_no_id_twice_and_other_extensions_have_their_say(tmp_path: Path, builder: str) -> None:
    (tmp_path / "index.rst").write_text(PAGE)
    settings = {"extensions": ["sphinx_design", "sphinx_exercise", "book.extensions.exercises"]}
    said = StringIO()
    with docutils_namespace():  # of a book of its own
        Sphinx(tmp_path, None, tmp_path / "out", tmp_path / "out", builder, settings, said, said).build()
    page = BeautifulSoup((tmp_path / "out" / "index.html").read_text(), "html.parser")
    assert [box.section.text.strip() for box in page.select(".exercise")] == ["First.", "Second."]
    assert set(Counter(part["id"] for part in page.select("[id]")).values()) == {1}
    assert "A title that another extension shows" in page.text
