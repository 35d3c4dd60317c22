"""A card as one HTML page that loads nothing and runs nothing."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from trainables.cards.blocks import Block, Bullets, Code, Curve, Grid, Heading, Paragraph, Picture, text_line

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5d6675; --line: #d5dae2; --page: #fff; --accent: #2563c9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e5e9f0; --soft: #98a2b3; --line: #2c3340; --page: #12151b; --accent: #7db1ff; }
}
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 900px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 26px; overflow-wrap: anywhere; } h2 { font-size: 18px; margin: 28px 0 6px; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 500; } .number { text-align: right; }
pre { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; padding: 10px; font-size: 13px; }
img { max-width: 100%; } svg { max-width: 320px; } svg text { fill: var(--soft); font-size: 9px; }
"""
#: The square of the curve in its picture, and its place.
_SIZE, _LEFT, _TOP = 200, 34, 8


def card_html(blocks: Sequence[Block], *, title: str) -> str:
    """Returns a card as an HTML page.

    Args:
        blocks: In order.
        title: Of the page.
    """
    body = "\n".join(_element(block) for block in blocks)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escaped(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n"
        "</html>\n"
    )


def _element(block: Block) -> str:  # noqa: PLR0911 - one a kind of block
    match block:
        case Heading():
            return f"<h{block.level}>{_escaped(block.text)}</h{block.level}>"
        case Paragraph():
            return f"<p>{_escaped(block.text)}</p>"
        case Bullets():
            return f"<ul>{''.join(f'<li>{_escaped(item)}</li>' for item in block.items)}</ul>"
        case Grid():
            return _table(block)
        case Code():
            return f"<pre><code>{escape(block.text.rstrip(), quote=True)}</code></pre>"
        case Curve():
            return _curve(block)
        case Picture():
            data = b64encode(block.content).decode("ascii")
            return f'<p><img src="data:image/png;base64,{data}" alt="{_escaped(block.text)}"></p>'


def _escaped(text: str) -> str:
    return escape(text_line(text), quote=True)


def _table(block: Grid) -> str:
    kinds = [' class="number"' if place in block.numeric else "" for place in range(len(block.headings))]
    head = "".join(f"<th{kind}>{_escaped(text)}</th>" for kind, text in zip(kinds, block.headings, strict=True))
    rows = "\n".join(
        "<tr>" + "".join(f"<td{kind}>{_escaped(text)}</td>" for kind, text in zip(kinds, row, strict=True)) + "</tr>"
        for row in block.rows
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>'
    )


def _curve(block: Curve) -> str:
    """Returns the reliability curve as a picture: the closer to the diagonal, the better."""
    points = [(_LEFT + stated * _SIZE, _TOP + (1 - right) * _SIZE) for stated, right, _ in block.points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="var(--accent)"/>' for x, y in points)
    end, bottom = _LEFT + _SIZE, _TOP + _SIZE
    marks = "".join(
        f'<text x="{_LEFT + share * _SIZE - 4:.0f}" y="{bottom + 12}">{share:g}</text>'
        f'<text x="{_LEFT - 18}" y="{bottom - share * _SIZE + 3:.0f}">{share:g}</text>'
        for share in (0, 0.5, 1)
    )
    return (
        f'<svg viewBox="0 0 {end + 10} {bottom + 28}" role="img" aria-label="Reliability curve">'
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIZE}" height="{_SIZE}" fill="none" stroke="var(--line)"/>'
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{end}" y2="{_TOP}" stroke="var(--line)" stroke-dasharray="4"/>'
        f'<polyline points="{line}" fill="none" stroke="var(--accent)" stroke-width="2"/>{dots}{marks}'
        f'<text x="{_LEFT + 60}" y="{bottom + 24}">stated probability</text></svg>'
    )
