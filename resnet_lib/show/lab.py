"""The checks of the classroom's lab (teaching/lab.md): each says of an answer whether it is right, and why or a hint.

What is right is computed, from nets and from records. Solutions are not here but in teaching/lab_solutions.ipynb.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from typing import Any

import torch
from torch.nn.functional import conv2d

from resnet_lib.display import Markdown
from resnet_lib.errors import lookup
from resnet_lib.nets import models
from resnet_lib.runs.experiments import on_digits
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.settings import plain
from resnet_lib.runs.store import Records


@dataclass(frozen=True)
class Exercise:
    """What tells right answers from wrong ones, and what is said of each."""

    is_right: Callable[[Any], bool]
    why: str
    hint: str


def _is_more_weights(answer: int) -> bool:
    with torch.device("meta"):
        with_x, without = (models.num_parameters(models.CifarNet(56, shortcut)) for shortcut in ("A", "none"))
    return answer == with_x - without


def _names_what_ails(answer: str) -> bool:
    """Overfitting would give the deeper net the lower training error."""
    runs = ([run.final for run in Records.committed().select(on_digits(plain(n)).runs(SMALL))] for n in (20, 56))
    shallow, deep = (mean(final.train_error for final in finals) for finals in runs)
    return answer.strip().lower() == ("overfitting" if deep < shallow else "degradation")


SMALL = PROFILES["small"]


def _adds_its_input(answer: Callable[[Callable, torch.Tensor], torch.Tensor]) -> bool:
    x = torch.randn(2, 16, 8, 8)
    return all(torch.allclose(answer(function, x), function(x) + x) for function in (torch.sin, torch.zeros_like))


def _copies(answer: torch.Tensor) -> bool:
    image = torch.randn(1, 1, 8, 8)
    kernel = torch.as_tensor(answer, dtype=torch.float32).reshape(1, 1, 3, 3)
    return torch.allclose(conv2d(image, kernel, padding=1), image, atol=1e-6)


EXERCISES = {
    "ailment": Exercise(
        _names_what_ails,
        "A net that overfits knows its training images too well. This one does not even know them.",
        "Look at the training errors. Which of the two nets would have the lower one if it were overfitting?",
    ),
    "weights": Exercise(
        _is_more_weights,
        "A sum has no weights. Both nets have the same to learn, and the same to compute with.",
        "Count what a shortcut that pads with zeros has to learn.",
    ),
    "residual": Exercise(
        _adds_its_input,
        "Where F(x) = 0 the block now gives x: doing nothing is what it does before it has learned anything.",
        "What the block computes has to be added to what came in.",
    ),
    "copy": Exercise(
        _copies,
        "With such layers a deeper plain net is as good as a shallower one. It exists; training does not find it.",
        "Each pixel of the output is to be the pixel in the middle of its 3×3 neighbours, and nothing of the others.",
    ),
}


def check(exercise: str, answer: object) -> Markdown:
    """Says whether the answer to an exercise is right, and why, or gives a hint.

    An answer that cannot be tried, such as a function that fails, is wrong.

    Raises:
        UserError: there is no such exercise.
    """
    asked = lookup(EXERCISES, exercise, "exercise")
    if answer is ...:
        return Markdown("**Not answered yet.** Put your answer in the place of `...` and run the cell again.")
    try:
        is_right = asked.is_right(answer)
    except Exception as error:  # whatever a reader's code does
        return Markdown(f"**Wrong.** It could not be tried ({type(error).__name__}: {error}). {asked.hint}")
    return Markdown(f"**Right.** {asked.why}" if is_right else f"**Wrong.** {asked.hint}")
