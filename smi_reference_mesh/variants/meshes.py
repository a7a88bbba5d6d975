"""Variants that resemble a real mesh in all its correct behaviour: several differences at once."""

from __future__ import annotations

from smi_reference_mesh.variants.balancing import rotation
from smi_reference_mesh.variants.building_blocks import Together
from smi_reference_mesh.variants.cluster import datagrams_pass
from smi_reference_mesh.variants.denial import reset
from smi_reference_mesh.variants.identity import by_address
from smi_reference_mesh.variants.readings import of_linkerd, of_osm, of_traefik
from smi_reference_mesh.variants.timing import Late
from smi_reference_mesh.variants.upgrading import upgraded
from smi_reference_mesh.variants.variant import ACCESS, EDITS, ROLLOUT, SHARES, Variant

_NO_EVENTS = {"split-misconfiguration-event": "this mesh writes no events"}

VARIANTS = (
    Variant(
        "like-open-service-mesh",
        "Sidecars, a reset without any grant, changes after two seconds, no open namespaces, no ingress, no "
        "metrics, UDP outside the mesh, its versions and its readings.",
        ACCESS | EDITS | SHARES | {"traffic_split/test_odd_splits", "traffic_specs/test_path"},
        lambda: Together(*of_osm(), Late(2.0), datagrams_pass(), reset()),
        profile={
            "claims": {"split": ["v1alpha2"], "access": ["v1alpha3"], "specs": ["v1alpha4"], "metrics": []},
            "access": {"open": None, "udp": False},
            "converge": {"within_s": 12, "stable_s": 1},
            "ingress": None,
            "disclaims": _NO_EVENTS,
        },
        real_meshes=("Open Service Mesh",),
    ),
    Variant(
        "like-traefik-mesh",
        "Identity by address, no certificates, other names, rotation, no open namespaces, no ingress, no "
        "metrics, UDP outside the mesh, its versions and its readings.",
        ACCESS | EDITS | SHARES | {"traffic_split/test_odd_splits", "traffic_specs/test_path"},
        lambda: Together(*of_traefik(), rotation(), by_address(), datagrams_pass(), Late(1.0)),
        profile={
            "claims": {"split": ["v1alpha3"], "access": ["v1alpha2"], "specs": ["v1alpha3"], "metrics": []},
            "access": {"open": None, "udp": False},
            "hosts": {"service": "{service}.{namespace}.svc"},
            "join": {"sidecar": False},
            "ingress": None,
            "disclaims": _NO_EVENTS,
        },
        real_meshes=("Traefik Mesh",),
    ),
    Variant(
        "like-linkerd",
        "Splits only, HTTP/2 between proxies, its readings.",
        SHARES | EDITS | ROLLOUT,
        lambda: Together(*of_linkerd(), upgraded(), Late(0.5)),
        profile={
            "claims": {"split": ["v1alpha1", "v1alpha2"], "access": [], "specs": [], "metrics": []},
            "disclaims": _NO_EVENTS,
            "ingress": None,
        },
        real_meshes=("Linkerd with linkerd-smi",),
    ),
)
