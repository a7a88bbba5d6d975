"""Runs in several API versions: what is asked in each, what shows of it, and how headers are written."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import pytest

from conformance import judge
from conformance.catalogue import GROUPS
from conformance.clusters import ApiAnswer, ClusterError, Object
from conformance.drive.api_trials import ABSENT, HeaderForms, HeadersRefused, attempt, changed
from conformance.model.verdict import Judgement, Verdict
from conformance.report.assemble import merged
from conformance.report.verify import recompute
from conformance.run.context import RunContext
from tools import none

from .conftest import Bench
from .fake_cluster import FakeCluster

ZERO_SUITE, ZERO = "traffic_split/test_zero_weight.py", "split-zero-weight-gets-nothing"
HEADERS_SUITE, HEADERS = "traffic_specs/test_headers.py", "http-header-filter"
OWN = """
    import pytest
    from conformance import judge
    from conformance.drive.rendering import NotInVersion
    pytestmark = pytest.mark.scenario("traffic-split/zero-weight", arena=("main",), groups=("split",))
"""


def claim(bench: Bench, **claims: str) -> None:
    """Have the fake's profile claim these versions, and its cluster serve them."""
    text = bench.profile.read_text(encoding="utf-8")
    old = next(line for line in text.splitlines() if line.startswith("claims:"))
    new = ", ".join(f"{group}: [{versions}]" for group, versions in claims.items())
    bench.profile.write_text(text.replace(old, f"claims: {{{new}}}"), encoding="utf-8")
    kinds = {
        "split": ("TrafficSplit",),
        "access": ("TrafficTarget",),
        "specs": ("HTTPRouteGroup", "TCPRoute"),
    }
    for group, versions in claims.items():
        for version in versions.split(", "):
            bench.cluster.serves.setdefault(f"{GROUPS[group]}/{version}", kinds[group])


def written(bench: Bench, kind: str) -> list[dict[str, Any]]:
    return [event["object"] for _, event in bench.cluster.events if event["object"]["kind"] == kind]


def takes(form: type, item: Object) -> ApiAnswer:
    """An API server whose schema knows header filters in one form."""
    matches = item.get("spec", item)["matches"]
    if any("headers" in match and not isinstance(match["headers"], form) for match in matches):
        return ApiAnswer(422, {"message": "spec.matches[0].headers: Invalid value"})
    return ApiAnswer(201, copy.deepcopy(dict(item)))


class TestARun:
    def test_speaks_the_newest_versions_and_says_nothing_of_it_in_ids(self, bench: Bench) -> None:
        claim(bench, split="v1alpha1, v1alpha2, v1alpha4")
        assert bench.suite(ZERO_SUITE) == 0
        (test,) = bench.record(ZERO).tests
        assert "[" not in test.nodeid
        assert test.versions == {"split": "v1alpha4"}

    def test_of_all_versions_has_a_test_of_each(self, bench: Bench) -> None:
        claim(bench, split="v1alpha1, v1alpha2, v1alpha4")
        assert bench.suite(ZERO_SUITE, "--versions", "all") == 0
        tests = bench.record(ZERO).tests
        assert [test.versions["split"] for test in tests] == ["v1alpha4", "v1alpha2", "v1alpha1"]
        assert [test.nodeid.partition("[")[2] for test in tests] == [
            "split v1alpha4]",
            "split v1alpha2]",
            "split v1alpha1]",
        ]
        assert bench.outcome(ZERO) == "pass"
        weights: dict[str, list[object]] = {}
        for one in written(bench, "TrafficSplit"):
            version = one["apiVersion"].rpartition("/")[2]
            weights.setdefault(version, []).append(one["spec"]["backends"][0]["weight"])
        assert weights == {"v1alpha4": [100], "v1alpha2": [100], "v1alpha1": ["100"]}

    def test_of_how_versions_work_together_is_in_all_that_are_claimed(self, bench: Bench) -> None:
        claim(bench, split="v1alpha4, v1alpha3", specs="v1alpha4, v1alpha3")
        bench.suite("traffic_split/test_with_specs.py")
        tests = bench.record("common-version-compat-matrix").tests
        assert [test.verdict for test in tests] == [Verdict.PASS, Verdict.PASS]
        assert [test.versions for test in tests] == [
            {"split": "v1alpha4", "specs": "v1alpha4"},
            {"split": "v1alpha3", "specs": "v1alpha3"},
        ]

    def test_of_how_versions_work_together_is_in_those_asked_for(self, bench: Bench) -> None:
        claim(bench, split="v1alpha4, v1alpha3", specs="v1alpha4, v1alpha3")
        bench.suite("traffic_split/test_with_specs.py", "--versions", "split=v1alpha3")
        (test,) = bench.record("common-version-compat-matrix").tests
        assert test.versions == {"split": "v1alpha3", "specs": "v1alpha3"}

    def test_of_a_list_speaks_what_it_names(self, bench: Bench) -> None:
        claim(bench, split="v1alpha2, v1alpha4")
        assert bench.run("-k", "test_zero_weight", "--versions", "split=v1alpha2") == 0
        (test,) = bench.record(ZERO).tests
        assert test.nodeid.endswith("[split v1alpha2]")
        assert "in split v1alpha2" in (bench.directory / "report.html").read_text(encoding="utf-8")

    def test_that_fails_in_one_version_fails(self, bench: Bench) -> None:
        claim(bench, split="v1alpha2, v1alpha4")

        def ignore_new_splits(item: Object) -> None:
            if item["kind"] == "TrafficSplit":
                bench.cluster.mesh.splits = item["apiVersion"].endswith("v1alpha2")

        bench.cluster.on_apply = ignore_new_splits
        assert bench.suite(ZERO_SUITE, "--versions", "all") == 1
        assert [test.verdict.value for test in bench.record(ZERO).tests] == ["fail", "pass"]

    def test_that_ends_before_one_of_the_versions_passes_nothing(self, bench: Bench) -> None:
        claim(bench, split="v1alpha2, v1alpha4")

        def interrupt(item: Object) -> None:
            if item["kind"] == "TrafficSplit" and item["apiVersion"].endswith("v1alpha2"):
                raise KeyboardInterrupt

        bench.cluster.on_apply = interrupt
        assert bench.suite(ZERO_SUITE, "--versions", "all") == 2
        record = bench.record(ZERO)
        assert [test.versions["split"] for test in record.tests] == ["v1alpha4"]
        assert (record.outcome, record.note) == ("not reached", "1 of its 2 tests did not run")
        assert recompute(bench.report) == []

    def test_that_ends_before_one_of_the_versions_still_condemns(self, bench: Bench) -> None:
        claim(bench, split="v1alpha2, v1alpha4")
        bench.cluster.mesh.splits = False
        assert bench.suite(ZERO_SUITE, "--versions", "all", "-x") == 1
        record = bench.record(ZERO)
        assert (record.outcome, len(record.tests)) == ("fail", 1)

    @pytest.mark.parametrize("command", ["run", "pytest"])
    @pytest.mark.parametrize(
        ("choice", "message"),
        [
            ("split=v1alpha2", "split v1alpha2 is not claimed; claimed: v1alpha4"),
            ("newer", "'newer' is invalid"),
        ],
    )
    def test_in_versions_that_are_not_claimed_ends_before_anything_is_made(
        self,
        bench: Bench,
        capsys: pytest.CaptureFixture[str],
        command: str,
        choice: str,
        message: str,
    ) -> None:
        run = bench.run if command == "run" else bench.pytest
        assert run("--versions", choice) == 2
        said = capsys.readouterr()
        assert message in said.err + said.out
        assert bench.cluster.created == []

    def test_asks_whether_every_version_that_it_speaks_is_served(
        self, bench: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        claim(bench, split="v1alpha2, v1alpha4")
        del bench.cluster.serves["split.smi-spec.io/v1alpha2"]
        assert bench.suite(ZERO_SUITE, "--versions", "all") == 2
        assert "split.smi-spec.io/v1alpha2 is not served with TrafficSplit" in capsys.readouterr().out
        assert bench.cluster.created == []

    def test_does_not_ask_what_is_about_other_versions(self, bench: Bench) -> None:
        claim(bench, split="v1alpha1, v1alpha4")
        source = (
            OWN
            + """
    @pytest.mark.requirement("split-schema-v1alpha1")
    def test_old(scenario, verdict):
        verdict(judge.inconclusive(scenario.versions["split"]))
    @pytest.mark.requirement("split-zero-weight-gets-nothing")
    def test_any(scenario, verdict):
        verdict(judge.inconclusive(scenario.versions["split"]))
    """
        )
        assert bench.own_suite(source) == 2
        record = bench.record("split-schema-v1alpha1")
        assert record.tests == ()
        assert record.outcome == "in other versions"
        assert "this run speaks split v1alpha4" in record.note
        for left_out in (
            ["--versions", "split=v1alpha4"],
            ["-k", "any"],
            ["--requirement", ZERO],
            ["--level", "ambiguous"],
        ):
            bench.own_suite(source, *left_out)
            assert bench.outcome("split-schema-v1alpha1") == "not selected", left_out
        assert bench.own_suite(source, "--versions", "all") == 2
        assert [test.summary for test in bench.record("split-schema-v1alpha1").tests] == ["v1alpha1"]
        assert {test.summary for test in bench.record(ZERO).tests} == {"v1alpha4", "v1alpha1"}

    def test_passes_what_only_newer_versions_can_express(self, bench: Bench) -> None:
        claim(bench, split="v1alpha2, v1alpha4")
        source = (
            OWN
            + """
    @pytest.mark.requirement("split-zero-weight-gets-nothing")
    def test_matches(scenario, verdict):
        if scenario.versions["split"] == "v1alpha2":
            raise NotInVersion("TrafficSplit v1alpha2 has no matches")
        verdict(judge.groups_served([("g", "v1", "K")], [("g", "v1", "K")]))
    """
        )
        bench.own_suite(source, "--versions", "all")
        tests = bench.record(ZERO).tests
        assert [test.verdict.value for test in tests] == ["pass", "not claimed"]
        assert tests[1].summary == "not applicable: TrafficSplit v1alpha2 has no matches"
        assert merged("core", tests) == ("judged", Verdict.PASS)


class TestHeaderFilters:
    @pytest.mark.parametrize(("schema", "form"), [(dict, "map"), (list, "list")])
    def test_are_written_in_the_form_that_the_cluster_takes(
        self, bench: Bench, schema: type, form: str
    ) -> None:
        bench.cluster.on_trial = lambda item: takes(schema, item)
        bench.suite(HEADERS_SUITE)
        (group,) = written(bench, "HTTPRouteGroup")
        assert all(isinstance(match["headers"], schema) for match in group["spec"]["matches"])
        assert bench.report.mesh.header_forms == {"v1alpha4": form}

    def test_that_are_taken_in_neither_form_are_a_failure_of_the_mesh(self, bench: Bench) -> None:
        bench.cluster.on_trial = lambda item: ApiAnswer(422, {"message": "headers: Invalid value"})
        assert bench.suite(HEADERS_SUITE) == 1
        (test,) = bench.record(HEADERS).tests
        assert test.verdict is Verdict.FAIL
        assert test.summary.startswith("no support of header filters: as a map: refused (HTTP 422)")
        assert [piece.type for piece in test.evidence] == ["attempt", "attempt"]
        assert bench.report.mesh.header_forms == {"v1alpha4": "neither"}

    def test_are_looked_at_in_the_page(self, bench: Bench) -> None:
        bench.cluster.on_trial = lambda item: takes(list, item)
        bench.run("-k", "test_headers")
        page = (bench.directory / "report.html").read_text(encoding="utf-8")
        assert "header filters of specs v1alpha4: a list of one-key maps" in page

    def test_are_put_to_the_cluster_once_for_a_version(self, cluster: FakeCluster) -> None:
        asked: list[str] = []

        def answer(item: Object) -> ApiAnswer:
            asked.append(item["metadata"]["name"])
            return ApiAnswer(201, copy.deepcopy(dict(item)))

        cluster.on_trial = answer
        forms = HeaderForms(cluster)
        assert [forms.form("v1alpha4", "ns"), forms.form("v1alpha4", "other")] == ["map", "map"]
        assert asked == ["headers-as-map", "headers-as-list"]
        forms.invalidate()
        assert forms.known() == {}

    def test_that_the_cluster_drops_are_not_taken(self, cluster: FakeCluster) -> None:
        def prune(item: Object) -> ApiAnswer:
            pruned = copy.deepcopy(dict(item))
            del pruned["spec"]["matches"][0]["headers"]
            return ApiAnswer(201, pruned)

        cluster.on_trial = prune
        with pytest.raises(HeadersRefused) as caught:
            HeaderForms(cluster).form("v1alpha4", "ns")
        assert judge.headers_refused(caught.value.attempts).verdict is Verdict.FAIL

    def test_are_not_asked_for_in_a_version_without_them(self, cluster: FakeCluster) -> None:
        assert HeaderForms(cluster).attempts("v1alpha1", "ns") == ()
        assert HeaderForms(cluster).form("v1alpha1", "ns") == "map"


class TestATrial:
    ITEM: ClassVar[dict[str, Any]] = {
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {"namespace": "ns", "name": "s"},
        "spec": {"service": "root", "backends": [{"service": "v1", "weight": 1}]},
    }

    def test_keeps_nothing(self, cluster: FakeCluster) -> None:
        assert attempt(cluster, self.ITEM, "whole").accepted
        assert cluster.objects == {}

    def test_brings_back_what_the_api_server_said(self, cluster: FakeCluster) -> None:
        cluster.on_trial = lambda item: ApiAnswer(422, {"message": "spec.service: Required value"})
        tried = attempt(cluster, self.ITEM, "no service", "refused")
        assert (tried.accepted, tried.status, tried.message) == (False, 422, "spec.service: Required value")

    def test_of_a_kind_that_is_not_served_is_trouble(self, cluster: FakeCluster) -> None:
        del cluster.serves["split.smi-spec.io/v1alpha4"]
        with pytest.raises(ClusterError, match="does not serve"):
            attempt(cluster, self.ITEM, "whole")

    def test_documents_differ_in_one_place_from_the_one_they_are_made_of(self) -> None:
        before = copy.deepcopy(self.ITEM)
        weight = "spec.backends.0.weight"
        assert "weight" not in changed(self.ITEM, (weight, ABSENT))["spec"]["backends"][0]
        assert changed(self.ITEM, (weight, "500m"))["spec"]["backends"][0]["weight"] == "500m"
        assert before == self.ITEM
        with pytest.raises(KeyError):
            changed(self.ITEM, ("spec.nothing", ABSENT))


def test_a_requirement_that_no_version_can_express_is_not_claimed(context: RunContext) -> None:
    from conformance.report.conclusions import conclude

    one: Judgement = judge.not_applicable("TrafficSplit v1alpha2 has no matches")
    tests = [conclude("a::b", "B", one, 0.0, versions={"split": "v1alpha2"})]
    assert merged("core", tests) == ("not claimed", None)


class TestSchemas:
    def test_of_routes_are_judged_by_what_the_api_server_answers(self, bench: Bench) -> None:
        assert bench.suite("traffic_specs/test_schemas.py") == 0
        judged = ["tcp-schema-by-version", "udp-schema-v1alpha4", "http-reject-schema-violations"]
        assert [bench.outcome(one) for one in judged] == ["pass"] * 3
        # Its other test is about traffic, and in another file.
        (refused,) = bench.record("l4-reject-bad-ports").tests
        assert refused.verdict is Verdict.PASS
        assert bench.outcome("http-headers-wire-form") == "observed"
        (reading,) = bench.record("http-headers-wire-form").tests
        assert reading.summary == "as a map: accepted; as a list: refused (HTTP 422)"

    def test_of_a_cluster_that_takes_anything_are_none(self, bench: Bench) -> None:
        bench.cluster.on_trial = lambda item: ApiAnswer(201, copy.deepcopy(dict(item)))
        assert bench.suite("traffic_split/test_schemas.py") == 1
        for one in ("split-reject-schema-violations", "split-reject-wrong-types"):
            assert bench.outcome(one) == "fail"
        assert bench.outcome("split-schema-v1alpha3-v1alpha4") == "pass"

    def test_of_older_versions_are_looked_at_in_those(self, bench: Bench) -> None:
        claim(bench, split="v1alpha1, v1alpha2, v1alpha4")
        assert bench.suite("traffic_split", "-k", "schemas or quantity", "--versions", "all") == 0
        for one in ("split-schema-v1alpha1", "split-schema-v1alpha2", "split-v1alpha1-quantity-weights"):
            assert bench.outcome(one) == "pass", one
        assert {test.versions["split"] for test in bench.record("split-reject-wrong-types").tests} == {
            "v1alpha2",
            "v1alpha4",
        }

    def test_a_mesh_that_reads_quantities_by_their_digits_fails(self, bench: Bench) -> None:
        claim(bench, split="v1alpha1")

        def misread(item: Object) -> None:
            if item["kind"] == "TrafficSplit":
                for backend in item["spec"]["backends"]:
                    backend["weight"] = str(backend["weight"]).rstrip("m")

        bench.cluster.on_apply = misread
        assert bench.suite("traffic_split/test_quantity_weights.py") == 1
        assert bench.outcome("split-v1alpha1-quantity-weights") == "fail"

    def test_a_split_that_loses_its_matches_takes_what_it_should_leave(self, bench: Bench) -> None:
        def lose(item: Any) -> None:
            if item["kind"] == "TrafficSplit":
                item["spec"].pop("matches", None)

        bench.cluster.on_apply = lose
        assert bench.suite("traffic_split/test_with_specs.py") == 1
        assert bench.outcome("common-version-compat-matrix") == "fail"


class TestNoMesh:
    def test_tells_verdicts_about_traffic_from_those_of_the_api_server_alone(self, bench: Bench) -> None:
        bench.run("-k", "test_schemas or test_zero_weight or test_objects")
        assert none.by_traffic(bench.record(ZERO))
        for one in ("split-reject-wrong-types", "udp-schema-v1alpha4", "common-crud-with-standard-tools"):
            assert not none.by_traffic(bench.record(one)), one
