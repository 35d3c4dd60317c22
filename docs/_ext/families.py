"""The table of all families, from the catalog."""

from docstrings import code, table

from search_spaces import builtin_names, space_from_mapping
from trainables.catalog.families import FAMILIES


def markdown(argument: str) -> str:
    """Returns one row a family: what it is, its packaged study, its built-in spaces."""
    spaces = {name: space_from_mapping(name).families for name in builtin_names()}
    rows = []
    for name, family in FAMILIES.items():
        own = [space for space, families in spaces.items() if name in families]
        rows.append([f"[{name}]({name}.md)", family.summary, code(name), ", ".join(map(code, own)) or "none"])
    return table(["family", "what it is", "packaged study", "built-in spaces"], rows)
