"""Sphinx's settings: pages in Markdown, references made from the code at build time."""

import importlib.metadata
import sys
from pathlib import Path

_DOCS = Path(__file__).parent
# The references are made from this checkout, whatever is installed.
sys.path[:0] = [str(_DOCS / "_ext"), str(_DOCS.parent)]

project = "convfleet"
author = "the convfleet authors"
copyright = author  # noqa: A001
release = version = importlib.metadata.version("convfleet")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "generated",
    "flow",
    "root_page",
    "signatures",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_ext", "snippets"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist", "attrs_inline"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_google_docstring = True
napoleon_custom_sections = [("Source", "notes")]

copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "convfleet"
html_static_path = ["_static"]
html_css_files = ["convfleet.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_depth": 3,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_context = {"default_mode": "auto"}
