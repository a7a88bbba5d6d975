"""Judges are pure, and every judgement can be recomputed from its basis."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from judge_evidence import CONVERGED, cell, metrics, metrics_list, read, reference, silence, traffic
from pydantic import TypeAdapter

from conformance import judge
from conformance.judge.registry import JUDGES, is_founded, register, rejudge
from conformance.judge.registry import judge as decorator
from conformance.model.evidence import (
    AccessTable,
    AdmissionAttempt,
    Behaviour,
    Convergence,
    Effect,
    Environment,
    RoundTrip,
    TrialResult,
)
from conformance.model.verdict import Basis, Judgement, Verdict

FORBIDDEN = {
    "socket",
    "_socket",
    "ssl",
    "http",
    "requests",
    "kubernetes",
    "pytest",
    "pydantic",
    "urllib3",
    "asyncio",
}
PURE = {
    "__future__", "collections", "dataclasses", "datetime", "fractions", "functools", "inspect", "itertools",
    "math", "re", "types", "typing",
}  # fmt: skip
ALL = traffic({"v1": 100, "v2": 100})
V1 = traffic({"v1": 300})
EFFECT = judge.everything_reaches(Effect(ALL, V1, CONVERGED), "v1")
EXAMPLES: dict[str, Judgement] = {
    "access_enforced": judge.access_enforced(
        AccessTable((cell("a", "granted", traffic({"server": 3})), cell("b", "denied", silence())))
    ),
    "all_of": judge.all_of(first=EFFECT, second=judge.preserved(EFFECT, V1, "v1")),
    "apiservice": judge.apiservice(read({}), read({}, 404)),
    "request_counts": judge.request_counts(read({}, 404), read(metrics()), None, V1, V1, seconds=10),
    "discovery": judge.discovery(read({"kind": "APIResourceList", "resources": []})),
    "traffic_edges": judge.traffic_edges(
        {"mid": read({}, 404)},
        {"mid": read(metrics_list(metrics("mid", peer="a"), resource=reference("mid")))},
        [("a", "mid")],
        "arena",
    ),
    "error_rates": judge.error_rates({}, {"v1": read(metrics("v1"))}, {"v1": 0.2}, [V1]),
    "everything_reaches": EFFECT,
    "conditional_on": judge.conditional_on(
        EFFECT, judge.preserved(EFFECT, V1, "v1"), "nothing to compare with"
    ),
    "groups_served": judge.groups_served([("g", "v1", "K")], [("g", "v1", "K")]),
    "reaches_target_ports": judge.reaches_target_ports(
        Effect(V1, traffic({"v1": 300}, ports={"v1:8081": 300}), CONVERGED), {"v1": 8081}
    ),
    "header_form": judge.header_form([AdmissionAttempt("map", "either", {"spec": {}}, 422, "no")]),
    "headers_refused": judge.headers_refused([AdmissionAttempt("map", "either", {"spec": {}}, 422, "no")]),
    "discount_if_starved": judge.discount_if_starved(
        judge.no_request_failed(silence()), Environment(control_p99_us=900_000)
    ),
    "inconclusive": judge.inconclusive("no pod was ready"),
    "names_and_columns": judge.names_and_columns([read({"resources": [{"kind": "TrafficSplit"}]})], None, ""),
    "not_applicable": judge.not_applicable("TrafficSplit v1alpha2 has no matches"),
    "not_claimed": judge.not_claimed("udp"),
    "stands_on": judge.stands_on("split-single-service-followed", "v1 answered all of it"),
    "taken_up_under_calls": judge.taken_up_under_calls(Convergence("v2 answers", 8.0, 19.0, 10.0)),
    "nothing_reaches": judge.nothing_reaches(Effect(ALL, V1, CONVERGED), "v2"),
    "object_fields": judge.object_fields([read(metrics()), read(metrics_list(metrics()))]),
    "root_served_by_backends": judge.root_served_by_backends(
        Effect(silence(), traffic({"v1": 2700, "v2": 2700}), CONVERGED), {"v1": 1, "v2": 1}
    ),
    "percentiles": judge.percentiles(read(metrics()), {"p50": (0, 50.5), "p99": (900, 1100)}, None),
    "preserved": judge.preserved(EFFECT, [V1, V1], "v1"),
    "presumes": judge.presumes(
        judge.no_request_failed(silence()), "split-single-backend", "v1 answered all of it"
    ),
    "rbac": judge.rbac({"all": read({}), "none": read({}, 403)}, {"all": 200, "none": 403}),
    "reading": judge.reading(
        EFFECT,
        [TrialResult("zeros", "all zero", (Behaviour("a"), Behaviour("b", ("v1",))), ALL, silence())],
        EFFECT,
    ),
    "refusals": judge.refusals(
        [AdmissionAttempt("whole", "accepted", {"spec": {}}, 201)],
        [AdmissionAttempt("no spec", "refused", {}, 201)],
    ),
    "root_routing_restored": judge.root_routing_restored(Effect(V1, ALL, CONVERGED), {"v1", "v2"}),
    "round_trips": judge.round_trips(
        [RoundTrip("g/v1", "K", {"spec": {"a": 1}}, {"spec": {}}, {"get": True})]
    ),
    "weights_followed": judge.weights_followed(
        Effect(V1, traffic({"v1": 2700, "v2": 2700}), CONVERGED), {"v1": 1, "v2": 1}
    ),
    "within_either_step": judge.within_either_step(EFFECT, V1, {"v1": 1}, {"v1": 1}, CONVERGED),
    "misconfiguration_reported": judge.misconfiguration_reported(
        read({"items": []}),
        read({"items": []}),
        AdmissionAttempt("s", "accepted", {}, 201),
        *("K", "n", "b", 8),
        sound=read({"items": []}),
        sound_sent=AdmissionAttempt("s", "accepted", {}, 201),
        twins={"m": "n", "c": "b"},
    ),
    "unavailable": judge.unavailable("metrics"),
    "no_request_failed": judge.no_request_failed(V1),
}


def stored(value: Any) -> Any:
    return json.loads(TypeAdapter(type(value)).dump_json(value))


def from_store(basis: dict[str, Any]) -> Judgement:
    """Judge again from the JSON of a basis, decoding arguments by the judge's own annotations."""
    function = JUDGES[basis["judge"]]
    if basis["judge"] == "all_of":
        return function(**{name: from_store(part) for name, part in basis["arguments"].items()})
    hints = get_type_hints(inspect.unwrap(function))
    arguments = {}
    for name, value in basis["arguments"].items():
        nested = hints[name] is Judgement
        arguments[name] = (
            from_store(value["basis"]) if nested else TypeAdapter(hints[name]).validate_python(value)
        )
    return function(**arguments)


def test_every_judge_has_an_example() -> None:
    assert set(EXAMPLES) == set(JUDGES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_judgement_is_made_again_from_its_basis(name: str) -> None:
    found = EXAMPLES[name]
    assert found.basis is not None
    assert found.basis.judge == name
    assert rejudge(found.basis) == found


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_judgement_is_made_again_from_a_stored_report(name: str) -> None:
    found = EXAMPLES[name]
    assert from_store(stored(found)["basis"]) == found


@pytest.mark.parametrize("name", sorted(set(JUDGES) - {"all_of"}))
def test_a_basis_names_the_arguments_of_its_judge(name: str) -> None:
    basis = EXAMPLES[name].basis
    assert basis is not None
    assert set(basis.arguments) <= set(inspect.signature(JUDGES[name]).parameters)


def test_a_second_judge_of_a_name_is_an_error() -> None:
    def weights_followed(effect: Effect) -> Judgement:
        return Judgement(Verdict.PASS, "")

    with pytest.raises(ValueError, match="a judge called 'weights_followed' exists already"):
        register()(weights_followed)
    with pytest.raises(ValueError, match="a judge called 'weights_followed' exists already"):
        decorator(weights_followed)


class TestNullControl:
    def test_is_demanded_of_every_judge_that_does_not_say_why_it_needs_none(self) -> None:
        def hopeful(sample: object) -> Judgement:
            raise NotImplementedError

        with pytest.raises(TypeError, match=r"judge hopeful has no null control \(baseline, during, "):
            decorator(hopeful)
        assert "hopeful" not in JUDGES

    def test_that_a_call_may_leave_out_is_none(self) -> None:
        def hopeful(sample: object, baseline: object = None) -> Judgement:
            raise NotImplementedError

        with pytest.raises(TypeError, match="judge hopeful has no null control"):
            decorator(hopeful)

    @pytest.mark.parametrize(
        "name", sorted(JUDGES.keys() - {"all_of", "conditional_on", "discount_if_starved", "presumes"})
    )
    def test_is_behind_a_judgement_unless_its_judge_says_that_it_carries_no_test(self, name: str) -> None:
        aside = {"inconclusive", "not_applicable", "not_claimed", "stands_on"}
        aside |= {"unavailable", "no_request_failed"}
        assert is_founded(EXAMPLES[name]) == (name not in aside)

    def test_of_one_part_is_enough_for_all(self) -> None:
        aside, founded = judge.no_request_failed(V1), EXAMPLES["weights_followed"]
        assert not is_founded(judge.all_of(a=aside))
        assert is_founded(judge.all_of(a=aside, b=founded))
        assert is_founded(judge.conditional_on(founded, aside, "x"))

    def test_is_not_behind_what_no_judge_made(self) -> None:
        assert not is_founded(Judgement(Verdict.PASS, "fine"))


def test_an_unknown_judge_is_an_error() -> None:
    with pytest.raises(KeyError, match="astrology"):
        rejudge(Basis("astrology", {}))


def test_importing_the_judges_loads_nothing_that_could_reach_a_socket() -> None:
    program = (
        "import sys; before = set(sys.modules); import conformance.judge; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert "conformance" in loaded
    assert not loaded & FORBIDDEN


def test_judges_import_pure_modules_and_one_another_only() -> None:
    assert judge.__file__ is not None
    for module in Path(judge.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                ours = name.startswith("conformance.judge") or name in (
                    "conformance.model.evidence",
                    "conformance.model.verdict",
                )
                assert ours or name.partition(".")[0] in PURE, f"{module.name} imports {name}"


def test_the_package_exports_every_judge() -> None:
    functions: set[Callable[..., Judgement]] = {getattr(judge, name) for name in JUDGES}
    assert functions == set(JUDGES.values())
    assert set(JUDGES) <= set(judge.__all__)


class TestAllOf:
    good = judge.no_request_failed(V1)
    bad = judge.no_request_failed(silence(3))

    def test_only_passes_pass(self) -> None:
        found = judge.all_of(first_client=self.good, second_client=self.good)
        assert found.passed
        assert found.summary == (
            "first client: none of 300 requests failed; second client: none of 300 requests failed"
        )

    def test_the_worst_part_speaks(self) -> None:
        unsure = judge.inconclusive("no pod was ready", hint="kubectl get pods")
        found = judge.all_of(good=self.good, unsure=unsure, bad=self.bad)
        assert found.verdict is Verdict.FAIL
        assert found.summary == "bad: 3 of 3 requests failed (reset 3)"
        found = judge.all_of(good=self.good, unsure=unsure)
        assert (found.verdict, found.hint) == (Verdict.INCONCLUSIVE, "kubectl get pods")

    def test_shares_of_one_part_are_kept_as_they_are(self) -> None:
        shared = EXAMPLES["weights_followed"]
        assert judge.all_of(split=shared, rest=self.good).shares == shared.shares

    def test_shares_of_several_parts_are_distinguished(self) -> None:
        shared = EXAMPLES["weights_followed"]
        found = judge.all_of(one_to_one=shared, again=shared)
        assert [share.server for share in found.shares] == [
            "v1 (one to one)", "v2 (one to one)", "v1 (again)", "v2 (again)",
        ]  # fmt: skip

    def test_nothing_judged_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="nothing was judged"):
            judge.all_of()

    def test_a_part_that_no_judge_made_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="could not be recomputed"):
            judge.all_of(made_up=Judgement(Verdict.PASS, "trust me"))

    def test_more_samples_than_the_error_rate_allows_are_an_error(self) -> None:
        shared = EXAMPLES["weights_followed"]
        with pytest.raises(ValueError, match="5 samples in one requirement"):
            judge.all_of(**{f"sample_{index}": shared for index in range(5)})

    def test_samples_that_share_an_error_rate_count_as_their_part(self) -> None:
        sample = traffic({"v1": 4000, "v2": 4000})
        third = judge.weights_followed(
            Effect(V1, sample, CONVERGED), {"v1": 1, "v2": 1}, samples_sharing_alpha=3
        )
        assert judge.all_of(**{f"sample_{index}": third for index in range(12)}).passed
        with pytest.raises(ValueError, match="13 samples in one requirement"):
            judge.all_of(**{f"sample_{index}": third for index in range(13)})
