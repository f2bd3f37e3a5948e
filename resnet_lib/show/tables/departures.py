"""Chapter 11: departures from the paper, and what each costs."""

from collections.abc import Sequence
from statistics import mean

from resnet_lib.display import NO_RUN, Table
from resnet_lib.evidence.claims import CLAIMS
from resnet_lib.evidence.effects import price
from resnet_lib.evidence.rule import MIN_SEEDS, interval
from resnet_lib.runs.experiments import FOLKLORE
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.settings import resnet
from resnet_lib.runs.store import Records
from resnet_lib.show.grouping import data_name

BEST_EPOCH = "the best epoch chosen on the test set"


def folklore_prices(profile: Profile, records: Records) -> dict[str, list[float]]:
    """What each departure of chapter 11 adds to the test error, in points, seed by seed.

    The best epoch is a departure of reporting: same runs, lower number. It can only seem to gain.
    """
    prices = {departure.name: price(departure).per_seed(profile, records) for departure in FOLKLORE}
    flattered = CLAIMS["best-epoch-flatters"].effect.per_seed(profile, records)
    return prices | {BEST_EPOCH: [0 - gap for gap in flattered]}


def price_verdict(effects: Sequence[float]) -> str:
    """Costs, gains or makes no difference at this many seeds: on which side of zero the 95% interval lies."""
    if len(effects) < MIN_SEEDS:
        return f"a verdict needs {MIN_SEEDS} seeds" if effects else NO_RUN
    _, low, high = interval(effects)
    return "costs" if low > 0 else "gains" if high < 0 else "makes no difference at this many seeds"


def prices(effects: dict[str, list[float]]) -> Table:
    """Differences of test error, in points, one per seed: their mean, its 95% interval, and a verdict in a word."""
    rows = []
    for name, values in effects.items():
        low, high = interval(values)[1:] if len(values) >= MIN_SEEDS else (None, None)
        rows.append(
            {
                "departure": name,
                "adds to the test error (points)": f"{mean(values):+.2f}" if values else "",
                "95% interval": "" if low is None else f"{low:+.2f} to {high:+.2f}",
                "seeds": len(values),
                "verdict": price_verdict(values),
            }
        )
    return Table(rows)


def folklore(profile: Profile, records: Records) -> Table:
    """Chapter 11: what each departure does to the test error of ResNet-20, paired over seeds; see `folklore_prices`."""
    records = records.noting()
    table = prices(folklore_prices(profile, records))
    recipes = [*(price(departure).better for departure in FOLKLORE), resnet(20)]  # the last for the best epoch
    table.insert(1, "compared with", [recipe.name for recipe in recipes])
    return table.from_runs(records.given)


def best_epochs(records: Sequence[RunRecord]) -> Table:
    """The last and the lowest test error of each net's runs, means over seeds, and how often each run was tested."""
    groups: dict[tuple[str, str, int], list[RunRecord]] = {}
    for record in records:
        key = (record.config.net.name, data_name(record.config.data), len(record.test_curve.error))
        groups.setdefault(key, []).append(record)
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
