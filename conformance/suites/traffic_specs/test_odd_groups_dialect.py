"""Path expressions that do not compile, or only in some dialects of regular expressions."""

from __future__ import annotations

import pytest

from conformance.suite import (
    AccessTrials,
    Conclude,
    Prior,
    Scenario,
    TrialRegister,
    TrialRequest,
    answered,
    drives_scenario,
    judge,
    refused,
    unanswered,
)

pytestmark = pytest.mark.scenario(
    "traffic-specs/odd-groups-dialect", arena=("access",), groups=("access", "specs"), alone=True
)

trials = TrialRegister(
    ["access/server", "access/other", "access/third"],
    {"client": "access/alpha", "service": "access/server", "requests": 10, "baseline_responders": ()},
)


@drives_scenario
def seen(scenario: Scenario) -> AccessTrials:
    states = {"/steady/first": "1-steady.yaml", "/steady/second": "3-steady.yaml"}
    return trials.run_beside_grants(
        scenario,
        states,
        judge.access_enforced,
        files=["2-odd.yaml"],
        earlier_files=["1-valid.yaml"],
        late_files=["4-valid.yaml"],
    )


# Beside each expression its account has a valid grant for another client, which is edited later.
OPENS = "it opens something"
STAYS_CLOSED = (unanswered("a"), refused("a"), answered("b", "third", finding=OPENS))
LOST = unanswered("b", "what else is granted at that account no longer takes effect")
OTHER_GRANT = (answered("a", "third"), refused("a"), LOST)


def valid_grant(client: str) -> Prior:
    """The other grant in force."""
    request = TrialRequest(client=client, service="access/third", path="/sound/first", requests=1)
    return Prior(responders=("third",), request=request)


broken = trials.with_defaults(
    service="access/third",
    object_name="broken",
    other_objects=("sound-by-broken",),
    isolated=True,
    prior=valid_grant("access/gamma"),
    sample_before_late_files=True,
)
BESIDE_BROKEN = broken.declare(
    "beside the broken",
    "a match beside an expression that does not compile",
    (refused("a"), answered("b", "third"), unanswered("c")),
    path="/beside-broken",
)
BROKEN = broken.declare(
    "the broken",
    "an expression that does not compile",
    (refused("a"), unanswered("b"), answered("c", "third", finding=OPENS)),
    path="/broken(",
)
BROKEN_ELSEWHERE = broken.declare(
    "away from the broken",
    "what an expression that does not compile is not about",
    STAYS_CLOSED,
    path="/unrelated",
)
BROKEN_OTHER_GRANT = broken.declare(
    "granted at the account of the broken",
    "what else is granted where an expression does not compile",
    OTHER_GRANT,
    client="access/gamma",
    path="/sound/second",
    sample_before_late_files=False,
    must_appear=("third",),
)
look_ahead = broken.with_defaults(
    client="access/gamma",
    object_name="ahead",
    other_objects=("sound-by-ahead",),
    prior=valid_grant("access/alpha"),
)
LOOK_AHEAD = look_ahead.declare(
    "look-ahead",
    "an expression with a look-ahead",
    (refused("a"), unanswered("b"), answered("c", "third")),
    path="/ahead/y",
)
EXCLUDED = look_ahead.declare(
    "what the look-ahead excludes", "what a look-ahead excludes", STAYS_CLOSED, path="/ahead/x"
)
LOOK_AHEAD_ELSEWHERE = look_ahead.declare(
    "away from the look-ahead",
    "what an expression with a look-ahead is not about",
    STAYS_CLOSED,
    path="/unrelated",
)
LOOK_AHEAD_OTHER_GRANT = look_ahead.declare(
    "granted at the account of the look-ahead",
    "what else is granted where an expression has a look-ahead",
    OTHER_GRANT,
    client="access/alpha",
    path="/sound/second",
    sample_before_late_files=False,
    must_appear=("third",),
)


@pytest.mark.requirement("http-regex-dialect-and-invalid")
def test_an_expression_that_does_not_compile_everywhere_follows_a_reading(
    seen: AccessTrials, verdict: Conclude
) -> None:
    of_broken = (BROKEN, BROKEN_ELSEWHERE, BESIDE_BROKEN, BROKEN_OTHER_GRANT)
    verdict(seen.reading(*of_broken, LOOK_AHEAD, EXCLUDED, LOOK_AHEAD_ELSEWHERE, LOOK_AHEAD_OTHER_GRANT))
