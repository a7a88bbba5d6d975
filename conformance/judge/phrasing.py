"""How judges write figures; in one place, so that all summaries read alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MOST_NAMED = 8
"""How many names a sentence lists before it only counts the rest."""


def number(value: float) -> str:
    """4,000 or 3.25 or 0.001: grouped by thousands, two decimals at most or three significant digits."""
    if 0 < abs(value) < 1:
        return f"{value:.3g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def percent(part: float) -> str:
    """A portion in [0, 1] as a percentage: 70.2 %, 0.62 %, 99.98 %. Only 1 is 100 %, and only 0 is 0 %."""
    value = 100 * part
    from_edge = min(value, 100 - value)
    decimals = 1 if from_edge >= 10 or from_edge <= 0 else 2 if from_edge >= 0.1 else 4
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return f"{text} %"


def pluralize(count: int, noun: str) -> str:
    """'1 request' or '4,000 requests'."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_counts(counts: Mapping[str, int]) -> str:
    """'v1 2,790, v2 1,210', the largest first; 'none' when empty."""
    order = sorted((item for item in counts.items() if item[1]), key=lambda item: (-item[1], item[0]))
    return listed(f"{name} {count:,}" for name, count in order)


def listed(names: Iterable[str]) -> str:
    """The names in the order given, cut after MOST_NAMED; 'none' when empty."""
    given = list(names)
    if not given:
        return "none"
    rest = len(given) - MOST_NAMED
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(given[:MOST_NAMED]) + more


def sentences(parts: Iterable[str]) -> str:
    """The non-empty parts as one line of text."""
    return "; ".join(part for part in parts if part)


def short(value: object, most: int = 60) -> str:
    """A value from a server, quoted so that it cannot pass for our own words, and cut to ``most`` characters.

    Lists and objects are described, not written out: they may be of any size and depth.
    """
    match value:
        case str():
            text = repr(value[: most + 1])
        case list() | tuple():
            return f"a list of {len(value):,}"
        case Mapping():
            return f"an object of {pluralize(len(value), 'field')}"
        case _:
            text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
