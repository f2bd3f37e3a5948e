"""Errors of runs, which case each run is, and where the runs come from."""

from collections.abc import Mapping, Sequence
from itertools import chain, combinations
from statistics import correlation, mean

from resnet_lib.display import Table
from resnet_lib.evidence.diagnosis import diagnose, judged
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.runs.settings import Setting
from resnet_lib.runs.store import Records
from resnet_lib.show.grouping import by_net, grouped, testing_spread, training_spread, traits
from resnet_lib.show.tables.published import published


def errors(records: Sequence[RunRecord]) -> Table:
    """Training and test error in percent, mean ± deviation over seeds; one row per net, optimiser, length and data.

    Rows keep the order in which their first records come. What is the same in all rows has no column, and errors stand
    before the others, where a phone shows them.
    """
    columns = ["net", "training error (%)", "test error (%)", "optimiser", "iterations", "data"]
    rows = [
        (net, training_spread(group), testing_spread(group), optimiser, length.removesuffix(" iterations"), images)
        for (net, optimiser, length, images), group in grouped(records, traits).items()
    ]
    table = Table(rows, columns=columns).from_runs(records)
    return table.drop(columns=[name for name in columns[3:] if table[name].nunique() < 2])


def pairing(profile: Profile, records: Records, settings: Sequence[Setting]) -> Table:
    """How the training errors of pairs of nets that share their seeds are correlated.

    Below zero pairing makes an interval wider than independent runs would.
    """
    records = records.noting()
    errors = {net.name: [run.final.train_error for run in records.select(net.runs(profile))] for net in settings}
    rows = []
    for (one, first), (other, second) in combinations(errors.items(), 2):
        row = {"nets": f"{one} and {other}", "seeds": min(len(first), len(second))}
        rows.append(row | {"correlation of training errors": f"{correlation(first, second):+.2f}"})
    return Table(rows).from_runs(records.given)


def recorded(settings: Sequence[Setting], records: Sequence[RunRecord]) -> Table:
    """Training and test error of the net of each setting, whether it has runs or not; see `errors`."""
    found = by_net(records)
    return _ends({setting.name: found.get(setting.net, ()) for setting in settings})


def of_settings(settings: Sequence[Setting], profile: Profile, records: Records) -> Table:
    """The same of settings that may differ in nothing but the recipe, under one profile."""
    return _ends({setting.name: records.select(setting.runs(profile)) for setting in settings})


def _ends(groups: Mapping[str, Sequence[RunRecord]]) -> Table:
    return Table(
        {"net": net, "training error (%)": training_spread(group), "test error (%)": testing_spread(group)}
        for net, group in groups.items()
    ).from_runs(chain(*groups.values()))


def without_batch_norm(records: Sequence[RunRecord]) -> Table:
    """What became of each net, with batch norm and without, at each learning rate: the training error of every seed.

    Errors are sorted; runs whose loss became infinite or not a number are counted at the end.
    """
    rows = []
    for (net, lr), group in grouped(records, lambda r: (r.config.net.name, r.config.recipe.lr)).items():
        errors = sorted(record.final.train_error for record in group if record.diverged_at is None)
        ends = [f"{error:.1f}" for error in errors]
        if diverged := len(group) - len(errors):
            ends.append(f"{diverged} diverged")
        rows.append({"net": net, "learning rate": f"{lr:g}", "training error of each seed (%)": ", ".join(ends)})
    return Table(rows).from_runs(records)


def report(profile: Profile, recorded: Records, local: Records) -> Table:
    """Every setting of every suite, once: the paper, what the book has recorded, and what this machine found.

    "moved" is the mean change of the training error over the seeds that both have, in points: +0.00 means that this
    machine repeats the record.
    """
    rows = []
    told: set[RunConfig] = set()
    for suite in SUITES.values():
        for setting in suite.settings:
            configs = setting.runs(profile)
            if configs[0] in told:  # a net that several suites compare with others
                continue
            told.add(configs[0])
            book = {record.config: record for record in recorded.select(configs)}
            here = {record.config: record for record in local.select(configs)}
            moved = [here[c].final.train_error - book[c].final.train_error for c in configs if c in here and c in book]
            rows.append(
                {
                    "setting": setting.name,
                    "paper, test": published(setting.net, "test") if suite is SUITES["degradation"] else "",
                    "recorded, test": testing_spread(book.values()),
                    "this run, test": testing_spread(here.values()),
                    "recorded, training": training_spread(book.values()),
                    "this run, training": training_spread(here.values()),
                    "moved": f"{mean(moved):+.2f}" if moved else "",
                }
            )
    return Table(rows)


def diagnoses_by_case(records: Sequence[RunRecord]) -> Table:
    """Chapter 10: how many of the runs built to be each case are named rightly, with and without the second run.

    Args:
        records: of the suite `diagnoses`, all of one profile, in any order.
    """
    return Table(
        {
            "built to be": built,
            "right": f"{sum(case.is_right for case in cases)} of {len(cases)}",
            "right from the curves alone": f"{sum(case.alone.case == built for case in cases)} of {len(cases)}",
        }
        for built, cases in grouped(judged(records), lambda case: case.built).items()
    ).from_runs(records)


def diagnoses(records: Sequence[RunRecord]) -> Table:
    """Chapter 10: each run that was built to be a case, what the diagnosis makes of it, and whether that is right."""
    return Table(
        {
            "net": case.record.config.net.name,
            "built to be": case.built,
            "right": "yes" if case.is_right else "no",
            "with the second run": case.diagnosis.case,
            "from the curves alone": case.alone.case,
            "training error (%)": f"{case.record.final.train_error:.1f}",
            "validation error (%)": f"{case.record.final.test_error:.1f}",
            "seed": case.record.config.seed,
        }
        for case in judged(records)
    ).from_runs(records)


def diagnosed(records: Sequence[RunRecord]) -> Table:
    """Any runs with the case that each is, from its own curves alone."""
    return Table(
        {
            "net": record.config.net.name,
            "case": diagnose(record).case,
            "training error (%)": f"{record.final.train_error:.1f}",
            "test error (%)": f"{record.final.test_error:.1f}",
            "seed": record.config.seed,
        }
        for record in records
    ).from_runs(records)


def hardware(records: Sequence[RunRecord | Study]) -> Table:
    """Where records and studies come from: one row per kind of machine and code, with the time they took."""
    once = {(record.config, getattr(record, "study", "")): record for record in records}  # a chapter may use one twice

    def origin(record: RunRecord | Study) -> tuple[str, ...]:
        made, after = record.provenance, ", after the run" if isinstance(record, Study) else ""
        told = (made.data_digest, made.device, f"{made.threads}", made.precision, "yes" if made.compiled else "no")
        return record.config.data.name + after, *told, made.torch

    columns = ("data", "digest", "device", "threads", "precision", "compiled", "torch")
    return Table(
        dict(zip(columns, key, strict=True))
        | {"runs": len(group), "hours": f"{sum(record.provenance.seconds for record in group) / 3600:.1f}"}
        for key, group in grouped(once.values(), origin).items()
    ).from_runs(records)
