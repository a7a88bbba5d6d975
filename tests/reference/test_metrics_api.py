from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fake_api_server import FakeApiServer

from smi_reference_mesh.control_plane.metrics_api import (
    FrontProxy,
    MetricsApi,
    MetricsReader,
    parse,
    review_of,
)
from smi_reference_mesh.hooks import AccessReview, DefaultHooks, MeshHooks, MetricsQuery
from smi_reference_mesh.kube.certificates import CertificateAuthority, KeyPair
from smi_reference_mesh.metrics.traffic_metrics import Inventory, MetricsSnapshot, NotFound

ROOT = "/apis/metrics.smi-spec.io/v1alpha1"
NOW = datetime.now(UTC)
HEADERS = {"X-Remote-User": "ann", "X-Remote-Group": "dev", "X-Remote-Extra-Scopes": "all"}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/pods", MetricsQuery("", "pods")),
        ("/namespaces", MetricsQuery("", "namespaces")),
        ("/namespaces/shop", MetricsQuery("", "namespaces", name="shop")),
        ("/namespaces/shop/edges", MetricsQuery("", "namespaces", name="shop", edges=True)),
        ("/nodes/n1", MetricsQuery("", "nodes", name="n1")),
        ("/namespaces/shop/pods", MetricsQuery("", "pods", "shop")),
        ("/namespaces/shop/pods/", MetricsQuery("", "pods", "shop")),
        ("/namespaces/shop/pods/p", MetricsQuery("", "pods", "shop", "p")),
        ("/namespaces/shop/pods/p/edges", MetricsQuery("", "pods", "shop", "p", edges=True)),
        ("", None),
        ("/", None),
    ],
)
def test_a_path_is_parsed_into(path: str, query: MetricsQuery | None) -> None:
    parsed = parse(ROOT + path, {})
    assert (parsed and MetricsQuery("", *_fields(parsed)[1:])) == query


def _fields(query: MetricsQuery) -> tuple[Any, ...]:
    return (query.path, query.plural, query.namespace, query.name, query.edges, query.selector)


@pytest.mark.parametrize(
    "path",
    [
        "/cronjobs",
        "/pods/p",
        "/namespaces/shop/cronjobs/x",
        "/namespaces/shop/pods/p/edges/x",
        "/namespaces/shop/pods/p/logs",
        "/namespaces//pods",
        "/namespaces/shop/nodes/n1",
        "/namespaces/shop/edges/x",
    ],
)
def test_other_paths_are_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        parse(ROOT + path, {})


def test_edges_are_reviewed_as_a_sub_resource() -> None:
    caller = MetricsReader("ann", ("dev",), {"scopes": ["all"]})
    spec = review_of(caller, MetricsQuery("", "pods", "shop", "p", edges=True))["spec"]
    assert spec == {
        "user": "ann",
        "groups": ["dev"],
        "extra": {"scopes": ["all"]},
        "resourceAttributes": {
            "group": "metrics.smi-spec.io",
            "version": "v1alpha1",
            "resource": "pods",
            "subresource": "edges",
            "namespace": "shop",
            "name": "p",
            "verb": "get",
        },
    }


def test_a_list_is_reviewed_as_a_list() -> None:
    attributes = review_of(MetricsReader("a", (), {}), MetricsQuery("", "pods"))["spec"]["resourceAttributes"]
    assert (attributes["verb"], attributes["namespace"], attributes["name"]) == ("list", "", "")


def client_certificate(authority: KeyPair, name: str) -> KeyPair:
    """A client certificate like the front proxy's."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    issuer_key = serialization.load_pem_private_key(authority.key.encode(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
        .sign(issuer_key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(certificate.public_bytes(encoding).decode(), private.decode())


class Closed(DefaultHooks):
    """A fault that denies everything and renames the kind."""

    def allows(self, decision: bool, access: AccessReview) -> bool:
        return access.user == "root"

    def metrics(self, document: dict[str, Any], query: MetricsQuery) -> dict[str, Any]:
        return {**document, "kind": "Faulty"}


class Setting:
    """A running metrics API in front of a fake API server."""

    def __init__(self, tmp_path: Path, hooks: MeshHooks) -> None:
        self._tmp_path = tmp_path
        self._hooks = hooks
        self._proxy_ca = CertificateAuthority.create(NOW)
        self._ours = CertificateAuthority(CertificateAuthority.create(NOW))
        self._url = ""
        self.fake = FakeApiServer()

    def _files(self, name: str, pair: KeyPair) -> tuple[str, str]:
        certificate, key = self._tmp_path / f"{name}.crt", self._tmp_path / f"{name}.key"
        certificate.write_text(pair.certificate)
        key.write_text(pair.key)
        return str(certificate), str(key)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Setting]:
        proxy = FrontProxy.from_config_map(
            {
                "requestheader-client-ca-file": self._proxy_ca.certificate,
                "requestheader-allowed-names": '["front-proxy-client"]',
                "requestheader-username-headers": '["X-Remote-User"]',
                "requestheader-group-headers": '["X-Remote-Group"]',
                "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
            }
        )
        pod = {"metadata": {"name": "p", "namespace": "shop"}, "spec": {}}
        metrics_snapshot = MetricsSnapshot(Inventory({"pods": (pod,)}), {}, 10, NOW)
        async with self.fake.running() as api:
            metrics = MetricsApi(api, proxy, lambda: metrics_snapshot, lambda: self._hooks)
            server = TestServer(metrics.application(), scheme="https")
            await server.start_server(
                ssl=proxy.tls(*self._files("server", self._ours.serving(["localhost"], NOW)))
            )
            self._url = f"https://localhost:{server.port}"
            try:
                yield self
            finally:
                await server.close()

    async def get(
        self,
        path: str,
        *,
        as_name: str | None = "front-proxy-client",
        headers: Any = None,
        method: str = "GET",
    ) -> tuple[int, Any]:
        context = ssl.create_default_context(cadata=self._ours.trust_bundle)
        if as_name:
            context.load_cert_chain(*self._files("client", client_certificate(self._proxy_ca, as_name)))
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:
            url = self._url + path
            async with session.request(
                method, url, headers=HEADERS if headers is None else headers
            ) as answer:
                return answer.status, json.loads(await answer.text())


def with_setting(tmp_path: Path, scenario: Any, hooks: MeshHooks | None = None) -> None:
    async def run() -> None:
        async with Setting(tmp_path, hooks or DefaultHooks()).running() as setting:
            await scenario(setting)

    asyncio.run(run())


def grant(setting: Setting, query: MetricsQuery) -> None:
    caller = MetricsReader("ann", ("dev",), {"scopes": ("all",)})
    setting.fake.allowed.append(review_of(caller, query)["spec"])


def test_only_the_front_proxy_is_authenticated(tmp_path: Path) -> None:
    async def scenario(setting: Setting) -> None:
        for path in (ROOT, f"{ROOT}/pods"):
            assert (await setting.get(path, as_name=None))[0] == 401
            assert (await setting.get(path, as_name="somebody"))[0] == 401
            assert (await setting.get(path, headers={}))[0] == 401
        assert setting.fake.reviews == []

    with_setting(tmp_path, scenario)


def test_a_user_reads_only_what_the_api_server_allows(tmp_path: Path) -> None:
    async def scenario(setting: Setting) -> None:
        grant(setting, MetricsQuery("", "pods", "shop", "p", edges=True))
        status, document = await setting.get(f"{ROOT}/namespaces/shop/pods/p/edges")
        assert (status, document["kind"]) == (200, "TrafficMetricsList")
        status, document = await setting.get(f"{ROOT}/namespaces/shop/pods/p")
        assert (status, document["kind"], document["reason"]) == (403, "Status", "Forbidden")
        # Without permission the existence of an object stays hidden.
        assert (await setting.get(f"{ROOT}/namespaces/shop/pods/nope"))[0] == 403

    with_setting(tmp_path, scenario)


def test_an_unknown_object_is_answered_with_a_status(tmp_path: Path) -> None:
    async def scenario(setting: Setting) -> None:
        grant(setting, MetricsQuery("", "pods", "shop", "nope"))
        status, document = await setting.get(f"{ROOT}/namespaces/shop/pods/nope")
        assert (status, document["code"], document["reason"]) == (404, 404, "NotFound")

    with_setting(tmp_path, scenario)


def test_an_invalid_selector_is_a_bad_request(tmp_path: Path) -> None:
    async def scenario(setting: Setting) -> None:
        grant(setting, MetricsQuery("", "pods", "shop"))
        assert (await setting.get(f"{ROOT}/namespaces/shop/pods?labelSelector=("))[0] == 400
        assert (await setting.get(f"{ROOT}/namespaces/shop/pods?labelSelector=a"))[0] == 200

    with_setting(tmp_path, scenario)


def test_only_get_and_list_are_offered(tmp_path: Path) -> None:
    async def scenario(setting: Setting) -> None:
        assert (await setting.get(f"{ROOT}/pods", method="DELETE"))[0] == 405
        assert (await setting.get(f"{ROOT}/pods?watch=true"))[0] == 405

    with_setting(tmp_path, scenario)


def test_discovery_is_for_everybody_the_api_server_lets_through(tmp_path: Path) -> None:
    async def scenario(setting: Setting) -> None:
        # The aggregation layer requests it as a user without groups. If refused, the whole group would be
        # stale, and no namespace of the cluster could be deleted any more.
        alone = {"X-Remote-User": "system:kube-aggregator"}
        status, document = await setting.get(ROOT, headers=alone)
        assert (status, document["kind"]) == (200, "APIResourceList")
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        assert (await setting.get("/apis", headers={**alone, "Accept": accept}))[0] == 406
        assert (await setting.get("/apis", headers=alone))[1]["kind"] == "APIGroupList"
        assert (await setting.get("/apis/metrics.smi-spec.io", headers=alone))[1]["kind"] == "APIGroup"

    with_setting(tmp_path, scenario)


def test_a_fault_may_override_authorization_and_response(tmp_path: Path) -> None:
    async def scenario(setting: Setting) -> None:
        grant(setting, MetricsQuery("", "pods", "shop"))
        assert (await setting.get(f"{ROOT}/namespaces/shop/pods"))[0] == 403
        status, document = await setting.get(
            f"{ROOT}/namespaces/shop/pods", headers={**HEADERS, "X-Remote-User": "root"}
        )
        assert (status, document["kind"]) == (200, "Faulty")

    with_setting(tmp_path, scenario, Closed())
