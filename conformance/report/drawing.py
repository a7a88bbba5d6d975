"""Numbers of a report as they are drawn: bars, shares against their regions, and figures in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from conformance.model.verdict import Share
from conformance.report.document import Outcome, RequirementRecord, Timing

SYMBOLS: Mapping[Outcome, str] = {
    "pass": "✓",
    "fail": "✗",
    "inconclusive": "?",
    "observed": "◎",
    "not observed": "◌",
    "not claimed": "–",
    "untested": "○",
    "in other versions": "∨",
    "not selected": "·",
    "not reached": "…",
}
"""Beside colours and words, so that neither colour nor print is needed to tell outcomes apart."""

PARTIAL = "◐"
"""Before the headline of a run of a part in which nothing failed."""

MEANINGS: Mapping[Outcome, str] = {
    "pass": "the requirement holds, and the test could have seen it broken",
    "fail": "the mesh was seen to break the requirement",
    "inconclusive": "it could not be observed; neither for nor against the mesh",
    "observed": "the specification is silent or contradicts itself; what the mesh does is told, not judged",
    "not observed": "the specification leaves it open, and what the mesh does could not be seen",
    "not claimed": "the mesh's profile does not claim it",
    "untested": "this suite has no test of it; nothing is known",
    "in other versions": "it is about versions that the mesh claims and this run does not speak",
    "not selected": "left out of this run by the user",
    "not reached": "the run ended before it",
}

EXIT_MEANINGS: Mapping[int, str] = {
    0: "every core requirement that was selected and claimed passed",
    1: "a core requirement failed",
    2: "a core requirement is inconclusive, none was judged, or the run was interrupted",
}

PLOT = 360
"""Width of a share's plot in pixels, 0 % to 100 %."""

SPECIFICATION = "https://github.com/servicemeshinterface/smi-spec/blob/cc4babd/"
_PLACE = re.compile(r"\b(?:apis/[a-z0-9/-]+\.md|SPEC_LATEST_STABLE\.md)(?![\w/])")


@dataclass(frozen=True, slots=True)
class Plot:
    """A share as it is drawn, in pixels from the left; ``inside`` its region or not."""

    share: Share
    low: float
    width: float
    expected: float
    observed: float
    inside: bool


def plot(share: Share) -> Plot:
    """A share's place on an axis of 0 % to 100 %; a region too narrow to be seen is drawn 2 pixels wide."""
    low, high = _x(share.low), _x(share.high)
    width = max(high - low, 2.0)
    return Plot(
        share=share,
        low=round(min(low, PLOT - width), 1),
        width=round(width, 1),
        expected=_x(share.expected),
        observed=_x(share.observed),
        inside=share.low <= share.observed <= share.high,
    )


def _x(part: float) -> float:
    return round(min(1.0, max(0.0, part)) * PLOT, 1) if part == part else 0.0


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of the run's time; ``percent`` of the whole."""

    name: str
    meaning: str
    seconds: float
    percent: float


def slices(timing: Timing) -> tuple[Slice, ...]:
    """The parts of the run's time that took any, in the order of a run."""
    parts = (
        ("setup", "making the arena ready", timing.setup_s),
        ("waiting", "for the mesh to converge", timing.waiting_s),
        ("traffic", "driving it", timing.traffic_s),
        ("judging", "evidence into verdicts", timing.judging_s),
        ("clean-up", "removing the arena", timing.cleanup_s),
        ("other", "the rest", timing.other_s),
    )
    whole = sum(part for _, _, part in parts) or 1.0
    return tuple(
        Slice(name, meaning, part, round(100 * part / whole, 2)) for name, meaning, part in parts if part > 0
    )


def tally(records: Iterable[RequirementRecord]) -> dict[Outcome, int]:
    """How many came out how, without the outcomes that did not occur, in the order of severity."""
    counts: dict[Outcome, int] = dict.fromkeys(SYMBOLS, 0)
    for record in records:
        counts[record.outcome] += 1
    return {outcome: number for outcome, number in counts.items() if number}


def percent(part: float) -> str:
    """A share in words, with as many digits as tell it from its neighbours: 79.8 %, 0.25 %."""
    if part and part < 0.01:
        return f"{100 * part:.2g} %"
    return f"{100 * part:.1f} %"


def seconds(time: float) -> str:
    """A time in words: 0.31 s, 6.4 s, 3 min 41 s."""
    if time < 1:
        return f"{time:.2f} s"
    if time < 60:
        return f"{time:.1f} s"
    minutes, rest = divmod(round(time), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def microseconds(time: int) -> str:
    """A latency in words, in milliseconds."""
    return f"{time / 1000:.1f} ms"


def format_counts(counts: Mapping[str, int]) -> str:
    """Counts by name on one line, the largest first; a dash where nothing was counted."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name}: {number:,}" for name, number in ordered) or "–"


def shortened(value: Any, longest: int) -> str:
    """A value as indented JSON (a string as it is), cut off with a note where it is too long to be drawn."""
    words = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
    if len(words) <= longest:
        return words
    return f"{words[:longest]}\n… {len(words) - longest} more characters stand in report.json"


def ranges(versions: Sequence[str]) -> str:
    """API versions as a reader takes them in: "split v1alpha1–v1alpha4, access v1alpha3"."""
    return ", ".join(version.replace("..", "–") for version in versions)


def source(place: str) -> Markup:
    """A place in the specification, its files linked to the text that the catalogue was read from."""
    parts, end = [], 0
    for match in _PLACE.finditer(place):
        link = Markup('<a href="{}{}">{}</a>').format(SPECIFICATION, match[0], match[0])
        parts += [escape(place[end : match.start()]), link]
        end = match.end()
    return Markup("").join([*parts, escape(place[end:])])
