"""What the exit codes of commands and of pytest runs mean, once for all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Protocol

from conformance.model.verdict import Verdict


class ExitCode(IntEnum):
    """Those of pytest above 1 (usage, nothing collected, interrupted) all come out as INCONCLUSIVE."""

    HOLDS = 0
    """All that was asked for holds."""
    BROKEN = 1
    """A core requirement failed, a fault was missed, a variant was not passed."""
    INCONCLUSIVE = 2
    """Nothing can be concluded, or the input cannot be used."""


OF_VERDICTS: Mapping[Verdict, ExitCode] = MappingProxyType(
    {
        Verdict.PASS: ExitCode.HOLDS,
        Verdict.FAIL: ExitCode.BROKEN,
        Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }
)
"""The exit code of a run, by the verdict of its headline."""


class Trial(Protocol):
    """A fault or a variant that was tried."""

    @property
    def undecided(self) -> bool:
        """Whether it takes a machine with more room to tell what the suite makes of it."""


def of_trials(tried: Collection[Trial], wrong: Collection[Trial]) -> ExitCode:
    """That of a campaign: something was tried, and nothing of it came out ``wrong``."""
    if tried and not wrong:
        return ExitCode.HOLDS
    return ExitCode.INCONCLUSIVE if wrong and all(one.undecided for one in wrong) else ExitCode.BROKEN
