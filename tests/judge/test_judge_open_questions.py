"""The reading of an open question in the evidence; no reading fails a mesh."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judge_evidence import CONVERGED, NOT_CONVERGED, silence, traffic

from conformance import judge
from conformance.model.evidence import AdmissionAttempt, Behaviour, Effect, Traffic, TrialResult
from conformance.model.verdict import Judgement, Reading, Verdict
from conformance.suites.traffic_split import (
    test_odd_conditions_of_users,
    test_odd_splits,
    test_odd_splits_weights,
    test_odd_splits_without_endpoints,
)

ODD_SPLITS = {
    trial.name: trial
    for module in (test_odd_splits, test_odd_splits_weights, test_odd_splits_without_endpoints)
    for trial in module.trials.declared
}
ALL = traffic({"v1": 100, "v2": 100})
IN_FORCE = judge.everything_reaches(Effect(ALL, traffic({"v2": 300}), CONVERGED), "v2")
NO_EFFECT = judge.everything_reaches(Effect(ALL, ALL, NOT_CONVERGED), "v2")
REFUSAL = AdmissionAttempt("zeros", "either", {}, 422, "no")
LOOKS = (
    Behaviour("a"),
    Behaviour("b", ("v1",)),
    Behaviour("c", ("v2", "v3")),
    Behaviour("d", refused=True),
    Behaviour("b", ("v2",), failing=True),
    Behaviour("", ("v3",), finding="v3 is reached"),
)


def asked(
    sample: Traffic | None, name: str = "zeros", refusal: AdmissionAttempt | None = None
) -> TrialResult:
    return TrialResult(name, "all zero", LOOKS, traffic({"v1": 60}), sample, refusal)


def read(
    *questions: TrialResult, effect: Judgement = IN_FORCE, unrelated_edit: Judgement = IN_FORCE
) -> Judgement:
    return judge.reading(effect, questions, unrelated_edit)


def only(found: Judgement) -> Reading:
    (one,) = found.readings
    return one


@pytest.mark.parametrize(
    ("sample", "letter"),
    [
        (silence(), "a"),
        (traffic({"v1": 120}), "b"),
        (traffic({"v2": 60, "v3": 60}), "c"),
        (traffic({"v2": 60}, failures={"reset": 60}), "b"),
        (traffic({"v1": 60}, failures={"reset": 60}), ""),
        (traffic({"v2": 120}), ""),
        (traffic({"v4": 120}), ""),
    ],
    ids=["nobody", "the root", "both", "some fail", "some of the root's fail", "one alone", "a stranger"],
)
def test_responders_and_failures_decide_the_reading(sample: Traffic, letter: str) -> None:
    found = read(asked(sample))
    assert found.passed
    assert only(found).letter == letter
    assert not only(found).finding


def test_a_workload_that_was_reached_and_did_not_answer_counts() -> None:
    assert only(read(asked(replace(silence(), received={"v1": 10})))).letter == ""


def test_a_document_that_is_refused_is_a_reading() -> None:
    found = only(read(asked(None, refusal=REFUSAL)))
    assert (found.letter, found.seen) == ("d", "zeros: refused (HTTP 422)")


def test_evidence_is_described() -> None:
    sample = traffic({"v1": 120})
    assert only(read(asked(sample))).seen == "zeros: answered by v1 120 (as without the object)"
    assert only(read(asked(silence()))).seen == "zeros: 10 of 10 requests failed (reset 10)"
    some = only(read(asked(traffic({"v2": 60}, failures={"reset": 60})))).seen
    assert some == "zeros: answered by v2 60; 60 of 120 requests failed (reset 60)"
    reached = only(read(asked(replace(silence(), received={"v1": 10})))).seen
    assert reached == "zeros: reached v1 10, unanswered; 10 of 10 requests failed (reset 10)"


def test_trials_of_one_question_that_differ_show_no_reading() -> None:
    found = only(read(asked(silence()), asked(traffic({"v1": 120}), "again")))
    assert found.letter == ""
    assert "zeros: 10 of 10" in found.seen
    assert "again: answered by v1 120" in found.seen


def test_another_trial_distinguishes_readings_that_behave_alike_in_one() -> None:
    looks = (Behaviour("ab", ("v1",)), Behaviour("c", ("v2",)))
    alike = replace(asked(traffic({"v1": 60}), "alike"), looks=looks)
    assert only(read(alike)).letter == "a"
    assert only(read(alike, asked(silence()))).letter == "a"
    assert only(read(alike, asked(traffic({"v1": 60})))).letter == "b"
    assert only(read(alike, asked(traffic({"v2": 60, "v3": 60})))).letter == ""


@pytest.mark.parametrize(
    ("answered", "letter"),
    [({"v2": 90, "v3": 10}, "a"), ({"v2": 10, "v3": 90}, "b"), ({"v2": 50, "v3": 50}, "")],
    ids=["v2", "v3", "neither"],
)
def test_the_majority_of_answers_may_decide_the_reading(answered: dict[str, int], letter: str) -> None:
    both = ("v2", "v3")
    looks = (Behaviour("a", both, majority="v2"), Behaviour("b", both, majority="v3"))
    assert only(read(replace(asked(traffic(answered)), looks=looks))).letter == letter


class TestAFieldThatItsVersionDoesNotDefine:
    looks = (
        Behaviour("a", field_stored=False),
        Behaviour("b", refused=True),
        Behaviour("c", field_stored=True),
    )

    def asked(self, returned: dict[str, object] | None, field: str = "spec.backends.1.odd") -> TrialResult:
        one = replace(asked(silence()), looks=self.looks, field=field)
        if returned is None:
            return replace(one, sample=None, refusal=REFUSAL, stored=REFUSAL)
        return replace(one, stored=AdmissionAttempt("zeros", "either", {}, 201, returned=returned))

    @pytest.mark.parametrize(
        ("returned", "letter"),
        [
            ({"spec": {"backends": [{}, {"odd": None}]}}, "c"),
            ({"spec": {"backends": [{"odd": 1}, {}]}}, "a"),
            ({"spec": {"backends": [{"odd": 1}]}}, "a"),
            ({"spec": {"backends": {"1": {"odd": 1}}}}, "c"),
            ({"spec": "odd"}, "a"),
            ({}, "a"),
            (None, "b"),
        ],
        ids=["kept", "in another entry", "no such entry", "no list", "no object", "nothing", "refused"],
    )
    def test_is_looked_for_in_what_was_stored(self, returned: dict[str, object] | None, letter: str) -> None:
        assert only(read(self.asked(returned))).letter == letter

    def test_is_described(self) -> None:
        kept = only(read(self.asked({"matches": []}, "matches"))).seen
        assert kept.startswith("zeros: stored with matches; 10 of 10 requests failed")
        dropped = only(read(self.asked({}, "matches"))).seen
        assert dropped.startswith("zeros: stored without matches; 10 of 10")

    def test_is_in_question_only_where_one_is_named(self) -> None:
        assert only(read(replace(asked(silence()), looks=self.looks))).letter == ""


def test_behaviour_that_no_reading_excuses_is_a_finding_and_no_failure() -> None:
    found = read(asked(traffic({"v3": 120})))
    assert found.verdict is Verdict.PASS
    assert only(found).finding == found.hint == "v3 is reached"


STOPPED = "an unrelated object no longer takes effect (not converged"
AS_BEFORE = traffic({"v1": 120})


class TestWhereAnUnrelatedEditIsNotSeen:
    """``baseline`` is v1 alone, which is reading b as well."""

    def test_that_is_not_excused_and_what_is_as_before_tells_no_reading(self) -> None:
        found = read(asked(AS_BEFORE), unrelated_edit=NO_EFFECT)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.summary == (
            "not observed: all zero: zeros: answered by v1 120 (as without the object), "
            "which is inconclusive, as a later edit did not show either"
        )
        assert (only(found).letter, only(found).observed) == ("", False)
        assert only(found).finding.startswith(STOPPED)

    @pytest.mark.parametrize(
        ("sample", "letter"),
        [(silence(), "a"), (traffic({"v2": 60, "v3": 60}), "c"), (traffic({"v4": 9}), "")],
    )
    def test_behaviour_that_only_the_object_explains_is_observed(self, sample: Traffic, letter: str) -> None:
        found = read(asked(sample), unrelated_edit=NO_EFFECT)
        assert found.passed
        assert (only(found).letter, only(found).observed) == (letter, True)
        assert only(found).finding.startswith(STOPPED)

    def test_a_refusal_is_observed_beside_the_finding(self) -> None:
        assert only(read(asked(None, refusal=REFUSAL), unrelated_edit=NO_EFFECT)).letter == "d"
        assert only(read(asked(traffic({"v3": 9})), unrelated_edit=NO_EFFECT)).finding.startswith(
            "v3 is reached; "
        )

    def test_traffic_without_null_control_tells_nothing(self) -> None:
        assert not only(read(replace(asked(silence()), baseline=None), unrelated_edit=NO_EFFECT)).observed

    def test_it_is_no_finding_where_that_could_not_be_judged(self) -> None:
        unclear = Judgement(Verdict.INCONCLUSIVE, "it held before")
        assert only(read(asked(AS_BEFORE), unrelated_edit=unclear)) == Reading(
            "all zero",
            "",
            "zeros: answered by v1 120 (as without the object), "
            "which is inconclusive, as a later edit did not show either",
            observed=False,
        )

    def test_several_questions_share_one_finding(self) -> None:
        others = [replace(asked(AS_BEFORE), question=f"question {number}") for number in range(20)]
        found = read(*others, unrelated_edit=NO_EFFECT)
        assert [bool(one.finding) for one in found.readings] == [True] + [False] * 19
        assert found.hint.count("no longer takes effect") == 1

    def test_observed_and_unobserved_questions_are_both_reported(self) -> None:
        found = read(replace(asked(silence()), question="first"), asked(AS_BEFORE), unrelated_edit=NO_EFFECT)
        assert found.passed
        assert [one.word for one in found.readings] == ["a", "not observed"]
        assert "first: (a), zeros: 10 of 10" in found.summary
        assert "all zero: not observed: zeros: answered by v1" in found.summary

    def test_a_trial_that_tells_nothing_leaves_its_question_open(self) -> None:
        assert (
            only(read(asked(silence()), asked(AS_BEFORE, "again"), unrelated_edit=NO_EFFECT)).word
            == "not observed"
        )


class TestAnUnrelatedEditOfItsOwn:
    def test_decides_for_its_question_alone(self) -> None:
        frozen = replace(asked(AS_BEFORE), question="frozen", unrelated_edit=NOT_CONVERGED)
        taken = replace(asked(AS_BEFORE), question="taken", unrelated_edit=CONVERGED)
        found = read(frozen, taken)
        assert [one.word for one in found.readings] == ["not observed", "b"]
        stopped = "the mesh took no change while this object was there"
        assert [one.finding for one in found.readings] == [stopped, ""]

    def test_counts_where_the_shared_one_fails(self) -> None:
        found = only(read(replace(asked(AS_BEFORE), unrelated_edit=CONVERGED), unrelated_edit=NO_EFFECT))
        assert (found.letter, found.finding) == ("b", "")


def test_what_never_left_its_client_tells_no_reading() -> None:
    lost = traffic({}, sent=10, failures={"dns": 10})
    nameless = only(read(asked(lost)))
    assert not nameless.observed
    assert "did not resolve" in nameless.seen
    of_nobody = only(read(replace(asked(lost), baseline=lost)))
    assert (of_nobody.letter, of_nobody.observed) == ("a", True)


def test_nothing_is_observed_where_no_effect_is_in_force() -> None:
    found = read(asked(traffic({"v1": 120})), effect=NO_EFFECT)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.summary.startswith("not observed: indistinguishable from no mesh")
    assert found.readings == ()


def test_nothing_that_was_not_tried_is_observed() -> None:
    assert read().summary == "not observed: nothing was tried"
    assert only(read(asked(None))) == Reading(
        "all zero", "", "zeros: nothing was sent, so nothing is known", observed=False
    )


@pytest.mark.parametrize(
    ("trial", "sample", "letter", "unacceptable"),
    [
        ("before its service", silence(), "a", False),
        ("before its service", traffic({"v2": 120}), "b", False),
        ("late", traffic({"v2": 120}), "a", False),
        ("late", traffic({"v1": 120}), "b", True),
        ("zeros edited", traffic({"v3": 120}), "a", False),
        ("zeros edited", traffic({"v2": 120}), "b", True),
        ("specless", traffic({"v1": 120}), "a", False),
        ("specless", silence(), "b", True),
        ("nameless", traffic({"v2": 120}), "", True),
        ("nobody filled", traffic({"v2": 60, "v3": 60}), "a", False),
        ("nobody filled", traffic({"v2": 60}, failures={"reset": 60}), "b", True),
    ],
)
def test_the_trials_of_odd_splits_can_come_out_either_way(
    trial: str, sample: Traffic, letter: str, unacceptable: bool
) -> None:
    declared = ODD_SPLITS[trial]
    seen = only(read(TrialResult(trial, declared.question, declared.looks, silence(), sample)))
    assert (seen.letter, bool(seen.finding)) == (letter, unacceptable)


@pytest.mark.parametrize(
    ("first", "second", "letter"),
    [
        ({"v2": 120}, {"v3": 120}, "c"),
        ({"v2": 120}, {"v1": 120}, "a"),
        ({"v1": 120}, {"v3": 120}, "e"),
        ({"v2": 60, "v3": 60}, {"v2": 60, "v3": 60}, "b"),
        ({"v1": 120}, {"v1": 120}, ""),
    ],
    ids=["both", "the first", "the second", "merged", "neither"],
)
def test_two_splits_for_different_users_are_distinguished(
    first: dict[str, int], second: dict[str, int], letter: str
) -> None:
    asked_of = [
        TrialResult(trial.name, trial.question, trial.looks, silence(), traffic(answered))
        for trial, answered in (
            (test_odd_conditions_of_users.FIRST_USERS, first),
            (test_odd_conditions_of_users.SECOND_USERS, second),
        )
    ]
    assert only(read(*asked_of)).letter == letter
