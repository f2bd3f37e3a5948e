"""Executes each notebook by itself in an empty folder, as on Colab."""

import os
import re
import subprocess
import tempfile
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from book import classroom, clock
from book.notebooks import order_problem, read_notebook
from book.texts import chapter_texts, repository

COLAB_HAS = ("torch", "torchvision", "numpy", "pandas", "matplotlib", "scipy", "scikit-learn", "ipykernel", "nbclient")
COLOUR = re.compile(r"\x1b\[[\d;]*m")
HUNG = 600  # seconds after which a cell is taken to hang
LONGEST = 300  # seconds of processor time for a notebook: twice what the longest has taken on the slowest processor
# As jupyter-execute does, by whatever Python is asked. The kernel has the limit of what starts it.
EXECUTE = """
import resource, sys
from nbclient.cli import main
resource.setrlimit(resource.RLIMIT_CPU, 2 * [int(sys.argv.pop())])
main()
"""


def alone(root: Path) -> list[str]:
    """Executes each notebook by itself in an empty folder, as on Colab; returns the problems.

    The environment has only what Colab brings. The first cell installs the package, here from a clone of this
    repository instead of the address that it names, and each notebook has to do that anew. Each core has a notebook.
    """
    with tempfile.TemporaryDirectory() as scratch:
        colab, clone = Path(scratch, "colab"), Path(scratch, "clone")
        subprocess.run(["git", "clone", "--quiet", root, clone], check=True)
        venv.create(colab, with_pip=True)
        pip = [colab / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--constraint", root / "requirements.txt", *COLAB_HAS], check=True)
        here, there = f"git+{repository(root)}", f"git+file://{clone}"

        def problem(path: Path) -> str | None:
            source = path.read_text()
            if here not in source:
                return f"no cell installs the package from {repository(root)}"
            start = time.monotonic()
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                failure = _execute(source.replace(here, there), Path(folder), colab)
            print(f"{path.stem}: {failure or 'ran alone'}, {clock(time.monotonic() - start)}", flush=True)
            return failure

        paths = [root / "notebooks" / f"{text.stem}.ipynb" for text in chapter_texts(root)]
        paths.append(root / classroom.FOLDER / "lab_solutions.ipynb")
        with ThreadPoolExecutor(os.cpu_count()) as cores:
            found = zip(paths, cores.map(problem, paths), strict=True)
            return [f"{path.stem}: {failure}" for path, failure in found if failure]


def _execute(source: str, folder: Path, colab: Path) -> str | None:
    """Executes a notebook's source in an environment that adds nothing to Colab's, in a folder; returns what fails."""
    environment, work = folder / "environment", folder / "work"
    venv.create(environment)
    (packages,) = colab.glob("lib/python*/site-packages")
    (environment / packages.relative_to(colab) / "colab.pth").write_text(f"{packages}\n")
    work.mkdir()
    notebook = work / "notebook.ipynb"
    notebook.write_text(source)
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RESNET_LIB"))}
    result = subprocess.run(
        [environment / "bin" / "python", "-c", EXECUTE, notebook, "--inplace", f"--timeout={HUNG}", str(LONGEST)],
        cwd=work,
        env=bare | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if result.returncode:
        *_, reason = COLOUR.sub("", result.stderr).strip().splitlines() or ["no reason given"]
        return f"{reason} (it may take {LONGEST} s of processor time)" if "DeadKernel" in reason else reason
    return order_problem(read_notebook(notebook))
