"""What the suite made of variants: passed or blamed, as text, JSON, and the page that tells of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.model.exit_codes import of_campaign
from conformance.model.verdict import Verdict
from conformance.text.markdown import plain, table
from smi_reference_mesh.variants import Variant

_NO_LETTERS = ("none", "unacceptable")


@dataclass(frozen=True, slots=True)
class Conformity:
    """What the suite made of one variant."""

    variant: Variant
    verdicts: Mapping[str, Verdict]
    said: Mapping[str, Sequence[str]]
    """What each test said of a requirement that did not pass or that the variant is about."""
    seconds: float
    readings: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The readings that were seen, by requirement: "question: letter", "question: unacceptable"."""
    starved: frozenset[str] = frozenset()
    """The requirements of which a failure does not count, as the machine was starved meanwhile."""
    findings: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.variant.id

    @property
    def blamed(self) -> frozenset[str]:
        return self._with(Verdict.FAIL)

    @property
    def inconclusive(self) -> frozenset[str]:
        return self._with(Verdict.INCONCLUSIVE)

    def _with(self, verdict: Verdict) -> frozenset[str]:
        return frozenset(one for one, found in self.verdicts.items() if found is verdict)

    @property
    def told(self) -> tuple[str, ...]:
        """What was found besides: readings that nothing excuses or that fit none, findings of the run."""
        odd = (
            f"{one}: {reading}"
            for one, seen in sorted(self.readings.items())
            for reading in sorted(seen)
            if reading.endswith(_NO_LETTERS)
        )
        return (*odd, *self.findings)

    @property
    def unseen(self) -> frozenset[str]:
        """Requirements of which not all readings were seen that the variant brings about."""
        return frozenset(
            one
            for one, wanted in self.variant.shows.items()
            if not set(wanted.split("; ")) <= self.readings.get(one, frozenset())
        )

    @property
    def passed(self) -> bool:
        """Something was judged, nothing failed, nothing was left open, nothing was found."""
        wrong = self.blamed or self.inconclusive or self.told or self.unseen
        return bool(self.verdicts) and not wrong

    @property
    def undecided(self) -> bool:
        """Whether it would have passed but for what does not count, as the machine was starved."""
        wrong = self.blamed or self.told or self.unseen - self.starved
        return bool(self.inconclusive) and not wrong and self.inconclusive <= self.starved

    @property
    def word(self) -> str:
        """What the suite made of it, in a word."""
        if self.passed:
            return "passed"
        if self.undecided:
            return "starved"
        if self.blamed or self.told:
            return "blamed"
        return "unclear" if self.inconclusive or not self.verdicts else "unseen"

    def as_json(self) -> dict[str, Any]:
        return {
            "variant": self.variant.id,
            "summary": self.variant.summary,
            "passed": self.passed,
            "shows": dict(sorted(self.variant.shows.items())),
            "blamed": sorted(self.blamed),
            "inconclusive": sorted(self.inconclusive),
            "unseen": sorted(self.unseen),
            "told": list(self.told),
            "starved": sorted(self.starved),
            "said": {one: list(texts) for one, texts in sorted(self.said.items()) if texts},
            "verdicts": {one: verdict.value for one, verdict in sorted(self.verdicts.items())},
            "readings": {one: sorted(seen) for one, seen in sorted(self.readings.items()) if seen},
            "seconds": round(self.seconds, 1),
        }


def line(outcome: Conformity) -> str:
    """One variant's outcome as text."""
    word = outcome.word if outcome.passed else outcome.word.upper()
    counted = sum(1 for verdict in outcome.verdicts.values() if verdict is Verdict.PASS)
    text = f"{word:<9} {outcome.id:<38} {outcome.seconds:5.1f} s  {counted} of {len(outcome.verdicts)} hold"
    for one in sorted(outcome.blamed | outcome.inconclusive):
        text += f"\n          {outcome.verdicts[one].value}: {one}: {'; '.join(outcome.said.get(one, ()))}"
    text += "".join(f"\n          told: {each}" for each in outcome.told)
    for one in sorted(outcome.unseen - outcome.inconclusive):
        seen = ", ".join(sorted(outcome.readings.get(one, ()))) or "nothing"
        text += f"\n          should have shown: {one}: {outcome.variant.shows[one]} (seen: {seen})"
    return text


def summary(outcomes: Sequence[Conformity]) -> str:
    """How many passed."""
    passed = sum(1 for one in outcomes if one.passed)
    return f"{passed} of {len(outcomes)} variants pass, and nothing is found in them"


def conclusion(outcomes: Sequence[Conformity]) -> str:
    """How many passed, after a line for each that did not: it may have scrolled away since."""
    others = [one for one in outcomes if not one.passed]
    again = [f"to see these again: --variant {' '.join(one.id for one in others)}"] if others else []
    return "\n".join(["", *map(line, others), *again, summary(outcomes)])


def exit_code(outcomes: Sequence[Conformity]) -> int:
    """HOLDS when there are some and all pass."""
    return of_campaign(outcomes, [one for one in outcomes if not one.passed])


PAGE = """\
# Conforming variants

Faults show that wrong meshes are caught; variants show that right ones pass. Each of these is the reference
mesh in another way that is right as well, switched on while the scenarios were run that it could upset. A
variant passes when every requirement that it claims holds, nothing is inconclusive, and nothing is found.
Where it reads what the specification leaves open in a way of its own, that reading must have been seen. This
page is what `make variants-page` found; `make test` fails while it is not about the variants that there are.
"""
_COLUMNS = (
    "variant",
    "how the mesh differs",
    "verdict",
    "hold",
    "seen of ambiguous requirements",
    "likewise",
)


def page(outcomes: Sequence[Conformity]) -> str:
    """The outcomes as a page of Markdown."""
    return "\n".join([PAGE, summary(outcomes) + ".", "", *table(_COLUMNS, map(_cells, outcomes))]) + "\n"


def _cells(outcome: Conformity) -> tuple[str, ...]:
    variant = outcome.variant
    counted = sum(1 for verdict in outcome.verdicts.values() if verdict is Verdict.PASS)
    return (
        f"`{variant.id}`",
        plain(variant.summary),
        outcome.word if outcome.passed else f"**{outcome.word}**",
        f"{counted} of {len(outcome.verdicts)}",
        "<br>".join(_seen(outcome)),
        plain(", ".join(variant.likewise)),
    )


def _seen(outcome: Conformity) -> Iterator[str]:
    for one, readings in sorted(outcome.variant.shows.items()):
        if one not in outcome.unseen:
            yield f"`{one}`: {plain(readings)}"
