"""Executes every notebook anew, away from the committed ones, with a schedule to train by, and says how far it is."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from book import BookError, clock
from book.notebooks import code_cells, execute, read_notebook
from book.texts import chapter_texts, contents


def reproduce(root: Path, out: Path, profile: str) -> list[str]:
    """Executes every notebook into `out`, retraining by a profile; returns the problems once all have run."""
    parameters = {"profile": profile, "retrain": True}
    sources = [root / "notebooks" / f"{text.stem}.ipynb" for text in chapter_texts(root)]
    out.mkdir(parents=True, exist_ok=True)
    due = contents(root).cells
    expected = {source: seconds_before(out / source.name, parameters) for source in sources}
    taken: list[float] = []
    problems = []
    start = time.monotonic()
    for number, source in enumerate(sources, start=1):
        left = time_left([expected[later] for later in sources[number - 1 :]], taken)
        print(f"[{number}/{len(sources)}] {source.stem}, {left}", flush=True)
        began = time.monotonic()
        with progress_lines(out / "progress.log"):
            failure = execute(source, out / source.name, parameters, folder=out)
        # papermill adds a cell, with the parameters
        if not failure and (cells := len(code_cells(read_notebook(out / source.name))) - 1) != due[source.stem]:
            failure = f"{cells} cells ran, but its text has {due[source.stem]}: run `make notebooks`"
        taken.append(time.monotonic() - began)
        if failure:
            problems.append(f"{source.stem}: {failure}")
        state = "failed" if failure else "done"
        print(f"[{number}/{len(sources)}] {source.stem} {state} after {clock(taken[-1])}", flush=True)
    passed = len(sources) - len(problems)
    print(f"{passed} of {len(sources)} notebooks ran in {clock(time.monotonic() - start)}; they are in {out}")
    return problems


def seconds_before(previous: Path, parameters: dict[str, object]) -> float | None:
    """How long an earlier run with the same parameters took, if one left its notebook."""
    try:
        record = read_notebook(previous).metadata.get("papermill", {})
    except BookError:
        return None
    same = record.get("parameters") == parameters and not record.get("exception")
    return record.get("duration") if same else None


def time_left(expected: list[float | None], taken: list[float]) -> str:
    """An estimate in words: earlier runs' times where known, else the mean of the notebooks already done."""
    mean = sum(taken) / len(taken) if taken else None
    seconds = [mean if known is None else known for known in expected]
    if None in seconds:
        return "time left not known yet"
    return f"about {clock(sum(seconds))} left"


@contextmanager
def progress_lines(path: Path) -> Iterator[None]:
    """Prints the lines that the library appends, in the notebooks' kernels, to the file RESNET_LIB_PROGRESS.

    What a kernel prints ends up in its notebook; this is the way past it, so that a long cell is not silent.
    """
    path.write_text("")
    os.environ["RESNET_LIB_PROGRESS"] = str(path.resolve())
    stop = threading.Event()

    def follow() -> None:
        with path.open(encoding="utf-8", errors="replace") as file:
            line = ""
            last_look = False
            while not last_look:
                last_look = stop.wait(0.2)
                while part := file.readline():
                    line += part
                    if line.endswith("\n"):  # else the library is still writing it
                        print(f"    {line}", end="", flush=True)
                        line = ""

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join()
        del os.environ["RESNET_LIB_PROGRESS"]
