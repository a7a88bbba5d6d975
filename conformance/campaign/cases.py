"""The cases of a campaign, and the tests that run under each.

A case is a fault or a variant: a change of the reference mesh, with the scenarios that it affects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conformance import catalogue
from conformance.catalogue import CatalogueError
from conformance.profiles import Converge, Profile
from conformance.profiles.overlay import overlaid
from conformance.text.suggest import did_you_mean
from conformance.traceability import index
from smi_reference_mesh import faults, variants
from smi_reference_mesh.faults import Fault
from smi_reference_mesh.variants import Variant

Case = Fault | Variant

CONVERGE = Converge(within_s=8.0, stable_s=0.5, quiet_s=3.0)
"""Faults prevent changes for good, so waits for them are short (see also `PATIENCE_S`)."""

VARIANT_WITHIN_S = 30.0
"""Under a variant every awaited change shows, but late if clusters share two processors."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """The cases to switch on, in order.

    ``also`` adds every scenario whose file's path contains it to the affected ones.
    """

    chosen: Sequence[Case]
    profile: Profile
    image: str
    also: str | None = None

    def parts_left(self) -> dict[str, set[str]]:
        """Case → the parts of the arena that it and later cases of the same arena need."""
        needed: dict[str, set[str]] = {}
        left: dict[str, set[str]] = {}
        for case in reversed(self.chosen):
            arena = self.arena_key(case)
            left[arena] = left.get(arena, set()).union(parts_of(case, self.also))
            needed[case.id] = left[arena]
        return needed

    def profile_of(self, case: Case) -> Profile:
        """The profile of the mesh under a case."""
        if isinstance(case, Fault):
            return self.profile.model_copy(update={"converge": CONVERGE})
        profile = overlaid(self.profile, case.profile)
        patient = profile.converge.model_copy(
            update={"within_s": max(VARIANT_WITHIN_S, profile.converge.within_s)}
        )
        return profile.model_copy(update={"converge": patient})

    def arena_key(self, case: Case) -> str:
        """The settings of the profile that determine an arena; cases with the same key share an arena."""
        return self.profile_of(case).model_dump_json(exclude={"converge", "metrics", "disclaims", "ingress"})


def select_faults(only: Sequence[str], apis: Sequence[str] = ()) -> list[Fault]:
    """The faults of these ids, or all; ``apis`` keeps only faults that affect no other APIs.

    Raises CatalogueError for an unknown fault.
    """
    unknown = [one for one in only if one not in faults.FAULTS]
    if unknown:
        hint = did_you_mean(unknown[0], faults.FAULTS)
        raise CatalogueError(
            f"unknown fault {unknown[0]!r}{hint} (smi-conformance explain names the faults of a requirement)"
        )
    known = catalogue.load()
    return [
        fault
        for fault in faults.FAULTS.values()
        if (not only or fault.id in only)
        and (not apis or {known[one].api for one in fault.affected} <= set(apis))
    ]


def select_variants(only: Sequence[str]) -> list[Variant]:
    """The variants of these ids, or all. Raises CatalogueError for an unknown id."""
    unknown = [one for one in only if one not in variants.VARIANTS]
    if unknown:
        hint = did_you_mean(unknown[0], variants.VARIANTS)
        raise CatalogueError(f"unknown variant {unknown[0]!r}{hint} (see docs/variants.md)")
    return [one for one in variants.VARIANTS.values() if not only or one.id in only]


def affected_tests(case: Case, also: str | None = None) -> list[index.TestEntry]:
    """All tests of the scenarios that a case affects.

    A fault affects the scenarios that judge a requirement that it breaks. ``also`` adds the scenarios whose
    file's path contains it.
    """
    paths = [one for one in case.affected if "/" in one] + ([] if also is None else [also])
    files = {
        entry.file
        for entry in index.index()
        if entry.requirement in case.affected or any(path in entry.file for path in paths)
    }
    return [entry for entry in index.index() if entry.file in files]


def parts_of(case: Case, also: str | None = None) -> list[str]:
    """The parts of the arena that the scenarios of a case need."""
    return sorted({part for entry in affected_tests(case, also) for part in entry.scenario.arena})
