"""What a run may conclude about a requirement, and how conclusions combine.

The order is pass < not claimed < inconclusive < fail: a proven violation stays one whatever else
happened, and what could not be observed is never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Verdict(Enum):
    """The four conclusions, in merge order."""

    PASS = "pass"  # noqa: S105 - a verdict, not a secret
    NOT_CLAIMED = "not claimed"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"


_ORDER = tuple(Verdict)


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several verdicts.

    Raises ValueError when there is none: no observation is not a pass.
    """
    found = list(verdicts)
    if not found:
        raise ValueError("no verdict to merge: nothing was judged")
    return max(found, key=_ORDER.index)


@dataclass(frozen=True, slots=True)
class Share:
    """One backend's part of a sample next to the region in which it was accepted; all in [0, 1]."""

    server: str
    observed: float
    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Basis:
    """Which judge decided, and on what: enough to call it again."""

    judge: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a mesh was seen to make of one question that the specification leaves open.

    ``question`` and ``letter`` are those of the catalogue; an empty letter says that none of its readings was
    seen, or, where ``observed`` is false, that nothing was: the evidence does not tell readings apart.
    ``seen`` is the evidence in words, ``finding`` what the catalogue calls unacceptable in it.
    """

    question: str
    letter: str
    seen: str
    finding: str = ""
    observed: bool = True

    @property
    def word(self) -> str:
        """The letter, or *none* of the readings, or *not observed*."""
        return self.letter or ("none" if self.observed else "not observed")


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reason in words and, where it is about shares, in figures.

    ``summary`` is one sentence on what was seen; ``expected`` says what the requirement asks for;
    ``hint`` names a likely cause or remedy and is empty for a pass. ``readings`` are what an ambiguous
    requirement comes to; its verdict then only says whether they could be observed.
    """

    verdict: Verdict
    summary: str
    expected: str = ""
    hint: str = ""
    shares: tuple[Share, ...] = ()
    basis: Basis | None = field(default=None, compare=False)
    readings: tuple[Reading, ...] = ()

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.PASS


class Inconclusive(Exception):
    """The test could not tell; the message says why."""


class Concluded(Exception):
    """The scenario is not driven, as the judgement of all that it is about is known."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement.summary)
        self.judgement = judgement
