"""What is read from the source of suites."""

from __future__ import annotations

from conformance import suites_index

SUITE = """
pytestmark = pytest.mark.scenario("x/y", arena=("main",), groups=("split",))

def divided(effect):
    return judge.all_of(found=judge.shares(*effect), others=beside(effect))

def beside(effect):
    return judge.unharmed(effect) if effect else beside(effect)

@pytest.mark.requirement("a")
def test_a(effect, verdict):
    verdict(judge.given(judge.edges(effect), divided(effect), "x"))

@pytest.mark.requirement("b")
def test_b(effect, verdict):
    verdict(judge.rbac(effect))
"""


def test_the_judges_of_a_test_are_its_own_and_those_of_functions_that_it_calls() -> None:
    first, second = suites_index.read(SUITE, "x/test_y.py")
    assert set(first.judges) == {"given", "edges", "all_of", "shares", "unharmed"}
    assert second.judges == ("rbac",)
