"""The built-in search spaces, from their files."""

from docstrings import code, table

from search_spaces import builtin_names, builtin_text, space_from_mapping


def markdown(argument: str) -> str:
    """Returns one row a space: its families, how many parameters, and its first comment line."""
    rows = []
    for name in builtin_names():
        space = space_from_mapping(name)
        summary = builtin_text(name).splitlines()[0].removeprefix(f"# {name}: ")
        rows.append([code(name), ", ".join(map(code, space.families)), str(len(space.names) - 1), summary])
    return table(["space", "families", "parameters", "what it is"], rows)
