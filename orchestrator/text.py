"""Numbers, durations, sizes and values as text for people."""

from datetime import UTC, datetime


def number(value: object) -> str:
    """Returns a value as people read it: four significant digits, an empty text for None.

    >>> number(0.91234), number(3), number(1e-5), number(123456.7), number(True), number((16, 32)), number(None)
    ('0.9123', '3', '1e-05', '123457', 'true', '16, 32', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(number(item) for item in value)
    return str(value)


def told_apart(one: float, other: float) -> tuple[str, str]:
    """Returns two numbers with four decimals, or as many more as show that they differ.

    >>> told_apart(0.5, 0.75), told_apart(0.98611, 0.98614), told_apart(0.5, 0.5)
    (('0.5000', '0.7500'), ('0.98611', '0.98614'), ('0.5000', '0.5000'))
    """
    texts = ((f"{one:.{digits}f}", f"{other:.{digits}f}") for digits in range(4, 18))
    least = f"{one:.4f}", f"{other:.4f}"
    return next(((first, second) for first, second in texts if first != second), least)


def encodable(text: str) -> str:
    """Returns a text that files and terminals can encode: lone surrogates, as in names of files, are spelled out.

    >>> encodable("caf\\udce9.h5")
    'caf\\\\udce9.h5'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def duration(seconds: float) -> str:
    """Returns a duration as people read it.

    >>> duration(0.42), duration(75), duration(3723), duration(200_000)
    ('0.4 s', '1 min 15 s', '1 h 02 min', '2 d 07 h')
    """
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600:02d} h"


def moment(seconds: float) -> str:
    """Returns a point in time, given in seconds since 1970.

    >>> moment(0)
    '1970-01-01 00:00:00 UTC'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def size_in_words(num_bytes: int) -> str:
    """Returns a size as people read it.

    >>> size_in_words(9_216), size_in_words(12_345_678), size_in_words(12_345_678_901)
    ('0.01 MB', '12.3 MB', '12.3 GB')
    """
    if num_bytes >= 1e9:
        return f"{num_bytes / 1e9:.1f} GB"
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e6:.2f} MB"


def one_line(text: str) -> str:
    r"""Returns text as one line without control codes.

    >>> one_line("out of\n  memory\x1b[31m")
    'out of memory[31m'
    """
    joined = " ".join(text.split())
    return "".join(letter for letter in joined if letter.isprintable())


_LONGEST_VALUE = 80


def shown(value: object) -> str:
    """Returns a value as a Python literal, cut short where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def printable(text: str) -> str:
    r"""Returns a text with control codes and line breaks spelled out: a key of a file must not steer the terminal.

    >>> printable("name\x1b[31m")
    'name\\x1b[31m'
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
