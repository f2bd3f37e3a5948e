"""Tables made from records. Nothing here trains or needs torch."""

from collections.abc import Sequence
from statistics import geometric_mean, mean, median
from typing import TYPE_CHECKING

from resnet_lib.display import NO_RUN, Markdown, Table, number, spread, two_digits
from resnet_lib.evidence.claims import CLAIMS, MIN_SEEDS, Verdict, folklore_effects, interval, weakest_gradient
from resnet_lib.evidence.diagnosis import diagnose, judged
from resnet_lib.runs.config import DataConfig, NetConfig, Recipe, RunConfig
from resnet_lib.runs.experiments import FOLKLORE, PROFILES, SUITES, WARMED_UP_DEPTH, Profile, home, lookup
from resnet_lib.runs.paper import figure4_error, figure6_error, paper, paper_table, table6_error, table6_mean
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.runs.store import Records

if TYPE_CHECKING:  # these need torch
    from resnet_lib.nets.probes import LayerStatistics
    from resnet_lib.training.protocols import Result

IMAGENET_CLASSES = 1000  # errors among fewer classes do not compare with published ones


def published(net: NetConfig, curve: str) -> str:
    """The paper's error of a net: Table 6 where it prints one, else read off Figure 6 (marked ≈)."""
    kind = "plain" if net.shortcut == "none" else "resnet"
    if kind == "resnet" and curve == "test" and (printed := table6_error(net.depth)):
        return printed
    if net.name == "plain-110":
        return paper()["paper"]["fig6_caption"]["plain110"]  # which says so in place of a curve
    value = figure6_error(kind, net.depth, curve)
    return "" if value is None else f"≈ {value:g}"


def recipe_name(recipe: Recipe) -> str:
    """The optimiser and its learning rate: SGD, lr 0.1."""
    names = {"sgd": "SGD", "adam": "Adam", "rmsprop": "RMSprop"}
    return f"{names[recipe.optimizer]}, lr {recipe.lr:g}"


def data_name(data: DataConfig) -> str:
    """The data set, and what part of its training images is used if not all: fashion-mnist-mini, 600 images."""
    kept = "" if data.num_train is None else f", {data.num_train:,} images"
    held = f", {data.validation:,} held back" if data.validation else ""
    return data.name + kept + held


def by_setting(*panels: Sequence[RunRecord]) -> list[dict[str, list[RunRecord]]]:
    """The records of each panel grouped by setting, in the order in which settings first appear.

    A setting is called by its net, and by optimiser, iterations and data where these differ within a panel.
    """
    described = [[_setting(record) for record in panel] for panel in panels]
    varies = [any(len({parts[i] for parts in panel}) > 1 for panel in described) for i in range(4)]
    varies[0] = True
    groups: list[dict[str, list[RunRecord]]] = []
    for panel, names in zip(panels, described, strict=True):
        groups.append({})
        for record, parts in zip(panel, names, strict=True):
            name = ", ".join(part for part, told in zip(parts, varies, strict=True) if told)
            groups[-1].setdefault(name, []).append(record)
    return groups


def _setting(record: RunRecord) -> tuple[str, str, str, str]:
    """What tells settings apart: net, optimiser, length and data."""
    config = record.config
    length = f"{config.recipe.iterations:,} iterations"
    return config.net.name, recipe_name(config.recipe), length, data_name(config.data)


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


def gradients(records: Sequence[RunRecord]) -> Table:
    """Gradient norms of the layers of trained nets beside their training error (section 4.1); a row per setting.

    The norms of the weakest, the median and the strongest layer are geometric means over seeds, to two digits; the
    ratio is what the claim on gradients judges. Runs without probes, which diverged, are left out.
    """
    rows = []
    for name, group in by_setting([record for record in records if record.probes])[0].items():
        norms = [record.probes.gradient_norm for record in group if record.probes]
        columns = {"weakest layer": min, "median layer": median, "strongest layer": max}
        ratios = [weakest_gradient(record) for record in group]
        rows.append(
            {"net": name}
            | {title: two_digits(geometric_mean([of(norm) for norm in norms])) for title, of in columns.items()}
            | {"weakest ÷ median": spread(ratios)}
            | {"training error (%)": spread([record.final.train_error for record in group])}
        )
    return Table(rows).from_runs(records)


def layers(statistics: dict[str, "LayerStatistics"]) -> Table:
    """First, middle and last 3x3 layer of some nets: mean, deviation, gradient; see `probes.LayerStatistics`."""
    rows = []
    for name, net in statistics.items():
        last = len(net.layer) - 1
        for place, index in (("first", 0), ("middle", last // 2), ("last", last)):
            values = {"mean": net.mean, "deviation": net.std, "gradient norm": net.gradient_norm}
            values |= {"length of weights": net.weight_norm, "gradient ÷ length": net.turn}
            row = {"net": name, "3×3 layer": f"{place} ({index + 1})"}
            rows.append(row | {title: two_digits(column[index]) for title, column in values.items()})
    return Table(rows)


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


def studied(study: str, profile: Profile, records: Records, nets: Sequence[str]) -> list[Study]:
    """The studies there are of these nets of the suite degradation, net by net, seeds in order."""
    configs = (config for net in nets for config in SUITES["degradation"].setting(net, profile))
    return [found for config in configs if (found := records.study(study, config)) is not None]


def without_whole(study: Study) -> tuple[dict[str, float], float]:
    """The errors of the damaged nets, by block, and that of the whole net."""
    errors = dict(zip(study.label, study.value, strict=True))
    whole = errors.pop("whole net")
    return errors, whole


def lesions(study: str, profile: Profile, records: Records, nets: Sequence[str]) -> Table:
    """What deleting or swapping a block adds to the test error of trained nets, mean ± deviation over seeds.

    Args:
        study: "delete-block" or "swap-blocks".
        profile: at which the nets were trained.
        records: with the studies.
        nets: settings of the suite degradation.
    """
    records = records.noting()
    rows = []
    for net in nets:
        found = [without_whole(one) for one in studied(study, profile, records, [net])]
        costs = [[error - whole for error in errors.values()] for errors, whole in found]
        rows.append(
            {
                "net": net,
                "whole net (%)": spread([whole for _, whole in found]),
                "median block adds (points)": spread([median(cost) for cost in costs]),
                "worst block adds (points)": spread([max(cost) for cost in costs]),
                "blocks that add less than 1 point (%)": spread([100 * mean(c < 1 for c in cost) for cost in costs]),
            }
        )
    return Table(rows).from_runs(records.given)


GROWTH = {
    "whole net": "not deepened",
    "zero": "F(x) = 0",
    "dirac": "copies of the input",
    "dirac, settled": "copies, BN told the statistics",
    "random": "random, as in a new net",
}
"""Label of the study "growth" -> what the new blocks are at first."""


def growth(profile: Profile, records: Records) -> Table:
    """Test error of 20-layer nets deepened to 56: at once, with the batch's statistics, and after training on."""
    records = records.noting()
    rows = []
    for net in ("ResNet-20 A", "plain-20"):
        found = [dict(zip(s.label, s.value, strict=True)) for s in studied("growth", profile, records, [net])]
        for start, blocks in GROWTH.items():
            values = [values for values in found if start in values]
            if values:
                rows.append(
                    {"net": net, "new blocks": blocks}
                    | {
                        f"{title} (%)": spread([each[start + suffix] for each in values])
                        for title, suffix in (
                            ("test error at once", ""),
                            ("with the batch's statistics", ", as in training"),
                            ("after training on", ", trained on"),
                        )
                    }
                )
    return Table(rows).from_runs(records.given)


def against_paper(profile: Profile, records: Records) -> Table:
    """The nets of Figure 6 beside the paper: only a profile on CIFAR-10 can be compared number by number."""
    records = records.noting()
    rows = []
    suite = SUITES["degradation"]
    for setting in suite.settings:
        found = records.select(suite.setting(setting, profile))
        net = suite.setting(setting, profile)[0].net
        rows.append(
            {
                "net": net.name,
                "training error, paper (%)": published(net, "train"),
                "training error, here (%)": spread([record.final.train_error for record in found]),
                "test error, paper (%)": published(net, "test"),
                "test error, here (%)": spread([record.final.test_error for record in found]),
            }
        )
    return Table(rows).from_runs(records.given)


def table6(records: Records) -> Table:
    """Table 6, every row: the paper's error and, for the nets that the book has, ours under each profile.

    The nets of others stand as the paper prints them. A profile that is not on CIFAR-10 says so in its heading.
    """
    records = records.noting()
    rows = []
    for method, (layers, parameters, error) in paper_table(6).items():
        row = {
            "method": method,
            "layers": "" if layers is None else layers,
            "parameters": parameters or "",
            "the paper (%)": f"{error:.2f}" if isinstance(error, float) else error,
        }
        for profile in reversed(PROFILES.values()):
            heading = f"here, profile {profile.name} (%)"
            if profile.data.name != "cifar10":
                heading = f"here, other images, profile {profile.name} (%)"
            row[heading] = ""
            if method.startswith("ResNet-"):
                suite = SUITES["degradation" if layers <= WARMED_UP_DEPTH else "deepest"]
                found = records.select(suite.setting(f"{method} A", profile))
                row[heading] = spread([record.final.test_error for record in found])
        rows.append(row)
    return Table(rows).from_runs(records.given)


def distances(profile: Profile, records: Records) -> Table:
    """How far the test errors of a profile lie from the paper's, and how far a re-implementation's do.

    The paper's numbers are means where it prints them; those of plain nets are read off Figure 6 (marked ≈).

    Raises:
        ValueError: the profile is not on CIFAR-10, so there is no distance.
    """
    records = records.noting()
    if profile.data.name != "cifar10":
        raise ValueError(f"profile {profile.name} is on {profile.data.name}: only CIFAR-10 has a distance to the paper")
    others = paper()["akamaster_S5_cifar_err"]
    rows = []
    suite = SUITES["degradation"]
    for name in suite.settings:
        net = suite.setting(name, profile)[0].net
        plain = net.shortcut == "none"
        target = figure6_error("plain", net.depth, "test") if plain else table6_mean(net.depth)
        found = [record.final.test_error for record in records.select(suite.setting(name, profile))]
        if target is not None:
            rows.append(
                {
                    "net": name,
                    "the paper (%)": f"≈ {target:g}" if plain else f"{target:.2f}",
                    "here (%)": spread(found),
                    "here minus paper (points)": f"{mean(found) - target:+.2f}" if found else "",
                    "akamaster minus paper (points)": "" if plain else f"{others[net.depth] - target:+.2f}",
                }
            )
    return Table(rows).from_runs(records.given)


def figure7(profile: Profile, records: Records) -> Table:
    """Responses of the nets of Figure 7, mean and median over their 3x3 layers, beside the paper's.

    The paper's are read off its figure. Ours are those of the trained nets on test images, mean ± deviation over seeds
    of the mean (and of the median) over layers.
    """
    records = records.noting()
    drawn = paper()["paper"]["digitized_from_vector_curves"]["fig7_std_mean_median"]
    suite = SUITES["degradation"]
    rows = []
    for key, (middle, half) in drawn.items():
        setting = f"plain-{key.removeprefix('plain')}" if key.startswith("plain") else f"ResNet-{key[3:]} A"
        found = [r.probes.response_std for r in records.select(suite.setting(setting, profile)) if r.probes]
        rows.append(
            {
                "net": setting,
                "mean, paper": f"≈ {middle:.2f}",
                "mean, here": spread([mean(responses) for responses in found]),
                "median, paper": f"≈ {half:.2f}",
                "median, here": spread([median(responses) for responses in found]),
            }
        )
    return Table(rows).from_runs(records.given)


def reimplementations() -> Table:
    """CIFAR-10 test errors that others have published for the nets of Table 6, each with its own recipe."""
    published = paper()
    akamaster = published["akamaster_S5_cifar_err"]
    follow_up = published["identity_mappings_S6"]["table1_resnet110"]["original"]
    landscape = published["li_S10_secondary"]["err"]
    return Table(
        {
            "layers": depth,
            "the paper (%)": table6_error(depth),
            "akamaster, README (%)": f"{akamaster[depth]:.2f}",
            "authors' follow-up, 1603.05027 (%)": f"{follow_up:.2f}" if depth == 110 else "",
            "Li et al., 1712.09913, second hand (%)": f"{landscape[depth]:.2f}" if depth in landscape else "",
        }
        for depth in akamaster
    )


def pair_of_errors(errors: Sequence[float | None]) -> str:
    """Top-1 and top-5 error as they were printed, 22.85 / 6.71 or 24.4 / 7.1; a dash for one that was not."""
    digits = 1 if all(error is None or error == round(error, 1) for error in errors) else 2
    return " / ".join("–" if error is None else f"{error:.{digits}f}" for error in errors)


def table2() -> Table:
    """Table 2, the paper's: ImageNet top-1 error, 10-crop; and the points that the deeper net gains."""
    errors = paper_table(2)
    rows = [
        {"layers": f"{depth}", "plain (%)": errors[f"plain{depth}"], "ResNet, option A (%)": errors[f"resnet{depth}"]}
        for depth in (18, 34)
    ]
    gains = {name: rows[0][name] - rows[1][name] for name in list(rows[0])[1:]}
    text = [{name: f"{v:.2f}" if isinstance(v, float) else v for name, v in row.items()} for row in rows]
    return Table([*text, {"layers": "gained by depth (points)"} | {name: f"{v:+.2f}" for name, v in gains.items()}])


def figure4() -> Table:
    """The ends of the curves of Figure 4, read off the drawing and not printed by the authors: ImageNet, top-1."""
    return Table(
        {
            "net": f"{name}-{depth}",
            "training error, mean after 500,000 iterations (%)": f"≈ {figure4_error(kind, depth, 'train'):.1f}",
            "validation error at the end, centre crop (%)": f"≈ {figure4_error(kind, depth, 'validation'):.1f}",
        }
        for kind, name in (("plain", "plain"), ("resnet", "ResNet"))
        for depth in (18, 34)
    )


def table3() -> Table:
    """Table 3, the paper's, beside what others measured on weights of theirs: ImageNet, top-1 / top-5 error.

    Numbers of one row compare nets only within a column: protocols and training differ from column to column.
    """
    published = paper()
    authors, facebook, vision = (published[k] for k in ("author_repo_S3", "fb_torch_S4", "torchvision_S9_V1"))
    rows = []
    for net, errors in paper_table(3).items():
        key: int | str = net
        if net in ("ResNet-34 B", "ResNet-50", "ResNet-101", "ResNet-152"):  # option B, which is what others built
            key = int(net.split()[0].removeprefix("ResNet-"))
        top1, top5, *_ = vision.get(key, (None, None))
        rows.append(
            {
                "net": net,
                "the paper, 10-crop (%)": pair_of_errors(errors),
                "authors' weights, 1 crop (%)": pair_of_errors(authors["val_1crop"].get(key, ())),
                "fb.resnet.torch, 10-crop (%)": pair_of_errors(facebook["val_10crop"].get(key, ())),
                "fb.resnet.torch, 1 crop (%)": pair_of_errors(facebook["val_1crop"].get(key, ())),
                "torchvision V1, 1 crop (%)": pair_of_errors((100 - top1, 100 - top5) if top1 else ()),
            }
        )
    return Table(rows)


def table3_scaled(records: Records, nets: Sequence[str] = ()) -> Table:
    """Tables 2 and 3 scaled down: the paper's top-1 errors, and ours on the small images of `quick` and `paper`.

    The numbers of different columns are of different images and classes. What can be compared is the order of the nets
    in one column with their order in another. `nets` are the rows wanted, by default all.
    """
    records = records.noting()
    printed = {f"plain-{depth}": paper_table(2)[f"plain{depth}"] for depth in (18, 34)}
    printed |= {f"ResNet-{depth} A": paper_table(2)[f"resnet{depth}"] for depth in (18, 34)}
    printed |= {net: errors[0] for net, errors in paper_table(3).items()}
    suites = (SUITES[name] for name in ("table2", "table3", "table3-deep"))
    settings = {name.removesuffix(" (Table 1)"): make for suite in suites for name, make in suite.settings.items()}
    rows = []
    for net in nets or settings:
        row = {"net": net, "the paper: ImageNet, 10-crop (%)": f"{printed.get(net) or printed[net.split()[0]]:.2f}"}
        for profile in (PROFILES["quick"], PROFILES["paper"]):
            configs = [settings[net](profile, seed) for seed in range(profile.num_seeds)]
            found = [record.final for record in records.select(configs)]
            images = profile.imagenet_data.name
            row |= {
                f"{images}, training (%)": spread([final.train_error for final in found]),
                f"{images}, test (%)": spread([final.test_error for final in found]),
            }
        rows.append(row)
    return Table(rows).from_runs(records.given)


def protocols() -> Table:
    """What the way of testing does to one net: ImageNet top-1 error by one crop, by ten, and at several scales.

    One crop is from the authors' page on their published weights, whose ten-crop errors agree with the paper's
    Table 3; several scales are Table 4.
    """
    one, ten, scales = paper()["author_repo_S3"]["val_1crop"], paper_table(3), paper_table(4)
    return Table(
        {
            "net": f"ResNet-{depth}",
            "1 crop (%)": f"{one[depth][0]:.1f}",
            "10-crop (%)": f"{ten[f'ResNet-{depth}'][0]:.2f}",
            "several scales (%)": f"{scales[f'ResNet-{depth}'][0]:.2f}",
            "gained in all (points)": f"{one[depth][0] - scales[f'ResNet-{depth}'][0]:.1f}",
        }
        for depth in (50, 101, 152)
    )


PAPER_ROWS = {  # net of `protocols.NETS` -> its row in Tables 3 and 4; torchvision's nets have the layers of option B
    "plain-34": "plain-34",
    **{f"resnet-34-{option}": f"ResNet-34 {option}" for option in "ABC"},
    **{f"resnet-{depth}-B": f"ResNet-{depth}" for depth in (50, 101, 152)},
    "torchvision:resnet34": "ResNet-34 B",
    **{f"torchvision:resnet{depth}": f"ResNet-{depth}" for depth in (50, 101, 152)},
}
TABLE_2_NETS = {"plain-18": "plain18", "resnet-18-A": "resnet18"}  # in no other table


def published_evaluation(net: str, protocol: str) -> str:
    """The paper's ImageNet errors of a net, top-1 / top-5, and their table: 22.85 / 6.71 (Table 3). Empty without any.

    One crop the paper does not print. There torchvision's own errors stand beside torchvision's own weights.

    Args:
        net: as `protocols.load_net` takes it: resnet-50-B=FILE, torchvision:resnet50.
        protocol: "centre", "10-crop" (Tables 2 and 3) or "multi-scale" (Table 4).
    """
    name = net.partition("=")[0]
    row = PAPER_ROWS.get(name)
    if protocol == "centre" and net.startswith("torchvision:") and net == name:
        top1, top5, *_ = paper()["torchvision_S9_V1"][int(net.removeprefix("torchvision:resnet"))]
        return f"{pair_of_errors((100 - top1, 100 - top5))} (torchvision's page)"
    if protocol == "10-crop" and name in TABLE_2_NETS:
        return f"{pair_of_errors((paper_table(2)[TABLE_2_NETS[name]], None))} (Table 2)"
    number = {"10-crop": 3, "multi-scale": 4}.get(protocol)
    if number and row in paper_table(number):
        return f"{pair_of_errors(paper_table(number)[row])} (Table {number})"
    return ""


def evaluation(results: Sequence["Result"]) -> Table:
    """Errors of nets and ensembles by the paper's protocols; beside those of single ImageNet nets published ones."""
    return Table(
        {
            "net": result.nets[0] if len(result.nets) == 1 else f"all {len(result.nets)}, averaged",
            "protocol": result.protocol,
            "images": f"{result.images:,}",
            "top-1 / top-5 error (%)": f"{result.top1_error:.2f} / {result.top5_error:.2f}",
            "published (%)": published_evaluation(result.nets[0], result.protocol)
            if len(result.nets) == 1 and result.classes == IMAGENET_CLASSES
            else "",
        }
        for result in results
    )


def recorded(nets: Sequence[str], records: Sequence[RunRecord]) -> Table:
    """Training and test error of each net named, whether it has runs or not; see `errors`."""
    groups = {net: [record.final for record in records if record.config.net.name == net] for net in nets}
    return Table(
        {
            "net": net,
            "training error (%)": spread([final.train_error for final in group]),
            "test error (%)": spread([final.test_error for final in group]),
        }
        for net, group in groups.items()
    ).from_runs(record for record in records if record.config.net.name in nets)


def table4() -> Table:
    """Table 4, the paper's: single nets on ImageNet's validation images at their best, top-1 / top-5 error.

    For the nets of Table 3 the 10-crop error stands beside it; the rest of the gain is the protocol's.
    """
    ten_crop = paper_table(3)
    return Table(
        {
            "method": method,
            "Table 4 (%)": pair_of_errors(errors) + (", test set" if method == "VGG ILSVRC14" else ""),
            "Table 3, 10-crop (%)": pair_of_errors(ten_crop[method]) if method.startswith("ResNet") else "",
            "top-1, points gained by multi-scale testing": f"{ten_crop[method][0] - errors[0]:.2f}"
            if method.startswith("ResNet")
            else "",
        }
        for method, errors in paper_table(4).items()
    )


def table5() -> Table:
    """Table 5, the paper's: ensembles on ImageNet's test images, top-5 error."""
    return Table({"method": method, "top-5, test (%)": pair_of_errors([e])} for method, e in paper_table(5).items())


def published_options() -> Table:
    """Table 3 of the paper, its rows on shortcut options: ImageNet, 34 layers, 10-crop. None was measured here."""
    rows = paper()["paper"]["table3_val_10crop"]
    plain = rows["plain-34"][0]
    return Table(
        {
            "the paper's, ImageNet": name,
            "top-1 error (%)": f"{rows[name][0]:.2f}",
            "top-5 error (%)": f"{rows[name][1]:.2f}",
            "top-1, points below plain-34": f"{plain - rows[name][0]:.2f}",
        }
        for name in ("plain-34", "ResNet-34 A", "ResNet-34 B", "ResNet-34 C")
    )


FOLLOW_UP_SHORTCUTS = {  # key in paper.yml -> what the shortcut carries, and the net of this book that has the like
    "original": ("x", "ResNet-32 A"),
    "shortcut0_plain": ("nothing", "plain-32"),
    "scale_0.5_F1": ("0.5 x", "ResNet-32 scaled"),
    "scale_0.5_F0.5": ("0.5 x, with F(x) halved too", ""),
    "shortcut_gate_b0": ("gated x, bias at first 0", ""),
    "shortcut_gate_b-6": ("gated x, bias at first -6", "ResNet-32 gated"),
    "conv1x1": ("projection of x", "ResNet-32 C"),
}


def published_shortcuts() -> Table:
    """Table 1 of the follow-up paper (1603.05027), in part: CIFAR-10, 110 layers, median of 5 runs."""
    errors = paper()["identity_mappings_S6"]["table1_resnet110"]
    return Table(
        {
            "the follow-up's ResNet-110: shortcut carries": carries,
            "test error (%)": "above 20" if errors[key] == "fail" else f"{errors[key]:.2f}",
            "like, here": here,
        }
        for key, (carries, here) in FOLLOW_UP_SHORTCUTS.items()
    )


def ledger(records: Records, names: Sequence[str] | None = None) -> Table:
    """What the records say of each claim, profile by profile: verdict, mean effect in points, number of seeds.

    Args:
        records: what to judge by.
        names: the claims to show, by default all.

    Raises:
        UserError: a name is no claim's.
    """
    records = records.noting()
    rows = []
    for claim in (lookup(CLAIMS, name, "claim") for name in names or CLAIMS):
        row = {"claim": claim.statement, "source": claim.source}
        for profile in PROFILES.values():
            verdict = claim.verdict(profile, records)
            effect = "" if verdict.effect is None else f": {number(verdict.effect, claim.unit)} (n={verdict.num_seeds})"
            row[profile.name] = verdict.status + effect
        rows.append(row)
    return Table(rows).from_runs(records.given)


BEST_EPOCH = "the best epoch chosen on the test set"


def folklore_prices(profile: Profile, records: Records) -> dict[str, list[float]]:
    """What each departure of chapter 11 adds to the test error, in points, seed by seed.

    The best epoch is a departure of reporting: same runs, lower number. It can only seem to gain.
    """
    prices = {key: folklore_effects(key, profile, records) for key in FOLKLORE}
    return prices | {BEST_EPOCH: [0 - gap for gap in CLAIMS["best-epoch-flatters"].effects(profile, records)]}


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
    shortcuts = [FOLKLORE[key](profile, 0).net.shortcut if key in FOLKLORE else "A" for key in table["departure"]]
    table.insert(1, "compared with", [f"ResNet-20 {shortcut}" for shortcut in shortcuts])
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


def diagnoses(records: Sequence[RunRecord]) -> Table:
    """Chapter 10: each run that was built to be a case, what the diagnosis makes of it, and whether that is right."""
    return Table(
        {
            "seed": f"{case.record.config.seed}" + (", held back" if case.held_back else ""),
            "net": case.record.config.net.name,
            "training error (%)": f"{case.record.final.train_error:.1f}",
            "validation error (%)": f"{case.record.final.test_error:.1f}",
            "built to be": case.built,
            "from the curves alone": case.alone.case,
            "with the second run": case.diagnosis.case,
            "right": "yes" if case.is_right else "no",
        }
        for case in judged(records)
    ).from_runs(records)


def diagnosed(records: Sequence[RunRecord]) -> Table:
    """Any runs with the case that each is, from its own curves alone."""
    return Table(
        {
            "net": record.config.net.name,
            "data": data_name(record.config.data),
            "seed": record.config.seed,
            "training error (%)": f"{record.final.train_error:.1f}",
            "test error (%)": f"{record.final.test_error:.1f}",
            "case": diagnose(record).case,
        }
        for record in records
    ).from_runs(records)


def verdict_table(profile: Profile, records: Records) -> Table:
    """The verdicts under one profile, with the effect in points of error and its 95% interval."""
    records = records.noting()
    judged = [claim.verdict(profile, records) for claim in CLAIMS.values()]
    rows = [
        {
            "claim": verdict.claim,
            "verdict": verdict.status,
            "effect": "" if verdict.effect is None else f"{verdict.effect:+.2f} {CLAIMS[verdict.claim].unit}".rstrip(),
            "95% interval": "" if verdict.low is None else f"{verdict.low:+.2f} to {verdict.high:+.2f}",
            "seeds": verdict.num_seeds,
        }
        for verdict in judged
    ]
    return Table(rows).from_runs(records.given)


def report(profile: Profile, recorded: Records, local: Records) -> Table:
    """Every setting of every suite, once: the paper, what the book has recorded, and what this machine found.

    "moved" is the mean change of the training error over the seeds that both have, in points: +0.00 means that this
    machine repeats the record.
    """
    rows = []
    told: set[RunConfig] = set()
    for suite in SUITES.values():
        for setting in suite.settings:
            configs = suite.setting(setting, profile)
            if configs[0] in told:  # a net that several suites compare with others
                continue
            told.add(configs[0])
            book = {record.config: record for record in recorded.select(configs)}
            here = {record.config: record for record in local.select(configs)}
            moved = [here[c].final.train_error - book[c].final.train_error for c in configs if c in here and c in book]
            rows.append(
                {
                    "setting": setting,
                    "paper, test": published(configs[0].net, "test") if suite is SUITES["degradation"] else "",
                    "recorded, test": spread([r.final.test_error for r in book.values()]),
                    "this run, test": spread([r.final.test_error for r in here.values()]),
                    "recorded, training": spread([r.final.train_error for r in book.values()]),
                    "this run, training": spread([r.final.train_error for r in here.values()]),
                    "moved": f"{mean(moved):+.2f}" if moved else "",
                }
            )
    return Table(rows)


def describe(records: Sequence[RunRecord | Study]) -> str:
    """On which images, for how long, with how many seeds these runs were made: one line, as a caption needs it."""
    if not records:
        return NO_RUN
    seeds: dict[tuple[str, str], set[int]] = {}
    for record in records:
        config = record.config
        place = home(config)
        profile = place and PROFILES[place.profile]
        usual = profile and (config.data, config.recipe.iterations) == (profile.data, profile.recipe.iterations)
        what = profile.summary if usual else f"{data_name(config.data)}, {config.recipe.iterations:,} iterations"
        seeds.setdefault((what, f" (profile {profile.name})" if profile else ""), set()).add(config.seed)
    parts = (f"{what}; {len(of)} seed{'s' if len(of) > 1 else ''}{profile}" for (what, profile), of in seeds.items())
    return "; ".join(parts)


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


def effect_text(verdict: Verdict, unit: str) -> str:
    """Mean effect and 95% interval: +57.5 points, 95% interval +54.1 to +60.8."""
    text = f"{number(verdict.effect, unit)} {unit}".rstrip()
    if verdict.low is not None:
        text += f", 95% interval {number(verdict.low, unit)} to {number(verdict.high, unit)}"
    return text


def findings(names: Sequence[str], records: Records) -> Markdown:
    """One paragraph per claim: what it says, and what the records say of it.

    Raises:
        UserError: a name is no claim's.
    """
    lines = []
    for name in names:
        claim = lookup(CLAIMS, name, "claim")
        lines.append(f"**{claim.statement}** ({claim.source})")
        for profile in PROFILES.values():
            verdict = claim.verdict(profile, records)
            if verdict.effect is None:
                continue
            seeds = f"{verdict.num_seeds} seed{'s' if verdict.num_seeds > 1 else ''}"
            text = f"- *{verdict.status}* at `{profile.name}` ({seeds}): {claim.effect}: "
            text += effect_text(verdict, claim.unit)
            if verdict.low is None:
                text += f"; a verdict needs {MIN_SEEDS} seeds"
            elif claim.rule == "within":
                text += f"; less than {claim.threshold:g} on either side needed"
            else:
                text += f"; more than {claim.threshold:g} needed"
            lines.append(text + ".")
        lines.append("")
    return Markdown("\n".join(lines))
