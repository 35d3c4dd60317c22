"""Defines the records of what people ask of a study from outside its driver: steering.

Each has the id of its request: a driver that dies between the record and the removal of the request knows the request
again, and does not act on it twice.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: The most characters of a text that a person writes about a study or a trial.
LONGEST_TEXT = 2000
#: The most characters of a tag, and the most tags that a study has.
LONGEST_TAG, MOST_TAGS = 60, 50
_REQUEST_ID = re.compile(r"\d{20}-[0-9a-f]{8}")
#: What turns the direction of a text around: the rest of a line would no longer read as it is.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStopAsked:
    """A person asks that a trial ends: after its next report, or at once where it waits.

    Args:
        request: The id of the request.
    """

    request: str
    trial: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialKept:
    """A person asks that early stopping lets a trial go on from its next report on, or no longer.

    Args:
        request: The id of the request.
        keep: Whether it goes on whatever the rule of early stopping says.
    """

    request: str
    trial: str
    keep: bool
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarred:
    """A person marks a trial with a star, or takes the star away.

    Args:
        request: The id of the request.
        starred: Whether it has a star from now on.
    """

    request: str
    trial: str
    starred: bool
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationAdded:
    """A person writes something about a trial or about the study.

    Args:
        request: The id of the request.
        trial: The trial's name; empty: the text is about the study.
        text: What the person writes, plain text.
    """

    request: str
    trial: str
    text: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantAsked:
    """A person asks for a variant: the search proposes it before its own.

    Args:
        request: The id of the request.
    """

    request: str
    variant: Mapping[str, Any]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseAsked:
    """A person asks the driver to pause the study; `study_paused` follows.

    Args:
        request: The id of the request.
    """

    request: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTagged:
    """A person gives the study tags, or takes them away.

    Args:
        request: The id of the request.
        tags: The tags, each once.
        tagged: Whether the study has them from now on.
    """

    request: str
    tags: Sequence[str]
    tagged: bool
    at: float


SteeringRecord = TrialStopAsked | TrialKept | TrialStarred | AnnotationAdded | VariantAsked | PauseAsked | StudyTagged
STEERING_KINDS: dict[str, type[SteeringRecord]] = {
    "trial_stop_asked": TrialStopAsked,
    "trial_kept": TrialKept,
    "trial_starred": TrialStarred,
    "annotation_added": AnnotationAdded,
    "variant_asked": VariantAsked,
    "pause_asked": PauseAsked,
    "study_tagged": StudyTagged,
}


def is_request_id(text: str) -> bool:
    """Returns whether a text is the id of a request.

    >>> is_request_id("01764416000123456789-1a2b3c4d"), is_request_id("../study.yaml")
    (True, False)
    """
    return _REQUEST_ID.fullmatch(text) is not None


def text_problem(text: str) -> str:
    r"""Returns why a person's text cannot be kept, with what to do; an empty text if it can.

    >>> text_problem("learns slowly,\nlook at it again"), text_problem(" ")
    ('', 'must have at least one character that shows, got none')
    >>> text_problem("\x1b[31mred")
    "must be plain text, got the control character '\\x1b' at place 1; leave it out"
    """
    if not text.strip():
        return "must have at least one character that shows, got none"
    if len(text) > LONGEST_TEXT:
        return f"must have at most {LONGEST_TEXT:,} characters, got {len(text):,}; shorten it, or write it in several"
    for place, letter in enumerate(text, start=1):
        is_control = unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\t"
        if is_control or letter in _TURNING:
            return f"must be plain text, got the control character {letter!r} at place {place}; leave it out"
    return ""


def tag_problem(tag: object) -> str:
    """Returns why something cannot be a study's tag, with what to do; an empty text if it can.

    >>> tag_problem("for the paper"), tag_problem("a, b")
    ('', "must have no comma, which stands between tags, got 'a, b'; give each tag as a word of its own")

    Args:
        tag: What is meant as one.
    """
    if not isinstance(tag, str):
        return f"must be a text, got {type(tag).__name__}; put it in quotes"
    if problem := text_problem(tag):
        return problem
    if len(tag) > LONGEST_TAG:
        return f"must have at most {LONGEST_TAG} characters, got {len(tag)}; shorten it, or write a note"
    if tag != " ".join(tag.split()):
        return f"must be one line without blanks around it or several in a row, got {tag!r}; leave them out"
    if "," in tag:
        return f"must have no comma, which stands between tags, got {tag!r}; give each tag as a word of its own"
    return ""
