"""What a verdict is worth that was come to on a starved machine."""

from __future__ import annotations

from dataclasses import replace

from conformance.judge.registry import judge
from conformance.model.evidence import Environment
from conformance.model.verdict import Judgement, Verdict

STARVED_US = 500_000
"""A request of a probe to itself takes some 0.2 ms; half a second means that the machine is starved."""


@judge(aside="takes a pass from the judgement that it is given")
def discount_if_starved(judgement: Judgement, environment: Environment) -> Judgement:
    """The judgement, unless the machine was starved: then a failure cannot be blamed on the mesh.

    Nor is a reading what the mesh makes of anything: requests that time out are some reading as well.
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
    """Whether requests that no mesh has a part in were slow or failed."""
    return environment.control_p99_us > STARVED_US or environment.control_failures > 0
