"""Whole runs in this process: verdicts, exit codes, selection, and leftovers."""

from __future__ import annotations

import json
import os
import signal
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jsonschema
import pytest

from conformance import catalogue
from conformance.clusters import ApiAnswer, ClusterError, ExecFailed, Object
from conformance.drive import arena
from conformance.report import schema
from conformance.traceability import index

from .conftest import Bench, made_bench
from .fake_mesh import FakeMesh

ZERO_SUITE = "traffic_split/test_zero_weight.py"
ZERO, DIRECT = "split-zero-weight-gets-nothing", "split-direct-backend-access"
WEIGHTS_SUITE = "traffic_split/test_weighted_distribution.py"
WEIGHTS = "split-weighted-distribution"
BEYOND = "split_and_ or twin_targets or partial_authorisation or unknown_fields or convergence"
"""Suites of features that the fake mesh lacks: access control, and traffic during edits."""
OWN = """
    import pytest
    from conformance import judge
    pytestmark = pytest.mark.scenario("traffic-split/zero-weight", arena=("main",), groups=("split",))
    @pytest.mark.requirement("split-zero-weight-gets-nothing")
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Everything about splits and objects, against a mesh that does as it should."""
    with made_bench(tmp_path_factory.mktemp("whole")) as bench:
        assert bench.run("-k", f"(traffic_split or common) and not ({BEYOND})") == 0
        yield bench


def spoil(item: Object, word: str, error: BaseException) -> None:
    """Raise the error for the TrafficSplit of a scenario."""
    if item["kind"] == "TrafficSplit" and item["spec"]["service"] == word:
        raise error


class TestAWholeRun:
    def test_everything_that_the_mesh_does_passes(self, whole: Bench) -> None:
        assert whole.report.headline.verdict.value == "pass"
        entries = [one for one in index.index() if "traffic_split" in one.file or "common" in one.file]
        # The mesh does not claim old versions, and one requirement has a test of another API as well.
        outcomes = {whole.outcome(one.requirement) for one in entries}
        assert outcomes == {"pass", "observed", "not claimed", "not selected"}
        assert whole.report.counts["pass"] >= 30
        assert whole.report.counts["fail"] == whole.report.counts["inconclusive"] == 0

    def test_every_open_question_has_its_reading(self, whole: Bench) -> None:
        observed = [one for one in whole.report.requirements if one.outcome == "observed"]
        for record in observed:
            readings = [one for test in record.tests for one in test.readings]
            # The mesh does not claim to govern UDP, so no such requirement is judged.
            wanted = [one for one in record.readings if one != "flows of UDP"]
            assert sorted(one.question for one in readings) == sorted(wanted), record.id
            for test in record.tests:
                asked = [one.question for one in test.readings]
                assert asked == [one for one in record.readings if one in asked], test.title
            assert not any(one.finding for one in readings), record.id
        zeros = next(one for one in observed if one.id == "split-all-weights-zero")
        assert [one.letter for one in zeros.tests[0].readings] == ["a", "a", "a"]

    def test_a_requirement_with_several_tests_shows_them_all(self, whole: Bench) -> None:
        assert [test.title for test in whole.record(WEIGHTS).tests] == [
            "Requests are divided 80 to 20",
            "New connections of one request are divided 80 to 20",
            "A share of one percent is honoured",
            "A share of one in a thousand is not rounded",
            "Any weights of one to five backends are followed",
        ]

    def test_the_report_keeps_the_evidence_that_verdicts_stand_on(self, whole: Bench) -> None:
        (test,) = whole.record(ZERO).tests
        assert [evidence.name for evidence in test.evidence] == ["baseline", "sample"]
        assert [convergence.took_s for convergence in test.convergences] == [0.0]
        assert test.basis is not None
        assert test.basis.judge == "nothing_reaches"

    def test_unselected_and_untested_requirements_are_distinguished(self, whole: Bench) -> None:
        assert whole.outcome("access-default-deny") == "not selected"
        assert whole.record("access-transport-encrypted").status == "untested"
        assert "view of the network" in whole.record("access-transport-encrypted").note

    def test_every_requirement_of_the_catalogue_is_in_the_report(self, whole: Bench) -> None:
        assert [one.id for one in whole.report.requirements] == list(catalogue.load())

    def test_the_document_fits_the_published_schema(self, whole: Bench) -> None:
        document = json.loads((whole.directory / "report.json").read_text(encoding="utf-8"))
        jsonschema.validate(document, json.loads(schema.published()))

    def test_junit_and_html_are_written_beside_it(self, whole: Bench) -> None:
        assert sorted(path.name for path in whole.directory.iterdir()) == [
            "junit.xml",
            "report.html",
            "report.json",
        ]
        cases = ET.parse(whole.directory / "junit.xml").iter("testcase")
        assert ZERO in {case.get("name") for case in cases}
        assert ZERO in (whole.directory / "report.html").read_text(encoding="utf-8")

    def test_nothing_is_left_in_the_cluster(self, whole: Bench) -> None:
        assert whole.cluster.objects == {}
        assert whole.cluster.closed

    def test_all_that_was_created_carries_the_label_of_the_run(self, whole: Bench) -> None:
        stored = [event["object"] for _, event in whole.cluster.events]
        unlabelled = [
            f"{one['kind']}/{one['metadata']['name']}"
            for one in stored
            if one["metadata"].get("labels", {}).get("smi-conformance.dev/run") != "r1"
        ]
        assert unlabelled == []

    def test_faults_that_a_requirement_is_shown_to_catch_are_named(self, whole: Bench) -> None:
        assert whole.record(ZERO).faults


def test_a_mesh_that_ignores_splits_fails(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.cluster.mesh.splits = False
    assert bench.suite(ZERO_SUITE) == 1
    assert bench.outcome(ZERO) == "fail"
    assert "reached workloads that must get none" in bench.record(ZERO).tests[0].summary
    said = capsys.readouterr().out
    assert "✗ FAIL: 1 of 2 core requirements failed" in said
    assert "expected: no request reaches v2" in said


def test_a_claim_of_preservation_is_not_blamed_on_a_mesh_without_effect(bench: Bench) -> None:
    bench.cluster.mesh.splits = False
    bench.suite(ZERO_SUITE)
    assert bench.outcome(DIRECT) == "inconclusive"


def test_diagnostics_of_a_failure_are_gathered_before_the_arena_goes(bench: Bench) -> None:
    bench.cluster.mesh.splits = False
    bench.suite(ZERO_SUITE)
    names = [one.name for one in bench.report.diagnostics]
    assert "traffic-split/zero-weight: log of smi-main-r1/client, probe" in names


def test_waiting_counts_as_the_time_of_the_mesh(bench: Bench) -> None:
    bench.cluster.mesh.splits = False
    bench.suite(ZERO_SUITE)
    timing = bench.report.timing
    # A change that never shows is waited for for the 3 s that the profile allows; then the clients rest for
    # 10 s, and it is looked at once more.
    assert 13.0 <= timing.waiting_s <= 3.6 + 10 + 2.6
    assert timing.total_s == pytest.approx(timing.waiting_s)


def test_a_broken_exec_is_inconclusive_and_not_blamed_on_the_mesh(bench: Bench) -> None:
    def drop(pod: str, request: Mapping[str, Any]) -> None:
        if request["op"] == "ledger":
            raise ExecFailed("exec in smi-main-r1/v1-1 broke off")

    bench.cluster.on_ask = drop
    assert bench.suite(ZERO_SUITE) == 2
    record = bench.record(ZERO)
    assert record.outcome == "inconclusive"
    assert record.tests[0].summary == "ExecFailed: exec in smi-main-r1/v1-1 broke off"
    assert "not of the mesh" in record.tests[0].hint


def test_a_test_without_a_verdict_is_inconclusive(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.own_suite(OWN + "    def test_says_nothing(scenario): pass") == 2
    assert bench.outcome(ZERO) == "inconclusive"
    assert "ended without a judgement" in bench.record(ZERO).tests[0].summary
    assert "1 inconclusive" in capsys.readouterr().out


class TestWhatATestDoesAfterItsVerdict:
    PASS, FAIL = (
        f"verdict(judge.groups_served([('g', 'v1', 'K')], {served}))"
        for served in ("[('g', 'v1', 'K')]", "[]")
    )

    @pytest.mark.parametrize(
        "then", [PASS, "pytest.skip('not here')", "raise NotClaimed('not here')", "assert False"]
    )
    @pytest.mark.parametrize(("first", "verdict"), [(PASS, "inconclusive"), (FAIL, "fail")])
    def test_takes_a_pass_back_and_no_failure(
        self, bench: Bench, first: str, then: str, verdict: str
    ) -> None:
        source = f"""    def test_says_two_things(scenario, verdict):
        from conformance.drive.tailoring import NotClaimed
        {first}
        {then}
    """
        bench.own_suite(OWN + source)
        (test,) = bench.record(ZERO).tests
        assert test.verdict.value == verdict


@pytest.mark.parametrize(
    "judgement",
    [
        "Judgement(Verdict.PASS, 'fine')",
        "Judgement(Verdict.FAIL, 'broken')",
        "judge.no_request_failed(sent)",
        "judge.all_of(one=judge.no_request_failed(sent), other=judge.no_request_failed(sent))",
    ],
)
def test_a_verdict_without_a_null_control_is_inconclusive(bench: Bench, judgement: str) -> None:
    source = f"""    def test_jumps_to_a_conclusion(scenario, verdict):
        from conformance.model.verdict import Judgement, Verdict
        scenario.create_services()
        call = scenario.call("main/client", "main/resting", requests=200)
        (sent,) = scenario.send(call, servers=[f"main/v{{n}}" for n in range(1, 5)])
        verdict({judgement})
    """
    assert bench.own_suite(OWN + source) == 2
    (test,) = bench.record(ZERO).tests
    assert test.verdict.value == "inconclusive"
    assert test.summary.startswith("an error of the suite: no judge with a null control came to this: ")


def test_an_assertion_error_of_a_test_is_not_blamed_on_the_mesh(bench: Bench) -> None:
    assert bench.own_suite(OWN + "    def test_asserts(scenario): assert 1 == 2, 'figures'") == 2
    assert bench.record(ZERO).tests[0].summary.startswith("AssertionError: figures")


@pytest.mark.parametrize(
    "ends",
    [
        "verdict(judge.groups_served([(said, 'v1', 'K')], []))",
        "verdict(Judgement(Verdict.INCONCLUSIVE, said))",
        "verdict(Judgement(Verdict.NOT_CLAIMED, said))",
        "raise RuntimeError(said)",
        "pytest.skip(said)",
    ],
)
def test_answers_of_a_mesh_are_printed_without_control_characters(
    bench: Bench, capsys: pytest.CaptureFixture[str], ends: str
) -> None:
    source = f"""    def test_says_something(scenario, verdict):
        from conformance.model.verdict import Judgement, Verdict
        said = "v2\\x1b[2J\\n::error::gone\\u202e"
        {ends}
    """
    bench.own_suite(OWN + source, "-ra")
    lines = capsys.readouterr().out.split("\n")
    assert any("v2 [2J ::error::gone" in line for line in lines)
    assert not any(line.startswith("::") for line in lines)
    assert all(line.isprintable() for line in lines)


def test_what_a_version_cannot_express_is_not_claimed(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    source = """    def test_v1alpha1(scenario):
        from conformance.drive.rendering import NotInVersion
        raise NotInVersion("TCPRoute v1alpha3 has no ports")
    """
    assert bench.own_suite(OWN + source) == 2
    record = bench.record(ZERO)
    assert record.outcome == "not claimed"
    assert record.tests[0].summary == "not applicable: TCPRoute v1alpha3 has no ports"
    assert "1 skipped" in capsys.readouterr().out


def test_a_skip_before_the_traffic_is_not_claimed(bench: Bench) -> None:
    # Needs TrafficTargets everywhere, so no client outside the mesh could be granted access.
    bench.profile.write_text(bench.profile.read_text().replace("access: {open: {}}", ""), encoding="utf-8")
    assert bench.suite("traffic_split/test_unmeshed_client.py") == 2
    assert bench.outcome("split-unmeshed-client") == "not claimed"


def test_a_client_outside_the_mesh_that_is_refused_by_the_service_itself_is_not_asked_about(
    bench: Bench,
) -> None:
    assert bench.suite("traffic_split/test_unmeshed_client.py") == 0
    bench.cluster.mesh.strict = True
    assert bench.suite("traffic_split/test_unmeshed_client.py") == 2
    record = bench.record("split-unmeshed-client")
    assert record.outcome == "not claimed"
    assert record.tests[0].summary == "a client outside the mesh is refused by the service itself"


def test_unclaimed_requirements_are_not_tried(bench: Bench) -> None:
    bench.profile.write_text("name: fake\nclaims: {split: [v1alpha4]}\njoin: {sidecar: false}\n")
    assert bench.run("-k", "test_zero_weight or test_sources") == 0
    record = bench.record("access-only-listed-sources")
    assert record.outcome == "not claimed"
    assert record.note.startswith("the profile claims none of access v1alpha1")
    assert not any("smi-access" in one for one in bench.cluster.created)


class TestADisclaimedRequirement:
    @pytest.fixture
    def disclaiming(self, bench: Bench) -> Bench:
        disclaimer = f"disclaims: {{{DIRECT}: names of backends are not served}}\n"
        bench.profile.write_text(bench.profile.read_text() + disclaimer, encoding="utf-8")
        return bench

    def test_is_not_claimed_with_its_reason(self, disclaiming: Bench) -> None:
        assert disclaiming.suite(ZERO_SUITE) == 0
        record = disclaiming.record(DIRECT)
        assert record.note == "the profile disclaims it: names of backends are not served"
        assert (record.outcome, record.tests) == ("not claimed", ())

    def test_that_holds_is_a_finding(self, disclaiming: Bench) -> None:
        disclaiming.suite(ZERO_SUITE)
        (found,) = disclaiming.report.findings
        assert found.text == f"{DIRECT} holds, but the profile disclaims it"
        assert (found.severity, found.remedy) == (
            "warning",
            "claim it: remove it from disclaims in the profile",
        )

    def test_of_which_a_test_did_not_run_is_none(self, bench: Bench) -> None:
        disclaimer = f"disclaims: {{{WEIGHTS}: shares are whole percents}}\n"
        bench.profile.write_text(bench.profile.read_text() + disclaimer, encoding="utf-8")
        suite = "traffic_split/test_weighted_distribution.py"
        bench.suite(suite)
        # Another module has the last of its tests.
        assert bench.outcome("split-root-endpoints-not-implicit") == "pass"
        assert bench.report.findings == ()
        bench.suite("traffic_split", "-k", "weighted_distribution or drawn_weights")
        assert bench.report.findings == ()

    def test_that_does_not_hold_is_none(self, disclaiming: Bench) -> None:
        disclaiming.cluster.mesh.splits = False
        disclaiming.suite(ZERO_SUITE)
        assert disclaiming.report.findings == ()

    def test_is_not_driven_for_its_own_sake(self, disclaiming: Bench) -> None:
        disclaiming.suite("traffic_split", "--requirement", DIRECT)
        assert disclaiming.outcome(DIRECT) == "not claimed"
        assert "nothing was judged" in disclaiming.report.findings[0].text


class TestAnInterruptedRun:
    def test_leaves_a_valid_report_and_no_arena(
        self, bench: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bench.cluster.on_apply = lambda item: spoil(item, "resting", KeyboardInterrupt())
        assert bench.suite("traffic_split", "-k", "test_weighted or test_zero or test_delete") == 2
        assert bench.report.run.interrupted
        assert bench.outcome("split-delete-restores-root") == "pass"
        assert bench.outcome(ZERO) == "not reached"
        assert bench.outcome(DIRECT) == "not reached"
        assert "2 requirements not reached" in bench.report.headline.reason
        assert bench.cluster.objects == {}
        assert "interrupted: removing the arena" in capsys.readouterr().out

    def test_ends_in_the_same_way_on_sigterm(self, bench: Bench) -> None:
        def end(item: Object) -> None:
            if item["kind"] == "TrafficSplit":
                os.kill(os.getpid(), signal.SIGTERM)

        before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
        bench.cluster.on_apply = end
        assert bench.suite(ZERO_SUITE) == 2
        assert bench.report.run.interrupted
        assert bench.cluster.objects == {}
        assert signal.signal(signal.SIGTERM, before) is signal.SIG_DFL

    def test_ends_in_the_same_way_at_its_timeout(
        self, bench: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def end(item: Object) -> None:
            if item["kind"] == "TrafficSplit":
                os.kill(os.getpid(), signal.SIGALRM)

        bench.cluster.on_apply = end
        assert bench.suite(ZERO_SUITE, "--timeout", "1200") == 2
        assert bench.report.run.interrupted
        assert bench.cluster.objects == {}
        assert "--timeout of 20 min 0 s has expired: removing the arena" in capsys.readouterr().out
        assert bench.report.findings[0].text == "the run ended early: --timeout of 20 min 0 s has expired"
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)

    def test_during_the_arenas_creation_removes_it(self, bench: Bench) -> None:
        def interrupt(item: Object) -> None:
            if item["kind"] == "Deployment":
                raise KeyboardInterrupt

        bench.cluster.on_apply = interrupt
        assert bench.suite(ZERO_SUITE) == 2
        assert bench.cluster.objects == {}
        assert bench.outcome(ZERO) == "not reached"

    @pytest.mark.parametrize("earlier", [True, False])
    def test_during_the_arenas_removal_leaves_it_and_writes_the_report(
        self, bench: Bench, capsys: pytest.CaptureFixture[str], earlier: bool
    ) -> None:
        delete = bench.cluster.delete

        def interrupt(objects: Iterable[Object]) -> None:
            items = list(objects)
            if any(item["kind"] == "Namespace" for item in items):
                raise KeyboardInterrupt
            delete(items)

        bench.cluster.delete = interrupt  # type: ignore[method-assign]
        if earlier:
            bench.cluster.on_apply = lambda item: spoil(item, "resting", KeyboardInterrupt())
        assert bench.run("-k", "test_zero_weight") == 2
        assert bench.report.run.interrupted
        assert bench.outcome(ZERO) == ("not reached" if earlier else "pass")
        (finding,) = bench.report.findings
        assert finding.text == "the run was interrupted before its arena was removed"
        assert finding.remedy == "smi-conformance clean --run r1 removes the leftovers"
        there = sorted(path.name for path in bench.directory.iterdir())
        assert there == ["junit.xml", "report.html", "report.json"]
        assert "clean --run r1" in capsys.readouterr().out

    def test_repeatedly_writes_the_report_without_the_cluster(self, bench: Bench) -> None:
        bench.cluster.on_apply = lambda item: spoil(item, "resting", KeyboardInterrupt())
        request, in_a_hurry = bench.cluster.request, False

        def give_up(objects: Iterable[Object]) -> None:
            nonlocal in_a_hurry
            in_a_hurry = True
            raise KeyboardInterrupt

        def ask(*arguments: Any, **options: Any) -> ApiAnswer:
            if in_a_hurry:
                raise KeyboardInterrupt
            return request(*arguments, **options)

        bench.cluster.delete = give_up  # type: ignore[method-assign]
        bench.cluster.request = ask  # type: ignore[method-assign]
        assert bench.run("-k", "test_zero_weight") == 2
        assert bench.outcome(ZERO) == "not reached"
        there = sorted(path.name for path in bench.directory.iterdir())
        assert there == ["junit.xml", "report.html", "report.json"]


def test_a_denial_of_an_admission_policy_has_its_remedy(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object) -> None:
        raise ClusterError("namespaces is forbidden: policy 'owner' denied request: it wants the label owner")

    monkeypatch.setattr(arena.Arena, "create", deny)
    assert bench.run("-k", "test_zero_weight") == 2
    (finding,) = bench.report.findings
    assert finding.text.endswith("denied request: it wants the label owner")
    assert finding.remedy.startswith("--label, --annotation, ")


class TestSelection:
    def test_by_requirement_takes_its_tests_alone(self, bench: Bench) -> None:
        assert bench.suite(ZERO_SUITE, "--requirement", ZERO) == 0
        assert bench.outcome(ZERO) == "pass"
        assert bench.outcome(DIRECT) == "not selected"

    def test_by_level_takes_that_level_alone(self, bench: Bench) -> None:
        assert bench.suite(ZERO_SUITE, "--level", "ambiguous") == 2
        assert bench.outcome(ZERO) == "not selected"

    def test_of_some_tests_of_a_requirement_shows_it_neither_as_passed(self, bench: Bench) -> None:
        assert bench.suite(WEIGHTS_SUITE, "-k", "requests_are_divided_80_to_20") == 2
        record = bench.record(WEIGHTS)
        assert record.outcome == "not selected"
        assert record.note == "4 of its 5 tests did not run"
        assert bench.report.headline.reason.startswith("no core requirement was judged; 0 of ")

    def test_of_some_tests_of_a_requirement_shows_it_as_failed_where_they_fail(self, bench: Bench) -> None:
        bench.cluster.mesh.splits = False
        assert bench.suite(WEIGHTS_SUITE, "-k", "80_to_20") == 1
        assert bench.outcome(WEIGHTS) == "fail"

    def test_of_nothing_is_an_error_in_the_report_and_creates_nothing(
        self, bench: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert bench.run("-k", "no_such_test") == 2
        assert "nothing was judged" in capsys.readouterr().out
        assert bench.cluster.created == []
        (finding,) = bench.report.findings
        assert finding.severity == "error"
        assert finding.text.startswith("nothing was judged: ")
        assert f"{finding.text} (" in (bench.directory / "junit.xml").read_text()
        there = sorted(path.name for path in bench.directory.iterdir())
        assert there == ["junit.xml", "report.html", "report.json"]

    def test_of_unclaimed_requirements_is_an_error_and_creates_nothing(self, bench: Bench) -> None:
        assert bench.run("--requirement", "metrics-discovery") == 2
        assert bench.cluster.created == []


class TestWhereTheReportGoes:
    def test_is_the_given_directory_with_a_copy_of_the_junit_file(self, bench: Bench) -> None:
        output, results = bench.folder / "out", bench.folder / "results.xml"
        assert bench.run("-k", "test_zero_weight", "-o", str(output), "--junit", str(results), "-q") == 0
        assert sorted(one.name for one in output.iterdir()) == ["junit.xml", "report.html", "report.json"]
        assert results.read_text(encoding="utf-8") == (output / "junit.xml").read_text(encoding="utf-8")
        assert not bench.directory.exists()

    def test_holds_no_other_run_from_the_first_moment_on(self, bench: Bench) -> None:
        output, results = bench.folder / "out", bench.folder / "new" / "results.xml"
        where = ["-o", str(output), "--junit", str(results)]
        assert bench.run("-k", "test_zero_weight", *where) == 0
        seen: list[bool] = []
        bench.cluster.on_apply = lambda item: seen.append(
            results.exists() or (output / "report.json").exists()
        )
        assert bench.run("-k", "test_zero_weight", *where) == 0
        assert seen
        assert not any(seen)

    def test_is_checked_before_anything_is_created(
        self, bench: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (bench.folder / "file").touch()
        assert bench.run("-k", "test_zero_weight", "--junit", str(bench.folder / "file" / "x.xml")) == 2
        assert "no reports can be written" in "".join(capsys.readouterr())
        assert bench.cluster.created == []

    def test_a_requirement_with_skipped_tests_is_not_shown_as_passed(
        self, bench: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bench.run("-k", "requests_are_divided_80_to_20")
        said = capsys.readouterr().out
        assert f"] · {WEIGHTS} " in said
        assert bench.outcome(WEIGHTS) == "not selected"

    @pytest.mark.parametrize("option", ["-q", "-v", ""])
    def test_is_shown_by_verbosity(
        self, bench: Bench, capsys: pytest.CaptureFixture[str], option: str
    ) -> None:
        assert bench.run("-k", "test_zero_weight", *filter(None, [option])) == 0
        said = capsys.readouterr().out
        line = f"] ✓ {ZERO} "
        assert (line in said) is (option == "")
        assert ("scenario traffic-split/zero-weight" in said) is (option == "-v")
        assert ("PASSED" in said) is (option == "-v")
        assert f"report: {bench.directory / 'report.html'}" in said
        assert "◐ PARTIAL: 3 of " in said


class TestAClusterThatIsNotReady:
    @pytest.mark.parametrize("command", ["run", "pytest"])
    def test_lacks_permissions(self, bench: Bench, capsys: pytest.CaptureFixture[str], command: str) -> None:
        bench.cluster.forbidden = frozenset({("create", "pods")})
        code = bench.run("-k", "test_zero_weight") if command == "run" else bench.suite(ZERO_SUITE)
        assert code == 2
        said = capsys.readouterr().out
        assert "error: not permitted: create pods, create pods/exec (bind the ClusterRole of docs/" in said
        assert "interrupted" not in said
        assert bench.outcome(ZERO) == "not reached"
        assert "not permitted: create pods" in (bench.directory / "junit.xml").read_text(encoding="utf-8")
        assert bench.report.headline.exit_code == 2
        assert (bench.directory / "report.html").exists()
        assert bench.cluster.created == []

    def test_lacks_permissions_that_the_arena_needs(
        self, bench: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bench.profile.write_text(bench.profile.read_text().replace("access: {open: {}}", ""))
        bench.cluster.forbidden = frozenset({("create", "traffictargets")})
        assert bench.suite(ZERO_SUITE) == 2
        assert "not permitted: create traffictargets.access.smi-spec.io" in capsys.readouterr().out

    def test_lacks_the_claimed_apis(self, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        del bench.cluster.serves["split.smi-spec.io/v1alpha4"]
        assert bench.suite(ZERO_SUITE) == 2
        assert "install the CRDs of fake, or correct claims.split" in capsys.readouterr().out
        assert bench.cluster.created == []

    def test_refuses_the_workloads(self, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        def refuse(item: Object) -> None:
            if item["kind"] == "Pod":
                raise ClusterError("violates PodSecurity (HTTP 403 Forbidden)")

        bench.cluster.on_apply = refuse
        assert bench.suite(ZERO_SUITE) == 2
        assert "violates PodSecurity" in capsys.readouterr().out
        assert bench.cluster.objects == {}

    def test_has_pods_that_do_not_get_ready(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(arena, "READY_WITHIN_S", 2.0)
        bench.cluster.ready = False
        assert bench.suite(ZERO_SUITE) == 2
        summary = bench.record(ZERO).tests[0].summary
        assert summary.startswith("NotReady: not seen within 2 s: pods of smi-main-r1 ready; pods client, ")
        assert bench.cluster.objects == {}

    def test_waits_once_for_pods_that_do_not_get_ready(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(arena, "READY_WITHIN_S", 100.0)
        bench.cluster.ready = False
        assert bench.run("-k", "zero_weight or weighted_distribution or single_backend") == 2
        assert 100 <= bench.report.timing.total_s < 110

    def test_has_pods_that_do_not_join(self, bench: Bench) -> None:
        bench.profile.write_text(bench.profile.read_text().replace("sidecar: false", "sidecar: true"))
        assert bench.suite(ZERO_SUITE) == 2
        assert "pods did not join the mesh fake (no sidecar)" in bench.record(ZERO).tests[0].summary


def test_objects_that_cannot_be_deleted_make_all_later_tests_inconclusive(bench: Bench) -> None:
    delete = bench.cluster.delete

    def refuse(objects: Iterable[Object]) -> None:
        items = list(objects)
        if any(item["kind"] == "TrafficSplit" for item in items):
            raise ClusterError("an admission webhook denied the request")
        delete(items)

    bench.cluster.delete = refuse  # type: ignore[method-assign]
    path = "traffic_split"
    assert bench.suite(path, "-k", "test_targetport or test_zero") == 2
    assert bench.outcome("split-targetport-per-backend") == "pass"
    assert bench.outcome(ZERO) == "inconclusive"
    (finding,) = bench.report.findings
    assert finding.text.startswith(
        "the objects of traffic-split/targetport could not be deleted: an admission"
    )


def test_an_arena_that_does_not_go_away_is_a_finding(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena, "GONE_WITHIN_S", 2.0)
    bench.cluster.delete = lambda objects: None  # type: ignore[method-assign]
    assert bench.suite(ZERO_SUITE) == 0
    (finding,) = bench.report.findings
    assert "not seen within 2 s: 1 namespaces gone" in finding.text
    assert finding.remedy == "smi-conformance clean removes the leftovers"


def test_keep_leaves_the_workloads_and_deletes_the_resources(bench: Bench) -> None:
    assert bench.suite(ZERO_SUITE, "--keep") == 0
    kinds = {kind for kind, _, _ in bench.cluster.objects}
    assert "Pod" in kinds
    assert "TrafficSplit" not in kinds


def test_a_starved_machine_is_not_blamed_on_the_mesh(bench: Bench) -> None:
    bench.cluster.mesh = FakeMesh(splits=False, latency_us=700_000)
    assert bench.suite(ZERO_SUITE) == 2
    assert "the machine was starved" in bench.record(ZERO).tests[0].summary


def test_a_machine_that_was_starved_earlier_does_not_excuse_a_later_failure(bench: Bench) -> None:
    mesh = bench.cluster.mesh = FakeMesh(splits=False)

    def slow_under_the_first_split(pod: str, request: Mapping[str, Any]) -> None:
        mesh.latency_us = (
            700_000 if ("TrafficSplit", "smi-main-r1", "going") in bench.cluster.objects else 900
        )

    bench.cluster.on_ask = slow_under_the_first_split
    assert bench.suite("traffic_split", "-k", "test_delete or test_zero") == 1
    assert bench.outcome("split-delete-restores-root") == "inconclusive"
    assert bench.outcome(ZERO) == "fail"


def test_an_unreadable_suite_does_not_crash_the_run(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.own_suite("import no_such_module") == 2
    assert "ModuleNotFoundError" in capsys.readouterr().out
    assert bench.cluster.created == []


def test_reports_that_cannot_be_written_stop_a_run_before_it_starts(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench.folder / "reports").write_text("a file")
    assert bench.run("-k", "test_zero_weight") == 2
    assert "no reports can be written to" in capsys.readouterr().err
    assert bench.cluster.created == []


def test_suites_without_a_mesh_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert pytest.main([str(index.SUITES / ZERO_SUITE), "--assert=plain"]) == pytest.ExitCode.USAGE_ERROR
    said = capsys.readouterr().err
    assert "the conformance suites need --smi-mesh PROFILE; there are: none, osm, reference" in said
