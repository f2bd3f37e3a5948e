"""Repositories of nothing but a few chapters, and what is asked of the notebooks that are made of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_output

from book.notebooks import code_cells
from book.texts import read_text

CONFIG = "repository: { url: https://example.org/book }\n"
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
COUNTING = f"""\
{PARAMETERS}
```{{code-cell}} ipython3
with open("runs", "a") as file:
    print("ran", file=file)
print(len(open("runs").readlines()))
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
    (root / "_config.yml").write_text(CONFIG)
    return root


def executed(root: Path) -> NotebookNode:
    """What executing TEXT would give."""
    path = root / "elsewhere" / "chapters" / "text.md"
    path.parent.mkdir(parents=True)
    path.write_text(TEXT)
    (root / "elsewhere" / "_config.yml").write_text(CONFIG)
    notebook = read_text(path)
    for count, cell in enumerate(code_cells(notebook), start=1):
        cell.execution_count = count
    _, second, third = own_cells(notebook)
    second.outputs = [new_output("stream", name="stdout", text="2\n")]
    third.outputs = [new_output("display_data", {"image/png": "aGk=", "text/plain": "<Figure with 1 Axes>"})]
    return notebook


def own_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells that the text has: all but the first, which installs the package."""
    return code_cells(notebook)[1:]


def edit_a_number(notebook: NotebookNode) -> None:
    """Makes another digit of the last digit of the first number in an output's text."""
    for cell in own_cells(notebook):
        for output in cell.outputs:
            texts = output if output.output_type == "stream" else output.get("data", {})
            for kind in ("text", "text/plain"):
                if kind in texts and not texts[kind].startswith("<Figure") and re.search(r"\d", texts[kind]):
                    texts[kind] = re.sub(r"\d\b", lambda m: str((int(m[0]) + 1) % 10), texts[kind], count=1)
                    return
    pytest.fail("no number in the outputs")


def nbval(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What `make test` asks of a notebook."""
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [*command, *options, path], cwd=path.parent, env=environment, capture_output=True, text=True, check=False
    )
