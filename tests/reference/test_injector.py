from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest

from smi_reference_mesh.control_plane.injector import SidecarTemplate, patch, review
from smi_reference_mesh.membership import is_meshed

SIDECAR = SidecarTemplate("mesh:1", "-----BEGIN CERTIFICATE-----")

BARE: dict[str, Any] = {
    "metadata": {"name": "p", "labels": {"app": "p"}},
    "spec": {"containers": [{"name": "main", "image": "app"}]},
}
FULL: dict[str, Any] = {
    "metadata": {"generateName": "p-", "annotations": {"kept": "yes"}},
    "spec": {
        "containers": [{"name": "main", "image": "app"}, {"name": "second", "image": "app"}],
        "initContainers": [{"name": "own", "image": "app"}],
        "volumes": [{"name": "own", "emptyDir": {}}],
    },
}


def applied(pod: dict[str, Any]) -> dict[str, Any]:
    """The pod after the patch: `add` to a member of an object, by RFC 6902."""
    result = copy.deepcopy(pod)
    for operation in patch(pod, SIDECAR):
        assert operation["op"] == "add"
        *parents, member = operation["path"].lstrip("/").split("/")
        target = result
        for parent in parents:
            target = target[parent]
        target[member] = operation["value"]
    return result


@pytest.mark.parametrize("pod", [BARE, FULL], ids=["bare", "full"])
def test_a_pod_gets_its_sidecar_and_keeps_what_it_had(pod: dict[str, Any]) -> None:
    injected = applied(pod)
    assert is_meshed(injected)
    assert injected["spec"]["containers"] == pod["spec"]["containers"]
    names = [container["name"] for container in injected["spec"]["initContainers"]]
    assert names == ["smi-init", "smi-sidecar", *[c["name"] for c in pod["spec"].get("initContainers", [])]]
    assert injected["metadata"]["annotations"].items() >= pod["metadata"].get("annotations", {}).items()
    volumes = [volume["name"] for volume in injected["spec"]["volumes"]]
    assert volumes[: len(pod["spec"].get("volumes", []))] == [
        v["name"] for v in pod["spec"].get("volumes", [])
    ]


def test_the_sidecar_has_no_capabilities_and_interception_two() -> None:
    init, sidecar = applied(BARE)["spec"]["initContainers"]
    assert init["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}
    assert sidecar["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert (sidecar["securityContext"]["runAsUser"], sidecar["securityContext"]["runAsNonRoot"]) == (
        1337,
        True,
    )
    for container in (init, sidecar):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert sidecar["restartPolicy"] == "Always"


def test_interception_gets_the_declared_udp_ports() -> None:
    def declared(*ports: dict[str, Any]) -> str:
        pod = {"metadata": {}, "spec": {"containers": [{"name": "main", "ports": list(ports)}]}}
        (value,) = (
            one["value"] for one in applied(pod)["spec"]["initContainers"][0]["env"] if "UDP" in one["name"]
        )
        assert isinstance(value, str)
        return value

    tcp = {"containerPort": 9000}
    assert declared(tcp) == ""
    udp = [{"containerPort": port, "protocol": "UDP"} for port in (9001, 9000)]
    assert declared(tcp, *udp) == "9001 9000"


def test_by_default_the_sidecars_user_identifies_its_traffic() -> None:
    assert "SMI_REFERENCE_OWN_TRAFFIC" not in json.dumps(applied(BARE))


def test_interception_and_sidecar_both_get_the_setting_mark() -> None:
    by_mark = SidecarTemplate("mesh:1", "-----BEGIN CERTIFICATE-----", own_traffic="mark")
    for container in patch(BARE, by_mark)[0]["value"]:
        assert {"name": "SMI_REFERENCE_OWN_TRAFFIC", "value": "mark"} in container["env"]


def test_injection_is_idempotent() -> None:
    assert patch(applied(BARE), SIDECAR) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {"labels": {"reference.smi-conformance.dev/inject": "disabled"}}},
        {"spec": {"hostNetwork": True}},
    ],
    ids=["opted out", "in the host's network"],
)
def test_some_pods_get_no_sidecar(changes: dict[str, Any]) -> None:
    assert patch({**BARE, **changes}, SIDECAR) == []


def test_a_review_is_answered_with_its_uid() -> None:
    answer = review(
        {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {"uid": "u", "object": BARE},
        },
        SIDECAR,
    )
    assert answer["apiVersion"] == "admission.k8s.io/v1"
    assert (answer["response"]["uid"], answer["response"]["allowed"]) == ("u", True)
    assert json.loads(base64.b64decode(answer["response"]["patch"])) == patch(BARE, SIDECAR)


def test_a_review_of_a_pod_without_sidecar_allows_it_unchanged() -> None:
    answer = review({"apiVersion": "v1", "request": {"uid": "u", "object": applied(BARE)}}, SIDECAR)
    assert answer["response"] == {"uid": "u", "allowed": True}
