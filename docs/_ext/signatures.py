"""What autodoc shows of pydantic models and properties, where its own reading is not a reader's."""

import inspect
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.ext.napoleon.docstring import GoogleDocstring


def signature_of(model: type[BaseModel]) -> str:
    """Returns a model's arguments by name, with their defaults."""
    return f"(*, {', '.join(_argument(name, field) for name, field in model.model_fields.items())})"


def _argument(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return name
    return f"{name}=..." if field.default is PydanticUndefined else f"{name}={field.default!r}"


def plain_signature(app: Sphinx, what: str, name: str, item: Any, *details: Any) -> tuple[str, str] | None:
    """Replaces the validators of a pydantic model's signature by its fields' names and defaults."""
    if what == "class" and inspect.isclass(item) and issubclass(item, BaseModel):
        return signature_of(item), ""
    return None


def plain_property(app: Sphinx, what: str, name: str, item: Any, *details: Any) -> None:
    """Reads a property's docstring as a method's: napoleon takes what stands before its first colon for a type."""
    if what == "property":
        options, lines = details
        text = GoogleDocstring(inspect.getdoc(item) or "", app.config, app, "method", name, item, options)
        lines[:] = text.lines()


def setup(app: Sphinx) -> dict[str, bool]:
    """Listens to autodoc, after napoleon."""
    app.connect("autodoc-process-signature", plain_signature)
    app.connect("autodoc-process-docstring", plain_property, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
