"""What the exit codes of commands and of pytest runs mean, once for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

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


def of_trials(*, any_tried: bool, undecided: bool, all_right: bool) -> ExitCode:
    """That of a campaign: ``undecided`` where it takes a machine with more room to tell of all the rest."""
    if all_right and any_tried:
        return ExitCode.HOLDS
    return ExitCode.INCONCLUSIVE if undecided else ExitCode.BROKEN
