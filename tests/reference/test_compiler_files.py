"""The files of a configuration."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from compiler_snapshots import (
    http,
    pod,
    service,
    slices,
    snapshot,
    split,
    target,
    tcp,
    workload,
)
from compiler_views import (
    EVERYTHING,
    OPEN,
    compiled,
)

from smi_reference_mesh.compiler import compile
from smi_reference_mesh.kube.snapshot import ClusterSnapshot

JSON = dict[str, Any]


def test_output_does_not_depend_on_the_order_of_objects() -> None:
    policies = [split("web", {"v1": 1, "v2": 2}), EVERYTHING, target("v1", ["client"], [OPEN])]
    given = snapshot(*policies)
    turned = ClusterSnapshot({plural: tuple(reversed(each)) for plural, each in given.objects.items()})
    assert compile(given, workload("v1")).files() == compile(turned, workload("v1")).files()


def test_each_file_is_a_discovery_response_with_a_version_of_its_content() -> None:
    first, second = compiled(split("web", {"v1": 1})).files(), compiled(split("web", {"v2": 1})).files()
    for path, text in first.items():
        response = json.loads(text)
        assert {each["@type"] for each in response["resources"]} == {response["type_url"]}
        same = json.loads(second[path])["version_info"] == response["version_info"]
        assert same is (second[path] == text)


def test_files_come_before_those_that_refer_to_them() -> None:
    order = [path.split("/")[0] for path in compiled().files()]
    assert list(dict.fromkeys(order)) == ["cds.json", "rds", "lds.json"]


def test_a_listener_refers_to_every_route() -> None:
    for who in ("client", "v1", "db"):
        configuration = compiled(who=who)
        chains = [each for listener in configuration.listeners for each in listener["filter_chains"]]
        asked = {
            handler["typed_config"]["rds"]["route_config_name"]
            for each in chains
            for handler in each["filters"]
            if "rds" in handler["typed_config"]
        }
        assert asked == set(configuration.routes)


def test_twenty_workloads_and_thirty_services_are_compiled_after_one_change(
    record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = range(1, 31)
    pods = [pod(f"p{i}", f"10.0.1.{i}", labels={"app": f"s{i}"}) for i in numbers]
    services = [service(f"s{i}", f"10.1.1.{i}", http(8080), tcp(9000)) for i in numbers]
    targets = [target(f"p{i}", ["p1", "p2"], [OPEN], name=f"t{i}") for i in numbers]
    endpoints = slices(services, pods)

    def after(weight: int) -> float:
        changed = split("s1", {"s2": weight, "s3": 100 - weight})
        shared = snapshot(
            EVERYTHING, changed, *targets, pods=pods, services=services, endpointslices=endpoints
        )
        started = time.perf_counter()
        files = [compile(shared, workload(f"p{i}")).files() for i in range(1, 21)]
        assert len(files) == 20
        return (time.perf_counter() - started) * 1000

    best = min(after(weight) for weight in range(1, 6))
    record_property("compile_20_workloads_ms", round(best, 1))
    with capsys.disabled():
        print(f" [20 workloads, 30 services with 2 ports each: {best:.0f} ms]", end="")
