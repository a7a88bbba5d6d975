"""API servers behind proxies, with certificates of all kinds, and kubeconfigs that cannot be used."""

from __future__ import annotations

import datetime
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.config.incluster_config import InClusterConfigLoader

from conformance.clusters import ClusterError, client_configuration, selection
from conformance.clusters.kubernetes import KubernetesCluster
from smi_reference_mesh.kube.certificates import CertificateAuthority

from .fake_api_server import STDOUT, Server

NAMED = "api.internal.example"
"""The name that the server's certificate is for: not the address by which it is reached."""
VERSION = {"gitVersion": "v1.34.0"}
EXEC = "GET /api/v1/namespaces/ns/pods/client/exec"
NOBODY = "http://127.0.0.1:9"
"""A proxy that nobody runs."""


@pytest.fixture
def server() -> Server:
    made = Server()
    made.answers["GET /version"] = (200, VERSION)
    made.answers[EXEC] = (101, "")
    return made


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def edit(kubeconfig: str, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Change what a kubeconfig says of its cluster and of its user."""
    path = Path(kubeconfig)
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(document["clusters"][0]["cluster"], document["users"][0]["user"])
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


@contextmanager
def served_by_tls(server: Server, folder: Path) -> Iterator[str]:
    """Serve with a certificate for another name, of an authority whose certificate is in ca.crt."""
    now = datetime.datetime.now(datetime.UTC)
    root = CertificateAuthority.create(now)
    own = CertificateAuthority(root).serving([NAMED], now)
    for name, content in (("ca.crt", root.certificate), ("own.crt", own.certificate), ("own.key", own.key)):
        (folder / name).write_text(content, encoding="utf-8")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "own.crt", folder / "own.key")
    with server.serving(folder, tls) as kubeconfig:
        yield kubeconfig


def talk(cluster: KubernetesCluster, server: Server) -> None:
    """A request and an exec, which go by different libraries."""
    server.converse = lambda line: [(STDOUT, f"{line}\n\n")]
    assert cluster.request("GET", "/version").body == VERSION
    assert cluster.exec_line("ns", "client", "probe", ("cat",), "hello", 5) == "hello\n\n"


class TestProxies:
    @pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"])
    @pytest.mark.parametrize("without", ["", "elsewhere.example"])
    def test_are_not_used_for_this_machine(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, without: str
    ) -> None:
        monkeypatch.setenv(name, NOBODY)
        monkeypatch.setenv("NO_PROXY", without)
        with server.serving(tmp_path) as kubeconfig:
            cluster = KubernetesCluster.for_context(None, kubeconfig)
            talk(cluster, server)
            cluster.close()
            url = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))["clusters"][0]["cluster"][
                "server"
            ]
            embedded = KubernetesCluster.at(url, "token", "embedded")
            talk(embedded, server)
            embedded.close()

    @pytest.mark.parametrize(
        ("url", "without", "proxy"),
        [
            ("https://api.example:6443", "", "http://tls.proxy:1"),
            ("http://api.example:8080", "", "http://plain.proxy:2"),
            ("https://api.example:6443", "example", None),
            ("https://api.example:6443", ".example", None),
            ("https://api.example:6443", "other.example", "http://tls.proxy:1"),
            ("https://10.1.2.3:6443", "10.0.0.0/8", None),
            ("https://11.1.2.3:6443", "10.0.0.0/8", "http://tls.proxy:1"),
            ("https://api.example:6443", "*", None),
            ("https://127.0.0.1:6443", "", None),
            ("https://127.1.2.3:6443", "", None),
            ("https://[::1]:6443", "", None),
            ("https://localhost:6443", "", None),
        ],
    )
    def test_of_the_environment_are_used_by_the_usual_rules(
        self, monkeypatch: pytest.MonkeyPatch, url: str, without: str, proxy: str | None
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://tls.proxy:1")
        monkeypatch.setenv("HTTP_PROXY", "http://plain.proxy:2")
        monkeypatch.setenv("NO_PROXY", without)
        assert client_configuration.environment_proxy(url) == proxy

    def test_of_the_kubeconfig_are_used_before_any_other(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", NOBODY)
        server.answers["GET http://api.example/version"] = (200, VERSION)

        def behind(cluster: dict[str, Any], user: dict[str, Any]) -> None:
            cluster.update({"proxy-url": cluster["server"], "server": "http://api.example"})

        with server.serving(tmp_path) as kubeconfig:
            edit(kubeconfig, behind)
            made = KubernetesCluster.for_context(None, kubeconfig)
            assert made.request("GET", "/version").body == VERSION
            assert [one.path for one in server.asked] == ["http://api.example/version"]
            made.close()


class TestCertificates:
    def test_are_verified(self, server: Server, tmp_path: Path) -> None:
        with served_by_tls(server, tmp_path) as kubeconfig:
            for authority in ({}, {"certificate-authority": "ca.crt"}):
                edit(kubeconfig, lambda cluster, user, more=authority: cluster.update(more))  # type: ignore[misc]
                made = KubernetesCluster.for_context(None, kubeconfig)
                with pytest.raises(ClusterError, match=r"cannot be reached .*certificate"):
                    made.request("GET", "/version")
                assert not made.unverified
                made.close()

    def test_are_for_the_name_that_the_kubeconfig_gives(self, server: Server, tmp_path: Path) -> None:
        named = {"certificate-authority": "ca.crt", "tls-server-name": NAMED}
        with served_by_tls(server, tmp_path) as kubeconfig:
            edit(kubeconfig, lambda cluster, user: cluster.update(named))
            made = KubernetesCluster.for_context(None, kubeconfig)
            talk(made, server)
            made.close()

    def test_are_not_looked_at_where_the_kubeconfig_says_so_which_is_told_once(
        self, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with served_by_tls(server, tmp_path) as kubeconfig:
            edit(kubeconfig, lambda cluster, user: cluster.update({"insecure-skip-tls-verify": True}))
            made = selection.open_cluster(selection.select(None, kubeconfig), "none")
            assert isinstance(made, KubernetesCluster)
            for _ in range(2):
                talk(made, server)
            made.close()
        assert capsys.readouterr().err == f"warning: {selection.UNVERIFIED}\n"


class TestAKubeconfigThatCannotBeUsed:
    @pytest.mark.parametrize(
        ("of_cluster", "of_user", "said"),
        [
            ({"certificate-authority": "/gone/ca.crt"}, {}, "/gone/ca.crt"),
            ({}, {"client-certificate": "/gone/own.crt"}, "/gone/own.crt"),
            (
                {},
                {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such"}},
                "no-such",
            ),
        ],
        ids=["no authority", "no certificate", "no plugin"],
    )
    def test_is_told_in_one_line_with_what_is_missing(
        self, server: Server, tmp_path: Path, of_cluster: dict[str, Any], of_user: dict[str, Any], said: str
    ) -> None:
        with server.serving(tmp_path) as kubeconfig:

            def change(cluster: dict[str, Any], user: dict[str, Any]) -> None:
                cluster.update(of_cluster, server=cluster["server"].replace("http:", "https:"))
                user.clear()
                user.update(of_user)

            edit(kubeconfig, change)
            with pytest.raises(ClusterError) as raised:
                KubernetesCluster.for_context(None, kubeconfig)
        assert said in str(raised.value)
        assert "no context" not in str(raised.value)
        assert "\n" not in str(raised.value)

    def test_names_a_user_that_there_is_not(self, server: Server, tmp_path: Path) -> None:
        with server.serving(tmp_path) as kubeconfig:
            path = Path(kubeconfig)
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
            document["contexts"][0]["context"]["user"] = "somebody"
            path.write_text(yaml.safe_dump(document), encoding="utf-8")
            with pytest.raises(
                ClusterError, match=r"context 'local' of the kubeconfig cannot be used: .*somebody"
            ):
                KubernetesCluster.for_context(None, kubeconfig)

    def test_that_is_not_there_or_names_no_context_is_told_with_the_remedy(
        self, server: Server, tmp_path: Path
    ) -> None:
        with pytest.raises(ClusterError, match="no usable kubeconfig: set KUBECONFIG or --kubeconfig"):
            KubernetesCluster.for_context(None, str(tmp_path / "none"))
        with server.serving(tmp_path) as kubeconfig:
            path = Path(kubeconfig)
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
            del document["current-context"]
            path.write_text(yaml.safe_dump(document), encoding="utf-8")
            with pytest.raises(ClusterError, match=r"no current context: name one by --context.*local"):
                KubernetesCluster.for_context(None, kubeconfig)


class TestSeveralKubeconfigs:
    def test_are_read_together_and_the_first_current_context_decides(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with server.serving(tmp_path) as kubeconfig:
            other = {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "other",
                "contexts": [{"name": "other", "context": {"cluster": "gone", "user": "nobody"}}],
                "clusters": [{"name": "gone", "cluster": {"server": "http://127.0.0.1:9"}}],
                "users": [{"name": "nobody", "user": {}}],
            }
            second = tmp_path / "second"
            second.write_text(yaml.safe_dump(other), encoding="utf-8")
            monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'not-there'}:{kubeconfig}:{second}")
            made = KubernetesCluster.for_context()
            assert made.name == "local"
            talk(made, server)
            made.close()
            assert KubernetesCluster.for_context("other").url == "http://127.0.0.1:9"


class TestTokensInFiles:
    def test_are_read_anew_whenever_they_are_sent(self, server: Server, tmp_path: Path) -> None:
        token = tmp_path / "token"
        token.write_text("first\n", encoding="utf-8")
        with server.serving(tmp_path) as kubeconfig:
            # Beside the kubeconfig, and before the token that stands in it.
            edit(kubeconfig, lambda cluster, user: user.update({"tokenFile": "token", "token": "of old"}))
            made = KubernetesCluster.for_context(None, kubeconfig)
            talk(made, server)
            token.write_text("second\n", encoding="utf-8")
            made.request("GET", "/version")
            # Between two tokens the last one serves.
            token.unlink()
            made.request("GET", "/version")
            made.close()
        sent = [one.headers["Authorization"] for one in server.asked if one.path == "/version"]
        assert sent == ["Bearer first", "Bearer second", "Bearer second"]


class TestInAPod:
    @pytest.fixture
    def account(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Path]]:
        """A pod's ServiceAccount and an API server for it."""
        server = Server()
        server.answers["GET /version"] = (200, VERSION)
        server.answers[EXEC] = (101, "")
        now = datetime.datetime.now(datetime.UTC)
        root = CertificateAuthority.create(now)
        own = CertificateAuthority(root).serving(["127.0.0.1"], now)
        for name, content in (
            ("ca.crt", root.certificate),
            ("own.crt", own.certificate),
            ("own.key", own.key),
            ("token", "secret"),
        ):
            (tmp_path / name).write_text(content, encoding="utf-8")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(tmp_path / "own.crt", tmp_path / "own.key")
        with server.serving(tmp_path, tls) as kubeconfig:
            url = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))["clusters"][0]["cluster"][
                "server"
            ]
            monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            monkeypatch.setenv("KUBERNETES_SERVICE_PORT", url.rpartition(":")[2])
            # The loader's arguments have these as defaults.
            monkeypatch.setattr(
                client_configuration,
                "InClusterConfigLoader",
                lambda *_: InClusterConfigLoader(str(tmp_path / "token"), str(tmp_path / "ca.crt")),
            )
            monkeypatch.setattr(client_configuration, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
            yield server, tmp_path

    def test_the_account_of_the_pod_reaches_its_cluster(self, account: tuple[Server, Path]) -> None:
        server, _ = account
        made = selection.open_cluster(selection.select(in_cluster=True), "none")
        assert isinstance(made, KubernetesCluster)
        assert made.name == "in-cluster"
        talk(made, server)
        made.close()
        sent = [{name.lower(): value for name, value in one.headers.items()} for one in server.asked]
        assert [one["authorization"].split()[1] for one in sent] == ["secret", "secret"]

    def test_is_where_a_command_works_unless_there_is_a_kubeconfig(
        self, account: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, folder = account
        environment = dict(os.environ)
        environment.pop("KUBECONFIG", None)
        monkeypatch.setenv("HOME", str(folder))
        assert selection.select(environment=environment).kind == "in-cluster"
        line = selection.describe(selection.select(environment=environment))
        assert line.startswith("cluster: in-cluster at https://127.0.0.1:")
        assert line.endswith("(this pod's ServiceAccount, as there is no kubeconfig)")
        (folder / ".kube").mkdir()
        (folder / ".kube" / "config").touch()
        assert selection.select(environment=environment).kind == "embedded"

    def test_elsewhere_is_told_in_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        with pytest.raises(ClusterError, match="--in-cluster is for a pod with a ServiceAccount's token"):
            selection.open_cluster(selection.select(in_cluster=True), "none")


class TestWhichCluster:
    @pytest.mark.parametrize(
        ("options", "environment", "kind", "because"),
        [
            ({}, {}, "embedded", "no --context, and KUBECONFIG is not set"),
            ({"embedded": True}, {"KUBECONFIG": "some"}, "embedded", "--embedded"),
            ({}, {"KUBECONFIG": "some"}, "kubeconfig", "the current context of KUBECONFIG"),
            ({}, {"KUBECONFIG": ""}, "embedded", "no --context, and KUBECONFIG is not set"),
            ({"context": "a"}, {"KUBECONFIG": "some"}, "kubeconfig", "--context"),
            ({"kubeconfig": "f"}, {}, "kubeconfig", "--kubeconfig"),
            ({"in_cluster": True}, {"KUBECONFIG": "some"}, "in-cluster", "--in-cluster"),
            ({"default": "current"}, {}, "kubeconfig", "the current context of ~/.kube/config"),
            # The environment tells of a pod, but no token lies there.
            ({}, {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, "embedded", "no --context, and KUBECONFIG"),
        ],
    )
    def test_is_meant_is_told_with_the_reason(
        self, options: dict[str, Any], environment: dict[str, str], kind: str, because: str
    ) -> None:
        found = selection.select(**options, environment=environment)
        assert found.kind == kind
        assert found.source.startswith(because)

    @pytest.mark.parametrize(
        "options",
        [
            {"embedded": True, "context": "a"},
            {"embedded": True, "in_cluster": True},
            {"in_cluster": True, "kubeconfig": "f"},
        ],
    )
    def test_two_at_once_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ClusterError, match="name one cluster"):
            selection.select(**options)

    def test_one_that_has_gone_is_not_looked_for(self) -> None:
        with pytest.raises(ClusterError, match="ends with the command that made it"):
            selection.open_existing(selection.select(embedded=True))
