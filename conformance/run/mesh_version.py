"""Which version of a mesh is judged: as somebody says, and as the images of its control plane say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.clusters import Cluster, ClusterError
from conformance.profiles import Profile
from conformance.report.document import MESH, Finding

_VERSION = re.compile(r"v?\d+\.\d+")
"""How the tag of a release begins; others, such as hashes, say nothing of the version."""


def images(cluster: Cluster, profile: Profile) -> dict[str, str]:
    """The images that the control plane runs: tags, or else digests, by repository.

    Empty where the profile does not say where the control plane is, or it cannot be read: a report without
    these words is better than none.
    """
    found: dict[str, str] = {}
    if profile.control_plane is None:
        return found
    try:
        for selector in profile.control_plane.selectors:
            for pod in cluster.list("v1", "Pod", profile.control_plane.namespace, labels=selector):
                found |= dict(_parted(one) for one in _of(pod))
    except ClusterError:
        return {}
    return dict(sorted(found.items()))


def _of(pod: Mapping[str, Any]) -> Iterator[str]:
    for container in pod.get("spec", {}).get("containers", ()):
        yield str(container.get("image", ""))


def _parted(image: str) -> tuple[str, str]:
    """An image as its repository and its tag, or its digest where it has no tag."""
    name, _, digest = image.partition("@")
    head, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}{slash}{repository}", tag or digest or "latest"


def versions(asked: str, profile: Profile, running: Mapping[str, str]) -> dict[str, str]:
    """The versions of a mesh's parts: of the mesh itself as somebody says, else as its images agree on."""
    said = asked or profile.version or _agreed(running)
    return {**({MESH: said} if said else {}), **running}


def _agreed(running: Mapping[str, str]) -> str:
    tags = set(running.values())
    return tags.pop() if len(tags) == 1 else ""


def contradiction(asked: str, profile: Profile, running: Mapping[str, str]) -> Finding | None:
    """What is to be told where no image of the control plane has the version that somebody says."""
    said = asked or profile.version
    tags = [tag for tag in running.values() if _VERSION.match(tag)]
    if not said or not tags or any(_same(said, tag) for tag in tags):
        return None
    there = ", ".join(f"{repository}:{tag}" for repository, tag in running.items())
    who = "--mesh-version" if asked else "the profile"
    return Finding(
        severity="warning",
        text=f"{who} says version {said} of the mesh, and its control plane runs {there}",
        remedy="name the version that is installed by --mesh-version",
    )


def _same(said: str, tag: str) -> bool:
    """Whether a tag is of that version: it may say more of it, as v1.2.4-distroless does of 1.2."""
    wanted, there = said.removeprefix("v"), tag.removeprefix("v")
    return there == wanted or there.startswith(tuple(f"{wanted}{mark}" for mark in ".-+_"))
