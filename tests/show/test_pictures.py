"""A figure is shown panel by panel, each whole by itself, readable on a phone, and in the colours of its page."""

import re
from collections import Counter
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from IPython.core.interactiveshell import InteractiveShell
from samples import made_up_record, tiny_config

from resnet_lib.runs.settings import plain, resnet
from resnet_lib.show import figures, pictures

RUNS = [
    made_up_record(tiny_config(net, seed), train_error=base + 3 * seed, test_error=base + 10 + seed)
    for net, base in ((plain(20), 10), (plain(56), 40), (resnet(20), 5))
    for seed in (0, 1, 2)
]


def shown(figure: figures.Figure) -> BeautifulSoup:
    return BeautifulSoup(figure.to_html(), "html.parser")


def words(panel: BeautifulSoup) -> list[str]:
    return [text.text for text in panel.select("text")]


def test_every_panel_tells_what_its_axes_are() -> None:
    panels = {title: RUNS for title in ("one", "two", "three", "four")}
    picture = shown(figures.curves(panels, title="The message", rows=2))
    parts = picture.select(".panels > div")
    assert [part.select_one(".panel").text for part in parts] == list(panels)
    assert {part.select_one(".measured").text for part in parts} == {"↑ error (%)"}
    assert all("iteration" in words(part) for part in parts)  # which the figure as a whole says once a column
    assert all({"0", "20"} <= set(words(part)) for part in parts)  # and these once a row
    assert picture.select_one(".headline").text == "The message"
    assert picture.select_one(".footer").text.startswith("solid: test, dashed: training.")
    assert [entry.text.strip() for entry in picture.select(".key li")] == ["20 layers", "56 layers"]


@pytest.mark.parametrize(
    "figure",
    [
        figures.curves({"": RUNS}),
        figures.curves({title: RUNS for title in "abc"}),
        figures.settings({"a": RUNS, "b": RUNS}, ("training", "test"), "Message"),
        figures.final_errors(RUNS),
        figures.per_layer({"a": [[1e-6, 0.2, 30.0]], "b": []}, "y", "title", None),
        figures.figure4("title"),
    ],
    ids=["curves", "three panels", "settings", "final errors", "logarithmic axis", "figure 4"],
)
def test_text_has_eleven_pixels_on_a_phone(figure: figures.Figure) -> None:
    for drawing in shown(figure).select(".panels svg"):
        width = float(drawing["viewbox"].split()[2])
        sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", str(drawing))]
        assert sizes and min(sizes) * 312 / width >= 11, Counter(sizes)


def test_colours_follow_the_page() -> None:
    text = re.sub(r"var\([^)]*\)", "", figures.curves({"": RUNS}, title="t").to_html())
    for color in pictures.THEME:
        assert color not in text
    assert "#d55e00" in text


def test_pictures_of_a_page_share_no_name_and_find_their_own() -> None:
    names = []
    for runs in (RUNS, RUNS[:3]):
        text = figures.curves({"a": runs, "b": runs[:1]}).to_html()
        own = re.findall(r' id="([^"]+)"', text)
        referred = {a or b for a, b in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text)}
        assert referred and referred <= set(own)
        assert len(set(own)) == len(own)
        names.append(set(own))
    assert not names[0] & names[1]
    assert "<style" not in text  # which would hold for the whole page


def test_showing_a_figure_leaves_it_as_it_was_and_is_the_same_each_time() -> None:
    figure = figures.settings({"a": RUNS, "b": RUNS[:3]}, ("test",), "Message")
    series, once = figure.series(), figure.to_html()
    assert figure.to_html() == once == figures.settings({"a": RUNS, "b": RUNS[:3]}, ("test",), "Message").to_html()
    assert figure.series().equals(series)


def test_a_notebook_shows_a_figure_once() -> None:
    published = []
    shell = InteractiveShell.instance()
    shell.display_pub.publish = lambda data, **_: published.append(data)
    data, _ = shell.display_formatter.format(figures.final_errors(RUNS))
    assert not data
    assert [sorted(kinds) for kinds in published] == [["text/html", "text/plain"]]
    assert published[0]["text/plain"] == "<Figure with 1 panel>"


def test_a_file_has_the_whole_figure(tmp_path: Path) -> None:
    figures.curves({"left": RUNS, "right": RUNS}, title="The message").savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size > 10_000
