"""The results of faults: caught or missed, as text, JSON, and the kill table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance import judge
from conformance.judge.phrasing import percent
from conformance.model.exit_codes import of_campaign
from conformance.model.verdict import Verdict
from conformance.report.document import Conclusion
from conformance.text.markdown import plain, table
from smi_reference_mesh.faults import Fault


@dataclass(frozen=True, slots=True)
class FaultOutcome:
    """The result of one fault."""

    fault: Fault
    verdicts: Mapping[str, Verdict]
    summaries: Mapping[str, Sequence[str]]
    """The summaries of requirements that did not pass or that the fault affects."""
    seconds: float
    readings: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The observed readings, by requirement, in the form of `Fault.expected_readings`."""
    starved: frozenset[str] = frozenset()
    """The requirements whose failure or reading was discounted because the machine was starved."""

    @property
    def id(self) -> str:
        return self.fault.id

    @property
    def blamed(self) -> frozenset[str]:
        return frozenset(one for one, verdict in self.verdicts.items() if verdict is Verdict.FAIL)

    @property
    def missed(self) -> frozenset[str]:
        return (self.fault.fails - self.blamed) | self.unobserved

    @property
    def unobserved(self) -> frozenset[str]:
        """Ambiguous requirements without the reading that the fault brings about."""
        return frozenset(
            one
            for one, reading in self.fault.expected_readings.items()
            if reading not in self.readings.get(one, ())
        )

    @property
    def misblamed(self) -> frozenset[str]:
        return self.blamed - self.fault.fails

    @property
    def caught(self) -> bool:
        """Whether exactly the expected requirements failed, and the expected readings were observed."""
        return not self.missed and not self.misblamed

    @property
    def starved_only(self) -> bool:
        """Whether the fault is missed only in requirements that were discounted (starved)."""
        return bool(self.missed) and not self.misblamed and self.missed <= self.starved

    @property
    def label(self) -> str:
        """The result in a word."""
        if self.caught:
            return "caught"
        return "starved" if self.starved_only else "missed" if self.missed else "misblamed"

    def as_json(self) -> dict[str, Any]:
        return {
            "fault": self.fault.id,
            "summary": self.fault.summary,
            "caught": self.caught,
            "breaks": sorted(self.fault.breaks),
            "also_fails": sorted(self.fault.also_fails),
            "expected_readings": dict(sorted(self.fault.expected_readings.items())),
            "blamed": sorted(self.blamed),
            "missed": sorted(self.missed),
            "misblamed": sorted(self.misblamed),
            "starved": sorted(self.starved),
            "summaries": {one: list(texts) for one, texts in sorted(self.summaries.items()) if texts},
            "verdicts": {one: verdict.value for one, verdict in sorted(self.verdicts.items())},
            "readings": {one: sorted(seen) for one, seen in sorted(self.readings.items()) if seen},
            "seconds": round(self.seconds, 1),
        }


def line(outcome: FaultOutcome) -> str:
    """The outcome of one fault as text."""
    verdict = outcome.label if outcome.caught else outcome.label.upper()
    failed = ", ".join(sorted(outcome.blamed)) or "-"
    text = f"{verdict:<9} {outcome.fault.id:<38} {outcome.seconds:5.1f} s  failed: {failed}"
    if outcome.missed:
        unfailed = sorted(outcome.missed - outcome.unobserved)
        text += "".join(
            f"\n          should have failed: {_actual_outcome(outcome, one)}" for one in unfailed
        )
    for one in sorted(outcome.unobserved):
        read = ", ".join(sorted(outcome.readings.get(one, ()))) or _word(outcome.verdicts.get(one))
        text += f"\n          should have shown: {one}: {outcome.fault.expected_readings[one]} (seen: {read})"
        text += _summary_suffix(outcome, one)
    for one in sorted(outcome.misblamed):
        text += f"\n          blamed wrongly: {one}: {'; '.join(outcome.summaries.get(one, ()))}"
    return text


def _actual_outcome(outcome: FaultOutcome, requirement: str) -> str:
    """The actual outcome of a requirement that should have failed, with its summaries."""
    return (
        f"{requirement} ({_word(outcome.verdicts.get(requirement))}){_summary_suffix(outcome, requirement)}"
    )


def _summary_suffix(outcome: FaultOutcome, requirement: str) -> str:
    summaries = "; ".join(outcome.summaries.get(requirement, ()))
    return f": {summaries}" if summaries else ""


def _word(verdict: Verdict | None) -> str:
    return verdict.value if verdict else "not judged"


def summary(outcomes: Sequence[FaultOutcome]) -> str:
    """The number of caught faults, as a sentence."""
    caught = sum(1 for one in outcomes if one.caught)
    return f"{caught} of {len(outcomes)} faults caught, each blamed on what it breaks"


def narrowness(outcomes: Sequence[FaultOutcome]) -> str:
    """The share of failures that faults only dragged along, as a sentence."""
    failed = sum(len(one.blamed) for one in outcomes)
    dragged = sum(len(one.blamed & one.fault.also_fails) for one in outcomes)
    return f"{dragged} of {failed} failures dragged along ({percent(dragged / failed if failed else 0.0)})"


def conclusion(outcomes: Sequence[FaultOutcome]) -> str:
    """The number of caught faults, after a repeated line for each other fault."""
    uncaught = [one for one in outcomes if not one.caught]
    again = [f"to see these again: --fault {' '.join(one.fault.id for one in uncaught)}"] if uncaught else []
    return "\n".join(["", *map(line, uncaught), *again, summary(outcomes)])


def exit_code(outcomes: Sequence[FaultOutcome]) -> int:
    """HOLDS if all faults were caught and there was at least one."""
    return of_campaign(outcomes, [one for one in outcomes if not one.caught])


KILL_TABLE = """\
# Kill table

The results of each fault of the reference mesh, switched on in turn while the affected scenarios ran: the
failed requirements, and the ambiguous requirements with a changed reading. A fault breaks requirements, and
may drag along others whose scenarios depend on the broken ones. A fault is caught if exactly these
requirements fail and the expected readings are observed. `make kill-table` writes this page; `make test`
fails if its faults are not those of the reference mesh.
"""
_COLUMNS = (
    "fault",
    "what goes wrong",
    "verdict",
    "failed",
    "dragged along",
    "seen of ambiguous requirements",
)


def page(outcomes: Sequence[FaultOutcome]) -> str:
    """The outcomes as a page of Markdown."""
    return (
        "\n".join(
            [
                KILL_TABLE,
                summary(outcomes) + f". {narrowness(outcomes)}.",
                "",
                *table(_COLUMNS, map(_cells, outcomes)),
            ]
        )
        + "\n"
    )


def _cells(outcome: FaultOutcome) -> tuple[str, ...]:
    fault = outcome.fault
    return (
        f"`{fault.id}`",
        plain(fault.summary),
        outcome.label if outcome.caught else f"**{outcome.label}**",
        _listed(outcome.blamed - fault.also_fails),
        _listed(outcome.blamed & fault.also_fails),
        "<br>".join(_seen(outcome)),
    )


def _listed(requirements: Iterable[str]) -> str:
    return "<br>".join(f"`{one}`" for one in sorted(requirements))


def _seen(outcome: FaultOutcome) -> Iterator[str]:
    for one, reading in sorted(outcome.fault.expected_readings.items()):
        if one not in outcome.unobserved:
            yield f"`{one}`: {plain(reading)}"


def does_not_count(conclusion: Conclusion) -> bool:
    """Whether a failure was discounted because the machine was starved."""
    basis = conclusion.basis
    return (
        conclusion.verdict is Verdict.INCONCLUSIVE
        and basis is not None
        and basis.judge == judge.discount_if_starved.__name__
    )
