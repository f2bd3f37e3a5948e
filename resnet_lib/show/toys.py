"""What a page's reader can play with: a net's depth and its shortcuts, a net that loses a block, verdicts to guess.

As in `explore`, the script book/_static/explore.js computes nothing and shows what stands in the page. Without it a toy
is a picture or a table of the same numbers.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from statistics import mean

from resnet_lib.display import Html, Table, runs_line
from resnet_lib.errors import UserError
from resnet_lib.evidence import verdicts
from resnet_lib.evidence.claims import TO_COVER, Claim
from resnet_lib.evidence.effects import without_whole
from resnet_lib.evidence.facts import Fact, checked
from resnet_lib.evidence.ledger import anchor, best_verdict, covering
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.published import PublishedNet
from resnet_lib.runs.records import PublishedStudy, RunRecord
from resnet_lib.runs.settings import DEPTHS, plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import drawings
from resnet_lib.show.explore import carrier
from resnet_lib.show.figures.canvas import BLUE, ORANGE, Figure, kind_color, new_figure, styled
from resnet_lib.show.figures.training import draw_curves
from resnet_lib.show.grouping import grouped
from resnet_lib.show.others import studied_of_others
from resnet_lib.show.pictures import Panel, picture

KINDS = {"without + x": plain, "with + x": resnet}
Kinds = Mapping[str, Sequence[RunRecord]]  # name of `KINDS` -> the seeds of a net


# ------------------------------------------------------------------------------------------------ depth and shortcuts


def depth(profile: Profile, records: Records) -> Html:
    """The curves of plain and residual nets by depth; on a page a slider and a switch choose one of them.

    Depths are the paper's of which both nets have a run under this profile.

    Raises:
        UserError: there are fewer than two.
    """
    runs = {
        layers: {name: records.select(net(layers).runs(profile)) for name, net in KINDS.items()} for layers in DEPTHS
    }
    nets = {layers: kinds for layers, kinds in runs.items() if all(kinds.values())}
    if len(nets) < 2:
        raise UserError(f"profile {profile.name} has runs of {len(nets)} depths, and a comparison takes two")
    shown = [run for kinds in nets.values() for seeds in kinds.values() for run in seeds]
    figure = _all_curves(shown)
    image = picture(
        [figure.drawn()[0].panel, Panel(drawings.net_and_block(list(nets)))],
        columns=2,
        headline=found(nets),
        key=figure.key(),
        footer=f"Bold: test, dashed: training. {profile.summary}; {_seeds(nets)}.",
        runs=runs_line(shown),
    )
    table = Table(_row(layers, kinds) for layers, kinds in nets.items()).to_html(index=False, border=0)
    states = [[_state(layers, name, kinds[name]) for layers, kinds in nets.items()] for name in KINDS]
    return carrier("depth", f"{image}\n{table}", states)


def found(nets: Mapping[int, Kinds]) -> str:
    """What the deepest and the shallowest net get wrong, without shortcuts and with them: one sentence.

    Args:
        nets: number of layers -> the runs of both kinds.
    """
    shallow, deep = min(nets), max(nets)
    plain, with_x = (" and ".join(f"{_error(nets[of][name], 'test'):.0f}" for of in (shallow, deep)) for name in KINDS)
    return f"Of 100 test images, plain nets of {shallow} and {deep} layers get {plain} wrong; with + x, {with_x}."


def _seeds(nets: Mapping[int, Kinds]) -> str:
    """How many seeds each net has at least, by its number of layers: 3 seeds at 20 and 56 layers, 1 at 32 and 44."""
    counts = grouped(nets, lambda layers: min(map(len, nets[layers].values())))
    first, *others = ((count, " and ".join(map(str, layers))) for count, layers in counts.items())
    told = f"{first[0]} seed{'s' if first[0] > 1 else ''} at {first[1]} layers"
    return ", ".join([told, *(f"{count} at {layers}" for count, layers in others)])


def _error(runs: Sequence[RunRecord], of: str) -> float:
    """The final error (test or training) in percent, mean over seeds."""
    return mean(getattr(run.final, "test_error" if of == "test" else "train_error") for run in runs)


def _state(layers: int, name: str, runs: Sequence[RunRecord]) -> dict[str, object]:
    """What a page shows of one net, and its part of the address."""
    return {
        "net": runs[0].config.net.name,
        "layers": layers,
        "address": f"{layers}-layers-{name.replace(' + ', '-')}",
        "said": f"{layers} layers {name}: {_error(runs, 'test'):.1f}% of the test images wrong, "
        f"{_error(runs, 'training'):.1f}% of its own training images.",
    }


def _row(layers: int, kinds: Kinds) -> dict[str, object]:
    """The errors of both nets of one depth."""
    errors = {f"{of} error {name} (%)": _error(kinds[name], of) for of in ("test", "training") for name in kinds}
    return {"layers": layers} | {head: f"{error:.1f}" for head, error in errors.items()}


@styled
def _all_curves(runs: Sequence[RunRecord]) -> Figure:
    """The curves of all nets in one panel, in the colours of the two kinds."""
    figure, (axes,) = new_figure(1, height=2.7)
    draw_curves(axes, runs, "", color=kind_color)
    axes.set_ylabel("error (%)")
    figure.color_legend(dict(zip(KINDS, (ORANGE, BLUE), strict=True)))
    return figure


# ------------------------------------------------------------------------------------------------- a block taken out


def lesions(records: Records) -> Html:
    """Nets that others trained, as rows of blocks; on a page a reader takes a block out and is told the error.

    Without a script one of the deepest residual nets is told of, block by block.

    Raises:
        UserError: none of these nets was measured without its blocks.
    """
    studies = studied_of_others("delete-block", records)
    if not studies:
        raise UserError("no net of others was measured without its blocks; see python -m resnet_lib nets measure")
    nets = [_damaged(net, study) for net, study in studies]
    first = max(range(len(nets)), key=lambda i: (studies[i][0].config.shortcut != "none", studies[i][0].config.depth))
    told = ", ".join(f"{number}: {error}" for stage in nets[first]["stages"] for number, error in stage if error)
    authors = ", ".join(dict.fromkeys(net.publisher.repository for net, _ in studies))
    shown = f"""<p class="toy-said" role="status">{nets[first]["whole"]}</p>
<p class="told">Without block {told}.</p>
<p class="footer">Trained on CIFAR-10 by others, one net per depth: {escape(authors)}. Nothing is retrained. The blocks
that open the second and the third stage change the shape of what passes through, and stay.</p>"""
    return carrier("lesions", shown, {"first": first, "nets": nets})


def _damaged(net: PublishedNet, study: PublishedStudy) -> dict[str, object]:
    """What is told of one net: whole, and for each stage number and error of its blocks, None if it has to stay."""
    errors, whole = without_whole(study)
    per_stage = (net.config.depth - 2) // 6
    return {
        "name": f"{net.net}, by {net.author}",
        "whole": f"{net.net}, whole: {whole:.1f}% of {study.num_images:,} test images wrong.",
        "stages": [
            [
                (per_stage * stage + block + 1, f"{error:.1f}%" if error is not None else None)
                for block in range(per_stage)
                for error in [errors.get(f"layer{stage + 1}.{block}")]
            ]
            for stage in range(3)
        ],
    }


# --------------------------------------------------------------------------------------------------- verdicts to guess

ANSWERS = {"supported": "holds", "refuted": "does not hold", "undecided": "undecided"}  # verdict -> what a reader says
NOTES = tuple(what for what in TO_COVER if what.startswith("note "))


def guesses(records: Records) -> Html:
    """A claim of each reading note, with its verdict folded away; on a page a reader guesses all and is told a score.

    It is the first claim or fact of the ledger that covers the note and has a verdict, which is the one nearest to the
    paper's schedule.
    """
    records = records.noting()
    entries = to_guess(records)
    items = "\n".join(
        f'<li data-verdict="{verdict}"><p>{escape(entry.statement)}<br><small>{where}</small></p>\n'
        f'<details><summary>The verdict</summary><p>{told} <a href="#{anchor(entry.name)}">In the ledger</a></p>'
        "</details></li>"
        for entry, verdict, told, where in entries
    )
    shown = f'<ol class="guesses">\n{items}\n</ol>\n{runs_line(records.given)}'
    return carrier("guesses", shown, {"answers": ANSWERS, "always": always(entries)})


Guess = tuple[Claim | Fact, str, str, str]  # with its verdict, how a page tells it, and by which runs if any


def to_guess(records: Records) -> list[Guess]:
    """A claim or fact of each reading note; see `guesses`."""
    return [entry for note in NOTES if (entry := next(_judged(note, records), None))]


def always(entries: Sequence[Guess]) -> str:
    """How many are right for who says the same of all."""
    usual, hits = Counter(verdict for _, verdict, _, _ in entries).most_common(1)[0]
    return f"“{ANSWERS[usual]}” throughout would be right {hits} times."


def _judged(note: str, records: Records) -> Iterator[Guess]:
    """The claims and facts that cover a note and have a verdict: with it, how a page tells it, and by which runs."""
    for entry in covering(note):
        if isinstance(entry, Fact):
            holds, evidence = checked(entry)
            yield (
                entry,
                "supported" if holds else "refuted",
                f"<b>{'holds' if holds else 'fails'}</b>: {escape(evidence)}",
                "by construction",
            )
        elif (verdict := best_verdict(entry, records)).status in ANSWERS:
            numbers = verdicts.numbers(verdict, entry.unit)
            where = verdicts.trained_on(entry, PROFILES[verdict.profile])
            yield entry, verdict.status, f"<b>{verdict.status}</b> on {where}: {numbers}.", f"on {where}"
