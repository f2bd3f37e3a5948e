"""Figures made from records. Nothing here trains or needs torch."""

from resnet_lib.show.figures.canvas import Figure
from resnet_lib.show.figures.ends import figure4, final_errors, folklore, rates, settings
from resnet_lib.show.figures.inside import figure7, lesions, per_layer
from resnet_lib.show.figures.live import gradient_shares, lines, parity
from resnet_lib.show.figures.noise import (
    best_of,
    how_often_wrong,
    others_runs,
    parts_of_scatter,
    seed_scatter,
    seeds_needed,
    twins,
)
from resnet_lib.show.figures.others import literature, others_lesions, others_responses
from resnet_lib.show.figures.signals import (
    deletions,
    landscape,
    loss_plane,
    path_lengths,
    per_block,
    refinement,
    resets,
    shattering,
    steps_in_training,
    sums_of_steps,
    times_to_learn,
)
from resnet_lib.show.figures.training import cases, curves, figure6
