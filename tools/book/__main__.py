"""The command line: python -m book COMMAND."""

import argparse
import sys
from pathlib import Path

import book
from book import ROOT, BookError, classroom
from book.alone import alone
from book.archive import write as write_archive
from book.checks import check, long_cells, ran
from book.notebooks import seal_pictures
from book.pages import build, same
from book.pdf import pdf
from book.plain import conf
from book.reproduce import reproduce
from book.sync import sync
from book.texts import contents
from book.translations import update
from resnet_lib.runs.seal import renew
from resnet_lib.runs.store import committed_dir


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser("python -m book", description=book.__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    sync = commands.add_parser("sync", help="chapters/*.md to executed notebooks/*.ipynb")
    sync.add_argument("names", nargs="*", help="chapters, as 03_residual_formulation (default: all)")
    sync.add_argument("--fresh", action="store_true", help="execute also what was executed before, unchanged")
    commands.add_parser("seal", help="write down anew what all records, weights and pictures are")
    commands.add_parser("check", help="do texts and notebooks agree, are the outputs whole?")
    ran = commands.add_parser("ran", help="has nbval run every cell of every chapter?")
    ran.add_argument("report", type=Path, help="what pytest's --junitxml wrote")
    reproduce = commands.add_parser("reproduce", help="execute the notebooks anew into build/reproduce, training")
    reproduce.add_argument("--profile", default="small", help="schedule to train with (default: small)")
    commands.add_parser("alone", help="execute each notebook in an empty folder of a new environment, as on Colab")
    build = commands.add_parser("build", help="the pages, with warnings as errors, into build/book")
    build.add_argument("--plain", action="store_true", help="by Sphinx and conf.py, without jupyter-book")
    commands.add_parser("same", help="are the pages in build/book those that Sphinx makes without jupyter-book?")
    commands.add_parser("archive", help="the metadata for archives, from what is there")
    commands.add_parser("conf", help="conf.py, the settings of Sphinx, from _config.yml")
    commands.add_parser("slides", help="slides, lab and prediction sheet for a classroom, into build/teaching")
    translate = commands.add_parser("translations", help="bring the catalogues of translated pages up to date")
    translate.add_argument("pages", nargs="*", help="pages to begin with, as notebooks/13_ledger")
    translate.add_argument("--language", default="zh_TW", help="as gettext calls it (default: zh_TW)")
    commands.add_parser("pdf", help="the whole book, printed by Chromium, into build/book.pdf")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; the status is 1 if it found problems and 2 if it could not start."""
    asked = parser()
    options = asked.parse_args(arguments)
    problems: list[str] = []
    try:
        match options.command:
            case "sync":
                problems = sync(ROOT, options.names, options.fresh)
                write_archive(ROOT)
            case "seal":
                renew(committed_dir())
                seal_pictures(ROOT / "notebooks")
                write_archive(ROOT)
            case "archive":
                write_archive(ROOT)
            case "check":
                for remark in long_cells(ROOT):
                    print(f"note: {remark}")
                problems = check(ROOT)
            case "ran":
                problems = ran(ROOT, options.report)
                if not problems:
                    cells = contents(ROOT).cells
                    print(f"== notebooks: {sum(cells.values())} cells of {len(cells)} chapters give what is committed")
            case "reproduce":
                problems = reproduce(ROOT, ROOT / "build" / "reproduce", options.profile)
            case "alone":
                problems = alone(ROOT)
            case "build":
                problems = check(ROOT) or build(ROOT, options.plain)
                if not problems:
                    print(f"== book: {contents(ROOT)}")
            case "same":
                problems = same(ROOT)
                if not problems:
                    print("== pages: jupyter-book and Sphinx by itself make the same")
            case "conf":
                (ROOT / "conf.py").write_text(conf(ROOT))
            case "slides":
                folder = ROOT / "build" / classroom.FOLDER
                print(f"== classroom: {', '.join(classroom.build(ROOT, folder))} in {folder}")
            case "translations":
                for message in update(ROOT, options.language, options.pages):
                    print(f"to translate: {message}")
            case "pdf":
                pdf(ROOT, ROOT / "build" / "book.pdf")
    except (BookError, OSError) as error:
        print(f"{asked.prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    for problem in problems:
        print(f"{asked.prog} {options.command}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
