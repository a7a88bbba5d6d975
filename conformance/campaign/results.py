"""What the suite made of faults: caught or missed, as text, JSON, and the kill table."""

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
class Outcome:
    """What the suite made of one fault."""

    fault: Fault
    verdicts: Mapping[str, Verdict]
    said: Mapping[str, Sequence[str]]
    """What each test said of a requirement that did not pass or that the fault is about."""
    seconds: float
    readings: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The readings that were seen, by requirement, as `smi_reference_mesh.faults.Fault.shows` writes them."""
    starved: frozenset[str] = frozenset()
    """The requirements of which a failure or a reading does not count, as the machine was starved."""

    @property
    def id(self) -> str:
        return self.fault.id

    @property
    def blamed(self) -> frozenset[str]:
        return frozenset(one for one, verdict in self.verdicts.items() if verdict is Verdict.FAIL)

    @property
    def missed(self) -> frozenset[str]:
        return (self.fault.fails - self.blamed) | self.unseen

    @property
    def unseen(self) -> frozenset[str]:
        """Ambiguous requirements whose reading was not changed as the fault changes it."""
        return frozenset(
            one for one, reading in self.fault.shows.items() if reading not in self.readings.get(one, ())
        )

    @property
    def wrongly(self) -> frozenset[str]:
        return self.blamed - self.fault.fails

    @property
    def caught(self) -> bool:
        """Exactly what fails under the fault did, and the readings that it brings about were seen."""
        return not self.missed and not self.wrongly

    @property
    def undecided(self) -> bool:
        """Whether it would be caught but for what does not count, as the machine was starved."""
        return bool(self.missed) and not self.wrongly and self.missed <= self.starved

    @property
    def word(self) -> str:
        """What the suite made of it, in a word."""
        if self.caught:
            return "caught"
        return "starved" if self.undecided else "missed" if self.missed else "misblamed"

    def as_json(self) -> dict[str, Any]:
        return {
            "fault": self.fault.id,
            "summary": self.fault.summary,
            "caught": self.caught,
            "breaks": sorted(self.fault.breaks),
            "drags": sorted(self.fault.drags),
            "shows": dict(sorted(self.fault.shows.items())),
            "blamed": sorted(self.blamed),
            "missed": sorted(self.missed),
            "wrongly blamed": sorted(self.wrongly),
            "starved": sorted(self.starved),
            "said": {one: list(texts) for one, texts in sorted(self.said.items()) if texts},
            "verdicts": {one: verdict.value for one, verdict in sorted(self.verdicts.items())},
            "readings": {one: sorted(seen) for one, seen in sorted(self.readings.items()) if seen},
            "seconds": round(self.seconds, 1),
        }


def line(outcome: Outcome) -> str:
    """One fault's outcome as text."""
    verdict = outcome.word if outcome.caught else outcome.word.upper()
    failed = ", ".join(sorted(outcome.blamed)) or "-"
    text = f"{verdict:<9} {outcome.fault.id:<38} {outcome.seconds:5.1f} s  failed: {failed}"
    if outcome.missed:
        unfailed = sorted(outcome.missed - outcome.unseen)
        text += "".join(f"\n          should have failed: {_instead(outcome, one)}" for one in unfailed)
    for one in sorted(outcome.unseen):
        read = ", ".join(sorted(outcome.readings.get(one, ()))) or _word(outcome.verdicts.get(one))
        text += f"\n          should have shown: {one}: {outcome.fault.shows[one]} (seen: {read})"
        text += _words(outcome, one)
    for one in sorted(outcome.wrongly):
        text += f"\n          blamed wrongly: {one}: {'; '.join(outcome.said.get(one, ()))}"
    return text


def _instead(outcome: Outcome, requirement: str) -> str:
    """What became of a requirement that should have failed, and what was said of it."""
    return f"{requirement} ({_word(outcome.verdicts.get(requirement))}){_words(outcome, requirement)}"


def _words(outcome: Outcome, requirement: str) -> str:
    said = "; ".join(outcome.said.get(requirement, ()))
    return f": {said}" if said else ""


def _word(verdict: Verdict | None) -> str:
    return verdict.value if verdict else "not judged"


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many were caught."""
    caught = sum(1 for one in outcomes if one.caught)
    return f"{caught} of {len(outcomes)} faults caught, each blamed on what it breaks"


def narrowness(outcomes: Sequence[Outcome]) -> str:
    """How many of the failures a fault only dragged along."""
    failed = sum(len(one.blamed) for one in outcomes)
    dragged = sum(len(one.blamed & one.fault.drags) for one in outcomes)
    return f"{dragged} of {failed} failures dragged along ({percent(dragged / failed if failed else 0.0)})"


def conclusion(outcomes: Sequence[Outcome]) -> str:
    """How many were caught, after a line for each that was not: it may have scrolled away since."""
    uncaught = [one for one in outcomes if not one.caught]
    again = [f"to see these again: --fault {' '.join(one.fault.id for one in uncaught)}"] if uncaught else []
    return "\n".join(["", *map(line, uncaught), *again, summary(outcomes)])


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """HOLDS when there are some and all are caught."""
    return of_campaign(outcomes, [one for one in outcomes if not one.caught])


KILL_TABLE = """\
# Kill table

Each fault of the reference mesh was switched on in turn and the scenarios that it concerns were run: which
requirements failed, and of which ambiguous ones another reading was seen. What failed is what the fault is
about, or what it drags along, as scenarios of other requirements stand on that. A fault is caught when
exactly these requirements fail and the readings that it brings about are seen. This page is what
`make kill-table` found; `make test` fails while it is not about the faults that there are.
"""
_COLUMNS = (
    "fault",
    "what goes wrong",
    "verdict",
    "failed",
    "dragged along",
    "seen of ambiguous requirements",
)


def page(outcomes: Sequence[Outcome]) -> str:
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


def _cells(outcome: Outcome) -> tuple[str, ...]:
    fault = outcome.fault
    return (
        f"`{fault.id}`",
        plain(fault.summary),
        outcome.word if outcome.caught else f"**{outcome.word}**",
        _listed(outcome.blamed - fault.drags),
        _listed(outcome.blamed & fault.drags),
        "<br>".join(_seen(outcome)),
    )


def _listed(requirements: Iterable[str]) -> str:
    return "<br>".join(f"`{one}`" for one in sorted(requirements))


def _seen(outcome: Outcome) -> Iterator[str]:
    for one, reading in sorted(outcome.fault.shows.items()):
        if one not in outcome.unseen:
            yield f"`{one}`: {plain(reading)}"


def void(conclusion: Conclusion) -> bool:
    """Whether it is a failure that does not count, as the machine was starved meanwhile."""
    basis = conclusion.basis
    return (
        conclusion.verdict is Verdict.INCONCLUSIVE
        and basis is not None
        and basis.judge == judge.discount_if_starved.__name__
    )
