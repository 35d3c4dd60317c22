"""Checks the function of a custom family in a study file, and adds the hash of its code to the parameters.

This module reads the user's code and never runs it; only workers do.
"""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from search_spaces import Fixed, Parameter, Problem, SearchSpace, nearest
from trainables.catalog.families import FAMILIES
from trainables.user_code import changed_modules, module_file, source_of, split_reference

_FUNCTION, _SOURCE = "space.params.function", "space.params.source"
#: The arguments that a worker calls the user's function with.
_ARGUMENTS = "(params, input_shape, targets)"
_NUM_ARGUMENTS = 3


def with_source(space: SearchSpace, *, folder: Path) -> tuple[SearchSpace, list[Problem]]:
    """Returns the space with `source` among its parameters, and the problems of its function.

    Args:
        folder: The folder of the function's module.
    """
    families = [name for name in space.families if name in FAMILIES and FAMILIES[name].has_own_parameters]
    if not families:
        return space, []
    references, problems = _references(space, families[0], folder=folder)
    if problems or not references:
        return space, problems
    try:
        source = source_of([reference.partition(":")[0] for reference in references], folder=folder)
    except SyntaxError as exc:
        return space, [Problem(path=_FUNCTION, message=_not_python(exc))]
    except (OSError, ValueError) as exc:
        return space, [Problem(path=_FUNCTION, message=f"a file that it imports cannot be read ({exc}); mend it")]
    return _with_parameter(space, source, families=families, folder=folder)


def _references(space: SearchSpace, family: str, *, folder: Path) -> tuple[list[str], list[Problem]]:
    """Returns the functions that a space names, and their problems; neither if one of them is not a text."""
    if "function" not in space.names:
        message = f"family {family!r} needs it, got nothing; write function: my_nets:build, with my_nets.py beside it"
        return [], [Problem(path=_FUNCTION, message=message)]
    function = space.parameter("function")
    if conditions := [name for name in function.when if name != "family"]:
        message = f"every variant of family {family!r} needs it, got a condition on {conditions[0]}; drop the condition"
        return [], [Problem(path=f"{_FUNCTION}.when", message=message)]
    references = [reference for reference in function.domain.values() if isinstance(reference, str)]
    if len(references) < (function.domain.size or 0):
        return [], []  # `check_study` has the problem, as for other parameters of a wrong type
    complaints = [_problem(reference, folder=folder) for reference in references]
    return references, [Problem(path=_FUNCTION, message=message) for message in complaints if message]


def _with_parameter(
    space: SearchSpace, source: str, *, families: Sequence[str], folder: Path
) -> tuple[SearchSpace, list[Problem]]:
    if "source" not in space.names:
        when = {} if len(families) == len(space.families) else {"family": tuple(families)}
        return SearchSpace(
            (*space.parameters, Parameter(name="source", domain=Fixed(source), when=when)), space.limits
        ), []
    given = space.parameter("source").domain.values()
    if given == [source]:
        return space, []
    changed = changed_modules(str(given[0]), source)
    message = (
        f"the code of {', '.join(changed)} in {folder} is not what the run began with (got {source}, expected "
        f"{given[0]}), and results of different code cannot be compared; restore the file, or run the study anew in a "
        "new folder with `convfleet run`"
    )
    return space, [Problem(path=_SOURCE, message=message)]


def _problem(reference: str, *, folder: Path) -> str:
    """Returns what is wrong with a function, or an empty string."""
    parts = split_reference(reference)
    if parts is None:
        return f"expected 'module:function', got {reference!r}; for example 'my_nets:build' for build in my_nets.py"
    module, function = parts
    file = module_file(module, folder=folder)
    if file is None:
        beside = sorted(path.stem for path in folder.glob("*.py")) if folder.is_dir() else []
        hint = nearest(module, beside) or "; put it there, or correct the name"
        return f"no module {module.replace('.', '/')}.py in {folder}, got {reference!r}{hint}"
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except SyntaxError as exc:
        return _not_python(exc)
    except (OSError, ValueError) as exc:
        return f"{file} cannot be read ({exc}), got {reference!r}; mend it"
    return _function_problem(tree, function, file=file)


def _function_problem(tree: ast.Module, function: str, *, file: Path) -> str:
    bound = dict(_bound(tree.body))
    if function not in bound and "*" not in bound:
        known = [name for name, node in bound.items() if isinstance(node, ast.FunctionDef)]
        hint = nearest(function, known) or f"; it has {', '.join(known) or 'none'}"
        return f"{file} has no function {function!r}{hint}"
    node = bound.get(function)
    if isinstance(node, ast.FunctionDef) and not _takes_three(node.args):
        return f"{file}, line {node.lineno}: {function} must take {_ARGUMENTS}, got ({ast.unparse(node.args)})"
    return ""


def _takes_three(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    is_enough = positional >= _NUM_ARGUMENTS or arguments.vararg is not None
    is_too_much = positional - len(arguments.defaults) > _NUM_ARGUMENTS or None in arguments.kw_defaults
    return is_enough and not is_too_much


def _bound(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """Yields every name that statements bind, with the statement; `*` where a module is imported whole."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.Import() | ast.ImportFrom():
                yield from ((alias.asname or alias.name, node) for alias in node.names)
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from ((target.id, node) for target in targets if isinstance(target, ast.Name))
            case ast.If() | ast.Try() | ast.With():
                inner = [*node.body, *getattr(node, "orelse", []), *getattr(node, "finalbody", [])]
                yield from _bound(inner)
                yield from (pair for handler in getattr(node, "handlers", []) for pair in _bound(handler.body))


def _not_python(error: SyntaxError) -> str:
    return f"{error.filename}, line {error.lineno}: not Python ({error.msg}); correct it"
