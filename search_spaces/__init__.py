"""Search spaces, the variants in them, and their form in study files."""

from search_spaces.builtin import builtin_names, builtin_text
from search_spaces.domains import Choice, Domain, Fixed, Float, Int
from search_spaces.domains.values import Scalar, Value
from search_spaces.parsing import parse_space, space_from_mapping, space_to_mapping
from search_spaces.portfolio import portfolio_of
from search_spaces.problems import Problem, SpaceError, nearest, space_error
from search_spaces.space import Parameter, SearchSpace
from search_spaces.variant import Variant, make_variant

__all__ = [
    "Choice",
    "Domain",
    "Fixed",
    "Float",
    "Int",
    "Parameter",
    "Problem",
    "Scalar",
    "SearchSpace",
    "SpaceError",
    "Value",
    "Variant",
    "builtin_names",
    "builtin_text",
    "make_variant",
    "nearest",
    "parse_space",
    "portfolio_of",
    "space_error",
    "space_from_mapping",
    "space_to_mapping",
]
