"""Numbers, times and other values of a report as text for a reader."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

SPECIFICATION = "https://github.com/servicemeshinterface/smi-spec/blob/cc4babd/"
_PLACE = re.compile(r"\b(?:apis/[a-z0-9/-]+\.md|SPEC_LATEST_STABLE\.md)(?![\w/])")


def percent(part: float) -> str:
    """A portion in [0, 1] as a percentage: 79.8 %; below 1 % with two significant digits: 0.25 %."""
    if part and part < 0.01:
        return f"{100 * part:.2g} %"
    return f"{100 * part:.1f} %"


def seconds(time: float) -> str:
    """Seconds as a duration with units: 0.31 s, 6.4 s, 3 min 41 s."""
    if time < 1:
        return f"{time:.2f} s"
    if time < 60:
        return f"{time:.1f} s"
    minutes, rest = divmod(round(time), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def milliseconds(latency_us: int) -> str:
    """A latency, given in microseconds, in milliseconds: 1.8 ms."""
    return f"{latency_us / 1000:.1f} ms"


def format_counts(counts: Mapping[str, int]) -> str:
    """Counts by name on one line, the largest first; a dash without counts."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name}: {number:,}" for name, number in ordered) or "–"


def shortened(value: Any, longest: int) -> str:
    """A string as it is, any other value as indented JSON; cut after ``longest`` characters, with a note."""
    words = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
    if len(words) <= longest:
        return words
    return f"{words[:longest]}\n… {len(words) - longest} more characters in report.json"


def ranges(versions: Sequence[str]) -> str:
    """API versions as ranges: "split v1alpha1–v1alpha4, access v1alpha3"."""
    return ", ".join(version.replace("..", "–") for version in versions)


def source(place: str) -> Markup:
    """A place in the specification, its files linked to the commit that the catalogue is based on."""
    parts, end = [], 0
    for match in _PLACE.finditer(place):
        link = Markup('<a href="{}{}">{}</a>').format(SPECIFICATION, match[0], match[0])
        parts += [escape(place[end : match.start()]), link]
        end = match.end()
    return Markup("").join([*parts, escape(place[end:])])
