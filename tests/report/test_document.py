from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from conformance import catalogue
from conformance.catalogue import Requirement
from conformance.model.evidence import ApiRead
from conformance.model.verdict import Judgement, Reading, Verdict
from conformance.report.assemble import UnjudgedStatus, build, count, headline, requirement_record
from conformance.report.conclusions import conclude
from conformance.report.document import OUTCOMES, Conclusion, Finding, RequirementRecord
from conformance.report.json_safe import json_value

from .sample import CLUSTER, MESH, TIMING, conclude_with, records, sample

CATALOGUE = catalogue.load()
CORE = CATALOGUE["split-weighted-distribution"]
EXTENDED = next(entry for entry in CATALOGUE.values() if entry.level == "extended")
AMBIGUOUS = next(entry for entry in CATALOGUE.values() if entry.level == "ambiguous")


def concluded(*verdicts: Verdict) -> list[Conclusion]:
    return [conclude(f"test_{v.name}", v.value, Judgement(v, "seen")) for v in verdicts]


def record(
    entry: Requirement,
    *verdicts: Verdict,
    otherwise: UnjudgedStatus = "untested",
    missing: Sequence[str] = (),
) -> RequirementRecord:
    return requirement_record(entry, concluded(*verdicts), otherwise=otherwise, missing=missing)


def code(*found: RequirementRecord, interrupted: bool = False) -> int:
    return headline(found, interrupted=interrupted).exit_code


def test_the_worst_test_decides_a_requirement() -> None:
    assert record(CORE, Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE).verdict is Verdict.FAIL
    assert record(CORE, Verdict.PASS, Verdict.INCONCLUSIVE).verdict is Verdict.INCONCLUSIVE


def test_a_requirement_that_no_test_exercised_has_no_verdict() -> None:
    assert record(CORE).verdict is None
    assert record(CORE).outcome == "untested"


def test_a_requirement_whose_tests_are_not_claimed_is_not_claimed() -> None:
    assert record(CORE, Verdict.PASS, Verdict.NOT_CLAIMED).outcome == "not claimed"


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_an_ambiguous_requirement_of_which_no_reading_was_seen_is_not_observed(verdict: Verdict) -> None:
    assert record(AMBIGUOUS, verdict).outcome == "not observed"


@pytest.mark.parametrize(
    ("observed", "outcome"), [((True,), "observed"), ((False, True), "observed"), ((False,), "not observed")]
)
def test_one_reading_that_was_seen_makes_an_ambiguous_requirement_observed(
    observed: Sequence[bool], outcome: str
) -> None:
    seen = [Reading("q", "", "seen", observed=one) for one in observed]
    tests = [
        conclude("test_a", "a", Judgement(Verdict.PASS, "seen", readings=tuple(seen))),
        conclude("test_b", "b", Judgement(Verdict.INCONCLUSIVE, "broke off")),
    ]
    assert requirement_record(AMBIGUOUS, tests, otherwise="untested").outcome == outcome


def test_what_was_not_observed_counts_for_nothing_else() -> None:
    found = count([record(AMBIGUOUS, Verdict.PASS)])
    assert (found["observed"], found["not observed"], sum(found.values())) == (0, 1, 1)


def test_tests_that_did_not_run_keep_a_requirement_from_passing() -> None:
    partial = record(CORE, Verdict.PASS, otherwise="not selected", missing=["test_other"])
    assert (partial.outcome, partial.note) == ("not selected", "1 of its 2 tests did not run")


def test_tests_that_did_not_run_do_not_keep_a_requirement_from_failing() -> None:
    assert record(CORE, Verdict.FAIL, otherwise="not reached", missing=["test_other"]).outcome == "fail"


def test_the_exit_code_is_0_when_every_core_requirement_judged_passed() -> None:
    left_out = record(CATALOGUE["split-single-backend"], otherwise="not selected")
    assert code(record(CORE, Verdict.PASS), left_out, record(AMBIGUOUS, Verdict.FAIL)) == 0


def test_the_exit_code_is_1_when_a_core_requirement_failed_whatever_else_happened() -> None:
    inconclusive = record(CATALOGUE["split-single-backend"], Verdict.INCONCLUSIVE)
    assert code(record(CORE, Verdict.FAIL), inconclusive, interrupted=True) == 1


@pytest.mark.parametrize(
    ("found", "interrupted"),
    [
        pytest.param((), False, id="nothing at all"),
        pytest.param((record(CORE, otherwise="not selected"),), False, id="nothing selected"),
        pytest.param((record(CORE, otherwise="not claimed"),), False, id="nothing claimed"),
        pytest.param((record(EXTENDED, Verdict.PASS),), False, id="nothing core judged"),
        pytest.param((record(CORE, Verdict.INCONCLUSIVE),), False, id="inconclusive"),
        pytest.param((record(CORE, Verdict.PASS),), True, id="interrupted"),
        pytest.param(
            (record(CORE, Verdict.PASS), record(EXTENDED, otherwise="not reached")), True, id="not reached"
        ),
    ],
)
def test_the_exit_code_is_2_when_nothing_can_be_stated(
    found: tuple[RequirementRecord, ...], interrupted: bool
) -> None:
    assert code(*found, interrupted=interrupted) == 2


OTHER_CORE = next(entry for entry in CATALOGUE.values() if entry.level == "core" and entry != CORE)


@pytest.mark.parametrize(
    ("found", "word", "reason"),
    [
        pytest.param(
            (record(CORE, Verdict.PASS), record(OTHER_CORE, otherwise="untested")),
            "pass",
            "all 1 judged core requirements hold; 1 of 2 not judged (1 untested)",
            id="the whole",
        ),
        pytest.param(
            (record(CORE, Verdict.PASS), record(OTHER_CORE, otherwise="not claimed")),
            "pass",
            "all 1 judged core requirements hold; 1 of 2 not judged (1 not claimed)",
            id="all that is claimed",
        ),
        pytest.param(
            (record(CORE, Verdict.PASS), record(OTHER_CORE, otherwise="not selected")),
            "partial",
            "1 of 2 core requirements tested, all hold",
            id="a part",
        ),
        pytest.param(
            (record(CORE, Verdict.FAIL), record(OTHER_CORE, otherwise="not selected")),
            "fail",
            "1 of 1 core requirements failed; 1 of 2 core requirements tested",
            id="a part that fails",
        ),
    ],
)
def test_the_headline_says_how_much_was_asked(
    found: tuple[RequirementRecord, ...], word: str, reason: str
) -> None:
    stated = headline(found, interrupted=False)
    assert (stated.word, stated.reason) == (word, reason)


def test_a_failed_extended_requirement_does_not_change_the_exit_code() -> None:
    assert code(record(CORE, Verdict.PASS), record(EXTENDED, Verdict.FAIL)) == 0


def test_counts_cover_every_requirement_once() -> None:
    report = sample()
    assert set(report.counts) == set(OUTCOMES)
    assert sum(report.counts.values()) == len(CATALOGUE)


def test_a_requirement_twice_is_refused() -> None:
    one = record(CORE)
    with pytest.raises(ValueError, match="split-weighted-distribution"):
        build(
            suite_version="1",
            run=sample(()).run,
            mesh=MESH,
            cluster=CLUSTER,
            timing=TIMING,
            requirements=[one, one],
        )


@pytest.mark.parametrize(
    "change",
    [
        {"status": "untested"},
        {"verdict": None},
        {"tests": ()},
        {"verdict": Verdict.NOT_CLAIMED},
        {"id": "<script>"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_an_impossible_requirement_cannot_be_built(change: dict[str, Any]) -> None:
    judged = dict(record(CORE, Verdict.PASS))
    with pytest.raises(ValidationError):
        RequirementRecord(**{**judged, **change})


def test_a_verdict_cannot_be_printed_with_another_ones_exit_code() -> None:
    with pytest.raises(ValidationError, match="exit code"):
        type(sample(()).headline)(verdict=Verdict.FAIL, reason="x", exit_code=0)


def test_every_requirement_of_the_sample_keeps_its_place_in_the_catalogue() -> None:
    assert [found.id for found in records()] == list(CATALOGUE)


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Box:
    inside: object


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (Fraction(1, 3), "1/3"),
        ("a\ud800b", "a?b"),
        ({"\udc80": 1, 2: 3}, {"?": 1, "2": 3}),
        ({3, 1, 2}, [1, 2, 3]),
        (b"\xff\x00", "\ufffd\x00"),
        (Colour.RED, "red"),
        (Box((1, None, True)), {"inside": [1, None, True]}),
        (10**5000, "an integer of 16610 bits"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_value_becomes_plain_json(value: object, expected: object) -> None:
    assert json_value(value) == expected


def test_a_value_that_holds_itself_is_cut_off() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert "nested too deeply" in str(json_value(endless))


def test_hostile_text_is_accepted_wherever_the_document_has_text() -> None:
    read = ApiRead("client", "/\ud800", 200, {"\ud800": [float("nan"), "\x00"]})
    test = conclude_with("a\udfff", "t", Judgement(Verdict.FAIL, "\ud800"), evidence=[("read", read)])
    finding = Finding(severity="info", text="\ud800")
    report = sample([requirement_record(CORE, [test], otherwise="untested")]).model_copy(
        update={"findings": (finding,)}
    )
    assert type(report).model_validate_json(report.model_dump_json()) == report
