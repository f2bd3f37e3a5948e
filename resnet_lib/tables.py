"""Tables made from records. Nothing here trains or needs torch."""

from collections.abc import Sequence
from statistics import mean, stdev

import pandas as pd

from resnet_lib.claims import CLAIMS, verdicts
from resnet_lib.experiments import PROFILES, SUITES, Profile, lookup
from resnet_lib.paper import figure6_error, table6_error
from resnet_lib.runs import NetConfig, Records, RunRecord

NO_RUN = "no run yet"


def spread(values: Sequence[float]) -> str:
    """Mean, sample deviation and number of seeds: 12.34 ± 0.56 (n=5)."""
    if not values:
        return NO_RUN
    if len(values) == 1:
        return f"{values[0]:.2f} (n=1)"
    return f"{mean(values):.2f} ± {stdev(values):.2f} (n={len(values)})"


def published(net: NetConfig, curve: str) -> str:
    """The paper's error of a net: Table 6 where it prints one, else read off Figure 6 (marked ≈)."""
    kind = "plain" if net.shortcut == "none" else "resnet"
    if kind == "resnet" and curve == "test" and (printed := table6_error(net.depth)):
        return printed
    value = figure6_error(kind, net.depth, curve)
    return "" if value is None else f"≈ {value:g}"


def errors(records: Sequence[RunRecord]) -> pd.DataFrame:
    """Training and test error in percent, one row per setting: mean ± deviation over seeds.

    Settings are told apart by everything in their config but the seed, and keep the order of the records.
    """
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(setting_name(record), []).append(record)
    rows = [
        {
            "net": name,
            "training error (%)": spread([record.final.train_error for record in group]),
            "test error (%)": spread([record.final.test_error for record in group]),
        }
        for name, group in groups.items()
    ]
    return pd.DataFrame(rows, columns=["net", "training error (%)", "test error (%)"])


def setting_name(record: RunRecord) -> str:
    """The net and its optimiser, as a table names them."""
    recipe = record.config.recipe
    return f"{record.config.net.name}, {recipe.optimizer} lr {recipe.lr:g}, {recipe.iterations} iterations"


def against_paper(profile: Profile, records: Records) -> pd.DataFrame:
    """The nets of Figure 6 beside the paper: only a profile on CIFAR-10 can be compared number by number."""
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
    return pd.DataFrame(rows)


def ledger(records: Records, names: Sequence[str] | None = None) -> pd.DataFrame:
    """The verdict on each claim under each profile, with the effect in points of error and its 95% interval.

    Args:
        records: what to judge by.
        names: the claims to show, by default all.

    Raises:
        UserError: a name is no claim's.
    """
    wanted = [lookup(CLAIMS, name, "claim").name for name in names or CLAIMS]
    rows = [
        {
            "claim": verdict.claim,
            "profile": verdict.profile,
            "verdict": verdict.status,
            "effect (points)": "" if verdict.effect is None else f"{verdict.effect:+.2f}",
            "95% interval": "" if verdict.low is None else f"{verdict.low:+.2f} to {verdict.high:+.2f}",
            "seeds": verdict.num_seeds,
        }
        for verdict in verdicts(records)
        if verdict.claim in wanted
    ]
    return pd.DataFrame(rows)


def report(profile: Profile, recorded: Records, local: Records) -> pd.DataFrame:
    """Every setting of every suite: the paper, what the book has recorded, and what this machine found.

    "moved" compares the seeds that both have, in points of training error: 0 means this machine repeats the record.
    """
    rows = []
    for suite in SUITES.values():
        for setting in suite.settings:
            configs = suite.setting(setting, profile)
            book = {record.config: record for record in recorded.select(configs)}
            here = {record.config: record for record in local.select(configs)}
            moved = [here[c].final.train_error - book[c].final.train_error for c in configs if c in here and c in book]
            is_paper_net = suite.name == "degradation" and profile.data == PROFILES["paper"].data
            rows.append(
                {
                    "suite": suite.name,
                    "setting": setting,
                    "paper, test (%)": published(configs[0].net, "test") if suite.name == "degradation" else "",
                    "recorded, test (%)": spread([r.final.test_error for r in book.values()]),
                    "this run, test (%)": spread([r.final.test_error for r in here.values()]),
                    "recorded, training (%)": spread([r.final.train_error for r in book.values()]),
                    "this run, training (%)": spread([r.final.train_error for r in here.values()]),
                    "moved (points)": f"{mean(moved):+.2f}" if moved else "",
                    "comparable": is_paper_net,
                }
            )
    return pd.DataFrame(rows)


def plain_text(table: pd.DataFrame) -> str:
    """A table for the terminal, columns aligned, empty cells empty."""
    return table.to_string(index=False, justify="left") if len(table) else "nothing to show"
