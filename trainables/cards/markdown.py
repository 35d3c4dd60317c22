"""A card as Markdown, in the dialect that code hosts show."""

import re
from collections.abc import Sequence

from trainables.cards.blocks import Block, Bullets, Code, Curve, Grid, Heading, Paragraph, Picture, text_line

#: What begins markup; a bare address or name with `@` becomes a link, too.
_MARKUP = re.compile(r"([\\`*_\[\]<>|#&~@$^])")
_LINKS = re.compile(r"(?i)(:)(?=//)|(?<=www)(\.)")


def card_markdown(blocks: Sequence[Block]) -> str:
    """Returns a card as Markdown.

    Args:
        blocks: In order.
    """
    return "\n\n".join(text for block in blocks if (text := _text(block))) + "\n"


def markdown_text(text: str) -> str:
    r"""Returns text of which Markdown makes nothing but the text.

    >>> markdown_text("<b>a</b> | *b* www.x.org")
    '\\<b\\>a\\</b\\> \\| \\*b\\* www\\.x.org'
    """
    return _LINKS.sub(r"\\\1\2", _MARKUP.sub(r"\\\1", text_line(text)))


def _text(block: Block) -> str:  # noqa: PLR0911 - one a kind of block
    match block:
        case Heading():
            return f"{'#' * block.level} {markdown_text(block.text)}"
        case Paragraph():
            return markdown_text(block.text)
        case Bullets():
            return "\n".join(f"- {markdown_text(item)}" for item in block.items)
        case Grid():
            return _table(block)
        case Code():
            return f"```{block.language}\n{block.text.rstrip()}\n```"
        case Curve():
            return ""
        case Picture():
            return f"![{markdown_text(block.text)}]({block.file})"


def _table(block: Grid) -> str:
    marks = ["---:" if place in block.numeric else "---" for place in range(len(block.headings))]
    rows = [block.headings, marks, *block.rows]
    lines = [[cell if number == 1 else markdown_text(cell) or " " for cell in row] for number, row in enumerate(rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)
