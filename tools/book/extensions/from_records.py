"""Tables on pages without cells, computed from the records when the book is built: the directive `from-records`."""

import re

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from resnet_lib.evidence import challenges, reproducibility
from resnet_lib.runs.store import Records

SHOWN = {
    "open challenges": challenges.table,
    "readers' runs": challenges.from_readers,
    "cost": lambda records: reproducibility.cost(*records.folders),
    "made on": lambda records: reproducibility.made_on(*records.folders),
    "decided on": reproducibility.decided_on,
    "reproduced": reproducibility.reproduced,
    "not reproduced": reproducibility.not_reproduced,
}
CHAPTER = re.compile(r'href="(\d\d_\w+)\.html"')  # as a notebook, among the others, names it


class FromRecords(SphinxDirective):
    """One of `SHOWN`, by its name."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Called by docutils."""
        show = SHOWN[directives.choice(self.arguments[0], tuple(SHOWN))]
        table = CHAPTER.sub(r'href="../notebooks/\1.html"', show(Records.committed())._repr_html_())
        return [
            nodes.raw("", f'<div class="cell_output"><div class="output text_html">{table}</div></div>', format="html")
        ]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("from-records", FromRecords)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
