"""The results of variants: passed or blamed, as text, JSON, and a page of Markdown."""

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
class VariantOutcome:
    """The result of one variant."""

    variant: Variant
    verdicts: Mapping[str, Verdict]
    summaries: Mapping[str, Sequence[str]]
    """The summaries of requirements that did not pass or that the variant affects."""
    seconds: float
    readings: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The observed readings, by requirement: "question: letter", "question: unacceptable"."""
    starved: frozenset[str] = frozenset()
    """The requirements whose failure was discounted because the machine was starved."""
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
    def extra_findings(self) -> tuple[str, ...]:
        """Unacceptable or unclassified readings, and the findings of the run."""
        odd = (
            f"{one}: {reading}"
            for one, seen in sorted(self.readings.items())
            for reading in sorted(seen)
            if reading.endswith(_NO_LETTERS)
        )
        return (*odd, *self.findings)

    @property
    def unobserved(self) -> frozenset[str]:
        """Requirements without all the readings that the variant brings about."""
        return frozenset(
            one
            for one, wanted in self.variant.expected_readings.items()
            if not set(wanted.split("; ")) <= self.readings.get(one, frozenset())
        )

    @property
    def passed(self) -> bool:
        """Whether requirements were judged, all hold, all expected readings showed, and nothing else did."""
        wrong = self.blamed or self.inconclusive or self.extra_findings or self.unobserved
        return bool(self.verdicts) and not wrong

    @property
    def starved_only(self) -> bool:
        """Whether the variant would pass but for requirements that were discounted (starved)."""
        wrong = self.blamed or self.extra_findings or self.unobserved - self.starved
        return bool(self.inconclusive) and not wrong and self.inconclusive <= self.starved

    @property
    def label(self) -> str:
        """The result in a word."""
        if self.passed:
            return "passed"
        if self.starved_only:
            return "starved"
        if self.blamed or self.extra_findings:
            return "blamed"
        return "unclear" if self.inconclusive or not self.verdicts else "unseen"

    def as_json(self) -> dict[str, Any]:
        return {
            "variant": self.variant.id,
            "summary": self.variant.summary,
            "passed": self.passed,
            "expected_readings": dict(sorted(self.variant.expected_readings.items())),
            "blamed": sorted(self.blamed),
            "inconclusive": sorted(self.inconclusive),
            "unseen": sorted(self.unobserved),
            "extra_findings": list(self.extra_findings),
            "starved": sorted(self.starved),
            "summaries": {one: list(texts) for one, texts in sorted(self.summaries.items()) if texts},
            "verdicts": {one: verdict.value for one, verdict in sorted(self.verdicts.items())},
            "readings": {one: sorted(seen) for one, seen in sorted(self.readings.items()) if seen},
            "seconds": round(self.seconds, 1),
        }


def line(outcome: VariantOutcome) -> str:
    """The outcome of one variant as text."""
    word = outcome.label if outcome.passed else outcome.label.upper()
    counted = sum(1 for verdict in outcome.verdicts.values() if verdict is Verdict.PASS)
    text = f"{word:<9} {outcome.id:<38} {outcome.seconds:5.1f} s  {counted} of {len(outcome.verdicts)} hold"
    for one in sorted(outcome.blamed | outcome.inconclusive):
        text += (
            f"\n          {outcome.verdicts[one].value}: {one}: {'; '.join(outcome.summaries.get(one, ()))}"
        )
    text += "".join(f"\n          finding: {each}" for each in outcome.extra_findings)
    for one in sorted(outcome.unobserved - outcome.inconclusive):
        seen = ", ".join(sorted(outcome.readings.get(one, ()))) or "nothing"
        text += (
            f"\n          should have shown: {one}: {outcome.variant.expected_readings[one]} (seen: {seen})"
        )
    return text


def summary(outcomes: Sequence[VariantOutcome]) -> str:
    """The number of passed variants, as a sentence."""
    passed = sum(1 for one in outcomes if one.passed)
    return f"{passed} of {len(outcomes)} variants pass, and nothing is found in them"


def conclusion(outcomes: Sequence[VariantOutcome]) -> str:
    """The number of passed variants, after a repeated line for each other variant."""
    others = [one for one in outcomes if not one.passed]
    again = [f"to see these again: --variant {' '.join(one.id for one in others)}"] if others else []
    return "\n".join(["", *map(line, others), *again, summary(outcomes)])


def exit_code(outcomes: Sequence[VariantOutcome]) -> int:
    """HOLDS if all variants passed and there was at least one."""
    return of_campaign(outcomes, [one for one in outcomes if not one.passed])


PAGE = """\
# Conforming variants

Faults show that the suite catches wrong meshes; variants show that it passes right ones. Each variant is the
reference mesh in a different, equally correct form, under which the scenarios that it could upset are run. A
variant passes when every claimed requirement holds, no verdict is inconclusive, and the suite has no
findings. Where a variant has another reading of an ambiguous requirement, the suite must observe that
reading. `make variants-page` writes this page; `make test` fails while its variants are not those of the
mesh.
"""
_COLUMNS = (
    "variant",
    "how the mesh differs",
    "verdict",
    "hold",
    "observed readings",
    "real meshes",
)


def page(outcomes: Sequence[VariantOutcome]) -> str:
    """The outcomes as a page of Markdown."""
    return "\n".join([PAGE, summary(outcomes) + ".", "", *table(_COLUMNS, map(_cells, outcomes))]) + "\n"


def _cells(outcome: VariantOutcome) -> tuple[str, ...]:
    variant = outcome.variant
    counted = sum(1 for verdict in outcome.verdicts.values() if verdict is Verdict.PASS)
    return (
        f"`{variant.id}`",
        plain(variant.summary),
        outcome.label if outcome.passed else f"**{outcome.label}**",
        f"{counted} of {len(outcome.verdicts)}",
        "<br>".join(_seen(outcome)),
        plain(", ".join(variant.real_meshes)),
    )


def _seen(outcome: VariantOutcome) -> Iterator[str]:
    for one, readings in sorted(outcome.variant.expected_readings.items()):
        if one not in outcome.unobserved:
            yield f"`{one}`: {plain(readings)}"
