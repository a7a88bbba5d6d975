"""The plan of a run: its scenarios with their requirements, versions and objects, and its duration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance.drive import manifests
from conformance.drive.version_selection import VersionSet, format_versions
from conformance.profiles import Profile
from conformance.report.formatting import seconds

SCENARIO_S = 4.5
"""Seconds of a scenario with the reference mesh on two processors; 3.8 to 5.5 in whole runs."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A scenario in a set of versions, and the requirements of its tests."""

    folder: str
    parts: Sequence[str]
    versions: VersionSet
    requirements: Sequence[str]


def lines(profile: Profile, planned: Sequence[Planned]) -> Iterator[str]:
    """The plan as text."""
    requirements = {one for each in planned for one in each.requirements}
    yield (
        f"a run would judge {len(requirements)} requirements of mesh {profile.name} "
        f"in {len(planned)} scenarios; this is a dry run"
    )
    for one in planned:
        yield ""
        yield f"scenario {one.folder} in {format_versions(one.versions) or 'no SMI version'}"
        yield f"  namespaces: {', '.join(f'smi-{part}-RUN' for part in one.parts)}"
        yield f"  objects:    {_counted(_kinds(one.folder)) or 'none'}"
        yield f"  judges:     {', '.join(dict.fromkeys(one.requirements))}"
    yield ""
    yield (
        f"with the reference mesh on two processors, a run takes about {seconds(SCENARIO_S * len(planned))}; "
        f"each change may take the mesh up to {seconds(profile.converge.within_s)} (converge.within_s)"
    )


def _kinds(folder: str) -> Mapping[str, int]:
    return Counter(item["kind"] for file in manifests.files(folder) for item in manifests.load(file))


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {kind}{'s' if number > 1 else ''}" for kind, number in sorted(kinds.items()))


def merged(found: Iterable[tuple[str, Planned]]) -> list[Planned]:
    """One entry per key, in order of first occurrence, with the requirements of all entries of the key."""
    by_key: dict[str, Planned] = {}
    for key, one in found:
        known = by_key.get(key)
        before = known.requirements if known else ()
        by_key[key] = Planned(one.folder, one.parts, one.versions, (*before, *one.requirements))
    return list(by_key.values())
