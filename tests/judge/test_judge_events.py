"""An Event about the object, or its refusal, names the part without effect."""

from __future__ import annotations

from typing import Any

import pytest
from judge_evidence import read

from conformance.judge import misconfiguration_reported
from conformance.model.evidence import AdmissionAttempt
from conformance.model.verdict import Judgement, Verdict

TAKEN = AdmissionAttempt("as it is", "accepted", {}, 201)


UNMESHED_SERVERS = {"sound": "mistaken", "backend-c": "backend-b"}


def event(message: str = "backend-b is left out", about: str = "mistaken", **changes: Any) -> dict[str, Any]:
    involved = {"kind": "TrafficSplit", "name": about}
    return {"metadata": {"name": "e1"}, "count": 1, "message": message, "involvedObject": involved} | changes


def judged(
    *after: dict[str, Any],
    baseline: tuple[dict[str, Any], ...] = (),
    sent: AdmissionAttempt = TAKEN,
    sound: tuple[dict[str, Any], ...] = (),
    sound_sent: AdmissionAttempt = TAKEN,
) -> Judgement:
    reads = (read({"items": list(baseline)}), read({"items": list(after)}))
    beside = read({"items": list(sound)})
    return misconfiguration_reported(
        *reads, sent, "TrafficSplit", "mistaken", "backend-b", 8, beside, sound_sent, UNMESHED_SERVERS
    )


def test_an_event_at_the_object_that_names_it_passes() -> None:
    assert judged(event()).passed


def test_an_event_that_happens_once_more_is_a_new_one() -> None:
    assert judged(event(count=2), baseline=(event(),)).passed


@pytest.mark.parametrize(
    "after",
    [
        (),
        (event("something is wrong"),),
        (event(involvedObject={"kind": "Pod", "name": "mistaken"}),),
        (event(involvedObject={"kind": "TrafficSplit", "name": "another"}),),
    ],
    ids=["none", "without the name", "at a pod", "at another split"],
)
def test_silence_or_an_event_elsewhere_fails(after: tuple[dict[str, Any], ...]) -> None:
    assert judged(*after).verdict is Verdict.FAIL


def test_an_event_of_an_earlier_object_of_that_name_does_not_count() -> None:
    assert judged(event(), baseline=(event(),)).verdict is Verdict.FAIL


def test_a_refusal_that_names_it_passes_and_another_says_nothing() -> None:
    refused = AdmissionAttempt("as it is", "accepted", {}, 422, "backend-b does not expose port 8080")
    assert judged(sent=refused).passed
    other = AdmissionAttempt("as it is", "accepted", {}, 403, "not allowed")
    assert judged(sent=other).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("told", "of_sound"),
    [
        ("programmed 2 backends: v2 (50), backend-b (50)", "programmed 2 backends: v2 (50), backend-c (50)"),
        ("programmed mistaken: backend-b:1024, v2:8080", "programmed sound: v2:8080, backend-c:8080"),
        ("mistaken: backend-b added at 17 of 9f3a", "sound: backend-c added at 18 of 77be"),
    ],
    ids=["alike", "in another order", "of another moment"],
)
def test_an_event_that_a_sound_split_gets_as_well_fails(told: str, of_sound: str) -> None:
    found = judged(event(told), sound=(event(of_sound, "sound"),))
    assert found.verdict is Verdict.FAIL
    assert f"the same is reported about a sound object: '{told}'" in found.summary
    assert judged(event(told), sound=(event(of_sound, "a third one"),)).passed


def test_a_mesh_that_logs_every_split_passes_if_it_tells_of_the_mistaken_one_besides() -> None:
    logged = event("programmed 2 backends: v2 (50), backend-b (50)")
    sound = (event("programmed 2 backends: v2 (50), backend-c (50)", "sound"),)
    assert judged(logged, event("backend-b does not expose port 8080"), sound=sound).passed
    assert judged(event("programmed v2 (50), left out backend-b"), sound=sound).passed
    assert judged(event(logged["message"], type="Warning", reason="PortMismatch"), sound=sound).passed


def test_a_refusal_that_meets_a_sound_split_as_well_is_inconclusive() -> None:
    refused = AdmissionAttempt("as it is", "accepted", {}, 422, "cannot take v2, backend-b")
    found = judged(
        sent=refused,
        sound_sent=AdmissionAttempt("as it is", "accepted", {}, 422, "cannot take v2, backend-c"),
    )
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary.startswith("the sound object is refused as well: 'cannot take")


@pytest.mark.parametrize("unread", range(3))
def test_events_that_cannot_be_read_are_inconclusive(unread: int) -> None:
    reads = [read({"items": []}) for _ in range(3)]
    reads[unread] = read({"message": "no"}, status=403)
    baseline, after, sound = reads
    found = misconfiguration_reported(
        baseline, after, TAKEN, "TrafficSplit", "mistaken", "backend-b", 8, sound, TAKEN, UNMESHED_SERVERS
    )
    assert found.verdict is Verdict.INCONCLUSIVE
