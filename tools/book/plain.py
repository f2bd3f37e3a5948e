"""The settings of Sphinx as a file, for who has no jupyter-book 1: conf.py, made of _config.yml and never edited."""

import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from book import BookError

HEAD = """\
# The pages without jupyter-book: `make book PLAIN=1`, or with Sphinx alone `sphinx-build . FOLDER`.
# `make conf` writes this file, of _config.yml.
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "tools")]
"""
# jupyter-book as an extension declares two settings for the others, and the second is for LaTeX only.
LEFT_OUT = ("jupyter_book", "sphinx_jupyterbook_latex")


def conf(root: Path) -> str:
    """What `jupyter-book config sphinx` makes of _config.yml, without the extensions that only jupyter-book brings.

    Raises:
        BookError: jupyter-book is not there, is of another version, or failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in ("_config.yml", "_toc.yml"):
            shutil.copy(root / name, folder)
        command = [Path(sys.executable).with_name("jupyter-book"), "config", "sphinx", folder]
        subprocess.run(command, check=False, capture_output=True)
        if not (made := Path(folder, "conf.py")).is_file():
            raise BookError("`jupyter-book config sphinx` wrote no conf.py; it needs jupyter-book 1")
        settings = {name: value for name, value in runpy.run_path(str(made)).items() if not name.startswith("_")}
    settings["extensions"] = [name for name in settings["extensions"] if name not in LEFT_OUT]
    return HEAD + "".join(f"{name} = {settings[name]!r}\n" for name in sorted(settings))
