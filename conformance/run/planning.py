"""What a run would do: its scenarios with their requirements, versions and objects, and how long it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance.drive import manifests
from conformance.drive.version_selection import VersionSet, format_versions
from conformance.profiles import Profile
from conformance.report.formatting import seconds

SCENARIO_S = 4.5
"""Seconds of a scenario with the reference mesh on two processors: in whole runs these were 3.8 to 5.5."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A scenario in a set of versions, and the requirements that its tests are about."""

    folder: str
    parts: Sequence[str]
    versions: VersionSet
    requirements: Sequence[str]


def lines(profile: Profile, planned: Sequence[Planned]) -> Iterator[str]:
    """The plan as text."""
    asked = {one for each in planned for one in each.requirements}
    yield (
        f"a run would judge {len(asked)} requirements of mesh {profile.name} in {len(planned)} scenarios; "
        "nothing is done"
    )
    for one in planned:
        yield ""
        yield f"scenario {one.folder} in {format_versions(one.versions) or 'no version of SMI'}"
        yield f"  namespaces: {', '.join(f'smi-{part}-RUN' for part in one.parts)}"
        yield f"  objects:    {_counted(_kinds(one.folder)) or 'none of its own'}"
        yield f"  judges:     {', '.join(dict.fromkeys(one.requirements))}"
    yield ""
    yield (
        f"with the reference mesh on two processors that takes about {seconds(SCENARIO_S * len(planned))}; "
        f"the mesh may take {seconds(profile.converge.within_s)} for each change (converge.within_s)"
    )


def _kinds(folder: str) -> Mapping[str, int]:
    return Counter(item["kind"] for file in manifests.files(folder) for item in manifests.load(file))


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))


def merged(found: Iterable[tuple[str, Planned]]) -> list[Planned]:
    """One entry for each key, with the requirements of all that have it, in the order of the first."""
    by_key: dict[str, Planned] = {}
    for key, one in found:
        known = by_key.get(key)
        before = known.requirements if known else ()
        by_key[key] = Planned(one.folder, one.parts, one.versions, (*before, *one.requirements))
    return list(by_key.values())
