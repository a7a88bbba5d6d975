from __future__ import annotations

import os
from pathlib import Path

import pytest

from conformance import campaign, profiles, side_by_side
from conformance.campaign import Campaign, concerned
from conformance.side_by_side import jobs, longest_first


@pytest.mark.parametrize(
    ("processors", "free_gib", "clusters"), [(2, 24, 3), (1, 24, 1), (8, 64, 12), (8, 6, 4), (2, 1, 1)]
)
def test_as_many_clusters_as_processors_and_memory_bear(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, processors: int, free_gib: int, clusters: int
) -> None:
    told = tmp_path / "meminfo"
    told.write_text(f"MemTotal: 99 kB\nMemAvailable:   {free_gib * 1024 * 1024} kB\n")
    monkeypatch.setattr(side_by_side, "_MEMORY", told)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    assert jobs() == clusters


def test_what_has_most_to_judge_begins_first_and_nothing_is_lost() -> None:
    asked = Campaign(campaign.choose([]), profiles.load("reference"), "image")
    ordered = longest_first(asked)
    sizes = [len(concerned(fault)) for fault in ordered.chosen]
    assert sizes == sorted(sizes, reverse=True)
    assert {fault.id for fault in ordered.chosen} == {fault.id for fault in asked.chosen}
    assert len(ordered.chosen) == len(asked.chosen)
