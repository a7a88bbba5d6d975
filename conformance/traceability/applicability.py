"""Whether a requirement applies to a mesh, and if not, why: by the profile's claims and the tests' needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from conformance.catalogue import GROUPS, Requirement, kinds_of
from conformance.clusters import Object
from conformance.drive import version_selection
from conformance.drive.arena import UDP
from conformance.drive.manifests import SERVICES, exists, load, services
from conformance.drive.tailoring import not_carried_reason, protocols_of, unclaimed_kind_reason
from conformance.profiles import Profile
from conformance.traceability import index
from conformance.traceability.index import ScenarioMark


def why_not(
    profile: Profile, requirement: Requirement, groups: Sequence[str], mark: ScenarioMark | None = None
) -> str | None:
    """Why a requirement does not apply to a mesh, or None if it does.

    ``groups`` are the API groups of its test, ``mark`` the test's scenario.
    """
    return next(_reasons(profile, requirement, groups, mark), None)


def is_only_disclaimed(profile: Profile, requirement: Requirement, mark: ScenarioMark) -> bool:
    """Whether only the profile's disclaimer keeps a requirement from applying to a mesh."""
    if requirement.id not in profile.disclaims:
        return False
    without = profile.model_copy(update={"disclaims": {}})
    return why_not(without, requirement, mark.groups, mark) is None


def _reasons(
    profile: Profile, requirement: Requirement, groups: Sequence[str], mark: ScenarioMark | None
) -> Iterator[str]:
    if reason := profile.disclaims.get(requirement.id):
        yield f"the profile disclaims it: {reason}"
    claims = profile.claims.by_group()
    if not requirement.applies(claims):
        yield f"the profile claims none of {', '.join(requirement.versions)}"
    missing = [group for group in groups if not claims[group]]
    if missing:
        yield f"its test works with {', '.join(GROUPS[group] for group in missing)}, which is not claimed"
    possible = version_selection.possible(claims, groups)
    if not possible:
        yield f"no claimed versions of {' and '.join(groups)} are said to work together"
    fitting = [one for one in possible if version_selection.requirement_applies(requirement, one)]
    if not fitting:
        about = ", ".join(requirement.versions)
        yield f"it is about {about}, and the profile claims {_in_words(claims, groups)}"
    kinds = [_without(profile, requirement, one, mark) for one in fitting]
    if all(kinds):
        yield kinds[0]
    if mark and UDP in mark.arena and not profile.access.udp:
        yield "the profile does not say that UDP is governed (access.udp)"
    if reason := not_carried_reason(profile, _protocols(requirement, mark)):
        yield reason


def _in_words(claims: Mapping[str, tuple[str, ...]], groups: Sequence[str]) -> str:
    return "; ".join(f"{group} {', '.join(claims[group])}" for group in groups)


def _without(
    profile: Profile, requirement: Requirement, versions: Mapping[str, str], mark: ScenarioMark | None
) -> str:
    """A kind that the requirement concerns or its test applies, but that is not claimed in these versions."""
    for group, version in versions.items():
        for kind in sorted({*requirement.kinds} & {*kinds_of(group, version)}):
            if reason := profile.claims.lacking(group, version, kind):
                return reason
    return unclaimed_kind_reason(profile, versions, _applied(requirement, mark) if mark else ())


def _applied(requirement: Requirement, mark: ScenarioMark) -> Iterator[Object]:
    """The objects that the tests of a requirement in a scenario require."""
    for entry in index.by_requirement().get(requirement.id, ()):
        if entry.scenario.folder == mark.folder:
            for name in entry.files:
                if exists(f"{mark.folder}/{name}"):
                    yield from load(f"{mark.folder}/{name}")


def _protocols(requirement: Requirement, mark: ScenarioMark | None) -> set[str | None]:
    """The protocols that a requirement concerns, and that of its scenario's ports if they share one."""
    name = f"{mark.folder}/{SERVICES}" if mark else ""
    added = services(name).values() if name and exists(name) else ()
    spoken = {one for service in added for one in protocols_of(service)}
    return {*requirement.protocols, *(spoken if len(spoken) == 1 else ())}
