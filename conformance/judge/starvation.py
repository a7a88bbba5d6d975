"""Failures and readings from a starved machine do not count."""

from __future__ import annotations

from dataclasses import replace

from conformance.judge.registry import judge
from conformance.model.evidence import Environment
from conformance.model.verdict import Judgement, Verdict

STARVED_US = 500_000
"""A probe's request to itself takes some 0.2 ms; half a second means that the machine is starved."""


@judge(aside="takes its pass from another judgement")
def discount_if_starved(judgement: Judgement, environment: Environment) -> Judgement:
    """The judgement, unless the machine was starved: then a failure cannot be attributed to the mesh.

    Nor can a reading: requests that time out match some reading as well.
    """
    discountable = judgement.verdict is Verdict.FAIL or judgement.readings
    if not discountable or not starved(environment):
        return judgement
    return replace(
        judgement,
        verdict=Verdict.INCONCLUSIVE,
        readings=(),
        summary=f"{judgement.summary}; but the machine was starved: a probe's request to itself took "
        f"{environment.control_p99_us / 1e6:.2f} s, {environment.control_failures} of them failed",
        hint="give the node more processor time, or run less beside the suite, and run again",
    )


def starved(environment: Environment) -> bool:
    """Whether requests that bypass the mesh were slow or failed."""
    return environment.control_p99_us > STARVED_US or environment.control_failures > 0
