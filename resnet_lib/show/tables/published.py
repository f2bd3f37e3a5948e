"""Numbers that the paper and others have published, as they stand there. None was measured here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resnet_lib.display import Table
from resnet_lib.runs.config import NetConfig
from resnet_lib.runs.paper import figure4_error, figure6_error, paper, paper_table, table6_error
from resnet_lib.runs.settings import plain, resnet

if TYPE_CHECKING:  # these need torch
    from resnet_lib.training.protocols import Result


def published(net: NetConfig, curve: str) -> str:
    """The paper's error of a net: Table 6 where it prints one, else read off Figure 6 (marked ≈)."""
    kind = "plain" if net.shortcut == "none" else "resnet"
    if kind == "resnet" and curve == "test" and (printed := table6_error(net.depth)):
        return printed
    if net == plain(110).net:
        return paper()["paper"]["fig6_caption"]["plain110"]  # which says so in place of a curve
    value = figure6_error(kind, net.depth, curve)
    return "" if value is None else f"≈ {value:g}"


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


def table4() -> Table:
    """Table 4, the paper's: single nets on ImageNet's validation images at their best, top-1 / top-5 error.

    For the nets of Table 3 the 10-crop error stands beside it; the rest of the gain is the protocol's.
    """
    ten_crop = paper_table(3)
    return Table(
        {
            "method": method,
            "Table 4 (%)": pair_of_errors(errors) + (", test set" if method == "VGG ILSVRC14" else ""),
            "Table 3, 10-crop (%)": pair_of_errors(before),
            "top-1, points gained by multi-scale testing": f"{before[0] - errors[0]:.2f}" if before else "",
        }
        for method, errors in paper_table(4).items()
        for before in [ten_crop[method] if method.startswith("ResNet") else ()]
    )


def table5() -> Table:
    """Table 5, the paper's: ensembles on ImageNet's test images, top-5 error."""
    return Table({"method": method, "top-5, test (%)": pair_of_errors([e])} for method, e in paper_table(5).items())


def published_options() -> Table:
    """Table 3 of the paper, its rows on shortcut options: ImageNet, 34 layers, 10-crop. None was measured here."""
    rows = paper_table(3)
    return Table(
        {
            "the paper's, ImageNet": name,
            "top-1 error (%)": f"{rows[name][0]:.2f}",
            "top-5 error (%)": f"{rows[name][1]:.2f}",
            "top-1, points below plain-34": f"{rows['plain-34'][0] - rows[name][0]:.2f}",
        }
        for name in ("plain-34", "ResNet-34 A", "ResNet-34 B", "ResNet-34 C")
    )


FOLLOW_UP_SHORTCUTS = {  # key in paper.yml -> what the shortcut carries, and the setting of this book that has the like
    "original": ("x", resnet(32)),
    "shortcut0_plain": ("nothing", plain(32)),
    "scale_0.5_F1": ("0.5 x", resnet(32, "scaled")),
    "scale_0.5_F0.5": ("0.5 x, with F(x) halved too", None),
    "shortcut_gate_b0": ("gated x, bias at first 0", None),
    "shortcut_gate_b-6": ("gated x, bias at first -6", resnet(32, "gated")),
    "conv1x1": ("projection of x", resnet(32, "C")),
}


def published_shortcuts() -> Table:
    """Table 1 of the follow-up paper (1603.05027), in part: CIFAR-10, 110 layers, median of 5 runs."""
    errors = paper()["identity_mappings_S6"]["table1_resnet110"]
    return Table(
        {
            "the follow-up's ResNet-110: shortcut carries": carries,
            "test error (%)": "above 20" if errors[key] == "fail" else f"{errors[key]:.2f}",
            "like, here": here.name if here else "",
        }
        for key, (carries, here) in FOLLOW_UP_SHORTCUTS.items()
    )


IMAGENET_CLASSES = 1000  # errors among fewer classes do not compare with published ones
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
