"""The API versions of a scenario: assignments of one version to each SMI group that the scenario uses.

The specification defines the compatible versions (the catalogue's common-version-compat-matrix); no mesh is
tested with another combination. The number of assignments that cover the wanted versions is minimal.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from conformance.catalogue import GROUPS, OWN_GROUP, Requirement
from conformance.drive.rendering import preference
from conformance.model.errors import UserError
from conformance.text.suggest import did_you_mean

VersionSet = Mapping[str, str]
"""Group (short name) → version."""
Claims = Mapping[str, tuple[str, ...]]

CONFIGURATION = ("split", "access", "specs")
"""The groups whose objects a scenario writes."""

_ACCESS_WITH_SPECS = {
    ("v1alpha1", "v1alpha1"),
    ("v1alpha1", "v1alpha2"),
    ("v1alpha2", "v1alpha3"),
    ("v1alpha3", "v1alpha4"),
    ("v1alpha4", "v1alpha4"),
}
"""'Compatible with' at the top of each apis/traffic-access/*/traffic-access.md."""

_SPLIT_WITH_SPECS = {("v1alpha3", "v1alpha3"), ("v1alpha4", "v1alpha4")}
"""'Compatible with' in apis/traffic-split/v1alpha{3,4}/traffic-split.md; older splits have no matches."""

_ITEM = re.compile(r"(?P<group>[a-z]+)=(?P<version>v\d+(?:(?:alpha|beta)\d+)?)")


class VersionsError(UserError, ValueError):
    """Invalid versions in --versions; the message is one line with the possible values."""


@dataclass(frozen=True, slots=True)
class VersionChoice:
    """The value of ``--versions``. ``named`` maps groups to versions, only for the kind ``list``."""

    kind: Literal["newest", "all", "list"] = "newest"
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def parse_version_choice(text: str, claims: Claims) -> VersionChoice:
    """``newest``, ``all``, or a list such as ``split=v1alpha2,specs=v1alpha3``.

    A list may have several versions of a group. Raises VersionsError for an unknown group or version, and for
    a version that is not among ``claims``.
    """
    if text == "newest":
        return VersionChoice()
    if text == "all":
        return VersionChoice("all")
    named: dict[str, tuple[str, ...]] = {}
    for item in text.split(","):
        match = _ITEM.fullmatch(item.strip())
        if match is None:
            raise VersionsError(
                f"--versions {text}: {item.strip()!r} is invalid; "
                "use newest, all, or a list such as split=v1alpha2,specs=v1alpha3"
            )
        group, version = match["group"], match["version"]
        if group not in GROUPS:
            raise VersionsError(f"--versions {text}: no group {group!r}{did_you_mean(group, GROUPS)}")
        if version not in claims.get(group, ()):
            claimed = ", ".join(claims.get(group, ())) or "none"
            raise VersionsError(f"--versions {text}: {group} {version} is not claimed; claimed: {claimed}")
        named[group] = tuple(dict.fromkeys((*named.get(group, ()), version)))
    return VersionChoice("list", named)


def compatible(versions: VersionSet) -> bool:
    """Whether these versions are compatible by the specification."""
    access, specs, split = (versions.get(group) for group in ("access", "specs", "split"))
    if access and specs and (access, specs) not in _ACCESS_WITH_SPECS:
        return False
    if split in {"v1alpha3", "v1alpha4"} and specs:
        return (split, specs) in _SPLIT_WITH_SPECS
    return True


def assignments(
    claims: Claims, groups: Sequence[str], choice: VersionChoice = VersionChoice()
) -> list[dict[str, str]]:
    """The assignments for a scenario of these groups, the one with the newest versions first.

    A scenario without groups uses every claimed configuration API, each independently. Empty if a group is
    not claimed, or if no claimed versions are compatible.
    """
    if not groups:
        return _side_by_side(claims, choice)
    combinations = [one for one in _combinations(claims, groups, choice) if compatible(one)]
    if not combinations:
        return []
    wanted = {
        (group, version)
        for one in combinations
        for group, version in one.items()
        if choice.kind == "all" or (choice.kind == "list" and group in choice.named)
    }
    return _fewest(combinations, wanted)


def possible(claims: Claims, groups: Sequence[str]) -> list[dict[str, str]]:
    """Every compatible assignment of claimed versions to these groups."""
    return [one for one in _combinations(claims, groups, VersionChoice()) if compatible(one)]


def _combinations(claims: Claims, groups: Sequence[str], choice: VersionChoice) -> Iterator[dict[str, str]]:
    """Every assignment of claimed versions, preferred versions first."""
    ordered = [group for group in GROUPS if group in groups]
    choices = [preference(group, choice.named.get(group, claims.get(group, ()))) for group in ordered]
    ranked = itertools.product(*(enumerate(versions) for versions in choices))
    for one in sorted(ranked, key=lambda each: [rank for rank, _ in each]):
        yield {group: version for group, (_, version) in zip(ordered, one, strict=True)}


def _fewest(combinations: Sequence[dict[str, str]], wanted: set[tuple[str, str]]) -> list[dict[str, str]]:
    """The smallest set of combinations that covers ``wanted``; the first of several such sets.

    SMI has at most sixteen compatible combinations of any groups, so all sets are tried.
    """
    for size in range(1, len(combinations) + 1):
        for chosen in itertools.combinations(combinations, size):
            if wanted <= {pair for one in chosen for pair in one.items()}:
                return list(chosen)
    raise ValueError("wanted versions that no combination has")


def _side_by_side(claims: Claims, choice: VersionChoice) -> list[dict[str, str]]:
    """One assignment per version of the group with most versions; other groups repeat their last version."""
    columns: dict[str, list[str]] = {}
    for group in CONFIGURATION:
        versions = preference(group, choice.named.get(group, claims.get(group, ())))
        if versions:
            columns[group] = versions if choice.kind == "all" or group in choice.named else versions[:1]
    rows = max((len(versions) for versions in columns.values()), default=1)
    return [
        {group: versions[min(row, len(versions) - 1)] for group, versions in columns.items()}
        for row in range(rows)
    ]


def requirement_applies(requirement: Requirement, versions: VersionSet) -> bool:
    """Whether a requirement applies to an assignment.

    Groups that only one of the two has do not count.
    """
    own = OWN_GROUP.get(requirement.api)
    if own is not None and own in versions:
        return versions[own] in requirement.versions_of(own)
    spoken = {group: version for group, version in versions.items() if requirement.versions_of(group)}
    return all(version in requirement.versions_of(group) for group, version in spoken.items())


def format_versions(versions: VersionSet) -> str:
    """An assignment as test ids and reports write it: ``split v1alpha4, specs v1alpha4``."""
    return ", ".join(f"{group} {version}" for group, version in versions.items())
