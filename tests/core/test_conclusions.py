"""From a judgement to the record of it, and what is known of tests without running them."""

from __future__ import annotations

import pytest

from conformance import catalogue, judge
from conformance.catalogue import CatalogueError
from conformance.model.evidence import AccessResult, AccessTable, Call, Convergence, Effect, Traffic
from conformance.model.verdict import Judgement, Verdict
from conformance.report.conclusions import conclude, named_evidence, render
from conformance.traceability import explain, index, matrix
from conformance.traceability.index import read, sentence

MODULE = """
import pytest
pytestmark = pytest.mark.scenario("traffic-split/x", arena=("main", "peer"), groups=("split",))

@pytest.mark.requirement("split-live-edits")
def test_it_moves(verdict):
    verdict(judge.all_of(a=judge.weights_followed(x), b=judge.no_request_failed(y)))

def helper():
    judge.access_enforced()

def test_nothing_said():
    pass
"""


def traffic(**answered: int) -> Traffic:
    sent = sum(answered.values())
    return Traffic(
        Call("main/client", "root", 8080, sent),
        sent,
        answered,
        {},
        {"200": sent},
        {},
        answered,
        new_connections=True,
    )


BEFORE, SAMPLE = traffic(v1=100, v2=100), traffic(v1=300)
SETTLING = Convergence("only v1 answers", 3, 0.4)


class TestARecord:
    def test_holds_each_piece_of_evidence_once_by_its_name(self) -> None:
        effect = judge.everything_reaches(Effect(BEFORE, SAMPLE, SETTLING), "v1")
        both = judge.all_of(effect=effect, direct=judge.preserved(effect, SAMPLE, "v1"))
        found = conclude("test_x.py::test_it", "It", both, 1.5)
        assert [one.name for one in found.evidence] == ["effect baseline", "effect sample"]
        assert [one.what for one in found.convergences] == ["only v1 answers"]
        assert (found.title, found.duration_s) == ("It", 1.5)

    def test_names_the_cells_of_a_table(self) -> None:
        cell = AccessResult(
            "GET /a", "granted", BEFORE, SAMPLE, "v1", SETTLING, control=traffic(control_call=3)
        )
        named = [name for name, _ in named_evidence(judge.access_enforced(AccessTable((cell,))).basis)]
        assert named == ["GET /a, baseline", "GET /a, traffic", "GET /a, convergence", "GET /a, control"]

    def test_of_a_judgement_without_basis_holds_no_evidence(self) -> None:
        assert conclude("x", "X", Judgement(Verdict.INCONCLUSIVE, "broke"), 0).evidence == ()

    def test_is_rendered_with_what_was_expected_and_where_to_look(self) -> None:
        judgement = Judgement(Verdict.FAIL, "v2 got 5", expected="nothing", hint="its filters")
        assert render(judgement) == "v2 got 5\nexpected: nothing\nlook at: its filters"

    def test_is_rendered_without_what_steers_a_terminal_or_begins_a_line(self) -> None:
        name = "v2\x1b[2J\n::error::gone\u202e"
        judgement = Judgement(Verdict.FAIL, f"{name} got 5", expected=f"not {name}", hint=f"see {name}")
        assert render(judgement).splitlines() == [
            "v2 [2J ::error::gone got 5",
            "expected: not v2 [2J ::error::gone",
            "look at: see v2 [2J ::error::gone",
        ]
        assert render(Judgement(Verdict.PASS, "fine")) == "fine"

    def test_is_titled_by_the_sentence_that_the_test_is(self) -> None:
        assert sentence("test_a_backend_of_weight_zero_receives_nothing[x]") == (
            "A backend of weight zero receives nothing"
        )


class TestTheIndex:
    def test_reads_tests_from_their_source(self) -> None:
        moves, silent = read(MODULE, "x/test_x.py")
        assert moves.requirement == "split-live-edits"
        assert moves.nodeid == "x/test_x.py::test_it_moves"
        assert moves.judges == ("all_of", "weights_followed", "no_request_failed")
        assert moves.scenario.folder == "traffic-split/x"
        assert (moves.scenario.arena, moves.scenario.groups) == (("main", "peer"), ("split",))
        assert (silent.requirement, silent.judges) == ("", ())

    def test_refuses_a_module_without_scenario(self) -> None:
        with pytest.raises(ValueError, match=r"test_x.py: no pytestmark = pytest.mark.scenario"):
            read(MODULE.replace("pytestmark", "mark"), "test_x.py")

    def test_finds_every_suite(self) -> None:
        assert len(index.by_requirement()) == len({one.requirement for one in index.index()})
        assert {one.file.partition("/")[0] for one in index.index()} == {
            "basic",
            "common",
            "traffic_access",
            "traffic_metrics",
            "traffic_specs",
            "traffic_split",
        }

    def test_knows_why_the_others_have_none(self) -> None:
        untested = set(catalogue.load()) - set(index.by_requirement())
        assert set(index.untested()) == untested


class TestExplaining:
    @pytest.mark.parametrize("requirement", sorted(index.by_requirement()))
    def test_tells_everything_about_a_tested_requirement(self, requirement: str) -> None:
        said = explain.explain(requirement)
        for title in (
            "Statement",
            "Source",
            "Versions",
            "How it shows",
            "Test: ",
            "judged by",
            "Faults that",
        ):
            assert title in said
        modules = [
            (index.SUITES / one.file).read_text(encoding="utf-8")
            for one in index.by_requirement()[requirement]
        ]
        assert said.count("(scenario: Scenario) ->") == sum("@drives_scenario" in one for one in modules)

    def test_shows_what_is_driven_and_what_that_presumes(self) -> None:
        said = explain.explain("split-zero-weight-gets-nothing")
        assert "    def resting(scenario: Scenario) -> Resting:" in said
        assert "beside a failure of: split-overlapping-selectors, split-root-endpoints-not-implicit" in said

    def test_shows_the_trials_of_an_open_question(self) -> None:
        said = explain.explain("split-self-reference")
        assert "  trials:\n    OWN = trials.declare(" in said
        assert "BARE = trials.declare(" not in said

    def test_shows_the_objects_as_they_are_applied(self) -> None:
        said = explain.explain("split-zero-weight-gets-nothing")
        assert "--- fixtures/traffic-split/zero-weight/split.yaml" in said
        assert "- {service: v2, weight: 0}" in said

    def test_tells_why_there_is_no_test(self) -> None:
        said = explain.explain("access-transport-encrypted")
        assert said.endswith(
            "Untested: needs a view of the network between pods, or a false server inside the mesh"
        )

    def test_refuses_what_there_is_not(self) -> None:
        with pytest.raises(CatalogueError, match="did you mean split-live-edits"):
            explain.explain("split-live-edit")

    def test_lists_every_requirement(self) -> None:
        table = matrix.table(matrix.rows())
        assert "TrafficSplit (51 requirements, " in table
        assert all(one in table for one in catalogue.load())
        row = matrix.rows()[0].as_json()
        assert row["id"] == "common-api-groups-discoverable"
        assert row["tests"]
        assert row["faults"]
        assert row["untested"] == ""
