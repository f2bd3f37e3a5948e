"""Tables made from records. Nothing here trains or needs torch."""

from collections.abc import Sequence
from statistics import mean, stdev

import pandas as pd

from resnet_lib.claims import CLAIMS, MIN_SEEDS
from resnet_lib.experiments import PROFILES, SUITES, Profile, lookup
from resnet_lib.paper import figure6_error, table6_error
from resnet_lib.runs import NetConfig, Recipe, Records, RunConfig, RunRecord

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


class Table(pd.DataFrame):
    """A data frame that a notebook shows without row numbers."""

    @property
    def _constructor(self) -> type["Table"]:
        return Table

    def _repr_html_(self) -> str:
        return self.to_html(index=False, border=0)


def recipe_name(recipe: Recipe) -> str:
    """The optimiser and its learning rate: SGD, lr 0.1."""
    names = {"sgd": "SGD", "adam": "Adam", "rmsprop": "RMSprop"}
    return f"{names[recipe.optimizer]}, lr {recipe.lr:g}"


def errors(records: Sequence[RunRecord]) -> Table:
    """Training and test error in percent, mean ± deviation over seeds; one row per net, optimiser and length.

    Rows keep the order in which their first records come.
    """
    groups: dict[tuple[str, str, str], list[RunRecord]] = {}
    for record in records:
        config = record.config
        key = (config.net.name, recipe_name(config.recipe), f"{config.recipe.iterations:,}")
        groups.setdefault(key, []).append(record)
    columns = ["net", "optimiser", "iterations", "training error (%)", "test error (%)"]
    rows = [
        (*key, spread([r.final.train_error for r in group]), spread([r.final.test_error for r in group]))
        for key, group in groups.items()
    ]
    return Table(rows, columns=columns)


def against_paper(profile: Profile, records: Records) -> Table:
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
    return Table(rows)


def ledger(records: Records, names: Sequence[str] | None = None) -> Table:
    """What the records say of each claim, profile by profile: verdict, mean effect in points, number of seeds.

    Args:
        records: what to judge by.
        names: the claims to show, by default all.

    Raises:
        UserError: a name is no claim's.
    """
    rows = []
    for claim in (lookup(CLAIMS, name, "claim") for name in names or CLAIMS):
        row = {"claim": claim.statement, "source": claim.source}
        for profile in PROFILES.values():
            verdict = claim.verdict(profile, records)
            effect = "" if verdict.effect is None else f": {verdict.effect:+.1f} (n={verdict.num_seeds})"
            row[profile.name] = verdict.status + effect
        rows.append(row)
    return Table(rows)


def verdict_table(profile: Profile, records: Records) -> Table:
    """The verdicts under one profile, with the effect in points of error and its 95% interval."""
    judged = [claim.verdict(profile, records) for claim in CLAIMS.values()]
    rows = [
        {
            "claim": verdict.claim,
            "verdict": verdict.status,
            "effect": "" if verdict.effect is None else f"{verdict.effect:+.2f}",
            "95% interval": "" if verdict.low is None else f"{verdict.low:+.2f} to {verdict.high:+.2f}",
            "seeds": verdict.num_seeds,
        }
        for verdict in judged
    ]
    return Table(rows)


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


class Markdown(str):
    """Text that a notebook renders."""

    def _repr_markdown_(self) -> str:
        return str(self)


def describe(records: Sequence[RunRecord]) -> str:
    """On which images, for how long, with how many seeds these runs were made: one line, as a caption needs it."""
    if not records:
        return NO_RUN
    parts, rest = [], list(records)
    for profile in PROFILES.values():
        group = [record for record in records if record.config.data == profile.data]
        group = [record for record in group if record.config.recipe.iterations % profile.recipe.iterations == 0]
        group = [record for record in group if record.config.recipe.log_every == profile.recipe.log_every]
        if group:
            seeds = len({record.config.seed for record in group})
            parts.append(f"{profile.summary}; {seeds} seed{'s' if seeds > 1 else ''} (profile {profile.name})")
            rest = [record for record in rest if record not in group]
    if rest:
        parts.append(f"{len(rest)} run{'s' if len(rest) > 1 else ''} outside the profiles")
    return "; ".join(parts)


def hardware(records: Sequence[RunRecord]) -> Table:
    """Where records come from: one row per kind of machine and code, with the time they took."""
    rows: dict[tuple[str, ...], list[RunRecord]] = {}
    for record in records:
        made = record.provenance
        key = (
            record.config.data.name,
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
    )


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
            text = f"- *{verdict.status}* at `{profile.name}` ({seeds}): {claim.effect}: {verdict.effect:+.1f} points"
            if verdict.low is not None:
                text += (
                    f", 95% interval {verdict.low:+.1f} to {verdict.high:+.1f}; more than {claim.threshold:g} needed"
                )
            else:
                text += f"; a verdict needs {MIN_SEEDS} seeds"
            lines.append(text + ".")
        lines.append("")
    return Markdown("\n".join(lines))


def plain_text(table: pd.DataFrame) -> str:
    """A table for the terminal, columns aligned, empty cells empty."""
    rows = [list(map(str, table.columns)), *(list(map(str, row)) for row in table.itertuples(index=False))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)
