"""Chapter 16: the scatter over seeds and its parts in numbers, twins, and the seeds that a difference takes."""

from collections.abc import Sequence
from itertools import chain
from math import inf
from statistics import correlation, mean, stdev

from resnet_lib.display import Table
from resnet_lib.evidence import noise
from resnet_lib.evidence.rule import MIN_SEEDS
from resnet_lib.runs.experiments import HASTY
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show.grouping import grouped, studied


def seed_scatter(records: Records) -> Table:
    """Test error over seeds of the nets of 20 and 56 layers at each scale: mean, deviation with interval, extremes."""
    rows, shown = [], []
    for profile in PROFILES.values():
        for net in (plain(20), plain(56), resnet(20), resnet(56)):
            runs = records.select(net.runs(profile))
            if len(runs) < MIN_SEEDS:
                continue
            shown += runs
            errors = [run.final.test_error for run in runs]
            low, high = noise.deviation_interval(errors)
            rows.append(
                {
                    "runs on": profile.label,
                    "net": net.name,
                    "seeds": len(errors),
                    "mean (%)": f"{mean(errors):.2f}",
                    "deviation (points)": f"{stdev(errors):.2f}",
                    "its 95% interval": f"{low:.2f} to {high:.2f}",
                    "lowest (%)": f"{min(errors):.2f}",
                    "highest (%)": f"{max(errors):.2f}",
                }
            )
    return Table(rows).from_runs(shown)


def parts_of_scatter(records: Sequence[RunRecord]) -> Table:
    """The variance over seeds of each net's test error and its two parts, in squared points; see `noise.scatter`."""
    rows = []
    for net, group in grouped(records, lambda run: run.config.net.name).items():
        wrong = noise.wrong_images(group)
        parts = noise.scatter(wrong)
        low, high = noise.deviation_interval([100 * float(share) for share in wrong.mean(axis=1)])
        rows.append(
            {
                "net": net,
                "seeds": len(wrong),
                "deviation (points)": f"{parts.total**0.5:.2f} ({low:.2f} to {high:.2f})",
                "deviation of sampling alone (points)": f"{parts.sampling**0.5:.2f}",
                "variance": f"{parts.total:.2f}",
                "of that between nets": f"{parts.between:.2f}",
                "of that sampling": f"{parts.sampling:.2f}",
                "images that one of two nets gets right (%)": f"{noise.share_of_one_right(wrong):.1f}",
            }
        )
    return Table(rows).from_runs(records)


def twins(profile: Profile, records: Records) -> Table:
    """ResNet-20 and its twins at the end, mean and range over seeds: on how many test images the two differ."""
    records = records.noting()
    rows = []
    for name in ("one-bit", "one-bit-bf16"):
        found = studied(name, profile, records, [resnet(20)])
        each = [dict(zip(study.label, study.value, strict=True)) for study in found]
        labels = each[0] if each else ()
        for twin in [label.removesuffix(", differ") for label in labels if label.endswith(", differ")]:
            rows.append(
                {
                    "trained in": found[0].provenance.precision,
                    "twin": twin,
                    "seeds": len(each),
                    "answered differently (%)": _range([values[f"{twin}, differ"] for values in each]),
                    "one of the two right (%)": _range([values[f"{twin}, one right"] for values in each]),
                    "test errors apart (points)": _range(
                        [abs(values["whole net"] - values[f"{twin}, test error"]) for values in each]
                    ),
                }
            )
    return Table(rows).from_runs(records.given)


def _range(values: Sequence[float]) -> str:
    """Mean, lowest and highest: 6.7 (6.2 to 7.9)."""
    return f"{mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def elsewhere(profile: Profile, records: Records) -> Table:
    """Runs of ResNet-20 with the same seed on two processors: the recorded run, and the study "again" of it.

    Its 200 steps at the paper's rate make seeds scatter, so that one can see which of them keep their place.
    """
    records = records.noting()
    rows = []
    for study in studied("again", profile, records, [HASTY]):
        run, values = records.get(study.config), dict(zip(study.label, study.value, strict=True))
        first = run.train_curve.iteration[0]
        rows.append(
            {
                "seed": study.config.seed,
                f"loss to iteration {first}": f"{run.train_curve.loss[0]:.4f}",
                "the same, elsewhere": f"{values[f'loss: {first}']:.4f}",
                f"test error, {run.provenance.device} (%)": f"{run.final.test_error:.2f}",
                f"{study.provenance.device} (%)": f"{values['whole net']:.2f}",
            }
        )
    return Table(rows).from_runs(records.given)


def seeds_needed(records: Records, sizes: Sequence[float] = (0.25, 0.5, 1, 2), often: float = 0.95) -> Table:
    """Seeds of each net that find a true difference of so many points that often, ResNet-20 against 56, by scale."""
    pairs = noise.compared(records)
    rows = []
    for scale, deviation in noise.deviations(pairs).items():
        errors = [(one.final.test_error, other.final.test_error) for one, other in pairs.get(scale, ())]
        row = {
            "runs on": scale,
            "seeds there are": len(errors) or "",
            "correlation of the pairs": f"{correlation(*zip(*errors, strict=True)):+.2f}" if errors else "",
            "deviation of the difference": f"{deviation:.2f}",
        }
        needed = {size: noise.seeds_needed(size, deviation, often) for size in sizes}
        rows.append(row | {f"{size:g} points": "never" if n == inf else f"{n:,}" for size, n in needed.items()})
    return Table(rows).from_runs(chain.from_iterable(chain(*pairs.values())))


def best_of(counts: Sequence[int] = (2, 3, 5, 10, 20)) -> Table:
    """By how many deviations the best of n runs is expected to beat their mean."""
    return Table(
        {"runs": count, "expected gain (deviations)": f"{gain:.2f}", "give or take": f"{deviation:.2f}"}
        for count in counts
        for gain, deviation in [noise.best_of(count)]
    )
