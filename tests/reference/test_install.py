from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
import threading
import tomllib
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from conformance import profiles
from conformance.clusters.embedded.api.pod_security import violations
from smi_reference_mesh import names
from smi_reference_mesh.control_plane.app import ControlPlaneSettings
from smi_reference_mesh.control_plane.store import WATCHED
from smi_reference_mesh.install import image, installer
from smi_reference_mesh.install.mesh_objects import certificates, crds, manifests, served
from smi_reference_mesh.kube.certificates import CertificateAuthority, KeyPair
from smi_reference_mesh.membership import is_ingress
from smi_reference_mesh.sidecar.settings import SidecarSettings

NOW = datetime(2024, 5, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def secret() -> dict[str, str]:
    return certificates(None, NOW)


@pytest.fixture
def documents(secret: dict[str, str]) -> list[dict[str, Any]]:
    return manifests(image="mesh:1", window_s=5, certificates=secret)


def of_kind(documents: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    """The document of a kind, or of a kind and name."""
    of_it = [document for document in documents if document["kind"] == kind]
    (found,) = [document for document in of_it if name in ("", document["metadata"]["name"])]
    return found


def test_everything_carries_the_label(documents: list[dict[str, Any]]) -> None:
    assert all(document["metadata"]["labels"].items() >= names.PART_OF.items() for document in documents)


def test_the_namespace_comes_first_and_the_webhook_after_its_server(documents: list[dict[str, Any]]) -> None:
    kinds = [document["kind"] for document in documents]
    assert kinds[0] == "Namespace"
    assert kinds.index("MutatingWebhookConfiguration") > kinds.index("Deployment")


def test_image_and_window_reach_the_control_plane(documents: list[dict[str, Any]]) -> None:
    (container,) = of_kind(documents, "Deployment", names.SERVICE)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "mesh:1"
    assert {entry["name"]: entry["value"] for entry in container["env"]} == {
        "SMI_REFERENCE_IMAGE": "mesh:1",
        "SMI_REFERENCE_WINDOW_S": "5",
        "SSL_CERT_FILE": "/dev/null",
    }


def test_own_traffic_reaches_the_control_plane(secret: dict[str, str]) -> None:
    by_mark = manifests(image="mesh:1", window_s=5, certificates=secret, own_traffic="mark")
    (container,) = of_kind(by_mark, "Deployment", names.SERVICE)["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert ControlPlaneSettings.from_environment(environment).own_traffic == "mark"


def test_the_ingress_has_the_trust_bundle_and_no_capabilities(
    documents: list[dict[str, Any]], secret: dict[str, str]
) -> None:
    template = of_kind(documents, "Deployment", names.INGRESS_SERVICE)["spec"]["template"]
    assert is_ingress(template)
    (container,) = template["spec"]["containers"]
    assert container["image"] == "mesh:1"
    environment = {each["name"]: each.get("value", "") for each in container["env"]}
    assert environment["SMI_REFERENCE_TRUST"] == secret["ca.crt"]
    settings = SidecarSettings.from_environment({**environment, "SMI_REFERENCE_ENVOY": "envoy"})
    # Without interception its own traffic needs no mark, which would need a capability.
    assert settings.mark is None
    assert list(violations(template["spec"])) == []
    namespace = of_kind(documents, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_profile_names_the_ingress_that_is_installed(documents: list[dict[str, Any]]) -> None:
    named = profiles.load("reference").ingress
    assert named is not None
    service = of_kind(documents, "Service", named.service.name)
    template = of_kind(documents, "Deployment", named.service.name)["spec"]["template"]
    (port,) = service["spec"]["ports"]
    ports = {each["name"]: each["containerPort"] for each in template["spec"]["containers"][0]["ports"]}
    assert (service["metadata"]["namespace"], port["port"]) == (named.service.namespace, named.service.port)
    assert ports[port["targetPort"]] == names.INGRESS_PORT
    assert ports["smi-ready"] == names.READINESS_PORT
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert named.class_name == names.INGRESS_CLASS
    assert named.account is not None
    account = of_kind(documents, "ServiceAccount", named.account.name)["metadata"]
    assert (account["namespace"], account["name"]) == (
        named.account.namespace,
        template["spec"]["serviceAccountName"],
    )


def test_the_api_server_gets_the_ca_bundle(documents: list[dict[str, Any]], secret: dict[str, str]) -> None:
    (webhook,) = of_kind(documents, "MutatingWebhookConfiguration")["webhooks"]
    service = of_kind(documents, "APIService")["spec"]
    for bundle in (webhook["clientConfig"]["caBundle"], service["caBundle"]):
        assert base64.b64decode(bundle).decode() == secret["ca.crt"]


def test_the_control_plane_may_read_all_that_it_watches(documents: list[dict[str, Any]]) -> None:
    rules = of_kind(documents, "ClusterRole")["rules"]
    for watched in WATCHED:
        parts = watched.path.split("/")
        group, plural = ("" if parts[1] == "api" else parts[2]), parts[-1]
        assert any(
            group in rule["apiGroups"]
            and (plural in rule["resources"] or "*" in rule["resources"])
            and {"list", "watch"} <= set(rule["verbs"])
            for rule in rules
        ), watched


def test_the_control_plane_may_write_nothing_but_events(documents: list[dict[str, Any]]) -> None:
    writing = [
        (rule["resources"], rule["verbs"])
        for rule in of_kind(documents, "ClusterRole")["rules"]
        if not set(rule["verbs"]) <= {"get", "list", "watch"}
    ]
    assert writing == [(["events"], ["create"])]


def test_valid_certificates_are_kept(secret: dict[str, str]) -> None:
    assert certificates(secret, NOW + timedelta(days=100)) == secret


def test_an_ending_serving_certificate_is_renewed_by_the_same_authority(secret: dict[str, str]) -> None:
    renewed = certificates(secret, NOW + timedelta(days=350))
    assert renewed["ca.crt"] == secret["ca.crt"]
    assert KeyPair(renewed["tls.crt"], renewed["tls.key"]).not_after > NOW + timedelta(days=700)


@pytest.mark.parametrize("broken", [{}, {"ca.crt": "x", "ca.key": "y"}], ids=["empty", "garbage"])
def test_an_invalid_secret_is_replaced(broken: dict[str, str]) -> None:
    fresh = certificates(broken, NOW)
    CertificateAuthority(KeyPair(fresh["ca.crt"], fresh["ca.key"]))
    assert set(fresh) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}


def test_definitions_without_a_webhook_serve_versions_of_one_schema() -> None:
    found = {each["spec"]["names"]["plural"]: each["spec"] for each in crds()}
    assert {spec["conversion"]["strategy"] for spec in found.values()} == {"None"}
    assert not any("webhook" in spec["conversion"] for spec in found.values())
    versions = {plural: [each["name"] for each in spec["versions"]] for plural, spec in found.items()}
    assert versions == {
        "trafficsplits": ["v1alpha4", "v1alpha3", "v1alpha2"],
        "traffictargets": ["v1alpha4", "v1alpha3"],
        "httproutegroups": ["v1alpha4", "v1alpha3"],
        "tcproutes": ["v1alpha4", "v1alpha3"],
        "udproutes": ["v1alpha4"],
        "identitybindings": ["v1alpha4"],
    }
    for spec in found.values():
        assert [each["storage"] for each in spec["versions"]].count(True) == 1


def test_definitions_with_a_webhook_have_its_ca_bundle(secret: dict[str, str]) -> None:
    found = {each["spec"]["names"]["plural"]: each["spec"] for each in crds(secret)}
    for plural in ("trafficsplits", "traffictargets", "httproutegroups", "tcproutes"):
        client = found[plural]["conversion"]["webhook"]["clientConfig"]
        assert base64.b64decode(client["caBundle"]).decode() == secret["ca.crt"]
        assert client["service"] == {
            "namespace": names.NAMESPACE,
            "name": names.SERVICE,
            "port": 443,
            "path": "/convert",
        }
        assert len(found[plural]["versions"]) == 4
    assert ("split.smi-spec.io", "v1alpha1", "trafficsplits") in served()
    assert len(served()) == 18


def test_profiles_claim_what_the_definitions_serve() -> None:
    for name, definitions in (("none", crds()), ("reference", crds(certificates(None, NOW)))):
        claims = profiles.load(name).claims.by_group()
        for definition in definitions:
            spec = definition["spec"]
            served_ = {each["name"] for each in spec["versions"]}
            if spec["names"]["plural"] not in ("udproutes", "identitybindings"):
                assert served_ == set(claims[spec["group"].partition(".")[0]]), spec["names"]["plural"]


class _Cluster:
    """A dynamic client with some existing definitions."""

    def __init__(self, strategy: str) -> None:
        self.strategy = strategy
        self.applied: list[str] = []
        self.resources = self

    def get(self, *_: Any, **__: Any) -> Any:
        return self

    def to_dict(self) -> dict[str, Any]:
        established = {"conditions": [{"type": "Established", "status": "True"}]}
        return {"spec": {"conversion": {"strategy": self.strategy}}, "status": established}

    def server_side_apply(self, _: Any, *, body: dict[str, Any], **__: Any) -> None:
        self.applied.append(body["metadata"]["name"])


@pytest.mark.parametrize(
    ("strategy", "crds_only", "applied"), [("None", False, 6), ("Webhook", False, 0), ("Webhook", True, 6)]
)
def test_definitions_with_a_webhook_stay_until_the_new_control_plane_runs(
    monkeypatch: pytest.MonkeyPatch, strategy: str, crds_only: bool, applied: int
) -> None:
    cluster = _Cluster(strategy)
    monkeypatch.setattr(installer, "_dynamic", lambda client: cluster)
    monkeypatch.setattr(installer, "namespace", lambda: _stop())
    if crds_only:
        installer.install(None, crds_only=True)  # type: ignore[arg-type]
    else:
        with pytest.raises(_Reached):
            installer.install(None)  # type: ignore[arg-type]
    assert len(cluster.applied) == applied


def test_only_the_definitions_of_the_selected_apis_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = _Cluster("None")
    monkeypatch.setattr(installer, "_dynamic", lambda client: cluster)
    installer.install(None, crds_only=True, groups=["split.smi-spec.io"])  # type: ignore[arg-type]
    assert cluster.applied == ["trafficsplits.split.smi-spec.io"]


class _Nothing(BaseHTTPRequestHandler):
    """An API server without APIs."""

    def do_GET(self) -> None:
        body = json.dumps({"kind": "APIGroupList", "groups": [], "resources": []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""


def test_discovery_neither_reads_nor_writes_a_cache_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with HTTPServer(("127.0.0.1", 0), _Nothing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = ApiClient(Configuration(host=f"http://127.0.0.1:{server.server_port}"))
        with pytest.raises(ResourceNotFoundError):
            installer._dynamic(client).resources.get(api_version="v1", kind="Poem")
        assert not list(tmp_path.iterdir())
        DynamicClient(client)
        assert list(tmp_path.iterdir()), "the library itself writes none any more: no need for our own class"
        server.shutdown()


def test_installing_imports_none_of_the_generated_apis() -> None:
    said = (
        "import sys, smi_reference_mesh.install.installer; "
        "print(*(name for name in sys.modules if '.client.api.' in name))"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert not done.stdout.split()


class _Reached(Exception):
    """The definitions have been applied."""


def _stop() -> dict[str, Any]:
    raise _Reached


def test_the_definitions_cover_every_kind_of_a_snapshot() -> None:
    plurals = {document["spec"]["names"]["plural"] for document in crds()}
    assert {watched.key for watched in WATCHED if "smi-spec.io" in watched.path} <= plurals


def test_the_images_dependencies_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sorted(image.REQUIREMENTS) == sorted(project["optional-dependencies"]["reference"])


def test_the_images_tag_depends_on_its_content(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(image, "PACKAGE", tmp_path)
    (tmp_path / "a.py").write_text("a")
    before = image.default_image()
    assert before == image.default_image()
    (tmp_path / "a.py").write_text("b")
    assert image.default_image() != before
