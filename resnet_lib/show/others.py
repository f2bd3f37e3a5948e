"""What others made, in the groups in which tables and figures show it: nets that they trained, errors they report."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, stdev

from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.literature import Error, Kind, paper_error, reports
from resnet_lib.runs.paper import figure6_error
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.published import PublishedNet, published_nets
from resnet_lib.runs.records import PublishedStudy
from resnet_lib.runs.store import Records

REPORTED_DEPTHS = (20, 32, 44, 56, 110, 1202)
PAPER = "the paper"


def studied_of_others(study: str, records: Records) -> list[tuple[PublishedNet, PublishedStudy]]:
    """The nets of others that have this study, with it, in the manifest's order."""
    found = ((net, records.published(study, name)) for name, net in published_nets().items())
    return [(net, one) for net, one in found if one is not None]


@dataclass(frozen=True)
class Reported:
    """Test errors on CIFAR-10 by depth, of one source and kind of net: the paper's, others' or ours."""

    source: str
    shortcut: str
    epoch: str
    differs: str
    errors: dict[int, Error]
    ours: bool = False


def reported(kind: Kind, records: Records, profiles: Iterable[Profile] = PROFILES.values()) -> list[Reported]:
    """The paper's errors of nets of this kind, those that others report, and our means over seeds, by profile.

    The paper's of plain nets are read off Figure 6. Profiles on other images, or without runs, are left out.
    """
    rows = []
    if kind == "residual":
        errors = {depth: error for depth in REPORTED_DEPTHS if (error := paper_error(depth))}
        rows.append(Reported(f"{PAPER}, Table 6", "A", "", "", errors))
    if kind == "plain":
        ends = {depth: Error(end) for depth in REPORTED_DEPTHS if (end := figure6_error("plain", depth, "test"))}
        rows.append(Reported(f"{PAPER}, read off Figure 6", "none", "last", "", ends))
    for report in reports():
        if report.kind == kind:
            errors = {depth: error for depth in report.errors if (error := report.error(depth))}
            rows.append(Reported(report.source, report.shortcut or "", report.epoch or "", report.differs, errors))
    option = {"residual": "A", "plain": "none"}.get(kind)
    for profile in profiles:
        if option and profile.data.name == "cifar10" and (errors := _ours(option, profile, records)):
            length = f"{profile.recipe.iterations:,} iterations"
            rows.append(Reported(f"this book, profile {profile.name}", option, "last", length, errors, ours=True))
    return rows


def _ours(shortcut: str, profile: Profile, records: Records) -> dict[int, Error]:
    """Depth -> mean test error over the seeds there are, of the nets of Figure 6 with this shortcut."""
    errors = {}
    for setting in SUITES["degradation"].settings:
        if setting.net.shortcut == shortcut:
            found = [record.final.test_error for record in records.select(setting.runs(profile))]
            if found:
                spread = stdev(found) if len(found) > 1 else None
                errors[setting.net.depth] = Error(mean(found), spread, len(found))
    return errors
