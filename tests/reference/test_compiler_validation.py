"""Envoy accepts compiled configurations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compiler_envoy import validate
from compiler_loopback import CertificateAuthority
from compiler_snapshots import binding, group, rule, snapshot, split, target, tcp_route, workload

from smi_reference_mesh.compiler import compile
from smi_reference_mesh.kube.snapshot import ClusterSnapshot

JSON = dict[str, Any]

ROUTES = group(
    "routes",
    {"name": "firefox", "headers": {"User-Agent": ".*Firefox.*", "Host": "shop.*"}},
    {"name": "api", "pathRegex": "/api/.*", "methods": ["GET", "POST"]},
    {"name": "empty", "headers": {"x-empty": ""}},
    {"name": "all"},
    {"name": "broken", "pathRegex": "(?=x)"},
)
LABELS = binding("labels", podLabelSelectors=[{"matchLabels": {"app": "client"}}])
SOURCES = ["client", {"kind": "IdentityBinding", "name": "labels"}]

SNAPSHOTS: dict[str, Callable[[], ClusterSnapshot]] = {
    "permissive": lambda: snapshot(permissive=True),
    "enforced": lambda: snapshot(
        ROUTES,
        LABELS,
        tcp_route("ports", 9000, 9001, 15001),
        target("v1", SOURCES, [rule("HTTPRouteGroup", "routes")], name="http"),
        target("db", SOURCES, [rule("TCPRoute", "ports")], name="tcp"),
    ),
    "splits-with-conditions": lambda: snapshot(
        ROUTES,
        split("web", {"v1": 70, "v2": 30}),
        split("web", {"v1": 0, "v2": 1}, name="ab", matches=["routes"]),
    ),
    "tcp-split": lambda: snapshot(split("db", {"db": 1, "db2": 3})),
    "all-weights-zero": lambda: snapshot(split("web", {"v1": 0, "v2": 0}), split("db", {"db": 0}, name="db")),
    "missing-backend": lambda: snapshot(split("web", {"v1": 1, "gone": 1})),
    "huge-weights": lambda: snapshot(split("web", {"v1": 10**17, "v2": 3})),
    "empty": lambda: ClusterSnapshot({}),
}


@pytest.fixture(scope="module")
def secrets() -> dict[str, JSON]:
    files = CertificateAuthority().issue("spiffe://cluster.local/ns/shop/sa/client")
    resources = [json.loads(text)["resources"][0] for text in files.values()]
    return {each["name"]: {key: part for key, part in each.items() if key != "@type"} for each in resources}


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_envoy_accepts_the_configuration(name: str, secrets: dict[str, JSON], tmp_path: Path) -> None:
    shared = SNAPSHOTS[name]()
    for who in ("client", "v1", "db"):
        assert validate(compile(shared, workload(who)), secrets, tmp_path) == ""


def test_validation_detects_a_refused_configuration(secrets: dict[str, JSON], tmp_path: Path) -> None:
    configuration = compile(snapshot(), workload("client"))
    (host,) = configuration.routes["outbound|shop|web|8080"]["virtual_hosts"]
    host["routes"][0]["match"] = {"safe_regex": {"regex": "("}}
    assert "(" in validate(configuration, secrets, tmp_path)
