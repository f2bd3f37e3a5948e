"""Numbers are written alike wherever they are shown."""

from math import inf

import pytest

from resnet_lib import display
from resnet_lib.display import two_digits


def test_spread_is_mean_sample_deviation_and_number_of_seeds() -> None:
    assert display.spread([]) == "no run yet"
    assert display.spread([12.346]) == "12.35 (n=1)"
    assert display.spread([1.0, 2.0, 3.0]) == "2.00 ± 1.00 (n=3)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0031, "0.0031"),
        (0.5, "0.5"),
        (2.44, "2.4"),
        (9.96, "10"),
        (327_000, "330,000"),
        (4.1e-7, "4.1e-07"),
        (1.23e9, "1.2e+09"),
        (inf, "inf"),
        (-0.00012, "-0.00012"),
    ],
)
def test_two_digits(value: float, text: str) -> None:
    assert two_digits(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0.4 s"),
        (41, "41 s"),
        (119, "120 s"),
        (120, "2 min"),
        (7100, "120 min"),
        (7560, "2.1 h"),
        (1.45e6, "17 days"),
    ],
)
def test_a_guess_of_a_time_has_two_digits(seconds: float, text: str) -> None:
    assert display.roughly(seconds) == text


def test_plain_text_aligns_columns() -> None:
    table = display.Table([("a", "1"), ("long name", "")], columns=["name", "x"])
    assert display.plain_text(table).splitlines() == ["name       x", "a          1", "long name"]


def test_a_function_is_shown_as_it_stands_in_the_library() -> None:
    shown = display.source(display.spread)
    assert shown.startswith("```python\ndef spread(values")
    assert shown.endswith('(n={len(values)})"\n```')


def test_a_table_of_cards_has_its_notes_below_its_first_column_and_keeps_them_as_columns() -> None:
    rows = [{"who": "a & b", "error": "1.0", "option": "A", "differs": "x < y"}, {"who": "c", "error": "2.0"}]
    table = display.Cards(rows).fillna("").with_notes("option", "differs")
    for shown in (table._repr_html_(), table.drop(columns="absent", errors="ignore")._repr_html_()):
        assert "<th>who</th>\n      <th>error</th>\n    </tr>" in shown
        assert "<td>a &amp; b <small>option: A · differs: x &lt; y</small></td>" in shown
        assert "<td>c <small></small></td>" in shown
        assert 'class="dataframe cards"' in shown
    assert list(table["differs"]) == ["x < y", ""]
    assert "<tbody>" in display.Cards()._repr_html_()
