"""When a fault counts as caught."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from conformance import judge
from conformance.campaign import switching
from conformance.campaign.cases import Campaign
from conformance.campaign.fault_results import (
    FaultOutcome,
    conclusion,
    does_not_count,
    exit_code,
    line,
    narrowness,
    page,
    summary,
)
from conformance.cli import campaigns, main
from conformance.model.evidence import Environment
from conformance.model.verdict import Judgement, Verdict
from conformance.report.conclusions import conclude
from conformance.report.document import Conclusion
from smi_reference_mesh.faults import FAULTS, Fault

ZERO = "split-all-weights-zero"
EQUAL = Fault("all-equal", "All alike.", frozenset(), expected_readings={ZERO: "all weights zero: c"})
SHARES = Fault("ignored", "No weights.", frozenset({"split-live-edits"}))
DRAGGING = Fault(
    "dragging",
    "None at all.",
    frozenset({"split-live-edits"}),
    also_fails=frozenset({"split-per-client-ratio"}),
)


def outcome(fault: Fault, *readings: str, **verdicts: Verdict) -> FaultOutcome:
    by_id = {name.replace("_", "-"): verdict for name, verdict in verdicts.items()}
    return FaultOutcome(fault, by_id, {}, 1.0, {ZERO: frozenset(readings)} if readings else {})


def test_a_fault_is_caught_if_its_reading_is_observed() -> None:
    found = outcome(EQUAL, "all weights zero: c", "all weights zero: unacceptable")
    assert found.caught
    assert line(found).startswith("caught")


def test_a_fault_is_missed_if_its_reading_is_not_observed() -> None:
    found = outcome(EQUAL, "all weights zero: a", split_all_weights_zero=Verdict.PASS)
    assert not found.caught
    assert found.missed == {ZERO}
    assert f"should have shown: {ZERO}: all weights zero: c (seen: all weights zero: a)" in line(found)
    unseen = outcome(EQUAL, split_all_weights_zero=Verdict.INCONCLUSIVE)
    assert line(unseen).endswith("all weights zero: c (seen: inconclusive)")


def test_a_fault_is_caught_when_exactly_what_it_breaks_fails() -> None:
    assert outcome(SHARES, split_live_edits=Verdict.FAIL).caught
    assert outcome(SHARES, split_live_edits=Verdict.PASS).missed == {"split-live-edits"}
    both = outcome(SHARES, split_live_edits=Verdict.FAIL, split_single_backend=Verdict.FAIL)
    assert (both.caught, both.misblamed) == (False, {"split-single-backend"})


def test_a_fault_that_only_shows_a_reading_must_not_fail_anything() -> None:
    found = outcome(EQUAL, "all weights zero: c", split_live_edits=Verdict.FAIL)
    assert (found.caught, found.misblamed) == (False, {"split-live-edits"})


def test_summaries_of_a_requirement_that_should_have_failed_are_shown() -> None:
    said = {"split-live-edits": ["the control request took 0.6 s"]}
    late = FaultOutcome(SHARES, {"split-live-edits": Verdict.INCONCLUSIVE}, said, 1.0)
    wanted = "should have failed: split-live-edits (inconclusive): the control request took 0.6 s"
    assert line(late).splitlines()[1].strip() == wanted


def test_summaries_of_a_reading_that_should_have_changed_are_shown() -> None:
    found = replace(
        outcome(EQUAL, "all weights zero: a", split_all_weights_zero=Verdict.PASS),
        summaries={ZERO: ["(a), answered by v1"]},
    )
    assert line(found).endswith("(seen: all weights zero: a): (a), answered by v1")


def starved(*what: str, **verdicts: Verdict) -> FaultOutcome:
    return replace(outcome(SHARES, **verdicts), starved=frozenset(what))


def test_a_fault_is_undecided_if_it_misses_only_discounted_failures() -> None:
    late = starved("split-live-edits", split_live_edits=Verdict.INCONCLUSIVE)
    assert (late.starved_only, late.caught) == (True, False)
    assert line(late).startswith("STARVED")
    other = starved("split-single-backend", split_live_edits=Verdict.INCONCLUSIVE)
    assert (other.starved_only, other.label) == (False, "missed")
    blaming = starved(
        "split-live-edits", split_live_edits=Verdict.INCONCLUSIVE, split_single_backend=Verdict.FAIL
    )
    assert not blaming.starved_only
    assert not starved("split-live-edits", split_live_edits=Verdict.FAIL).starved_only
    unseen = replace(outcome(EQUAL, split_all_weights_zero=Verdict.INCONCLUSIVE), starved=frozenset({ZERO}))
    assert unseen.starved_only
    assert not replace(unseen, starved=frozenset()).starved_only


def test_the_exit_code_distinguishes_undecided_from_missed() -> None:
    caught = outcome(SHARES, split_live_edits=Verdict.FAIL)
    late = starved("split-live-edits", split_live_edits=Verdict.INCONCLUSIVE)
    missed = outcome(SHARES, split_live_edits=Verdict.PASS)
    assert [exit_code(one) for one in ([], [caught], [caught, late], [late, missed], [missed])] == [
        1,
        0,
        2,
        1,
        1,
    ]


@pytest.mark.parametrize(("second", "code"), [(Verdict.FAIL, 0), (Verdict.PASS, 1)])
def test_starved_faults_are_judged_once_more_alone(
    second: Verdict, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    late, other = (FAULTS[one] for one in ("split-weights-ignored", "split-edits-ignored"))
    asked: list[tuple[list[str], int | None]] = []

    def outcomes(_: object, campaign: Campaign, jobs: int | None) -> Iterator[FaultOutcome]:
        asked.append(([one.id for one in campaign.chosen], jobs))
        for fault in campaign.chosen:
            starved = fault is late and len(asked) == 1
            verdict = Verdict.INCONCLUSIVE if starved else second if fault is late else Verdict.FAIL
            verdicts = dict.fromkeys(fault.fails, verdict)
            yield FaultOutcome(fault, verdicts, {}, 1.0, starved=fault.fails if starved else frozenset())

    monkeypatch.setattr(campaigns, "_outcomes", outcomes)
    assert main.main(["faults", "--jobs", "3", "--fault", late.id, other.id]) == code
    assert [(set(ids), jobs) for ids, jobs in asked] == [({late.id, other.id}, 3), ({late.id}, 1)]
    shown = capsys.readouterr().out
    assert f"STARVED   {late.id}" in shown
    assert f"{2 - code} of 2 faults caught" in shown


def test_only_a_failure_on_a_starved_machine_is_discounted() -> None:
    failed = Judgement(Verdict.FAIL, "7 of 10 requests failed")
    late, quiet = Environment(control_p99_us=600_000), Environment()

    def concluded(judgement: Judgement) -> Conclusion:
        return conclude("test", "A title", judgement, 0.1)

    assert does_not_count(concluded(judge.discount_if_starved(failed, late)))
    assert not does_not_count(concluded(judge.discount_if_starved(failed, quiet)))
    assert not does_not_count(concluded(replace(failed, verdict=Verdict.INCONCLUSIVE)))


def test_the_conclusion_repeats_uncaught_faults() -> None:
    caught = outcome(SHARES, split_live_edits=Verdict.FAIL)
    missed = outcome(SHARES, split_live_edits=Verdict.PASS)
    shown = conclusion([caught, missed, caught]).splitlines()
    assert shown[1:] == [
        *line(missed).splitlines(),
        "to see these again: --fault ignored",
        summary([caught, missed, caught]),
    ]
    assert conclusion([caught]).splitlines() == ["", summary([caught])]


def test_dragged_along_requirements_must_fail_as_well() -> None:
    both = {"split_live_edits": Verdict.FAIL, "split_per_client_ratio": Verdict.FAIL}
    assert outcome(DRAGGING, **both).caught
    for one in both:
        alone = outcome(DRAGGING, **{**both, one: Verdict.PASS})
        assert (alone.missed, alone.misblamed) == ({one.replace("_", "-")}, set())


def test_the_kill_table_has_failures_and_readings_of_each_fault() -> None:
    found = [
        outcome(SHARES, split_live_edits=Verdict.FAIL),
        outcome(EQUAL, "all weights zero: c"),
        outcome(SHARES, split_live_edits=Verdict.PASS),
        outcome(EQUAL, "all weights zero: c", split_live_edits=Verdict.FAIL),
        outcome(DRAGGING, split_live_edits=Verdict.FAIL, split_per_client_ratio=Verdict.FAIL),
    ]
    kill_table = page(found)
    rows = [line for line in kill_table.splitlines() if line.startswith("| `")]
    assert rows == [
        "| `ignored` | No weights. | caught | `split-live-edits` |  |  |",
        f"| `all-equal` | All alike. | caught |  |  | `{ZERO}`: all weights zero: c |",
        "| `ignored` | No weights. | **missed** |  |  |  |",
        "| `all-equal` | All alike. | **misblamed** | `split-live-edits` |  "
        f"| `{ZERO}`: all weights zero: c |",
        "| `dragging` | None at all. | caught | `split-live-edits` | `split-per-client-ratio` |  |",
    ]
    assert f"{summary(found)}. {narrowness(found)}." in kill_table
    assert narrowness(found) == "1 of 4 failures dragged along (25 %)"
    assert narrowness([]) == "0 of 0 failures dragged along (0 %)"
    assert summary(found) == "3 of 5 faults caught, each blamed on what it breaks"


class _Emptied:
    """A cluster that records deletions."""

    def __init__(self) -> None:
        self.gone: list[Any] = []

    def delete(self, objects: Any) -> None:
        self.gone += objects


def test_installation_deletes_leftovers_of_a_killed_campaign() -> None:
    cluster = _Emptied()
    switching.switch_all_off(cluster)  # type: ignore[arg-type]
    added = [one for fault in FAULTS.values() for one in fault.extra_objects]
    assert added
    assert cluster.gone == [switching.SWITCH_OBJECT, *added]
