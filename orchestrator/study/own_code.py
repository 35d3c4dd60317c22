"""Checks what a study file names of a user's code, and adds its hash: functions, losses, metrics, callbacks.

This module reads the user's code and never runs it; only workers do.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.study.spec import StudySpec
from search_spaces import Fixed, Parameter, Problem, SearchSpace, nearest
from search_spaces.domains.choices import named_values
from trainables.catalog.families import FAMILIES
from trainables.specs.targets import is_own
from trainables.user_code import changed_modules, module_file, source_of, split_reference

_FUNCTION, _SOURCE, _CODE = "space.params.function", "space.params.source", "code"
#: Methods of Keras's callbacks that a compiled epoch cannot call.
_OF_BATCHES = ("on_batch_", "on_train_batch_", "on_test_batch_")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Role:
    """What a worker does with something of a user's.

    Attributes:
        takes: The names of the arguments that the worker calls a function with.
        example: How a study file names one.
        is_function: Whether it must be a function.
    """

    takes: tuple[str, ...]
    example: str
    is_function: bool = False

    @property
    def arguments(self) -> str:
        """The arguments as Python writes them."""
        return f"({', '.join(self.takes)})"


_BUILDER = _Role(
    takes=("params", "input_shape", "targets"), example="'my_nets:build' for build in my_nets.py", is_function=True
)
_HYPERMODEL = _Role(takes=("hp",), example="'my_nets:build' for build in my_nets.py")
_LOSS = _Role(takes=("y_true", "y_pred"), example="'my_losses:focal' for focal in my_losses.py")
_METRIC = _Role(takes=("y_true", "y_pred"), example="'my_metrics:Kappa' for Kappa in my_metrics.py")
_CALLBACK = _Role(takes=(), example="'my_callbacks:Stop' for Stop in my_callbacks.py")


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


def hypermodel_problem(reference: str, *, folder: Path) -> str:
    """Returns what is wrong with a hypermodel, as far as its file shows without running it, or an empty string.

    Args:
        folder: The folder of its module.
    """
    return _problem(reference, _HYPERMODEL, folder=folder)


def with_code(spec: StudySpec, *, space: SearchSpace, folder: Path) -> tuple[StudySpec, list[Problem]]:
    """Returns the study with `code`, the hash of its losses', metrics' and callbacks' modules, and their problems.

    Args:
        spec: The study; its `code` is what a run began with, or empty.
        space: Its space.
        folder: The folder of the modules.
    """
    named = list(_named(spec, space))
    problems = [
        Problem(path=path, message=message)
        for path, reference, role in named
        if (message := _problem(reference, role, folder=folder))
    ]
    if problems:
        return spec, problems
    if spec.code and not named:
        message = f"the study names no loss, metric or callback of yours, got {spec.code!r}; drop it"
        return spec, [Problem(path=_CODE, message=message)]
    try:
        found = source_of([reference.partition(":")[0] for _, reference, _ in named], folder=folder)
    except SyntaxError as exc:
        return spec, [Problem(path=named[0][0], message=_not_python(exc))]
    except (OSError, ValueError) as exc:
        return spec, [Problem(path=named[0][0], message=f"a file that it imports cannot be read ({exc}); mend it")]
    if spec.code not in ("", found):
        return spec, [Problem(path=_CODE, message=_changed(spec.code, found, folder=folder))]
    return spec.model_copy(update={"code": found}), []


def own_modules(spec: StudySpec) -> list[str]:
    """Returns the modules beside the study file that a study names, sorted.

    Args:
        spec: The study.
    """
    references = [reference for _, reference, _ in _named(spec, spec.space)]
    if "function" in spec.space.names:
        references += [str(value) for value in named_values(spec.space.parameter("function").domain)]
    if spec.data.function is not None:
        references.append(spec.data.function)
    return sorted({reference.partition(":")[0] for reference in references})


def _named(spec: StudySpec, space: SearchSpace) -> Iterator[tuple[str, str, _Role]]:
    """Yields (path in the study file, `module:name`, what it is) of each loss, metric and callback of a user's."""
    for name, target in spec.data.targets.items():
        if target.loss is not None and is_own(target.loss):
            yield f"data.targets.{name}.loss", target.loss, _LOSS
        yield from ((f"data.targets.{name}.metrics", own, _METRIC) for own in target.metrics or () if is_own(own))
    if "loss" in space.names:
        losses = named_values(space.parameter("loss").domain)
        yield from (("space.params.loss", loss, _LOSS) for loss in losses if isinstance(loss, str) and is_own(loss))
    yield from (("callbacks", reference, _CALLBACK) for reference in spec.callbacks)


def _references(space: SearchSpace, family: str, *, folder: Path) -> tuple[list[str], list[Problem]]:
    """Returns the functions that a space names, and their problems; neither if one of them is not a text."""
    if "function" not in space.names:
        message = f"family {family!r} needs it, got nothing; write function: my_nets:build, with my_nets.py beside it"
        return [], [Problem(path=_FUNCTION, message=message)]
    function = space.parameter("function")
    if conditions := [name for name in function.when if name != "family"]:
        message = f"every variant of family {family!r} needs it, got a condition on {conditions[0]}; drop the condition"
        return [], [Problem(path=f"{_FUNCTION}.when", message=message)]
    named = named_values(function.domain)
    references = [reference for reference in named if isinstance(reference, str)]
    if len(references) < len(named) or not named:
        return [], []  # `check_study` has the problem, as for other parameters of a wrong type
    role = _HYPERMODEL if FAMILIES[family].finds_parameters else _BUILDER
    complaints = [_problem(reference, role, folder=folder) for reference in references]
    return references, [Problem(path=_FUNCTION, message=message) for message in complaints if message]


def _with_parameter(
    space: SearchSpace, source: str, *, families: Sequence[str], folder: Path
) -> tuple[SearchSpace, list[Problem]]:
    if "source" not in space.names:
        when = {} if len(families) == len(space.families) else {"family": tuple(families)}
        return SearchSpace(
            (*space.parameters, Parameter(name="source", domain=Fixed(source), when=when)), space.limits
        ), []
    domain = space.parameter("source").domain
    given = named_values(domain)
    if given == [source]:
        return space, []
    return space, [Problem(path=_SOURCE, message=_changed(str(given[0] if given else domain), source, folder=folder))]


def _changed(expected: str, found: str, *, folder: Path) -> str:
    changed = changed_modules(expected, found)
    return (
        f"the code of {', '.join(changed)} in {folder} is not what the run began with (got {found}, expected "
        f"{expected}), and results of different code cannot be compared; restore the file, or run the study anew in a "
        "new folder with `convfleet run`"
    )


def _problem(reference: str, role: _Role, *, folder: Path) -> str:
    """Returns what is wrong with something of a user's, or an empty string."""
    parts = split_reference(reference)
    if parts is None:
        return f"expected 'module:function', got {reference!r}; for example {role.example}"
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
    return _function_problem(tree, function, role, file=file)


def _function_problem(tree: ast.Module, function: str, role: _Role, *, file: Path) -> str:
    bound = dict(_bound(tree.body))
    if function not in bound and "*" not in bound:
        kinds = ast.FunctionDef if role.is_function else ast.FunctionDef | ast.ClassDef
        known = [name for name, node in bound.items() if isinstance(node, kinds)]
        hint = nearest(function, known) or f"; it has {', '.join(known) or 'none'}"
        what = "function" if role.is_function else "function, class or object"
        return f"{file} has no {what} {function!r}{hint}"
    node = bound.get(function)
    if isinstance(node, ast.FunctionDef) and not _takes(node.args, count=len(role.takes)):
        return f"{file}, line {node.lineno}: {function} must take {role.arguments}, got ({ast.unparse(node.args)})"
    if isinstance(node, ast.ClassDef) and role is _CALLBACK:
        return _batches_problem(node, file=file)
    return ""


def _batches_problem(node: ast.ClassDef, *, file: Path) -> str:
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name.startswith(_OF_BATCHES):
            return (
                f"{file}, line {method.lineno}: {node.name} has {method.name}, but an epoch runs compiled as a whole, "
                "without a call between its batches; use on_epoch_begin and on_epoch_end"
            )
    return ""


def _takes(arguments: ast.arguments, *, count: int) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    is_enough = positional >= count or arguments.vararg is not None
    is_too_much = positional - len(arguments.defaults) > count or None in arguments.kw_defaults
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
