"""Custom resources of several versions whose webhook converts them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from api_objects import events, namespace, thing
from fake_node import Served, serving
from https_pod import NAME, HttpsPod

from conformance.clusters import ApiStatusError

GROUP = "shapes.example.org"
NEW = f"/apis/{GROUP}/v2/namespaces/shop/circles"
OLD = f"/apis/{GROUP}/v1/namespaces/shop/circles"


@dataclass
class Converter:
    """v1 has a radius, v2 a diameter."""

    broken: str = ""
    asked: list[Any] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        review = await request.json()
        self.asked.append(review["request"])
        wanted = review["request"]["desiredAPIVersion"]
        converted = [self._convert(one, wanted) for one in review["request"]["objects"]]
        result = {"status": "Failed", "message": self.broken} if self.broken else {"status": "Success"}
        response = {"uid": review["request"]["uid"], "convertedObjects": converted, "result": result}
        return web.json_response({**review, "response": response})

    def _convert(self, one: dict[str, Any], wanted: str) -> dict[str, Any]:
        if wanted == one["apiVersion"]:
            return one
        spec = one["spec"]
        turned = (
            {"diameter": spec["radius"] * 2} if wanted.endswith("/v2") else {"radius": spec["diameter"] // 2}
        )
        return {**one, "apiVersion": wanted, "spec": turned}


def definition(pod: HttpsPod) -> dict[str, Any]:
    def version(name: str, field: str, *, storage: bool) -> dict[str, Any]:
        spec = {"type": "object", "required": [field], "properties": {field: {"type": "integer"}}}
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
        return {"name": name, "served": True, "storage": storage, "schema": schema}

    client = {"service": pod.reference(path="/convert"), "caBundle": pod.bundle}
    webhook = {"conversionReviewVersions": ["v1"], "clientConfig": client}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"circles.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "circles", "kind": "Circle"},
            "versions": [version("v1", "radius", storage=False), version("v2", "diameter", storage=True)],
            "conversion": {"strategy": "Webhook", "webhook": webhook},
        },
    }


@pytest.fixture
def converter() -> Converter:
    return Converter()


@pytest.fixture
def served(converter: Converter) -> Iterator[Served]:
    pod = HttpsPod(converter.answer)
    with serving({NAME: pod.program}) as made:
        made.cluster.apply([namespace("shop"), definition(pod)])
        pod.begin(made)
        yield made


def circle(version: str, name: str = "one", **spec: int) -> dict[str, Any]:
    return thing(f"{GROUP}/{version}", "Circle", name, spec=spec)


def test_an_object_is_read_in_the_requested_version(served: Served, converter: Converter) -> None:
    served.cluster.apply([circle("v1", radius=2)])
    assert [one["desiredAPIVersion"] for one in converter.asked] == [f"{GROUP}/v2", f"{GROUP}/v1"]
    old, new = (served.cluster.request("GET", f"{path}/one").body for path in (OLD, NEW))
    assert (old["apiVersion"], old["spec"]) == (f"{GROUP}/v1", {"radius": 2})
    assert (new["apiVersion"], new["spec"]) == (f"{GROUP}/v2", {"diameter": 4})
    assert old["metadata"] == new["metadata"]


def test_the_stored_version_needs_no_webhook(served: Served, converter: Converter) -> None:
    served.cluster.apply([circle("v2", diameter=4)])
    assert served.cluster.request("GET", f"{NEW}/one").body["spec"] == {"diameter": 4}
    assert not converter.asked


def test_many_are_converted_at_once(served: Served, converter: Converter) -> None:
    served.cluster.apply([circle("v2", name, diameter=4) for name in ("a", "b")])
    listed = served.cluster.list(f"{GROUP}/v1", "Circle", "shop")
    assert [one["spec"] for one in listed] == [{"radius": 2}, {"radius": 2}]
    assert len(converter.asked) == 1


def test_applying_and_patching_use_the_version_of_the_request(served: Served, converter: Converter) -> None:
    served.cluster.apply([circle("v2", diameter=4)])
    served.cluster.apply([circle("v1", radius=3)])
    assert served.cluster.request("GET", f"{NEW}/one").body["spec"] == {"diameter": 6}
    patch = {"spec": {"radius": 5}}
    served.cluster.request("PATCH", f"{OLD}/one", patch, content_type="application/merge-patch+json")
    assert served.cluster.request("GET", f"{NEW}/one").body["spec"] == {"diameter": 10}
    with pytest.raises(ApiStatusError, match=r"\.spec\.diameter: field not declared in schema"):
        served.cluster.apply([circle("v1", "two", diameter=4)])


def test_a_failing_webhook_is_a_server_error(served: Served, converter: Converter) -> None:
    served.cluster.apply([circle("v2", diameter=4)])
    converter.broken = "no circle"
    answer = served.cluster.request("GET", f"{OLD}/one")
    assert (answer.status, answer.body["message"]) == (500, "conversion webhook failed: no circle")
    with pytest.raises(ApiStatusError, match="conversion webhook failed: no circle"):
        served.cluster.apply([circle("v1", "two", radius=1)])
    assert served.cluster.request("GET", f"{NEW}/two").status == 404


def test_a_watch_reports_a_failed_conversion_as_an_error(served: Served, converter: Converter) -> None:
    served.cluster.apply([circle("v2", diameter=4)])
    query = {"watch": "1", "timeoutSeconds": "1"}
    ((kind, seen),) = events(served.cluster.request("GET", OLD, query=query).body)
    assert (kind, seen["spec"]) == ("ADDED", {"radius": 2})
    converter.broken = "no circle"
    ((kind, seen),) = events(served.cluster.request("GET", OLD, query=query).body)
    assert (kind, seen["code"], seen["message"]) == ("ERROR", 500, "conversion webhook failed: no circle")
