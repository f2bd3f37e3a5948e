"""Errors of runs, and where the runs come from."""

from collections.abc import Sequence
from statistics import mean

from resnet_lib.display import Table, spread
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.runs.settings import Setting
from resnet_lib.runs.store import Records
from resnet_lib.show.grouping import data_name, recipe_name
from resnet_lib.show.tables.published import published


def errors(records: Sequence[RunRecord]) -> Table:
    """Training and test error in percent, mean ± deviation over seeds; one row per net, optimiser, length and data.

    Rows keep the order in which their first records come. Data has a column only where it differs.
    """
    groups: dict[tuple[str, str, str, str], list[RunRecord]] = {}
    for record in records:
        config = record.config
        key = (
            config.net.name,
            recipe_name(config.recipe),
            f"{config.recipe.iterations:,}",
            data_name(config.data),
        )
        groups.setdefault(key, []).append(record)
    columns = ["net", "optimiser", "iterations", "data", "training error (%)", "test error (%)"]
    rows = [
        (*key, spread([r.final.train_error for r in group]), spread([r.final.test_error for r in group]))
        for key, group in groups.items()
    ]
    table = Table(rows, columns=columns).from_runs(records)
    return table if table["data"].nunique() > 1 else table.drop(columns="data")


def recorded(settings: Sequence[Setting], records: Sequence[RunRecord]) -> Table:
    """Training and test error of the net of each setting, whether it has runs or not; see `errors`."""
    nets = {setting.net: setting.name for setting in settings}
    groups = {net: [record.final for record in records if record.config.net == net] for net in nets}
    return Table(
        {
            "net": nets[net],
            "training error (%)": spread([final.train_error for final in group]),
            "test error (%)": spread([final.test_error for final in group]),
        }
        for net, group in groups.items()
    ).from_runs(record for record in records if record.config.net in nets)


def without_batch_norm(records: Sequence[RunRecord]) -> Table:
    """What became of each net, with batch norm and without, at each learning rate: the training error of every seed.

    Errors are sorted; a run whose loss became infinite or not a number has none.
    """
    groups: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        groups.setdefault((record.config.net.name, f"{record.config.recipe.lr:g}"), []).append(record)
    rows = []
    for (net, lr), group in groups.items():
        errors = sorted(record.final.train_error for record in group if record.diverged_at is None)
        rows.append(
            {
                "net": net,
                "learning rate": lr,
                "seeds": len(group),
                "diverged": len(group) - len(errors),
                "training error of each other seed (%)": ", ".join(f"{error:.1f}" for error in errors),
            }
        )
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
                    "recorded, test": spread([r.final.test_error for r in book.values()]),
                    "this run, test": spread([r.final.test_error for r in here.values()]),
                    "recorded, training": spread([r.final.train_error for r in book.values()]),
                    "this run, training": spread([r.final.train_error for r in here.values()]),
                    "moved": f"{mean(moved):+.2f}" if moved else "",
                }
            )
    return Table(rows)


def hardware(records: Sequence[RunRecord | Study]) -> Table:
    """Where records and studies come from: one row per kind of machine and code, with the time they took."""
    rows: dict[tuple[str, ...], list[RunRecord | Study]] = {}
    once = {(record.config, getattr(record, "study", "")): record for record in records}  # a chapter may use one twice
    for (_, study), record in once.items():
        made = record.provenance
        key = (
            record.config.data.name + (", after the run" if study else ""),
            made.data_digest,
            made.device,
            f"{made.threads}",
            made.precision,
            "yes" if made.compiled else "no",
            made.torch,
        )
        rows.setdefault(key, []).append(record)
    columns = ("data", "digest", "device", "threads", "precision", "compiled", "torch")
    return Table(
        [
            dict(zip(columns, key, strict=True))
            | {"runs": len(group), "hours": f"{sum(record.provenance.seconds for record in group) / 3600:.1f}"}
            for key, group in rows.items()
        ]
    ).from_runs(records)
