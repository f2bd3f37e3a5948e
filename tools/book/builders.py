"""What makes pages of executed notebooks: jupyter-book, or Sphinx without it.

jupyter-book 1 makes of _config.yml the settings of Sphinx, which makes the pages. conf.py holds the same settings, so
that Sphinx can do without jupyter-book; `plain` writes it, and a test holds it to _config.yml.
"""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from book import BookError
from book.texts import repository


def jupyter_book(root: Path, folder: Path, builder: str) -> Path:
    """Runs a builder of jupyter-book, with warnings as errors, and returns where it left the pages in `folder`.

    Raises:
        BookError: jupyter-book is not there, or of a version that knows no _config.yml; it failed or made no page.
    """
    try:
        found = version("jupyter-book")
    except PackageNotFoundError:
        found = "none"
    if found.partition(".")[0] != "1":
        raise BookError(
            f"jupyter-book 1 makes the pages, and {found} is installed: pip install -r requirements.txt, "
            "or `make book PLAIN=1` without it"
        )
    config = folder / "_config.yml"
    config.write_text(served_config(root))
    command = [Path(sys.executable).with_name("jupyter-book"), "build", root, "--path-output", folder]
    command += ["--config", config, "--toc", root / "_toc.yml", "--builder", builder]
    return run([*command, "-W", "-n", "--keep-going", "--quiet"], root, folder / "_build" / builder)


def sphinx(root: Path, folder: Path, builder: str, **settings: str) -> Path:
    """Runs a builder of Sphinx, with warnings as errors, and returns where it left the pages in `folder`.

    Args:
        root: the repository's folder.
        folder: for all that is made.
        builder: of Sphinx, by its name.
        **settings: in place of those in conf.py.

    Raises:
        BookError: it failed or made nothing.
    """
    pages = folder / builder
    command = [sys.executable, "-m", "sphinx", "-b", builder, "-d", folder / "doctrees", root, pages]
    settings["html_theme_options.repository_url"] = served_at(root)
    command += [part for name, value in settings.items() for part in ("-D", f"{name}={value}")]
    kind = "*.pot" if builder == "gettext" else "*.html"
    return run([*command, "-W", "-n", "--keep-going", "--quiet"], root, pages, kind)


def run(command: list[str | Path], root: Path, pages: Path, made: str = "*.html") -> Path:
    """Runs what makes pages, or other files of a kind, and returns where they are."""
    extensions = os.pathsep.join([str(root), str(root / "tools"), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": extensions},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    name = "sphinx" if "sphinx" in command else "jupyter-book"
    if result.returncode or not any(pages.rglob(made)):
        print(result.stdout, end="", file=sys.stderr)
        did = f"ended with status {result.returncode}" if result.returncode else "made no page"
        raise BookError(f"{name} {did}; what it said stands above")
    return pages


def served_config(root: Path) -> str:
    """_config.yml, with buttons that lead to the repository that serves the pages."""
    return (root / "_config.yml").read_text().replace(repository(root), served_at(root))


def served_at(root: Path) -> str:
    """The repository's address; on a hosting service that of the one whose pipeline builds the pages."""
    if slug := os.environ.get("GITHUB_REPOSITORY"):
        return f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{slug}"
    return repository(root)
