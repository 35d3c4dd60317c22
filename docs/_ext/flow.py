"""The directive `flow`: draws boxes and arrows between them, one row a line, as an SVG inside the page.

```{flow}
pixels -> 3x3 convolution -> global average -> output
```
"""

from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_HEIGHT, _GAP, _ROW_GAP, _CHARACTER, _PADDING = 40, 34, 18, 7.6, 22
_ARROW = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0,0 L8,4 L0,8 z" fill="currentColor"/></marker>'
)


def svg(lines: list[str]) -> str:
    """Returns the picture of rows such as `a -> b -> c`; colours are the page's own.

    >>> svg(["a -> b"]).count("<rect")
    2
    """
    rows = [[box.strip() for box in line.split("->")] for line in lines if line.strip()]
    widths = [[_CHARACTER * len(box) + _PADDING for box in row] for row in rows]
    width = max(sum(row) + _GAP * (len(row) - 1) for row in widths) + 4
    height = len(rows) * (_HEIGHT + _ROW_GAP) - _ROW_GAP + 4
    label = escape("; ".join(" to ".join(row) for row in rows), quote=True)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" width="{width:.0f}" '
        f'height="{height}" viewBox="0 0 {width:.0f} {height}"><defs>{_ARROW}</defs>'
    ]
    for number, (row, row_widths) in enumerate(zip(rows, widths, strict=True)):
        parts += _row(row, row_widths, top=2 + number * (_HEIGHT + _ROW_GAP))
    return "".join([*parts, "</svg>"])


def _row(boxes: list[str], widths: list[float], *, top: int) -> list[str]:
    parts, left, middle = [], 2.0, top + _HEIGHT / 2
    for number, (box, width) in enumerate(zip(boxes, widths, strict=True)):
        if number:
            parts.append(
                f'<line x1="{left - _GAP:.1f}" y1="{middle}" x2="{left:.1f}" y2="{middle}" stroke="currentColor" '
                'marker-end="url(#arrow)"/>'
            )
        parts.append(
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_HEIGHT}" rx="6" fill="none" '
            f'stroke="currentColor"/><text x="{left + width / 2:.1f}" y="{middle + 4.5}" text-anchor="middle" '
            f'font-family="sans-serif" font-size="13" fill="currentColor">{escape(box)}</text>'
        )
        left += width + _GAP
    return parts


class Flow(SphinxDirective):
    """The directive; in anything but HTML it is the lines themselves."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Returns the picture, and its text for other builders."""
        picture = f'<div class="flow">{svg(list(self.content))}</div>'
        return [nodes.raw("", picture, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the directive with Sphinx."""
    app.add_directive("flow", Flow)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
