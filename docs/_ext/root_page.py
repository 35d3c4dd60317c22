"""The directive `root-page`: shows a Markdown file of the repository's root as a page of its own.

    ```{root-page} CHANGELOG.md
    ```

Links to pages below docs/ become links to these pages; links to other files become their names, since a page cannot
follow them.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_DOCS = Path(__file__).parents[1]
_ROOT = _DOCS.parent
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")


def page_text(name: str) -> str:
    """Returns the file's Markdown with its links as a page of docs/ follows them.

    Raises:
        ValueError: If there is no such file.
    """
    path = _ROOT / name
    if not path.is_file():
        raise ValueError(f"{name}: no such file in the repository's root; write it or remove the page")
    return _LINK.sub(lambda found: _link(found[1], found[2]), path.read_text(encoding="utf-8"))


def _link(text: str, target: str) -> str:
    if target.startswith(("https://", "http://", "#", "mailto:")):
        return f"[{text}]({target})"
    file, sign, anchor = target.partition("#")
    if file.startswith("docs/") and (_ROOT / file).is_file():
        return f"[{text}](/{file.removeprefix('docs/')}{sign}{anchor})"
    return text if text.startswith("`") else f"{text} (`{file}`)"


class RootPage(SphinxDirective):
    """The directive; a missing file is an error of the build."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Returns the nodes of the file."""
        name = self.arguments[0]
        self.env.note_dependency(str(_ROOT / name))
        try:
            text = page_text(name)
        except ValueError as exc:
            raise self.error(str(exc)) from exc
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the directive with Sphinx."""
    app.add_directive("root-page", RootPage)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
