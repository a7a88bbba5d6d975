"""Renders a scenario's fixtures for the run's namespaces and the scenario's versions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from conformance.catalogue import GROUPS
from conformance.clusters import Object
from conformance.drive.api_trials import HeaderForms
from conformance.drive.arena import WORKLOADS, Arena
from conformance.drive.manifests import files, load, services
from conformance.drive.rendering import NotInVersion, WireFormat, ports
from conformance.drive.tailoring import NotClaimed, mixed_ports_reason, not_carried_reason, protocols_of


@dataclass(frozen=True, slots=True)
class Writer:
    """Renders the objects of one scenario's folder.

    ``versions`` are the scenario's versions, by group (short name); other groups use the arena's versions.
    """

    folder: str
    arena: Arena
    versions: Mapping[str, str]
    header_forms: HeaderForms

    def write(self, objects: Iterable[Object]) -> list[dict[str, Any]]:
        """Fixture objects, localized and rendered.

        Raises NotInVersion, and HeadersRefused for header filters that the cluster does not accept.
        """
        given = list(objects)
        # A step may refer to the routes of an earlier step.
        listed = ports(item for file in files(self.folder) for item in load(file))
        wire = WireFormat(self._spoken, listed)
        placed = self.arena.render(given, wire)
        filtered = next((item for item in placed if _filters_headers(item)), None)
        if filtered is None:
            return placed
        version = str(filtered["apiVersion"]).rpartition("/")[2]
        form = self.header_forms.form(version, filtered["metadata"]["namespace"])
        return self.arena.render(given, replace(wire, headers=form))

    def objects_for_version(self, objects: Iterable[Object]) -> list[dict[str, Any]]:
        """The objects whose group is claimed and that exist in the version of their group."""
        found: list[dict[str, Any]] = []
        for item in objects:
            group = str(item["apiVersion"]).partition("/")[0]
            if group in GROUPS.values() and group not in {GROUPS[short] for short in self._spoken}:
                continue
            with contextlib.suppress(NotInVersion):
                found += self.write([item])
        return found

    def check_call(self, part: str, service: str, port: int, protocol: str) -> None:
        """Raises NotClaimed for a call over a protocol that, by its profile, the mesh does not carry."""
        known = services(f"workloads/{part}.yaml", *files(self.folder))
        called = known.get((WORKLOADS[part], service))
        if called is None:
            return
        profile = self.arena.profile
        # A TCP and a UDP port may have the same number; the call's protocol selects one.
        spoken = {one for one in protocols_of(called, port) if (one == "udp") == (protocol == "udp")}
        if reason := not_carried_reason(profile, spoken) or mixed_ports_reason(profile, called):
            raise NotClaimed(reason)

    @property
    def _spoken(self) -> dict[str, str]:
        return {**self.arena.api_versions, **self.versions}


def _filters_headers(item: Object) -> bool:
    if item["kind"] != "HTTPRouteGroup":
        return False
    matches = item.get("spec", item).get("matches")
    return any(isinstance(match, Mapping) and match.get("headers") for match in matches or ())
