"""Fixtures as a mesh's profile asks for them: marked, and with no port that the mesh does not carry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from conformance.catalogue import GROUPS
from conformance.clusters import Object
from conformance.drive.rendering import NotInVersion
from conformance.profiles import Membership, Metadata, Profile

_SHORT = {group: short for short, group in GROUPS.items()}
_DECLARED = {"kubernetes.io/h2c": "h2c", "http": "http", "grpc": "grpc", "tcp": "tcp"}
"""The appProtocols of fixtures, and what the catalogue calls that."""


class NotClaimed(NotInVersion):
    """What a profile does not claim, and a scenario cannot do without; the message says where it says so."""


def protocol_of(port: Mapping[str, Any]) -> str | None:
    """What a port of a Service is declared to speak; None where it says nothing of it."""
    if port.get("protocol") == "UDP":
        return "udp"
    declared = str(port.get("appProtocol", ""))
    return "tcp" if declared.startswith("tcp-") else _DECLARED.get(declared)


def protocols_of(service: Object, *numbers: int) -> set[str | None]:
    """What the ports of a Service are declared to speak: those of these numbers, or all."""
    ports = (service.get("spec") or {}).get("ports") or ()
    return {protocol_of(port) for port in ports if not numbers or port["port"] in numbers}


def kinds_in(item: Object) -> Iterator[tuple[str, str]]:
    """The kinds of SMI that an object is of or refers to, each with its group (short name)."""
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
    """Which kind that these objects need is not claimed in the versions spoken; empty where all are."""
    for item in items:
        for group, kind in kinds_in(item):
            if reason := profile.claims.lacking(group, versions.get(group, ""), kind):
                return reason
    return ""


def not_carried_reason(profile: Profile, ports: Iterable[str | None]) -> str:
    """Why a mesh is not asked for calls of ports that speak this; empty where it carries all of it."""
    missing = sorted({one for one in ports if one is not None} - profile.carried)
    return (
        f"the profile does not say that the mesh carries {', '.join(missing)} (protocols)" if missing else ""
    )


def mixed_ports_reason(profile: Profile, service: Object) -> str:
    """Why a Service is not asked of a mesh whose Services speak one protocol each; empty where it may be."""
    spoken = sorted(one for one in protocols_of(service) if one in profile.carried and one)
    if profile.mixed_ports or len(spoken) < 2:
        return ""
    return f"the profile claims no Service with ports of {' and '.join(spoken)} (mixed_ports)"


def tailor(
    profile: Profile, memberships: Iterable[Membership], item: Object, *, inside: bool
) -> dict[str, Any] | None:
    """The object with the marks of its namespace's memberships; ``inside``: that namespace is in the mesh.

    None for a Service that the mesh has no use for.
    """
    made = dict(item)
    for one in memberships:
        match made["kind"]:
            case "Pod":
                made = with_metadata(made, one.pod)
            case "ServiceAccount":
                made = with_metadata(made, one.account)
            case "Deployment":
                made = with_metadata(made, one.deployment)
                template = with_metadata(made["spec"]["template"], one.pod)
                made = {**made, "spec": {**made["spec"], "template": template}}
    return _service(profile, made) if inside and made["kind"] == "Service" else made


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
    """The object, or the template of one, with these labels and annotations as well."""
    metadata = dict(item.get("metadata") or {})
    for key, values in (("labels", marks.labels), ("annotations", marks.annotations)):
        if values:
            metadata[key] = {**(metadata.get(key) or {}), **values}
    return {**item, "metadata": metadata}
