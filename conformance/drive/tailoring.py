"""Adapts fixtures to a mesh's profile: its labels and annotations, and only ports that the mesh carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from conformance.catalogue import GROUPS
from conformance.clusters import Object
from conformance.drive.rendering import NotInVersion
from conformance.profiles import Membership, Metadata, Profile

_SHORT = {group: short for short, group in GROUPS.items()}
_DECLARED = {"kubernetes.io/h2c": "h2c", "http": "http", "grpc": "grpc", "tcp": "tcp"}
"""appProtocol in fixtures → protocol in the catalogue."""


class NotClaimed(NotInVersion):
    """A scenario needs what the profile does not claim; the message names the key of the profile."""


def protocol_of(port: Mapping[str, Any]) -> str | None:
    """The declared protocol of a Service port; None if it declares none."""
    if port.get("protocol") == "UDP":
        return "udp"
    declared = str(port.get("appProtocol", ""))
    return "tcp" if declared.startswith("tcp-") else _DECLARED.get(declared)


def protocols_of(service: Object, *numbers: int) -> set[str | None]:
    """The declared protocols of a Service's ports with these numbers, or of all its ports."""
    ports = (service.get("spec") or {}).get("ports") or ()
    return {protocol_of(port) for port in ports if not numbers or port["port"] in numbers}


def kinds_in(item: Object) -> Iterator[tuple[str, str]]:
    """The SMI kinds of an object and of its references, each with its group (short name)."""
    short = _SHORT.get(str(item["apiVersion"]).partition("/")[0])
    if short is None:
        return
    yield short, str(item["kind"])
    spec = item.get("spec") if isinstance(item.get("spec"), Mapping) else {}
    for field in ("rules", "matches"):
        listed = spec.get(field) if isinstance(spec, Mapping) else None
        for one in listed if isinstance(listed, list) else ():
            if short != "specs" and isinstance(one, Mapping) and isinstance(one.get("kind"), str):
                yield "specs", one["kind"]


def unclaimed_kind_reason(profile: Profile, versions: Mapping[str, str], items: Iterable[Object]) -> str:
    """Why these objects need an unclaimed kind, in the given versions; empty if all kinds are claimed."""
    for item in items:
        for group, kind in kinds_in(item):
            if reason := profile.claims.lacking(group, versions.get(group, ""), kind):
                return reason
    return ""


def not_carried_reason(profile: Profile, ports: Iterable[str | None]) -> str:
    """Why the mesh does not carry calls to ports of these protocols; empty if it carries all of them."""
    missing = sorted({one for one in ports if one is not None} - profile.carried)
    return (
        f"the profile does not say that the mesh carries {', '.join(missing)} (protocols)" if missing else ""
    )


def mixed_ports_reason(profile: Profile, service: Object) -> str:
    """Why the mesh does not support the mix of protocols in a Service; empty if it does."""
    spoken = sorted(one for one in protocols_of(service) if one in profile.carried and one)
    if profile.mixed_ports or len(spoken) < 2:
        return ""
    return f"the profile claims no Service with ports of {' and '.join(spoken)} (mixed_ports)"


def tailor(
    profile: Profile, memberships: Iterable[Membership], item: Object, *, inside: bool
) -> dict[str, Any] | None:
    """The object with the labels and annotations of its namespace's memberships.

    ``inside``: the namespace is in the mesh. None for a Service that the mesh cannot carry.
    """
    result = dict(item)
    for one in memberships:
        match result["kind"]:
            case "Pod":
                result = with_metadata(result, one.pod)
            case "ServiceAccount":
                result = with_metadata(result, one.account)
            case "Deployment":
                result = with_metadata(result, one.deployment)
                template = with_metadata(result["spec"]["template"], one.pod)
                result = {**result, "spec": {**result["spec"], "template": template}}
    return _service(profile, result) if inside and result["kind"] == "Service" else result


def _service(profile: Profile, item: dict[str, Any]) -> dict[str, Any] | None:
    ports = item.get("spec", {}).get("ports") or []
    left = [port for port in ports if protocol_of(port) in {None, *profile.carried}]
    if mixed_ports_reason(profile, item) or (ports and not left):
        return None
    made = {**item, "spec": {**item["spec"], "ports": left}} if ports else item
    for marks in profile.services.of({one for one in map(protocol_of, left) if one}):
        made = with_metadata(made, marks)
    return made


def with_metadata(item: Mapping[str, Any], marks: Metadata) -> dict[str, Any]:
    """The object, or pod template, with these labels and annotations added."""
    metadata = dict(item.get("metadata") or {})
    for key, values in (("labels", marks.labels), ("annotations", marks.annotations)):
        if values:
            metadata[key] = {**(metadata.get(key) or {}), **values}
    return {**item, "metadata": metadata}
