"""The paper's numbers, and beside them what the same nets gave here."""

from collections.abc import Sequence
from statistics import mean, median

from resnet_lib.display import NO_RUN, Table, spread
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.literature import reports
from resnet_lib.runs.paper import figure6_error, figure7_response, paper_table, table1_error, table6_mean
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.settings import Setting, plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show.grouping import longer_profiles, testing_spread, training_spread
from resnet_lib.show.tables.published import published


def against_paper(profile: Profile, records: Records) -> Table:
    """The nets of Figure 6 beside the paper: only a profile on CIFAR-10 can be compared number by number.

    Test errors stand first, where a phone shows them. Longer runs on the same images have columns of their own, if
    there are any.
    """
    records = records.noting()
    settings = SUITES["degradation"].settings
    scales = {"here": profile} | longer_profiles(profile, records, settings)
    rows = []
    for setting in settings:
        found = {name: records.select(setting.runs(scale)) for name, scale in scales.items()}
        rows.append(
            {"net": setting.name, "test error, paper (%)": published(setting.net, "test")}
            | {f"test error, {name} (%)": testing_spread(runs) for name, runs in found.items()}
            | {"training error, paper (%)": published(setting.net, "train")}
            | {f"training error, {name} (%)": training_spread(runs) for name, runs in found.items()}
        )
    return Table(rows).from_runs(records.given)


def table6(records: Records) -> Table:
    """Table 6, every row: the paper's error and, for the nets that the book has, ours under each profile.

    The nets of others stand as the paper prints them. A profile that is not on CIFAR-10 says so in its heading.
    """
    records = records.noting()
    rows = []
    for method, (layers, parameters, error) in paper_table(6).items():
        row = {"method": method, "the paper (%)": f"{error:.2f}" if isinstance(error, float) else error}
        for profile in reversed(PROFILES.values()):
            heading = f"here, profile {profile.name} (%)"
            if profile.data.name != "cifar10":
                heading = f"here, other images, profile {profile.name} (%)"
            row[heading] = ""
            if method.startswith("ResNet-"):
                row[heading] = testing_spread(records.select(resnet(layers).runs(profile)))
        rows.append(row | {"layers": "" if layers is None else layers, "parameters": parameters or ""})
    return Table(rows).from_runs(records.given)


def distances(profile: Profile, records: Records) -> Table:
    """How far the test errors of a profile lie from the paper's, and how far a re-implementation's do.

    The paper's numbers are means where it prints them; those of plain nets are read off Figure 6 (marked ≈). Longer
    runs on the same images have columns of their own, if there are any. The re-implementation is raphaelreme's, of
    option B: means of five runs, and one run of 1202 layers.

    Raises:
        ValueError: the profile is not on CIFAR-10, so there is no distance.
    """
    records = records.noting()
    if profile.data.name != "cifar10":
        raise ValueError(f"profile {profile.name} is on {profile.data.name}: only CIFAR-10 has a distance to the paper")
    others = next(report for report in reports() if report.source == "raphaelreme/torch-resnet")
    settings = [setting for name in ("degradation", "deepest") for setting in SUITES[name].settings]
    scales = {"here": profile} | longer_profiles(profile, records, settings)
    rows = []
    for setting in settings:
        depth, is_plain = setting.net.depth, setting.net.shortcut == "none"
        target = figure6_error("plain", depth, "test") if is_plain else table6_mean(depth)
        if target is None:
            continue
        row = {"net": setting.name, "the paper (%)": f"≈ {target:g}" if is_plain else f"{target:.2f}"}
        for name, scale in scales.items():
            found = [record.final.test_error for record in records.select(setting.runs(scale))]
            told = f"{mean(found) - target:+.2f} (n={len(found)})" if found else NO_RUN
            row[f"{name} minus paper (points)"] = told
        theirs = None if is_plain else others.error(depth)
        row["raphaelreme minus paper (points)"] = "" if theirs is None else f"{theirs.mean - target:+.2f}"
        rows.append(row)
    return Table(rows).from_runs(records.given)


def figure7(profile: Profile, records: Records) -> Table:
    """Responses of the nets of Figure 7, mean and median over their 3x3 layers, beside the paper's.

    The paper's are read off its figure. Ours are those of the trained nets on test images, mean ± deviation over seeds
    of the mean (and of the median) over layers. Longer runs on the same images have columns of their own, if there are
    any.
    """
    records = records.noting()
    settings = (plain(20), plain(56), resnet(20), resnet(56), resnet(110))
    scales = {"here": profile} | longer_profiles(profile, records, settings)
    rows = []
    for setting in settings:
        printed = figure7_response("plain" if setting.net.shortcut == "none" else "resnet", setting.net.depth)
        row = {"net": setting.name}
        for what, over_layers, value in zip(("mean", "median"), (mean, median), printed, strict=True):
            row[f"{what}, paper"] = f"≈ {value:.2f}"
            for name, scale in scales.items():
                runs = records.select(setting.runs(scale))
                row[f"{what}, {name}"] = spread([over_layers(run.probes.response_std) for run in runs if run.probes])
        rows.append(row)
    return Table(rows).from_runs(records.given)


def table3_scaled(records: Records, settings: Sequence[Setting] = ()) -> Table:
    """Tables 2 and 3 scaled down: the paper's top-1 errors, and ours on the small images of `quick` and `paper`.

    The numbers of different columns are of different images and classes. What can be compared is the order of the nets
    in one column with their order in another. `settings` are the rows wanted, by default all.
    """
    records = records.noting()
    suites = (SUITES[name] for name in ("table2", "table3", "table3-deep"))
    rows = []
    for setting in settings or dict.fromkeys(setting for suite in suites for setting in suite.settings):
        printed = table1_error(setting.net.depth, setting.net.shortcut)
        row = {"net": setting.net.short_name, "the paper: ImageNet, 10-crop (%)": f"{printed:.2f}"}
        for profile in (PROFILES["quick"], PROFILES["paper"]):
            found = records.select(setting.runs(profile))
            images = profile.imagenet_data.name
            row |= {
                f"{images}, training (%)": training_spread(found),
                f"{images}, test (%)": testing_spread(found),
            }
        rows.append(row)
    return Table(rows).from_runs(records.given)
