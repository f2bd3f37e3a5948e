"""Tables with a caption are counted as tables, not as figures."""

from types import SimpleNamespace

from docutils import nodes
from docutils.utils import new_document

from book.extensions.numbered_tables import NumberedTable, NumberTables


def figure(name: str) -> nodes.figure:
    return nodes.figure(
        "", nodes.container(), nodes.caption("", "What it shows."), names=[name], ids=[name], classes=["wide"]
    )


def page(*parts: nodes.Node) -> nodes.document:
    document = new_document("page")
    document.settings.env = SimpleNamespace(app=None)
    document += parts
    document.ids.update({part["ids"][0]: part for part in parts})
    NumberTables(document).apply()
    return document


def test_a_figure_named_as_a_table_becomes_one_with_its_caption_above() -> None:
    document = page(figure("tab-errors"))
    (table,) = document.findall(NumberedTable)
    assert [type(part) for part in table] == [nodes.caption, nodes.container]
    assert (table["names"], table["ids"], table["classes"]) == (["tab-errors"], ["tab-errors"], ["wide"])
    assert document.ids["tab-errors"] is table  # which is where references look


def test_another_figure_stays_one() -> None:
    document = page(figure("fig-errors"))
    assert not list(document.findall(NumberedTable))
    assert [type(part) for part in document.next_node(nodes.figure)] == [nodes.container, nodes.caption]
