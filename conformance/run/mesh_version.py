"""The version of a mesh: as stated by the user or the profile, and by the images of its control plane."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.clusters import Cluster, ClusterError
from conformance.profiles import Profile
from conformance.report.document import MESH, Finding

_VERSION = re.compile(r"v?\d+\.\d+")
"""The beginning of a release tag; other tags, such as hashes, carry no version."""


def images(cluster: Cluster, profile: Profile) -> dict[str, str]:
    """The images of the control plane: repository → tag, or digest if it has no tag.

    Empty if the profile names no control plane, or if it cannot be read: a report without images is better
    than none.
    """
    found: dict[str, str] = {}
    if profile.control_plane is None:
        return found
    try:
        for selector in profile.control_plane.selectors:
            for pod in cluster.list("v1", "Pod", profile.control_plane.namespace, labels=selector):
                found |= dict(_split_image(one) for one in _images_of(pod))
    except ClusterError:
        return {}
    return dict(sorted(found.items()))


def _images_of(pod: Mapping[str, Any]) -> Iterator[str]:
    for container in pod.get("spec", {}).get("containers", ()):
        yield str(container.get("image", ""))


def _split_image(image: str) -> tuple[str, str]:
    """The repository and the tag of an image, or its digest if it has no tag."""
    name, _, digest = image.partition("@")
    head, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}{slash}{repository}", tag or digest or "latest"


def versions(option: str, profile: Profile, running: Mapping[str, str]) -> dict[str, str]:
    """The versions of the mesh and of its images. ``option`` is the value of --mesh-version, or empty.

    Without a stated version, that of the mesh is the common tag of its images.
    """
    version = option or profile.version or _common_tag(running)
    return {**({MESH: version} if version else {}), **running}


def _common_tag(running: Mapping[str, str]) -> str:
    tags = set(running.values())
    return tags.pop() if len(tags) == 1 else ""


def contradiction(option: str, profile: Profile, running: Mapping[str, str]) -> Finding | None:
    """The finding if no image of the control plane has the stated version of the mesh, or None."""
    stated = option or profile.version
    tags = [tag for tag in running.values() if _VERSION.match(tag)]
    if not stated or not tags or any(_same(stated, tag) for tag in tags):
        return None
    images = ", ".join(f"{repository}:{tag}" for repository, tag in running.items())
    source = "--mesh-version" if option else "the profile"
    return Finding(
        severity="warning",
        text=f"{source} states version {stated} of the mesh, but its control plane runs {images}",
        remedy="state the installed version by --mesh-version",
    )


def _same(stated: str, tag: str) -> bool:
    """Whether a tag is of a version, as v1.2.4-distroless is of 1.2."""
    version, tagged = stated.removeprefix("v"), tag.removeprefix("v")
    return tagged == version or tagged.startswith(tuple(f"{version}{mark}" for mark in ".-+_"))
