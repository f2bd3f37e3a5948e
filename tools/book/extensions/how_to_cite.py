"""How to cite the book and its paper, from CITATION.cff: a Sphinx extension with the directive `how-to-cite`."""

from pathlib import Path

import yaml
from docutils import nodes
from pybtex.database import BibliographyData, Entry, Person
from pybtex.style.formatting.unsrt import Style
from pybtex_docutils import Backend
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def works(root: Path, address: str = "") -> BibliographyData:
    """What CITATION.cff names: the book first, which is at this address, then what it refers to."""
    book = yaml.safe_load((root / "CITATION.cff").read_text())
    named = {"resnet_lib": book} | {key_of(work): work for work in book["references"]}
    return BibliographyData({key: entry(work, address) for key, work in named.items()})


def key_of(work: dict) -> str:
    """First author, year, first word of the title: he2016deep."""
    return f"{work['authors'][0]['family-names']}{work['year']}{work['title'].split()[0]}".lower()


def entry(work: dict, address: str = "") -> Entry:
    """A work as BibTeX has it. Braces keep a title's capitals and an organisation's name in one piece."""
    authors = [
        Person(f"{{{who['name']}}}") if "name" in who else Person(first=who["given-names"], last=who["family-names"])
        for who in work["authors"]
    ]
    fields = {"title": f"{{{work['title']}}}"}
    if conference := work.get("conference"):
        fields |= {"booktitle": conference["name"], "year": str(work["year"])}
        fields |= {"pages": f"{work['start']}--{work['end']}", "doi": work["doi"], "url": work["url"]}
    else:
        fields |= {"note": f"Version {work['version']}"}  # the field that every style prints
        fields |= {"year": str(work["date-released"])[:4], "version": str(work["version"])}
        fields |= {"url": address} if address else {}
    return Entry("inproceedings" if conference else "software", fields, {"author": authors})


class HowToCite(SphinxDirective):
    """The works of CITATION.cff as the list of references has them, then as BibTeX."""

    def run(self) -> list[nodes.Node]:
        """Called by docutils."""
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / "CITATION.cff"))
        cited = works(root, self.config.html_theme_options.get("repository_url", ""))
        items = [nodes.list_item("", Backend().paragraph(work)) for work in Style().format_bibliography(cited)]
        entries = cited.to_string("bibtex").strip()
        return [nodes.bullet_list("", *items), nodes.literal_block(entries, entries, language="bibtex")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("how-to-cite", HowToCite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
