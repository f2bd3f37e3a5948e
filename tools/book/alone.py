"""Executes each notebook by itself in an empty folder, as on Colab."""

import os
import subprocess
import tempfile
import time
import venv
from pathlib import Path

from book import classroom, clock
from book.notebooks import order_problem, read_notebook
from book.texts import chapter_texts, repository

COLAB_HAS = ("torch", "torchvision", "numpy", "pandas", "matplotlib", "ipykernel", "nbclient")
SECONDS = 180  # for one notebook with the installation of the package; a processor without AVX-512 needs most of it


def alone(root: Path) -> list[str]:
    """Executes each notebook by itself in an empty folder, as on Colab; returns the problems.

    The environment is new and has only what Colab brings. The first cell installs the package, here from a clone of
    this repository instead of the address that it names, and each notebook has to do that anew.
    """
    problems = []
    with tempfile.TemporaryDirectory() as scratch:
        environment, clone = Path(scratch, "env"), Path(scratch, "clone")
        subprocess.run(["git", "clone", "--quiet", root, clone], check=True)
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--constraint", root / "requirements.txt", *COLAB_HAS], check=True)
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RESNET_LIB"))}
        here, there = f"git+{repository(root)}", f"git+file://{clone}"
        notebooks = [root / "notebooks" / f"{text.stem}.ipynb" for text in chapter_texts(root)]
        for path in (*notebooks, root / classroom.FOLDER / "lab_solutions.ipynb"):
            start = time.monotonic()
            subprocess.run([*pip, "uninstall", "--yes", "resnet-lib"], check=True, stderr=subprocess.DEVNULL)
            with tempfile.TemporaryDirectory() as folder:
                notebook = Path(folder, path.name)
                source = path.read_text()
                if here not in source:
                    problems.append(f"{path.stem}: no cell installs the package from {repository(root)}")
                    continue
                notebook.write_text(source.replace(here, there))
                result = subprocess.run(
                    [environment / "bin" / "jupyter-execute", notebook, "--inplace", f"--timeout={SECONDS}"],
                    cwd=folder,
                    env=bare,
                    capture_output=True,
                    text=True,
                )
                if result.returncode:
                    problems.append(f"{path.stem}: {(result.stderr.strip().splitlines() or ['no reason given'])[-1]}")
                elif problem := order_problem(read_notebook(notebook)):
                    problems.append(f"{path.stem}: {problem}")
            taken = time.monotonic() - start
            if taken > SECONDS:
                problems.append(f"{path.stem}: took {clock(taken)}, more than {clock(SECONDS)}")
            print(f"{path.stem}: ran alone in {clock(taken)}", flush=True)
    return problems
