"""Ingresses in the embedded cluster: stored for controllers, and refused with more than rules."""

from __future__ import annotations

from typing import Any

import pytest
from api_objects import namespace, thing
from fake_node import Served

INGRESSES = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses"
API_VERSION = "networking.k8s.io/v1"


def ingress(path: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """An Ingress with a single path, by default to the service `web`."""
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rules = [{"http": {"paths": [{"pathType": "Prefix", "backend": backend, **(path or {})}]}}]
    return thing(API_VERSION, "Ingress", "web", spec={"ingressClassName": "x", "rules": rules, **spec})


def test_they_come_back_and_go_with_their_namespace(served: Served) -> None:
    item = ingress({"path": "/"})
    served.cluster.apply([item])
    (listed,) = served.cluster.list(API_VERSION, "Ingress", "shop")
    assert listed["spec"] == item["spec"]
    served.cluster.delete([namespace("shop")])
    served.eventually(lambda: not served.cluster.list(API_VERSION, "Ingress"))


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (ingress(rules=None), "spec.rules: Required value"),
        (ingress({"pathType": None}), "paths[0].pathType: Required value"),
        (ingress({"pathType": "Regex"}), 'paths[0].pathType: Unsupported value: "Regex"'),
        (ingress({"path": "x"}), 'paths[0].path: Invalid value: "x": must be an absolute path'),
        (ingress({"backend": {"resource": {}}}), "backend.service: Required value"),
        (
            ingress({"backend": {"service": {"name": "web", "port": {"name": "http", "number": 80}}}}),
            "backend.service.port: Invalid value: must have either a name or a number",
        ),
        (ingress(tls=[]), "spec.tls: Forbidden: the embedded cluster supports only the rules of ingresses"),
        (ingress(defaultBackend={}), "spec.defaultBackend: Forbidden: "),
    ],
)
def test_an_ingress_with_more_or_less_than_rules_is_refused(
    served: Served, item: dict[str, Any], problem: str
) -> None:
    answer = served.cluster.request("POST", INGRESSES, item)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.body["message"].startswith('Ingress.networking.k8s.io "web" is invalid: ')
    assert problem in answer.body["message"]
    assert served.cluster.list(API_VERSION, "Ingress") == []
