"""The volumes of a pod: what files are in them, and the directories that they become.

They are written when the pod starts; of what they are made from, only tokens are renewed afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.clusters.embedded.interface import NodeError, Object, Supplies
from conformance.clusters.embedded.node.environment import field_of
from conformance.clusters.embedded.node.spawner_client import Mount

_MODE = 0o644
_TOKEN_LIFETIME_S = 3600
_PLAIN = ("configMap", "secret", "downwardAPI", "projected")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a volume, its path relative to it. A token says for how long it is good, in seconds."""

    path: str
    content: bytes
    mode: int = _MODE
    lifetime_s: int | None = None


def files_of(
    volume: Mapping[str, Any], pod: Object, supplies: Supplies, *, address: str
) -> list[File] | None:
    """The files of a volume; None for an empty directory that containers write to. Raises NodeError."""
    if "emptyDir" in volume:
        return None
    kinds = [kind for kind in _PLAIN if kind in volume]
    if not kinds:
        raise NodeError(f"the embedded cluster has no such volume: {', '.join(sorted(volume))}")
    source: Mapping[str, Any] = volume[kinds[0]]
    mode = int(source.get("defaultMode") or _MODE)
    sources = source.get("sources") or () if kinds == ["projected"] else [{kinds[0]: source}]
    return [file for each in sources for file in _projected(each, pod, supplies, address, mode)]


def _projected(
    source: Mapping[str, Any], pod: Object, supplies: Supplies, address: str, mode: int
) -> list[File]:
    namespace = str(pod["metadata"]["namespace"])
    match source:
        case {"configMap": described}:
            return _selected(described, described["name"], supplies.config_map, namespace, mode)
        case {"secret": described}:
            name = described.get("secretName") or described.get("name")
            return _selected(described, name, supplies.secret, namespace, mode)
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
            token = supplies.token(pod, described.get("audience"), lifetime)
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
    """Make a volume's directory. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    if files is None:
        directory.chmod(0o777)
    for file in files or ():
        path = directory / file.path
        if ".." in Path(file.path).parts or path == directory:
            raise NodeError(f"not a path inside of a volume: {file.path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, file.content, file.mode)


def replace(path: Path, content: bytes, mode: int = _MODE) -> None:
    """Write a file, such that readers see either what was there before or all of the new."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_bytes(content)
    draft.chmod(mode)
    os.replace(draft, path)


def mounts_of(container: Object, volumes: Path, known: Sequence[str]) -> list[Mount]:
    """Where a container wants the volumes that are directories of `volumes`. Raises NodeError."""
    mounts = []
    for wanted in container.get("volumeMounts") or ():
        if unknown := {"subPath", "subPathExpr", "mountPropagation"} & wanted.keys():
            raise NodeError(f"the embedded cluster does not know {', '.join(sorted(unknown))} of a mount")
        if wanted["name"] not in known:
            raise NodeError(f"no volume {wanted['name']}, which {container['name']} mounts")
        source = str(volumes / wanted["name"])
        mounts.append(Mount(source, str(wanted["mountPath"]), bool(wanted.get("readOnly"))))
    # What is mounted inside of another mount has to come after it.
    return sorted(mounts, key=lambda mount: mount.target)
