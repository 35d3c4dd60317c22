"""Checks that the sections of a study fit together: families, parameters, targets, objective."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from orchestrator.pareto.choice import FRONT, KNEE, parse_rule
from orchestrator.study.custom_parameters import is_own_parameter, own_parameter_problem
from orchestrator.study.objectives import may_measure_more, metric_problems, target_problems
from orchestrator.study.overridden_parameters import idle_setting_problems, replaced_parameter_problems
from orchestrator.study.sections import Schedule
from orchestrator.study.spec import StudySpec
from search_spaces import Choice, Fixed, Float, Int, Parameter, Problem, SearchSpace, SpaceError, Value, nearest
from search_spaces.axes import drawn_together
from search_spaces.domains.choices import named_values
from trainables.catalog.families import FAMILIES
from trainables.catalog.parameter import ParameterInfo
from trainables.catalog.training import CHANGEABLE, TRAINING
from trainables.reports import COSTS
from trainables.specs.data import DataSpec
from trainables.specs.export import ensemble_refusal, missing_packages
from trainables.specs.targets import metric_modes

_LARGEST_GRID = 100_000


def check_study(spec: StudySpec | None, *, space: SearchSpace) -> list[Problem]:
    """Returns the problems between sections; without a spec, the problems of the space alone."""
    problems = _family_problems(space)
    if not problems:
        problems += [problem for parameter in space.parameters[1:] for problem in _parameter_problems(parameter, space)]
    problems = problems or replaced_parameter_problems(space)
    if spec is None:
        return problems
    return [
        *problems,
        *_precision_problems(spec),
        *_search_problems(spec, space),
        *_promotion_problems(spec),
        *_choice_problems(spec, space),
        *_format_problems(spec),
        *_accept_problems(spec),
        *_population_problems(spec, space),
    ]


def promotion_fault(schedule: Schedule) -> str:
    """Returns what keeps trials from waiting at rungs, with the key below `schedule`; an empty text if nothing does."""
    if not schedule.promotion:
        return ""
    if schedule.algorithm != "asha":
        return (
            f"promotion: trials wait at rungs with algorithm asha alone, got true with {schedule.algorithm!r}; "
            "say algorithm: asha, or promotion: false"
        )
    if "auto" not in (schedule.grace_epochs, schedule.max_epochs) and schedule.grace >= schedule.epochs:
        return (
            f"grace_epochs: must be less than max_epochs ({schedule.epochs}) with promotion: true, as no trial waits "
            f"at its last epoch, got {schedule.grace}; lower it, raise max_epochs, or say promotion: false"
        )
    return ""


def _promotion_problems(spec: StudySpec) -> list[Problem]:
    key, _, message = promotion_fault(spec.schedule).partition(": ")
    return [Problem(path=f"schedule.{key}", message=message)] if message else []


def task_problems(data: DataSpec, objective: object, *, space: SearchSpace | None) -> list[Problem]:
    """Returns the problems of the objective's metric, and of families that cannot learn these targets.

    Args:
        objective: The section as the user wrote it; without a text as its metric, `messages` has its problems.
    """
    problems = metric_problems(objective, data, space=space)
    if space is None:
        return problems
    is_known = not _family_problems(space)
    return [*problems, *target_problems(data, space), *(idle_setting_problems(data, space) if is_known else ())]


def changeable_parameters(space: SearchSpace, *, family: str) -> list[str]:
    """Returns the parameters that vary and may change while a trial's weights stay, in the space's order.

    Args:
        space: The study's.
        family: Of a variant. What a user's function gets under such a name is the function's own affair.
    """
    conditions = {parent for parameter in space.parameters for parent in parameter.when}
    return [
        parameter.name
        for parameter in space.parameters
        if parameter.name in CHANGEABLE
        and parameter.name not in conditions
        and parameter.domain.size != 1
        and family in _families_of(parameter, space)
        and not FAMILIES[family].own_parameters({parameter.name: None})
    ]


def _family_problems(space: SearchSpace) -> list[Problem]:
    return [
        Problem(
            path="space.family",
            message=f"must be one of {', '.join(FAMILIES)}, got {family!r}{nearest(family, FAMILIES)}",
        )
        for family in space.families
        if family not in FAMILIES
    ]


def _parameter_problems(parameter: Parameter, space: SearchSpace) -> list[Problem]:
    path = f"space.params.{parameter.name}"
    families = _families_of(parameter, space)
    if problem := own_parameter_problem(parameter, families, space=space):
        return [Problem(path=path, message=problem)]
    own = [family for family in families if is_own_parameter(parameter.name, family)]
    infos = {family: _info(parameter.name, family) for family in families if family not in own}
    known = {**TRAINING, **{name: info for family in families for name, info in FAMILIES[family].parameters.items()}}
    if not own and not any(infos.values()):
        close = nearest(parameter.name, known) or f"; it has {', '.join(known)}"
        owner = " or ".join(map(repr, families))
        return [Problem(path=path, message=f"family {owner} has no parameter {parameter.name!r}{close}")]
    strangers = [family for family, info in infos.items() if info is None]
    if strangers:
        owners = [family for family in families if family not in strangers]
        condition = owners[0] if len(owners) == 1 else f"[{', '.join(owners)}]"
        return [
            Problem(
                path=path,
                message=f"family {' and '.join(map(repr, strangers))} does not have it, got it without a condition; "
                f"add when: {{family: {condition}}}",
            )
        ]
    complaints = {
        problem: None
        for info in infos.values()
        if info is not None
        for value in _extremes(parameter)
        if (problem := info.problem(value))
    }
    return [Problem(path=path, message=f"{problem}; change the domain") for problem in complaints]


def _info(name: str, family: str) -> ParameterInfo | None:
    return FAMILIES[family].parameters.get(name) or TRAINING.get(name)


def _families_of(parameter: Parameter, space: SearchSpace) -> list[str]:
    """Returns the families under which a parameter can be active."""
    allowed = list(space.families)
    for parent, values in parameter.when.items():
        if parent == "family":
            allowed = [family for family in allowed if family in values]
        else:
            of_parent = _families_of(space.parameter(parent), space)
            allowed = [family for family in allowed if family in of_parent]
    return allowed


def _extremes(parameter: Parameter) -> Iterable[object]:
    match parameter.domain:
        case Float(low=low, high=high) | Int(low=low, high=high):
            return (low, high)
        case Fixed() | Choice():
            return parameter.domain.values()


def _precision_problems(spec: StudySpec) -> list[Problem]:
    if "precision" not in spec.space.names or spec.resources.gpus_per_trial:
        return []
    if "mixed_float16" not in named_values(spec.space.parameter("precision").domain):
        return []
    message = (
        "mixed_float16 needs a GPU, got resources.gpus_per_trial 0; give trials a share of a GPU, or use "
        "mixed_bfloat16 or float32"
    )
    return [Problem(path="space.params.precision", message=message)]


def _format_problems(spec: StudySpec) -> list[Problem]:
    """Returns a problem for each format whose packages are missing, and for an ensemble that cannot be."""
    formats = spec.export.formats if spec.export.top or spec.export.ensemble else ()
    problems = [
        Problem(path=f"export.formats[{place}]", message=message)
        for place, name in enumerate(formats)
        if (message := missing_packages(name))
    ]
    kinds = {name: target.kind for name, target in spec.data.target_specs.items()}
    if spec.export.ensemble and (reason := ensemble_refusal(kinds)):
        problems.append(Problem(path="export.ensemble", message=f"{reason}; drop it"))
    return problems


def _accept_problems(spec: StudySpec) -> list[Problem]:
    """Returns a problem where `export.accept` has no metric to go by."""
    metric, mode = spec.objective.metric, spec.objective.mode
    if spec.export.accept is None or (metric.startswith("val_") and mode == "max"):
        return []
    message = (
        f"needs an objective.metric of the validation split that is better when higher, got {metric!r} ({mode}); "
        "remove export.accept, or choose such a metric"
    )
    return [Problem(path="export.accept", message=message)]


def _choice_problems(spec: StudySpec, space: SearchSpace) -> list[Problem]:
    """Returns a problem for each name in the rule of `export.choose` that no trial has a value of."""
    choose = spec.export.choose
    if choose in (FRONT, KNEE) or may_measure_more(spec.data, space):
        return []
    known = (*metric_modes(spec.data.target_specs), *COSTS)
    return [
        Problem(
            path="export.choose",
            message=f"may name {', '.join(known)}, got {name!r} in {choose!r}{nearest(name, known)}",
        )
        for name in parse_rule(choose).metrics
        if name not in known
    ]


def _search_problems(spec: StudySpec, space: SearchSpace) -> list[Problem]:
    problems = [
        Problem(path=f"search.start_with.{number}.{problem.path}", message=problem.message)
        for number, values in enumerate(spec.search.first_values)
        for problem in space.validate(with_fixed(values, space))
    ]
    guesses = ((name, _guess_problem(name, spec.search.prior, space)) for name in spec.search.prior)
    problems += [Problem(path=f"search.prior.{name}", message=message) for name, message in guesses if message]
    return [*problems, *_fold_problems(spec), *_grid_problems(spec, space), *_fit_problems(spec, space)]


def _fold_problems(spec: StudySpec) -> Iterator[Problem]:
    """Yields what keeps replicates from validating on other folds than the search."""
    replicates, folds = spec.search.replicates, spec.data.folds
    if spec.search.replicate_on != "folds":
        return
    if not replicates:
        message = "'folds' is about replicates, got 'folds' with replicates 0; add replicates: 4, or drop it"
        yield Problem(path="search.replicate_on", message=message)
    elif folds is None:
        message = f"'folds' needs data.folds, got none; add data.folds: {replicates + 1}, or drop it"
        yield Problem(path="search.replicate_on", message=message)
    elif replicates >= folds:
        fewer = f"{folds - 1} replicates, or " if folds > 2 else ""
        message = (
            f"the search has one of {folds} folds, so each leader has at most {folds - 1} on other folds, got "
            f"{replicates}; use {fewer}data.folds: {replicates + 1}"
        )
        yield Problem(path="search.replicates", message=message)


def _fit_problems(spec: StudySpec, space: SearchSpace) -> list[Problem]:
    """Returns a problem for an algorithm that this space or these objectives leave nothing of its own to do."""
    algorithm, num_objectives = spec.search.algorithm, len(spec.objective.goals)
    if algorithm == "nsga3" and num_objectives == 1:
        message = "'nsga3' spreads trials over a front, got one objective; name two or three, or use tpe or gp"
        return [Problem(path="search.algorithm", message=message)]
    names = drawn_together(space)
    if algorithm != "cmaes" or len(names) > 1:
        return []
    has = f"only {names[0]}" if names else "none"
    message = (
        "'cmaes' adapts a distribution of two or more parameters that are numbers and always active, of which the "
        f"space has {has}; use tpe or gp"
    )
    return [Problem(path="search.algorithm", message=message)]


def _guess_problem(name: str, prior: Mapping[str, object], space: SearchSpace) -> str:
    """Returns what is wrong with a guess at a parameter's good value; an empty text if nothing is."""
    if name not in space.names:
        known = nearest(name, space.names) or f"; it has {', '.join(space.names)}"
        return f"the space has no parameter of this name, got {prior[name]!r}{known}"
    parameter = space.parameter(name)
    try:
        parameter.domain.normalise(prior[name])
    except SpaceError as exc:
        return f"{exc}; guess a value that the parameter may take, or drop it"
    if isinstance(parameter.domain, Fixed):
        return f"the parameter is always {parameter.domain}, got a guess for it; drop the guess, or let it vary"
    for parent, wanted in _conditions_above(parameter, space):
        domain = space.parameter(parent).domain
        if parent not in prior or not domain.contains(prior[parent]):
            continue
        # By their texts: for Python, 1 and True are equal.
        if repr(domain.normalise(prior[parent])) not in map(repr, wanted):
            return (
                f"the parameter is active with {parent} {' or '.join(map(repr, wanted))} alone, got the guess "
                f"{prior[parent]!r} for {parent}; drop one of the two guesses"
            )
    return ""


def _conditions_above(parameter: Parameter, space: SearchSpace) -> Iterator[tuple[str, Sequence[Value]]]:
    """Yields (parent, its values) of all conditions that a parameter's being active rests on."""
    for parent, wanted in parameter.when.items():
        yield parent, wanted
        yield from _conditions_above(space.parameter(parent), space)


def _grid_problems(spec: StudySpec, space: SearchSpace) -> list[Problem]:
    if spec.search.algorithm != "grid":
        return []
    if spec.search.start_with not in ("auto", "none"):
        message = "a grid goes through its variants in their order; remove it, or use random or tpe"
        return [Problem(path="search.start_with", message=message)]
    if space.size is None:
        names = [parameter.name for parameter in space.parameters if parameter.domain.size is None]
        message = (
            f"'grid' needs countable parameters, got the continuous {', '.join(names)}; give them a step, "
            "list their values with choice, or use random or tpe"
        )
        return [Problem(path="search.algorithm", message=message)]
    if spec.search.trials is None and space.size > _LARGEST_GRID:
        message = f"the whole grid has {space.size:,} variants; say how many to train, for example trials: 100"
        return [Problem(path="search.trials", message=message)]
    return []


def with_fixed(values: Mapping[str, object], space: SearchSpace) -> dict[str, object]:
    """Returns values with those of parameters that have one value alone."""
    fixed = {item.name: item.domain.value for item in space.parameters if isinstance(item.domain, Fixed)}
    return {**fixed, **values}


def _population_problems(spec: StudySpec, space: SearchSpace) -> list[Problem]:
    """Returns what keeps trials of a population from going on from others; nothing for other schedules."""
    if not spec.schedule.has_population:
        return []
    found = {**_search_without_population(spec), **_schedule_without_population(spec)}
    if fixed := [family for family in space.families if not changeable_parameters(space, family=family)]:
        found["space.params"] = (
            f"{spec.schedule.algorithm}: one of {', '.join(CHANGEABLE)} must vary, as all else stays, got none for "
            f"family {' or '.join(map(repr, fixed))}; let one vary, for example learning_rate: "
            "{float: [1.0e-4, 1.0e-1], log: true}"
        )
    return [Problem(path=path, message=message) for path, message in found.items()]


def _search_without_population(spec: StudySpec) -> dict[str, str]:
    """Returns, by key, what of a study's objective and search does not go with a population."""
    search, population, goals = spec.search, spec.schedule.population, spec.objective.goals
    found, rule = {}, spec.schedule.algorithm
    if search.algorithm == "grid":
        found["search.algorithm"] = (
            f"a grid tries each variant as it is, and trials under {rule} change theirs, got 'grid'; use random, sobol "
            "or tpe"
        )
    if spec.constraints:
        found["constraints"] = (
            f"{rule} goes on from whoever has the best value, got {', '.join(spec.constraints)}; drop them, or use asha"
        )
    if len(goals) > 1:
        found["schedule.algorithm"] = (
            f"{rule} compares trials by one objective, got {len(goals)}; name one, or use asha"
        )
    if search.replicates:
        found["search.replicates"] = (
            f"trials under {rule} change their values as they train, so no variant can be trained again, got "
            f"{search.replicates}; drop it"
        )
    for name in ("patience", "min_gain"):
        if (value := getattr(search, name)) is not None:
            found[f"search.{name}"] = (
                f"it counts on trials that know nothing of each other, got {value:g} under {rule}; drop it, or use "
                "search.target, minutes or epochs"
            )
    if search.trials is not None and search.trials < population:
        found["search.trials"] = (
            f"must be at least the population, {population}, got {search.trials}; raise it, or lower "
            "schedule.population"
        )
    return found


def _schedule_without_population(spec: StudySpec) -> dict[str, str]:
    """Returns, by key, what of a study's schedule does not go with a population."""
    schedule, found = spec.schedule, {}
    if schedule.max_epochs != "auto" and schedule.interval_epochs >= schedule.epochs:
        found["schedule.interval_epochs"] = (
            f"must be below max_epochs ({schedule.epochs}), got {schedule.interval_epochs}, so no trial would be "
            "compared; lower it, or raise max_epochs"
        )
    if schedule.quantile * schedule.population < 1:
        found["schedule.quantile"] = (
            f"of a population of {schedule.population} it must be at least one trial, got {schedule.quantile:g}; raise "
            "it, or schedule.population"
        )
    if schedule.num_splits > 1:
        found["schedule.repeats"] = (
            f"must be 1 under {schedule.algorithm}, as a trial goes on from another's state of one split, got "
            f"{schedule.num_splits}; set it to 1"
        )
    return found
