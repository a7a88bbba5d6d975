"""The results of variants, and the tests that run under them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from conformance import catalogue, profiles
from conformance.campaign.cases import Campaign, affected_tests, parts_of, select_variants
from conformance.campaign.parallel import in_turn
from conformance.campaign.variant_results import VariantOutcome, conclusion, exit_code, line, page, summary
from conformance.catalogue import CatalogueError
from conformance.cli import campaigns, main
from conformance.model.verdict import Verdict
from conformance.traceability.index import SUITES
from smi_reference_mesh.variants import VARIANTS, Variant

ZERO = "split-all-weights-zero"
PLAIN = Variant("plain", "As it is.", frozenset({"split-live-edits"}))
VOID = Variant(
    "void",
    "Void.",
    frozenset(),
    expected_readings={ZERO: "all weights zero: b; a lone backend of weight zero: b"},
)
BOTH = ("all weights zero: b", "a lone backend of weight zero: b")


def outcome(variant: Variant = PLAIN, *readings: str, **verdicts: Verdict) -> VariantOutcome:
    by_id = {name.replace("_", "-"): verdict for name, verdict in verdicts.items()}
    return VariantOutcome(variant, by_id, {}, 1.0, {ZERO: frozenset(readings)} if readings else {})


def test_a_variant_passes_if_all_claimed_requirements_hold() -> None:
    found = outcome(split_live_edits=Verdict.PASS, split_ingress_client=Verdict.NOT_CLAIMED)
    assert found.passed
    assert line(found).startswith("passed")
    assert exit_code([found]) == 0


@pytest.mark.parametrize(("verdict", "word"), [(Verdict.FAIL, "blamed"), (Verdict.INCONCLUSIVE, "unclear")])
def test_a_variant_does_not_pass_with_failures_or_inconclusive_requirements(
    verdict: Verdict, word: str
) -> None:
    found = replace(
        outcome(split_live_edits=verdict, split_single_backend=Verdict.PASS),
        summaries={"split-live-edits": ["it went wrong"]},
    )
    assert (found.passed, found.label, exit_code([found])) == (False, word, 1)
    assert f"{verdict.value}: split-live-edits: it went wrong" in line(found)
    assert line(found).startswith(word.upper())


def test_a_variant_under_which_nothing_was_judged_does_not_pass() -> None:
    assert (outcome().passed, outcome().label, exit_code([])) == (False, "unclear", 1)


def test_a_variant_does_not_pass_with_extra_findings() -> None:
    odd = outcome(PLAIN, "all weights zero: unacceptable", split_live_edits=Verdict.PASS)
    assert (odd.passed, odd.label) == (False, "blamed")
    assert f"finding: {ZERO}: all weights zero: unacceptable" in line(odd)
    assert not outcome(PLAIN, "all weights zero: none", split_live_edits=Verdict.PASS).passed
    left = replace(outcome(split_live_edits=Verdict.PASS), findings=("the arena stayed",))
    assert (left.passed, "finding: the arena stayed" in line(left)) == (False, True)


def test_a_variant_must_show_its_expected_readings() -> None:
    assert outcome(VOID, *BOTH, split_all_weights_zero=Verdict.PASS).passed
    half = outcome(VOID, BOTH[0], split_all_weights_zero=Verdict.PASS)
    assert (half.passed, half.label) == (False, "unseen")
    assert f"should have shown: {ZERO}: {VOID.expected_readings[ZERO]} (seen: {BOTH[0]})" in line(half)


def test_a_variant_is_undecided_if_it_misses_only_discounted_requirements() -> None:
    late = replace(outcome(split_live_edits=Verdict.INCONCLUSIVE), starved=frozenset({"split-live-edits"}))
    assert (late.starved_only, late.label, exit_code([late])) == (True, "starved", 2)
    both = replace(
        outcome(split_live_edits=Verdict.INCONCLUSIVE, split_single_backend=Verdict.FAIL),
        starved=late.starved,
    )
    assert (both.starved_only, exit_code([late, both])) == (False, 1)


def test_the_conclusion_repeats_variants_that_did_not_pass() -> None:
    good, bad = outcome(split_live_edits=Verdict.PASS), outcome(VOID, split_live_edits=Verdict.FAIL)
    assert conclusion([good, bad]).splitlines()[-2:] == [
        "to see these again: --variant void",
        "1 of 2 variants pass, and nothing is found in them",
    ]
    assert conclusion([good]).splitlines() == ["", summary([good])]
    assert "| `plain` | As it is. | passed | 1 of 1 |" in page([good, bad])
    assert "**blamed**" in page([good, bad])


def test_each_variant_affects_existing_tests() -> None:
    paths = [str(path.relative_to(SUITES)) for path in SUITES.rglob("test_*.py")]
    for variant in VARIANTS.values():
        assert affected_tests(variant)
        assert all(any(one in path for path in paths) for one in variant.at_risk if "/" in one)
        known = {entry.requirement for entry in affected_tests(variant)}
        assert {one for one in variant.affected if "/" not in one} <= known


def test_the_readings_that_variants_show_are_those_of_the_catalogue() -> None:
    known = catalogue.load()
    for variant in VARIANTS.values():
        for requirement, wanted in variant.expected_readings.items():
            for reading in wanted.split("; "):
                question, _, letter = reading.rpartition(": ")
                assert letter in known[requirement].readings[question], (variant.id, reading)


def test_the_whole_suite_runs_on_request() -> None:
    assert {entry.file for entry in affected_tests(VARIANTS["no-ingress"], "")} == {
        str(path.relative_to(SUITES)) for path in SUITES.rglob("test_*.py")
    }


def test_the_profile_of_each_variant_is_valid() -> None:
    asked = Campaign(list(VARIANTS.values()), profiles.load("reference"), "image")
    made = {variant.id: asked.profile_of(variant) for variant in asked.chosen}
    assert made["no-open-namespaces"].requires_targets
    assert made["no-ingress"].ingress is None
    assert made["like-linkerd"].claims.access == ()
    patient = asked.profile.converge.model_copy(update={"within_s": 30.0})
    assert made["changes-after-a-tenth"] == asked.profile.model_copy(update={"converge": patient})
    assert made["changes-after-twelve-seconds"].converge.within_s == 30
    assert made["changes-after-twelve-seconds"].converge.stable_s == asked.profile.converge.stable_s


def test_variants_that_share_an_arena_follow_each_other() -> None:
    asked = Campaign(list(VARIANTS.values()), profiles.load("reference"), "image")
    ordered = in_turn(asked)
    arenas = [asked.arena_key(one) for one in ordered.chosen]
    changes = sum(1 for one, other in pairwise(arenas) if one != other)
    assert changes == len(set(arenas)) - 1
    left = ordered.parts_left()
    assert all(set(parts_of(one)) <= left[one.id] for one in ordered.chosen)


def test_an_unknown_variant_is_named_with_the_nearest_one() -> None:
    with pytest.raises(CatalogueError, match="unknown variant 'denial-is-405'; did you mean denial-is-404"):
        select_variants(["denial-is-405"])
    assert len(select_variants([])) == len(VARIANTS)


def test_starved_variants_are_judged_once_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[list[str], int | None]] = []

    def outcomes(_: object, wanted: Campaign, jobs: int | None) -> Iterator[VariantOutcome]:
        asked.append(([one.id for one in wanted.chosen], jobs))
        for variant in wanted.chosen:
            assert isinstance(variant, Variant)
            does_not_count = variant.id == "no-ingress" and len(asked) == 1
            verdict = Verdict.INCONCLUSIVE if does_not_count else Verdict.PASS
            starved = frozenset({"split-live-edits"}) if does_not_count else frozenset[str]()
            yield VariantOutcome(variant, {"split-live-edits": verdict}, {}, 1.0, starved=starved)

    monkeypatch.setattr(campaigns, "_outcomes", outcomes)
    assert main.main(["variants", "--jobs", "2", "--variant", "no-ingress", "denial-is-404"]) == 0
    assert [(sorted(ids), jobs) for ids, jobs in asked] == [
        (["denial-is-404", "no-ingress"], 2),
        (["no-ingress"], 1),
    ]
    shown = capsys.readouterr().out
    assert "STARVED   no-ingress" in shown
    assert "2 of 2 variants pass" in shown
