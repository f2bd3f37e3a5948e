"""Tables made from records. Nothing here trains or needs torch."""

from resnet_lib.display import Html, Markdown, Table, runs_line
from resnet_lib.show.grouping import data_name, studied
from resnet_lib.show.tables.cases import diagnosed, diagnoses
from resnet_lib.show.tables.compared import against_paper, distances, figure7, table3_scaled, table6
from resnet_lib.show.tables.departures import BEST_EPOCH, best_epochs, folklore, folklore_prices, price_verdict, prices
from resnet_lib.show.tables.inside import GROWTH, gradients, growth, layers, lesions
from resnet_lib.show.tables.published import (
    evaluation,
    figure4,
    pair_of_errors,
    protocols,
    published,
    published_options,
    published_shortcuts,
    reimplementations,
    table2,
    table3,
    table4,
    table5,
)
from resnet_lib.show.tables.runs import errors, hardware, recorded, report, without_batch_norm
from resnet_lib.show.tables.verdicts import findings, ledger, verdict_table
