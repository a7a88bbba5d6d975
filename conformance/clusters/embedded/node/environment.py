"""A container's environment and command line. Pure, except for reading volume sources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from conformance.clusters.embedded.interface import NodeError, Object, VolumeSources
from conformance.clusters.embedded.node.network import NODE_ADDRESS
from conformance.clusters.embedded.node.spawner_client import Command

API_SERVICE_ADDRESS = "10.96.0.1"
"""The address of the service `kubernetes`: the first of the range, as in every cluster."""

_API_SERVICE: Mapping[str, str] = {
    "KUBERNETES_SERVICE_HOST": API_SERVICE_ADDRESS,
    "KUBERNETES_SERVICE_PORT": "443",
    "KUBERNETES_SERVICE_PORT_HTTPS": "443",
}
_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
_KEYED = re.compile(r"metadata\.(annotations|labels)\['([^']*)'\]")


def command_of(
    pod: Object, container: Object, image: Mapping[str, str], volume_sources: VolumeSources, *, address: str
) -> Command:
    """The command of a container, for a pod with this address. Raises NodeError.

    `image` is the image's environment. Images have no entry point here: a container needs a command.
    """
    if container.get("envFrom"):
        raise NodeError("the embedded cluster does not support envFrom")
    if not container.get("command"):
        raise NodeError("no command specified: the embedded cluster has no images with an entry point")
    environment = {**image, **_API_SERVICE}
    for entry in container.get("env") or ():
        found = _value(pod, entry, environment, volume_sources, address)
        if found is not None:
            environment[str(entry["name"])] = found
    words = [*container["command"], *(container.get("args") or ())]
    return Command(
        [expand(str(word), environment) for word in words],
        environment,
        str(container.get("workingDir") or "/"),
    )


def expand(text: str, variables: Mapping[str, str]) -> str:
    """The text with each $(NAME) replaced by its value; unknown names stay, and $$ becomes $."""

    def replaced(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return _REFERENCE.sub(replaced, text)


def field_of(pod: Object, path: str, *, address: str) -> str:
    """The value of a pod field for the downward API. Raises NodeError."""
    metadata, spec = pod["metadata"], pod["spec"]
    if keyed := _KEYED.fullmatch(path):
        return str((metadata.get(keyed[1]) or {}).get(keyed[2], ""))
    if path in ("metadata.annotations", "metadata.labels"):
        entries = metadata.get(path.partition(".")[2]) or {}
        return "\n".join(f'{key}="{value}"' for key, value in sorted(entries.items()))
    plain = {
        "metadata.name": metadata.get("name"),
        "metadata.namespace": metadata.get("namespace"),
        "metadata.uid": metadata.get("uid"),
        "spec.nodeName": spec.get("nodeName"),
        "spec.serviceAccountName": spec.get("serviceAccountName"),
        "status.podIP": address,
        "status.podIPs": address,
        "status.hostIP": NODE_ADDRESS,
        "status.hostIPs": NODE_ADDRESS,
    }
    if path not in plain:
        raise NodeError(f"the embedded cluster does not support the field {path}")
    return str(plain[path] or "")


def _value(
    pod: Object,
    entry: Mapping[str, Any],
    so_far: Mapping[str, str],
    volume_sources: VolumeSources,
    address: str,
) -> str | None:
    source = entry.get("valueFrom")
    if source is None:
        return expand(str(entry.get("value") or ""), so_far)
    namespace = str(pod["metadata"]["namespace"])
    match source:
        case {"fieldRef": {"fieldPath": path}}:
            return field_of(pod, path, address=address)
        case {"configMapKeyRef": reference}:
            return _key(volume_sources.config_map, namespace, reference, "ConfigMap")
        case {"secretKeyRef": reference}:
            return _key(volume_sources.secret, namespace, reference, "Secret")
    raise NodeError(
        f"the embedded cluster does not support {', '.join(source)} as a source of {entry['name']}"
    )


def _key(read: Any, namespace: str, reference: Mapping[str, Any], kind: str) -> str | None:
    name, key = str(reference["name"]), str(reference["key"])
    try:
        content: Mapping[str, bytes] = read(namespace, name)
    except NodeError:
        if reference.get("optional"):
            return None
        raise
    if key in content:
        return content[key].decode(errors="replace")
    if reference.get("optional"):
        return None
    raise NodeError(f"couldn't find key {key} in {kind} {namespace}/{name}")
