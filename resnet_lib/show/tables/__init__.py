"""Tables made from records. Nothing here trains or needs torch."""

from resnet_lib.display import Markdown, Table
from resnet_lib.show.grouping import data_name, longer_runs, studied
from resnet_lib.show.tables.compared import against_paper, distances, figure7, table3_scaled, table6
from resnet_lib.show.tables.departures import best_epochs, folklore, prices
from resnet_lib.show.tables.inside import GROWTH, copying, gradients, growth, layers, lesions
from resnet_lib.show.tables.noise import best_of, elsewhere, parts_of_scatter, seed_scatter, seeds_needed, twins
from resnet_lib.show.tables.others import literature, others_deletions, others_lesions, others_nets, others_responses
from resnet_lib.show.tables.published import (
    evaluation,
    figure4,
    pair_of_errors,
    protocols,
    published,
    published_options,
    published_shortcuts,
    table2,
    table3,
    table4,
    table5,
)
from resnet_lib.show.tables.runs import (
    diagnosed,
    diagnoses,
    diagnoses_by_case,
    errors,
    hardware,
    of_settings,
    pairing,
    recorded,
    report,
    without_batch_norm,
)
from resnet_lib.show.tables.signals import path_lengths, slowed_down, steps
