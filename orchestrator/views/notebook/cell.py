"""The output of a notebook's cell, for code that runs in one; IPython is never imported, only found."""

import sys
import uuid
from typing import Any, Protocol


class CellOutput(Protocol):
    """An output of a cell whose content can be replaced."""

    def show(self, html: str, *, plain: str) -> None:
        """Shows a content in place of the one before.

        Args:
            html: For notebooks.
            plain: For front ends without HTML.
        """
        ...


class KernelOutput:
    """An output of the cell that an IPython kernel is running.

    Args:
        display: `IPython.display.display`.
    """

    def __init__(self, display: Any) -> None:
        self._display = display
        self._display_id = uuid.uuid4().hex
        self._is_shown = False

    def show(self, html: str, *, plain: str) -> None:
        """Shows a content in place of the one before."""
        content = {"text/html": html, "text/plain": plain}
        self._display(content, raw=True, display_id=self._display_id, update=self._is_shown)
        self._is_shown = True


def cell_output() -> CellOutput | None:
    """Returns a new output of the cell that is running; None where no notebook's kernel runs this code.

    IPython in a terminal is none, nor are other processes of a kernel's machine, such as workers.
    """
    ipython = sys.modules.get("IPython")
    display = sys.modules.get("IPython.display")
    if ipython is None or display is None or getattr(ipython.get_ipython(), "kernel", None) is None:
        return None
    return KernelOutput(display.display)
