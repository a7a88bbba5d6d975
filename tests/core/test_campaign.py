"""When a fault counts as caught."""

from __future__ import annotations

from conformance.outcomes import Outcome, kill_table, line, summary
from conformance.verdict import Verdict
from reference.faults import Fault

ZERO = "split-all-weights-zero"
EQUAL = Fault("all-equal", "All alike.", frozenset(), shows={ZERO: "all weights zero: c"})
SHARES = Fault("ignored", "No weights.", frozenset({"split-live-edits"}))


def outcome(fault: Fault, *readings: str, **verdicts: Verdict) -> Outcome:
    by_id = {name.replace("_", "-"): verdict for name, verdict in verdicts.items()}
    return Outcome(fault, by_id, {}, 1.0, {ZERO: frozenset(readings)} if readings else {})


def test_a_fault_is_caught_when_its_reading_is_seen() -> None:
    found = outcome(EQUAL, "all weights zero: c", "all weights zero: unacceptable")
    assert found.caught
    assert line(found).startswith("caught")


def test_a_fault_whose_reading_is_not_seen_is_missed() -> None:
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
    assert (both.caught, both.wrongly) == (False, {"split-single-backend"})


def test_a_fault_that_only_shows_a_reading_must_not_fail_anything() -> None:
    found = outcome(EQUAL, "all weights zero: c", split_live_edits=Verdict.FAIL)
    assert (found.caught, found.wrongly) == (False, {"split-live-edits"})


def test_the_kill_table_tells_of_each_fault_what_failed_and_what_was_seen() -> None:
    found = [
        outcome(SHARES, split_live_edits=Verdict.FAIL),
        outcome(EQUAL, "all weights zero: c"),
        outcome(SHARES, split_live_edits=Verdict.PASS),
        outcome(EQUAL, "all weights zero: c", split_live_edits=Verdict.FAIL),
    ]
    page = kill_table(found)
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [
        "| `ignored` | No weights. | caught | `split-live-edits` |  |",
        f"| `all-equal` | All alike. | caught |  | `{ZERO}`: all weights zero: c |",
        "| `ignored` | No weights. | **missed** |  |  |",
        f"| `all-equal` | All alike. | **misblamed** | `split-live-edits` | `{ZERO}`: all weights zero: c |",
    ]
    assert summary(found) in page
    assert summary(found) == "2 of 4 faults caught, each blamed on what it breaks"
