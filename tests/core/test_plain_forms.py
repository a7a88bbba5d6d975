"""What a fixture is not about stands in it in its plain form: each departure is found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tools import plain_forms
from tools.plain_forms import Folder

WHERE = "smi-main"
HTTP = {"name": "http", "port": 8080, "targetPort": 8080, "appProtocol": "http"}
UDP = {"name": "udp", "port": 9000, "targetPort": 9000, "protocol": "UDP"}


def pod(name: str, account: str = "server", **more: Any) -> dict[str, Any]:
    ports = more.pop("ports", [{"name": "http", "containerPort": 8080}])
    metadata = {"namespace": WHERE, "name": name, "labels": {"app": name, "pool": "all"}}
    spec = {"serviceAccountName": account, "containers": [{"ports": ports}]}
    return {"kind": "Pod", "metadata": metadata, "spec": spec}


def service(name: str, app: str, *ports: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"namespace": WHERE, "name": name},
        "spec": {"selector": {"app": app}, "ports": list(ports or (HTTP,)), **spec},
    }


def split(root: str, /, **weights: Any) -> dict[str, Any]:
    backends = [{"service": name, "weight": weight} for name, weight in weights.items()]
    spec = {"service": root, "backends": backends}
    return {"kind": "TrafficSplit", "metadata": {"namespace": WHERE, "name": "s"}, "spec": spec}


def group(*matches: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"namespace": WHERE, "name": "routes"}
    return {"kind": "HTTPRouteGroup", "metadata": metadata, "spec": {"matches": list(matches)}}


def target(**rule: Any) -> dict[str, Any]:
    metadata = {"namespace": WHERE, "name": "t"}
    rules = [{"kind": "HTTPRouteGroup", "name": "routes", **rule}]
    return {"kind": "TrafficTarget", "metadata": metadata, "spec": {"rules": rules}}


WHOLE = {"name": "m", "pathRegex": "/a", "methods": ["GET"]}
ARENA = (pod("v1"), pod("v2"), pod("v3", "another"))
PLAIN = (
    service("root", "v1"),
    service("backend", "v2"),
    split("root", backend=1),
    group(WHOLE),
    target(matches=["m"]),
)


def found(*objects: Mapping[str, Any]) -> list[str]:
    return list(plain_forms.problems([Folder("x/y", [*PLAIN, *objects], ARENA)], {}))


def test_of_this_project_are_kept() -> None:
    assert list(plain_forms.problems(plain_forms.fixtures())) == []


def test_are_no_trouble() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("form", "odd"),
    [
        ("match_names", target()),
        ("match_names", target(matches=[])),
        ("whole_matches", group({"name": "m", "pathRegex": "/a"})),
        ("whole_matches", group({"name": "m", "methods": ["GET"]})),
        ("distinct_values", group(*({**WHOLE, "headers": {"x-side": one}} for one in ("here", "there")))),
        ("numeric_target_ports", service("odd", "v2", {**HTTP, "targetPort": "http"})),
        (
            "one_protocol",
            service("odd", "v2", HTTP, {**HTTP, "name": "tcp", "port": 1, "appProtocol": "tcp"}),
        ),
        ("known_protocols", service("odd", "v2", {**HTTP, "appProtocol": "kubernetes.io/h2c"})),
        ("known_protocols", service("odd", "v2", {"name": "x", "port": 8080, "targetPort": 8080})),
        ("udp_apart", service("odd", "v4", UDP)),
        ("udp_apart", pod("v5", ports=[{"name": "udp", "containerPort": 9000, "protocol": "UDP"}])),
        ("declared_ports", service("odd", "v2", {**HTTP, "targetPort": 9999})),
        ("one_account", service("odd", "v2", selector={"pool": "all"})),
        ("somebody_behind", service("odd", "nobody")),
        ("cluster_ip", service("odd", "v2", type="NodePort")),
        ("cluster_ip", service("odd", "v2", clusterIP="None")),
        ("disjoint", split("backend", root=1)),
        ("disjoint", service("backend", "v1")),
        ("whole_weights", split("root", backend=0.5)),
        ("whole_weights", split("root", backend="500m")),
        ("whole_weights", split("root", backend=-1)),
        ("whole_weights", split("root", backend=0)),
        ("plain_names", split("root.smi-main", backend=1)),
    ],
)
def test_are_departed_from_and_found(form: str, odd: dict[str, Any]) -> None:
    lines = found(odd)
    assert any(line.startswith("fixtures/x/y: ") and f" ({form}: " in line for line in lines), lines


def test_every_one_is_shown_to_find_something() -> None:
    marks = test_are_departed_from_and_found.pytestmark  # type: ignore[attr-defined]
    assert {form for form, _ in marks[0].args[1]} == plain_forms.FORMS.keys()


def test_may_be_departed_from_where_that_is_the_subject_and_nowhere_else() -> None:
    odd = [*PLAIN, target()]
    folders = [Folder("x/y", odd, ARENA), Folder("x/z", odd, ARENA)]
    (line,) = plain_forms.problems(folders, {("match_names", "x/y"): "asks what it means"})
    assert line.startswith("fixtures/x/z: TrafficTarget t: its rule routes names no matches (match_names: ")


def test_a_permission_that_no_fixture_needs_is_found() -> None:
    (line,) = plain_forms.problems([Folder("x/y", PLAIN, ARENA)], {("match_names", "x/y"): "once"})
    assert line == "plain_forms.py: x/y may depart from match_names, and does not"
