"""The volumes of a pod: their files and directories.

They are written when the pod starts; later only tokens are renewed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.clusters.embedded.interface import NodeError, Object, VolumeSources
from conformance.clusters.embedded.node.environment import field_of
from conformance.clusters.embedded.node.spawner_client import Mount

_DEFAULT_MODE = 0o644
_TOKEN_LIFETIME_S = 3600
_PROJECTED_KINDS = ("configMap", "secret", "downwardAPI", "projected")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a volume, with its relative path. ``lifetime_s`` is a token's validity, in seconds."""

    path: str
    content: bytes
    mode: int = _DEFAULT_MODE
    lifetime_s: int | None = None


def files_of(
    volume: Mapping[str, Any], pod: Object, volume_sources: VolumeSources, *, address: str
) -> list[File] | None:
    """The files of a volume; None for an emptyDir, which containers write to. Raises NodeError."""
    if "emptyDir" in volume:
        return None
    kinds = [kind for kind in _PROJECTED_KINDS if kind in volume]
    if not kinds:
        raise NodeError(f"the embedded cluster does not support this volume: {', '.join(sorted(volume))}")
    source: Mapping[str, Any] = volume[kinds[0]]
    mode = int(source.get("defaultMode") or _DEFAULT_MODE)
    sources = source.get("sources") or () if kinds == ["projected"] else [{kinds[0]: source}]
    return [file for each in sources for file in _projected(each, pod, volume_sources, address, mode)]


def _projected(
    source: Mapping[str, Any], pod: Object, volume_sources: VolumeSources, address: str, mode: int
) -> list[File]:
    namespace = str(pod["metadata"]["namespace"])
    match source:
        case {"configMap": described}:
            return _selected(described, described["name"], volume_sources.config_map, namespace, mode)
        case {"secret": described}:
            name = described.get("secretName") or described.get("name")
            return _selected(described, name, volume_sources.secret, namespace, mode)
        case {"downwardAPI": described}:
            return [
                File(
                    str(item["path"]),
                    field_of(pod, str(item["fieldRef"]["fieldPath"]), address=address).encode(),
                    int(item.get("mode") or mode),
                )
                for item in described.get("items") or ()
            ]
        case {"serviceAccountToken": described}:
            lifetime = int(described.get("expirationSeconds") or _TOKEN_LIFETIME_S)
            token = volume_sources.token(pod, described.get("audience"), lifetime)
            return [File(str(described["path"]), token.encode(), mode, lifetime)]
    raise NodeError(f"the embedded cluster cannot project {', '.join(source)}")


def _selected(
    described: Mapping[str, Any],
    name: object,
    read: Callable[[str, str], Mapping[str, bytes]],
    namespace: str,
    mode: int,
) -> list[File]:
    try:
        content = read(namespace, str(name))
    except NodeError:
        if described.get("optional"):
            return []
        raise
    items = described.get("items")
    if items is None:
        return [File(key, value, mode) for key, value in content.items()]
    missing = [str(item["key"]) for item in items if item["key"] not in content]
    if missing and not described.get("optional"):
        raise NodeError(f"{namespace}/{name} has no {', '.join(missing)}")
    return [
        File(str(item["path"]), content[item["key"]], int(item.get("mode") or mode))
        for item in items
        if item["key"] in content
    ]


def write(directory: Path, files: Sequence[File] | None) -> None:
    """Write a volume's directory. Raises OSError, NodeError."""
    directory.mkdir(parents=True, exist_ok=True)
    if files is None:
        directory.chmod(0o777)
    for file in files or ():
        path = directory / file.path
        if ".." in Path(file.path).parts or path == directory:
            raise NodeError(f"not a path inside the volume: {file.path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, file.content, file.mode)


def replace(path: Path, content: bytes, mode: int = _DEFAULT_MODE) -> None:
    """Write a file atomically: readers see the old or the new content."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_bytes(content)
    draft.chmod(mode)
    os.replace(draft, path)


def mounts_of(container: Object, volumes: Path, known: Sequence[str]) -> list[Mount]:
    """The mounts of a container, with sources in the directory `volumes`. Raises NodeError."""
    mounts = []
    for wanted in container.get("volumeMounts") or ():
        if unknown := {"subPath", "subPathExpr", "mountPropagation"} & wanted.keys():
            raise NodeError(f"the embedded cluster does not support {', '.join(sorted(unknown))} of a mount")
        if wanted["name"] not in known:
            raise NodeError(f"no volume {wanted['name']}, which {container['name']} mounts")
        source = str(volumes / wanted["name"])
        mounts.append(Mount(source, str(wanted["mountPath"]), bool(wanted.get("readOnly"))))
    # A mount inside another must come after it.
    return sorted(mounts, key=lambda mount: mount.target)
