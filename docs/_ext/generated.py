"""The directive `generated`: puts Markdown that a function makes from the code into a page.

    ```{generated} record-kinds
    ```

The name before the first blank is that of a module of this folder, with `-` for `_`; what follows goes to its function
`markdown` as its argument. Each module makes one kind of reference.
"""

from importlib import import_module
from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

GENERATORS = (
    "command-line",
    "error-tree",
    "exit-codes",
    "families",
    "failure-kinds",
    "family-parameters",
    "findings",
    "modules",
    "python-api",
    "record-kinds",
    "rooms",
    "spaces",
    "study-keys",
    "table-columns",
    "targets",
    "training-parameters",
)


def markdown(name: str, argument: str = "") -> str:
    """Returns the Markdown that a generator makes.

    Raises:
        ValueError: If there is no such generator, or the code lacks a description that it needs.
    """
    if name not in GENERATORS:
        raise ValueError(f"generated: must be one of {', '.join(GENERATORS)}, got {name!r}")
    text: str = import_module(name.replace("-", "_")).markdown(argument)
    return text


class Generated(SphinxDirective):
    """The directive; a generator that fails is an error of the build, at the directive's line."""

    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, object]] = {}

    def run(self) -> list[nodes.Node]:
        """Returns the nodes of the generated Markdown."""
        name, _, argument = " ".join(self.arguments).partition(" ")
        try:
            text = markdown(name, argument)
        except (ValueError, KeyError, AttributeError, ImportError) as exc:
            raise self.error(str(exc)) from exc
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the directive with Sphinx."""
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
