"""The possible conclusions about a requirement, and how they combine.

The order is pass < not claimed < inconclusive < fail: a proven violation stays one whatever else happened,
and an unobserved requirement never passes.
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

    Raises ValueError for none: no observation is not a pass.
    """
    found = list(verdicts)
    if not found:
        raise ValueError("no verdict to merge: nothing was judged")
    return max(found, key=_ORDER.index)


@dataclass(frozen=True, slots=True)
class Share:
    """One backend's share of a sample and its acceptance region, from low to high; all in [0, 1]."""

    server: str
    observed: float
    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Basis:
    """The judge of a judgement and its arguments: enough to call it again."""

    judge: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a mesh interprets one question that the specification leaves open.

    ``question`` and ``letter`` are those of the catalogue. An empty letter means that the evidence fits none
    of its readings, or, if ``observed`` is false, that it does not distinguish them. ``seen`` describes the
    evidence, ``finding`` what no reading excuses in it.
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
    """A verdict with its reason in words and, for claims about shares, in figures.

    ``summary`` describes the evidence in a sentence, ``expected`` the demand of the requirement; ``hint``
    names a likely cause or remedy and is empty for a pass. ``readings`` are the result for an ambiguous
    requirement; its verdict then only says whether they could be observed.
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
    """The test allows no conclusion; the message says why."""


class Concluded(Exception):
    """The scenario is not driven, as the judgement of all its requirements is already known."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement.summary)
        self.judgement = judgement
