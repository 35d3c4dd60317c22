"""What a traced function computes, as data: everything but the numbers in names of the functions that it calls."""

import re


def definition_of(function):
    """Returns the definitions of a concrete function and of all that it calls, as text without numbers of functions."""
    library = {item.signature.name: item for item in function.graph.as_graph_def().library.function}
    found = [function.function_def]
    for definition in found:
        found += [library[name] for name in _called(definition) if library[name] not in found]
    text = "\n".join(map(str, found))
    for number, definition in enumerate(found):
        text = text.replace(f'"{definition.signature.name}"', f'"function {number}"')
    text = re.sub(r"CustomGradient-\d+", "CustomGradient", text)
    # Of the loops' arguments.
    return re.sub(r"_(\w*cond\w*)_\d+___redundant", r"_\1___redundant", text)


def _called(definition):
    attributes = [node.attr[name] for node in definition.node_def for name in sorted(node.attr)]
    return [attribute.func.name for attribute in attributes if attribute.HasField("func")]
