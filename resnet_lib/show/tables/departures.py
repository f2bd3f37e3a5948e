"""Chapter 11: departures from the paper, and what each costs."""

from collections.abc import Iterable, Sequence
from statistics import mean

from resnet_lib.display import Table
from resnet_lib.evidence.effects import added_by
from resnet_lib.evidence.verdicts import folklore_prices, interval_text, price
from resnet_lib.runs.experiments import FOLKLORE
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.runs.settings import resnet
from resnet_lib.runs.store import Records
from resnet_lib.show.grouping import data_name, grouped


def prices(effects: dict[str, list[float]], runs: Iterable[RunRecord | Study]) -> Table:
    """Differences of test error, in points, one per seed: their mean, its 95% interval, and a verdict in a word.

    Args:
        effects: departure -> differences.
        runs: those behind the differences.
    """
    judged = {name: price(name, values) for name, values in effects.items()}
    return Table(
        {
            "departure": name,
            "adds to the test error (points)": "" if verdict.effect is None else f"{verdict.effect:+.2f}",
            "95% interval": interval_text(verdict),
            "seeds": verdict.num_seeds,
            "verdict": word,
        }
        for name, (verdict, word) in judged.items()
    ).from_runs(runs)


def folklore(profile: Profile, records: Records) -> Table:
    """Chapter 11: what each departure does to the test error of ResNet-20, paired over seeds; see `folklore_prices`."""
    records = records.noting()
    table = prices(folklore_prices(profile, records), records.given)
    recipes = [*(added_by(departure).better for departure in FOLKLORE), resnet(20)]  # the last for the best epoch
    table.insert(1, "compared with", [recipe.name for recipe in recipes])
    return table


def best_epochs(records: Sequence[RunRecord]) -> Table:
    """The last and the lowest test error of each net's runs, means over seeds, and how often each run was tested."""
    groups = grouped(records, lambda r: (r.config.net.name, data_name(r.config.data), len(r.test_curve.error)))
    return Table(
        {
            "net": net,
            "data": images,
            "seeds": len(group),
            "evaluations": evaluations,
            "last test error (%)": f"{mean(r.final.test_error for r in group):.2f}",
            "lowest test error (%)": f"{mean(min(r.test_curve.error) for r in group):.2f}",
            "flattered by (points)": f"{mean(r.final.test_error - min(r.test_curve.error) for r in group):.2f}",
        }
        for (net, images, evaluations), group in groups.items()
    ).from_runs(records)
