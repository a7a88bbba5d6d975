"""The meaning of exit codes, for all commands and pytest runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Protocol

from conformance.model.verdict import Verdict


class ExitCode(IntEnum):
    """pytest's own codes above 1 (usage, nothing collected, interrupted) all become INCONCLUSIVE."""

    HOLDS = 0
    """Everything requested holds."""
    BROKEN = 1
    """A core requirement failed, a fault was missed, or a variant did not pass."""
    INCONCLUSIVE = 2
    """Nothing can be concluded, or the input cannot be used."""


HELP = """exit code:
  0  every selected and claimed core requirement passed
  1  a core requirement failed
  2  inconclusive, nothing selected, or unusable input
"""
"""The codes in words, for the help of commands."""

OF_VERDICTS: Mapping[Verdict, ExitCode] = MappingProxyType(
    {
        Verdict.PASS: ExitCode.HOLDS,
        Verdict.FAIL: ExitCode.BROKEN,
        Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }
)
"""The exit code of a run, by the verdict of its headline."""


class CampaignOutcome(Protocol):
    """The outcome of one fault or variant of a campaign."""

    @property
    def starved_only(self) -> bool:
        """Whether a starved machine prevented a conclusion."""


def of_campaign(tried: Collection[CampaignOutcome], wrong: Collection[CampaignOutcome]) -> ExitCode:
    """The exit code of a campaign: HOLDS if something was tried and no outcome is ``wrong``."""
    if tried and not wrong:
        return ExitCode.HOLDS
    return ExitCode.INCONCLUSIVE if wrong and all(one.starved_only for one in wrong) else ExitCode.BROKEN
