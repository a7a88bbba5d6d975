from __future__ import annotations

import os
from pathlib import Path

import pytest

from conformance import profiles
from conformance.campaign import parallel
from conformance.campaign.cases import Campaign, affected_tests, parts_of, select_faults
from conformance.campaign.parallel import in_turn, jobs
from conformance.drive.arena import WORKLOADS


@pytest.mark.parametrize(
    ("processors", "free_gib", "clusters"), [(2, 24, 3), (1, 24, 1), (8, 64, 12), (8, 6, 4), (2, 1, 1)]
)
def test_the_number_of_clusters_depends_on_processors_and_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, processors: int, free_gib: int, clusters: int
) -> None:
    told = tmp_path / "meminfo"
    told.write_text(f"MemTotal: 99 kB\nMemAvailable:   {free_gib * 1024 * 1024} kB\n")
    monkeypatch.setattr(parallel, "_MEMORY", told)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    assert jobs() == clusters


def test_faults_with_few_parts_and_many_tests_come_first() -> None:
    asked = Campaign(select_faults([]), profiles.load("reference"), "image")
    ordered = in_turn(asked)
    grown = [len({part for each in ordered.chosen[: n + 1] for part in parts_of(each)}) for n in range(60)]
    assert grown[0] == 1
    assert grown[-1] < len(WORKLOADS)
    left = ordered.parts_left()
    needed = [left[each.id] for each in ordered.chosen]
    assert all(set(parts_of(one)) <= parts for one, parts in zip(ordered.chosen, needed, strict=True))
    assert needed[0] == WORKLOADS.keys()
    assert not needed[-1] & {"main", "metrics"}
    sizes = [len(affected_tests(fault)) for fault in ordered.chosen if parts_of(fault) == ["main"]]
    assert sizes == sorted(sizes, reverse=True)
    assert {fault.id for fault in ordered.chosen} == {fault.id for fault in asked.chosen}
    assert len(ordered.chosen) == len(asked.chosen)
