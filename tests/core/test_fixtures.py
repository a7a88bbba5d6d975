"""Fixtures are manifests that a cluster takes, and are placed as parsed objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.drive import rendering
from conformance.drive.arena import MEMBERSHIP_LABEL, WORKLOADS
from conformance.drive.manifests import (
    SERVICES,
    STOCK_IMAGE,
    WORKLOAD_ANNOTATION,
    RunScope,
    fill_namespace,
    folder,
    load,
)
from conformance.drive.recovery import FOLDERS
from conformance.drive.rendering import NotInVersion, render
from conformance.traceability import index

ROOT = Path(str(folder()))
FILES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.yaml"))
PLACEMENT = RunScope("r1", image="registry.example/python:3.13")


def placed(file: str) -> list[dict[str, Any]]:
    return PLACEMENT.localize(load(file), WORKLOADS.values())


def pod_specs() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in FILES:
        for item in load(file):
            if item["kind"] in {"Pod", "Deployment"}:
                template = item["spec"]["template"] if item["kind"] == "Deployment" else item
                yield f"{file} {item['metadata']['name']}", template


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


class TestEveryFixture:
    @pytest.mark.parametrize("file", FILES)
    def test_is_placed_in_the_namespaces_of_the_run_with_its_label(self, file: str) -> None:
        objects = placed(file)
        assert objects
        for item in objects:
            metadata = item["metadata"]
            assert metadata["labels"]["smi-conformance.dev/run"] == "r1"
            where = metadata["name"] if item["kind"] == "Namespace" else metadata["namespace"]
            assert where in {f"{name}-r1" for name in WORKLOADS.values()}
            # Names of namespaces stand in specs as well; none may be left that belongs to no run.
            assert not set(WORKLOADS.values()) & set(strings(item))

    @pytest.mark.parametrize("file", FILES)
    def test_is_written_in_the_newest_stable_versions_unless_its_name_says_otherwise(self, file: str) -> None:
        for item in load(file):
            group, _, version = item["apiVersion"].partition("/")
            if group.endswith(".smi-spec.io"):
                newest = rendering.NEWEST_STABLE[group.partition(".")[0]]
                assert version == (Path(file).stem[:8] if "v1alpha" in Path(file).stem else newest)

    def test_of_a_scenario_belongs_to_a_suite(self) -> None:
        used = {entry.scenario.folder for entry in index.index()}
        used |= {"workloads", "permits", "doctor", *FOLDERS.values()}
        assert {str(Path(file).parent) for file in FILES} <= used

    def test_of_services_has_names_that_no_other_has(self) -> None:
        """Services of scenarios come and go beside each other: one would be taken back with the other."""
        where = [
            (item["metadata"]["namespace"], item["metadata"]["name"])
            for file in FILES
            if file.endswith(f"/{SERVICES}")
            for item in load(file)
        ]
        assert [one for one, times in Counter(where).items() if times > 1] == []

    def test_of_permits_is_for_every_account_behind_a_service_that_splits_are_about(self) -> None:
        """A mesh that denies by default would rightly deny the others: it would fail for it."""
        items = [item for file in FILES for item in load(file)]
        behind: set[tuple[str, str]] = set()
        for service in (item for item in items if item["kind"] == "Service"):
            wanted = (service["spec"].get("selector") or {}).items()
            for item in items:
                template = item["spec"]["template"] if item["kind"] == "Deployment" else item
                namespace = item["metadata"].get("namespace")
                if item["kind"] not in {"Pod", "Deployment"} or namespace != service["metadata"]["namespace"]:
                    continue
                if wanted and wanted <= template["metadata"]["labels"].items():
                    behind.add((namespace, template["spec"]["serviceAccountName"]))
        opened = ("main", "peer")
        permitted = {
            (item["spec"]["destination"]["namespace"], item["spec"]["destination"]["name"])
            for part in opened
            for item in load(f"permits/{part}.yaml")
            if item["kind"] == "TrafficTarget"
        }
        assert permitted == {one for one in behind if one[0] in {WORKLOADS[part] for part in opened}}

    def test_is_a_copy_that_may_be_changed(self) -> None:
        load("workloads/main.yaml")[0]["metadata"]["name"] = "changed"
        assert load("workloads/main.yaml")[0]["metadata"]["name"] == "smi-main"


class TestPlacing:
    def test_writes_the_image_that_was_asked_for(self) -> None:
        for part in WORKLOADS:
            texts = list(strings(placed(f"workloads/{part}.yaml")))
            assert PLACEMENT.image in texts
            assert STOCK_IMAGE not in texts

    def test_labels_the_pods_of_deployments(self) -> None:
        (deployment,) = [
            one for one in placed("traffic-split/live-edits/old.yaml") if one["kind"] == "Deployment"
        ]
        assert deployment["spec"]["template"]["metadata"]["labels"] == {
            "app": "old",
            "smi-conformance.dev/run": "r1",
        }

    def test_leaves_alone_what_only_looks_like_a_namespace(self) -> None:
        item = {"kind": "ConfigMap", "metadata": {"name": "smi-main-x"}, "data": {"a": "in smi-main"}}
        (copied,) = PLACEMENT.localize([item], ["smi-main"])
        assert copied["metadata"]["name"] == "smi-main-x"
        assert copied["data"] == {"a": "in smi-main"}

    def test_fills_the_namespace_into_objects_of_a_profile(self) -> None:
        item = {
            "kind": "RoleBinding",
            "metadata": {"name": "join"},
            "subjects": [{"kind": "Group", "name": "system:serviceaccounts:$namespace"}],
        }
        (filled,) = fill_namespace([item], "smi-main-r1")
        assert filled["metadata"] == {"name": "join", "namespace": "smi-main-r1"}
        assert filled["subjects"][0]["name"] == "system:serviceaccounts:smi-main-r1"


class TestWorkloads:
    def test_are_members_as_scenarios_expect(self) -> None:
        found = {}
        for part in WORKLOADS:
            (namespace,) = [one for one in load(f"workloads/{part}.yaml") if one["kind"] == "Namespace"]
            found[part] = namespace["metadata"]["labels"][MEMBERSHIP_LABEL]
        assert found == {
            "main": "open",
            "access": "joined",
            "peer": "open",
            "outside": "outside",
            "metrics": "open",
            "udp": "joined",
        }

    @pytest.mark.parametrize(("name", "template"), list(pod_specs()), ids=[name for name, _ in pod_specs()])
    def test_satisfy_the_restricted_pod_security_standard(self, name: str, template: dict[str, Any]) -> None:
        # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
        spec = template["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        kinds = {next(iter(volume.keys() - {"name"})) for volume in spec["volumes"]}
        assert kinds <= {
            "configMap",
            "emptyDir",
            "secret",
            "projected",
            "downwardAPI",
            "persistentVolumeClaim",
        }
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "privileged" not in container["securityContext"]
            assert not any("hostPort" in port for port in container["ports"])

    @pytest.mark.parametrize(("name", "template"), list(pod_specs()), ids=[name for name, _ in pod_specs()])
    def test_know_the_name_they_are_addressed_by_and_hold_no_token(
        self, name: str, template: dict[str, Any]
    ) -> None:
        assert template["metadata"]["annotations"][WORKLOAD_ANNOTATION] == name.split()[1]
        assert template["spec"]["automountServiceAccountToken"] is False

    @pytest.mark.parametrize(("name", "template"), list(pod_specs()), ids=[name for name, _ in pod_specs()])
    def test_can_be_asked_by_themselves_whether_the_machine_keeps_up(
        self, name: str, template: dict[str, Any]
    ) -> None:
        """Each client sends requests to itself, by HTTP at 8080: without that all would pass for starved."""
        (container,) = template["spec"]["containers"]
        assert "8080" in container["command"][container["command"].index("--http") :], name
        assert {"name": "http", "containerPort": 8080} in container["ports"]

    def test_of_services_declare_ports_with_their_protocol(self) -> None:
        for file in FILES:
            for item in load(file):
                if item["kind"] == "Service":
                    for port in item["spec"]["ports"]:
                        # Of what is spoken over UDP no appProtocol tells.
                        assert port.get("protocol") == "UDP" or port["appProtocol"], file


class TestVersions:
    @pytest.mark.parametrize(
        ("claimed", "picked"),
        [(("v1alpha2", "v1alpha4"), "v1alpha4"), (("v1alpha2", "v1alpha3"), "v1alpha3"), ((), None)],
        ids=["newest stable", "newest claimed", "nothing claimed"],
    )
    def test_the_one_spoken_is_the_newest_stable_that_is_claimed(
        self, claimed: tuple[str, ...], picked: str | None
    ) -> None:
        assert rendering.pick("split", claimed) == picked

    def test_later_than_stable_is_spoken_only_where_nothing_else_is_claimed(self) -> None:
        assert rendering.pick("access", ("v1alpha3", "v1alpha4")) == "v1alpha3"
        assert rendering.pick("access", ("v1alpha4",)) == "v1alpha4"

    def test_of_the_same_shape_differ_in_name_only(self) -> None:
        (split,) = load("traffic-split/delete/split.yaml")
        assert render(split, {"split": "v1alpha2"}) == {**split, "apiVersion": "split.smi-spec.io/v1alpha2"}

    def test_other_groups_stay_as_they_are(self) -> None:
        (service,) = load("traffic-split/delete/services.yaml")
        assert render(service, {"split": "v1alpha2"}) == service

    @pytest.mark.parametrize(
        ("kind", "wanted", "message"),
        [
            ("TrafficSplit", {"split": "v1alpha2"}, "TrafficSplit v1alpha2 has no matches"),
            ("TrafficSplit", {"split": "v1alpha1"}, "TrafficSplit v1alpha1 has no matches"),
            ("TrafficSplit", {"split": "v1beta1"}, "does not write split.smi-spec.io/v1beta1"),
            ("TrafficTarget", {"access": "v1alpha2"}, "TrafficTarget v1alpha2 has no UDPRoute rules"),
            ("TrafficTarget", {"access": "v1alpha1"}, "TrafficTarget v1alpha1 has no UDPRoute rules"),
            ("HTTPRouteGroup", {"specs": "v1alpha1"}, "HTTPRouteGroup v1alpha1 has no header filters"),
            ("UDPRoute", {"specs": "v1alpha3"}, "specs.smi-spec.io/v1alpha3 has no UDPRoute"),
            ("TCPRoute", {"specs": "v1alpha3"}, "TCPRoute v1alpha3 has no ports"),
        ],
    )
    def test_that_have_no_words_for_a_field_say_which(
        self, kind: str, wanted: dict[str, str], message: str
    ) -> None:
        item = next(one for one in load("common/objects/objects.yaml") if one["kind"] == kind)
        with pytest.raises(NotInVersion, match=message):
            render(item, wanted)

    def test_that_have_one_port_do_not_take_two(self) -> None:
        target = load("traffic-access/routes/target.yaml")[-1]
        with pytest.raises(NotInVersion, match="TrafficTarget v1alpha2 has one port"):
            render(target, {"access": "v1alpha2"}, {"web": (8080, 9000)})
        assert render(target, {"access": "v1alpha2"})["spec"] == target["spec"]
