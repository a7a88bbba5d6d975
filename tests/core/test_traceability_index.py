"""What is read from the source of suites."""

from __future__ import annotations

from graphlib import CycleError

import pytest

from conformance import catalogue
from conformance.catalogue import foundations
from conformance.traceability import index

SUITE = """
pytestmark = pytest.mark.scenario("x/y", arena=("main",), groups=("split",))

def divided(effect):
    return judge.all_of(found=judge.weights_followed(*effect), others=beside(effect))

def beside(effect):
    return judge.no_request_failed(effect) if effect else beside(effect)

@pytest.mark.requirement("a")
def test_a(effect, verdict):
    verdict(judge.conditional_on(judge.traffic_edges(effect), divided(effect), "x"))

@pytest.mark.requirement("b")
def test_b(effect, verdict):
    verdict(judge.rbac(effect))
"""


def test_the_judges_of_a_test_are_its_own_and_those_of_functions_that_it_calls() -> None:
    first, second = index.read(SUITE, "x/test_y.py")
    assert set(first.judges) == {
        "conditional_on",
        "traffic_edges",
        "all_of",
        "weights_followed",
        "no_request_failed",
    }
    assert second.judges == ("rbac",)


PRESUMING = """
pytestmark = pytest.mark.scenario("x/y", arena=("main",), groups=("access",), presumes=("a", "b"))

@pytest.mark.requirement("a", presumes=("c",))
def test_a(effect, verdict):
    verdict(judge.rbac(effect))
"""


def test_a_test_presumes_what_its_scenario_does_and_what_it_names_but_not_itself() -> None:
    (entry,) = index.read(PRESUMING, "x/test_y.py")
    assert entry.presumes == ("b", "c")
    assert entry.scenario.presumes == ("a", "b")


def test_whoever_drives_splits_presumes_that_nobody_else_answers() -> None:
    beside = foundations.PRESUMED["split"]
    for arena, presumed in ((("main",), ("a", beside)), (("outside",), ("a",))):
        given = {"arena": arena, "groups": ("split",), "presumes": ("a",)}
        assert index.scenario_mark("x/y", given).presumes == presumed


def test_what_is_presumed_is_judged_before_and_by_what_cannot_stop_a_mesh() -> None:
    tests, depths = index.by_requirement(), index.depths()
    place = {entry: number for number, entry in enumerate(index.index())}
    for entry in index.index():
        for one in entry.presumes:
            assert one in catalogue.load(), entry.nodeid
            others = [other for other in tests[one] if other.file != entry.file]
            assert not any(other.scenario.alone for other in tests[one]), f"{entry.nodeid} presumes {one}"
            assert all(depths[other.file] < depths[entry.file] for other in others), entry.nodeid
            # One that has no test elsewhere comes before in the same file.
            assert others or place[tests[one][0]] < place[entry], entry.nodeid


def test_files_that_presume_one_another_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "presumed_files", lambda: {"a": {"b"}, "b": {"a"}, "c": set()})
    with pytest.raises(CycleError, match=r"'a', 'b', 'a'|'b', 'a', 'b'"):
        index.depths.__wrapped__()


def test_an_item_is_found_whatever_its_parameters_are() -> None:
    file, function = "basic/test_grant.py", "test_an_edit_of_a_route_group_takes_effect"
    entry = index.entry_of(f"conformance/suites/{file}::{function}[split v1alpha4]")
    assert entry is not None
    assert entry.nodeid == f"{file}::{function}"
    assert index.entry_of("tests/core/test_x.py::test_y") is None
