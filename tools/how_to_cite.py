"""How to cite the book and its paper, from CITATION.cff: a Sphinx extension with the directive `how-to-cite`."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def works(root: Path) -> dict[str, dict]:
    """What CITATION.cff names, by BibTeX key: the book first, then what it refers to."""
    book = yaml.safe_load((root / "CITATION.cff").read_text())
    return {"resnet_lib": book} | {key_of(work): work for work in book["references"]}


def key_of(work: dict) -> str:
    """First author, year, first word of the title: he2016deep."""
    return f"{work['authors'][0]['family-names']}{work['year']}{work['title'].split()[0]}".lower()


def authors(work: dict, form: str) -> list[str]:
    """The authors' names; `form` says how a person's stands, an organisation's stands as it is."""
    return [person.get("name") or form.format(person) for person in work["authors"]]


def plain(work: dict) -> str:
    """A work on one line, as a list of references has it."""
    parts = [listed(authors(work, "{0[given-names]} {0[family-names]}")), work["title"]]
    if conference := work.get("conference"):
        parts.append(f"In {conference['name']}, pages {work['start']}–{work['end']}, {work['year']}")
        parts.append(f"doi:{work['doi']}")
    else:
        parts.append(f"Version {work['version']}")
    return ". ".join(parts) + "."


def listed(names: Sequence[str]) -> str:
    """A, B and C."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def bibtex(key: str, work: dict) -> str:
    """A work as an entry for BibTeX, whose braces keep an organisation's name in one piece."""
    names = [
        f"{{{name}}}" if "," not in name else name for name in authors(work, "{0[family-names]}, {0[given-names]}")
    ]
    entry = {"author": " and ".join(names).replace("_", r"\_"), "title": work["title"]}
    if conference := work.get("conference"):
        entry |= {"booktitle": conference["name"], "year": work["year"], "pages": f"{work['start']}--{work['end']}"}
        entry |= {"doi": work["doi"], "url": work["url"]}
    else:
        entry |= {"version": work["version"]}
    lines = [f"  {name} = {{{value}}}," for name, value in entry.items()]
    return "\n".join([f"@{'inproceedings' if conference else 'software'}{{{key},", *lines, "}"])


class HowToCite(SphinxDirective):
    """The works of CITATION.cff as text, then as BibTeX."""

    def run(self) -> list[nodes.Node]:
        """Called by docutils."""
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / "CITATION.cff"))
        items = [nodes.list_item("", nodes.paragraph(text=plain(work))) for work in works(root).values()]
        entries = "\n\n".join(bibtex(key, work) for key, work in works(root).items())
        return [nodes.bullet_list("", *items), nodes.literal_block(entries, entries, language="bibtex")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("how-to-cite", HowToCite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
