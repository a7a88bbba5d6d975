"""EndpointSlices of the embedded cluster, and the node's routes of services."""

from __future__ import annotations

from api_objects import PODS, is_ready, pod, service, thing
from fake_node import Served


class TestEndpoints:
    def test_of_another_manager_stay_and_are_routed_to(self, served: Served) -> None:
        alone = service("far", {"name": "p", "port": 80})
        del alone["spec"]["selector"]
        own = thing("discovery.k8s.io/v1", "EndpointSlice", "far", addressType="IPv4",
                    ports=[{"name": "p", "port": 9}], endpoints=[{"addresses": ["192.0.2.1"]}])  # fmt: skip
        own["metadata"]["labels"] = {"kubernetes.io/service-name": "far"}
        unlabelled = thing("discovery.k8s.io/v1", "EndpointSlice", "stray", addressType="IPv4",
                           ports=[], endpoints=[])  # fmt: skip
        served.cluster.apply([alone, own, unlabelled, pod("web"), service("web", {"port": 80})])
        served.has(f"{PODS}/web", is_ready)

        def led() -> bool:
            places = [(one.ip, one.port) for rule in served.node.services for one in rule.backends]
            return ("192.0.2.1", 9) in places and any(
                ip.startswith("127.") and port == 80 for ip, port in places
            )

        served.eventually(led)
        assert served.cluster.request(
            "GET", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/far"
        ).body["endpoints"] == [{"addresses": ["192.0.2.1"]}]

    def test_of_pods_with_different_port_numbers_are_distinguished_by_name(self, served: Served) -> None:
        late = pod("late")
        late["metadata"]["labels"] = {"app": "web"}
        late["spec"]["containers"][0]["ports"][0]["containerPort"] = 9090
        port = {"name": "a", "port": 80, "targetPort": "http"}
        several = service("web", port)
        several["spec"]["ports"].append({"name": "b", "port": 81, "targetPort": 7})
        served.cluster.apply([several, pod("web"), late])

        def places() -> dict[int, set[int]]:
            address = served.cluster.request("GET", "/api/v1/namespaces/shop/services/web").body["spec"][
                "clusterIP"
            ]
            rules = [one for one in served.node.services if one.address == address]
            return {one.port: {backend.port for backend in one.backends} for one in rules}

        served.eventually(lambda: places() == {80: {8080, 9090}, 81: {7}})

    def test_of_a_terminating_pod_are_not_ready_while_it_still_serves(self, served: Served) -> None:
        served.cluster.apply([service("web", {"port": 80}), pod("web", terminationGracePeriodSeconds=9)])
        slices = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
        conditions = lambda body: [e["conditions"] for one in body["items"] for e in one["endpoints"]]  # noqa: E731
        served.has(slices, lambda body: [one["ready"] for one in conditions(body)] == [True])
        holding = served.node.running["shop", "web"]

        class Deaf:
            def set(self) -> None:
                """Does not end when it is told to."""

        served.node.running["shop", "web"] = Deaf()  # type: ignore[assignment]
        served.cluster.delete([pod("web")])
        dying = {"ready": False, "serving": True, "terminating": True}
        served.has(slices, lambda body: conditions(body) == [dying])
        served.eventually(
            lambda: not [b for rule in served.node.services if rule.port == 80 for b in rule.backends]
        )
        served.loop.call_soon_threadsafe(holding.set)
        served.has(slices, lambda body: not body["items"])
