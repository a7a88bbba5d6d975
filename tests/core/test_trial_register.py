"""Declarations of trials, and what a run makes of them."""

from __future__ import annotations

import pytest

from conformance.drive.open_questions.addresses import by_cluster_ip, by_host, host_without_port
from conformance.drive.open_questions.looks import (
    answered,
    finding,
    refused,
    same_or_changed,
    unanswered,
)
from conformance.drive.open_questions.register import Prior, TrialRegister, TrialRequest
from conformance.drive.scenario import Scenario
from conformance.model.evidence import Behaviour, Call, Traffic
from conformance.profiles.model import Hosts
from conformance.run.context import RunContext

from .fake_cluster import FakeCluster

READINGS = (answered("a", "v2"), refused("b"))


@pytest.fixture
def scenario(context: RunContext) -> Scenario:
    context.arena.wait_ready(["main"])
    return context.scenario("traffic-split/odd-splits")


@pytest.fixture
def trials() -> TrialRegister:
    return TrialRegister(["main/v1"], {"client": "main/client", "baseline_responders": ("v1",)})


def test_a_trial_without_a_service_calls_the_root_of_a_split_of_its_name(
    trials: TrialRegister, scenario: Scenario
) -> None:
    trials.declare("bare", "no backends", READINGS, findings=[finding("none answers")])
    (trial,) = trials.for_run(scenario)
    assert trial.call == scenario.call("main/client", "main/bare", requests=120)
    assert (trial.object_name, trial.baseline_responders) == ("bare", ("v1",))
    assert trial.looks == (*READINGS, Behaviour("", finding="none answers"))


def test_a_split_of_another_name_is_the_object_in_question_unless_given(trials: TrialRegister) -> None:
    assert trials.declare("after", "question", READINGS, split="bare").object_name == "bare"
    other = trials.declare("other", "question", READINGS, split="bare", object_name="", other_objects=("b",))
    assert other.object_names == {"b"}
    assert other.request.service == "main/bare"


def test_defaults_of_a_part_of_the_trials_are_laid_over_those_of_all(trials: TrialRegister) -> None:
    part = trials.with_defaults(service="main/v2", object_name="odd", path="/x")
    declared = part.declare("one", "question", READINGS, path="/y")
    assert trials.declared == [declared]
    assert declared.request == TrialRequest(client="main/client", service="main/v2", path="/y")
    assert declared.object_name == "odd"


def test_a_name_is_given_once(trials: TrialRegister) -> None:
    trials.declare("bare", "question", READINGS)
    with pytest.raises(ValueError, match="two trials are named 'bare'"):
        trials.with_defaults(path="/x").declare("bare", "another", READINGS)


def test_a_trial_is_made_where_its_protocol_is_carried_and_its_condition_holds(
    trials: TrialRegister, scenario: Scenario
) -> None:
    trials.declare("bare", "question", READINGS)
    trials.declare("own", "question", READINGS, carried="tcp")
    trials.declare("twice", "question", READINGS, made_if=lambda _: False)
    scenario.profile = scenario.profile.model_copy(update={"protocols": ("http",)})
    assert [one.name for one in trials.for_run(scenario)] == ["bare"]


class TestAPrior:
    """The state in force before an object in question."""

    def test_is_about_the_call_of_the_trial(self, trials: TrialRegister, scenario: Scenario) -> None:
        trials.declare("bare", "question", READINGS, prior=Prior(responders=("v2", "v3"), all_of=("v2",)))
        (trial,) = trials.for_run(scenario)
        assert trial.prior is not None
        assert trial.prior.call == trial.call
        assert (trial.prior.responders, trial.prior.must_appear) == ({"v2", "v3"}, {"v2"})
        assert not trial.prior.unreachable_before

    def test_or_about_another_that_is_unanswered_before(
        self, trials: TrialRegister, scenario: Scenario
    ) -> None:
        request = TrialRequest(client="main/client", service="main/v2", requests=1, path="/valid")
        trials.declare("bare", "question", READINGS, prior=Prior(responders=("v2",), request=request))
        (trial,) = trials.for_run(scenario)
        assert trial.prior is not None
        assert trial.prior.call == scenario.call("main/client", "main/v2", path="/valid")
        assert trial.prior.unreachable_before


class TestAddresses:
    """Other forms of address than the profile's."""

    def test_a_host_in_another_form(self, trials: TrialRegister, scenario: Scenario) -> None:
        form = by_host("{service}.{namespace}.svc", "main/own")
        trials.declare("own", "question", [unanswered("a", "goes past")], adapt=form)
        (trial,) = trials.for_run(scenario)
        assert trial.call.host == "own.smi-main-r1.svc"
        assert trial.looks == (unanswered("a", "goes past"),)

    def test_no_finding_for_a_mesh_with_hosts_of_its_own(
        self, trials: TrialRegister, scenario: Scenario
    ) -> None:
        trials.declare(
            "own", "question", [unanswered("a", "goes past")], adapt=by_host("{service}", "main/own")
        )
        hosts = Hosts(service="{service}.mesh")
        scenario.profile = scenario.profile.model_copy(update={"hosts": hosts})
        (trial,) = trials.for_run(scenario)
        assert trial.looks == (unanswered("a"),)

    def test_the_cluster_ip_and_the_host_of_another(
        self, trials: TrialRegister, scenario: Scenario, cluster: FakeCluster
    ) -> None:
        trials.declare("own", "question", READINGS, adapt=by_cluster_ip("main/own"))
        trials.declare("other", "question", READINGS, adapt=by_cluster_ip("main/own", host_of="main/v2"))
        scenario.create_services()
        first, second = trials.for_run(scenario)
        assert first.call.host == second.call.host != scenario.call("main/client", "main/own").host
        assert first.call.headers == {}
        assert second.call.headers == {"host": scenario.call("main/client", "main/v2").host}

    def test_a_host_header_without_a_port(self, trials: TrialRegister, scenario: Scenario) -> None:
        trials.declare("own", "question", READINGS, adapt=host_without_port)
        (trial,) = trials.for_run(scenario)
        assert trial.call.headers == {"host": trial.call.host}


def seen(answers: dict[str, int], sent: int = 10) -> Traffic:
    return Traffic(Call("c", "h", 1, sent), sent, answers, {}, {}, answers, {})


def test_the_same_workloads_as_before_are_reading_a_and_others_b() -> None:
    others = [("v2",), ("v3",), ()]
    looks = same_or_changed(seen({"v2": 10, "v3": 0}), others, "changed")
    assert looks == (
        answered("a", "v2"),
        answered("b", "v3", finding="changed"),
        unanswered("b", "changed"),
    )
    (same, *_) = same_or_changed(seen({"v2": 9}), others, "changed")
    assert same == answered("a", "v2", failing=True)
