"""Whatever a kubeconfig names, through the official client's configuration and exec channel.

Custom resources and aggregated APIs are called by path, which the generated client cannot do.
"""

from __future__ import annotations

import json
import shlex
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import kubernetes
import requests

from conformance.clusters import (
    Account,
    Answer,
    ClusterError,
    Completed,
    ExecFailed,
    Object,
    Refused,
    exec_channel,
    reaching,
)
from conformance.clusters.exec_channel import Channel, authorization, root_cause
from conformance.clusters.reaching import Adapter
from conformance.text.sanitize import printable

MANAGER = "smi-conformance"
_TIMEOUT_S = (5.0, 30.0)
_TOKEN_LIFETIME_S = 600
LARGEST = 32 * 2**20
"""Bytes of an answer that are read: far more than a run asks for, and no more than the memory holds."""
_PART = 2**16
_SHOWN = 10_000
"""Characters that are kept of an answer that cannot be read."""


class Received(NamedTuple):
    """An answer as it came: its HTTP status, its text, and whether that is the whole of it."""

    status: int
    text: str
    whole: bool


class KubernetesCluster:
    """A cluster reached by the client's configuration for it."""

    def __init__(self, configuration: kubernetes.client.Configuration, name: str, kubectl: str) -> None:
        self._configuration = configuration
        self.name = name
        self.kubectl = kubectl
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}
        self._tokens: dict[Account, tuple[str, float]] = {}
        # One session for all threads: what it shares between them is urllib3's pool of kept connections.
        self._session = requests.Session()
        self._session.trust_env = False
        self._channels: dict[tuple[str, ...], Channel] = {}
        self._asking = threading.Lock()
        self._session.mount("https://", Adapter(configuration.tls_server_name))

    @classmethod
    def named(cls, context: str | None = None, kubeconfig: str | None = None) -> Self:
        """The cluster of a context of a kubeconfig. Raises ClusterError."""
        configuration, name = reaching.configured(context, kubeconfig)
        options = [*(["--kubeconfig", kubeconfig] if kubeconfig else []), "--context", name]
        return cls(configuration, name, shlex.join(options))

    @classmethod
    def at(cls, url: str, token: str, name: str) -> Self:
        """The cluster whose API server is at a URL and knows a bearer token."""
        return cls(reaching.at(url, token), name, "")

    @property
    def url(self) -> str:
        """Where its API server is."""
        return str(self._configuration.host)

    @property
    def unverified(self) -> bool:
        """Whether the API server's certificate is not looked at, as the kubeconfig has it."""
        return self._configuration.host.startswith("https") and not self._configuration.verify_ssl

    def api_client(self) -> kubernetes.client.ApiClient:
        """A client of the official library for the same cluster."""
        return kubernetes.client.ApiClient(self._configuration)

    def close(self) -> None:
        """Close the connections and the channels to containers that are kept."""
        for one in self._channels.values():
            one.close()
        self._channels.clear()
        self._session.close()

    def _send(
        self, method: str, path: str, data: str | None, headers: dict[str, str], *, own_rights: bool
    ) -> Received:
        configuration = self._configuration
        verify: str | bool = configuration.ssl_ca_cert or True if configuration.verify_ssl else False
        certificate = (str(configuration.cert_file), str(configuration.key_file))
        if own_rights and (token := authorization(configuration)):
            headers["Authorization"] = token
        try:
            with self._session.request(
                method,
                configuration.host + path,
                data=data,
                headers=headers,
                verify=verify,
                cert=certificate if own_rights and configuration.cert_file else None,
                timeout=_TIMEOUT_S,
                proxies=reaching.proxies(configuration),
                stream=True,
            ) as response:
                return Received(response.status_code, *_read(response))
        except requests.RequestException as error:
            raise ClusterError(
                f"cluster {self.name} cannot be reached at {configuration.host}: {root_cause(error)}; "
                "is it running, and is this the right --context?"
            ) from error

    def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        account: Account | None = None,
    ) -> Answer:
        headers = {"Accept": accept, "Content-Type": content_type}
        if account is not None:
            headers["Authorization"] = f"Bearer {self._token(account)}"
        if query:
            path += "?" + "&".join(f"{quote(key)}={quote(value)}" for key, value in query.items())
        data = None if body is None else json.dumps(body)
        status, text, whole = self._send(method, path, data, headers, own_rights=account is None)
        return Answer(status, _decoded(text) if whole else text[:_SHOWN])

    def _token(self, account: Account) -> str:
        token, expires = self._tokens.get(account, ("", 0.0))
        if time.monotonic() < expires:
            return token
        answer = self._checked(
            "POST",
            f"/api/v1/namespaces/{account.namespace}/serviceaccounts/{account.name}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
             "spec": {"expirationSeconds": _TOKEN_LIFETIME_S}},
        )  # fmt: skip
        token = str(answer["status"]["token"])
        self._tokens[account] = (token, time.monotonic() + _TOKEN_LIFETIME_S / 2)
        return token

    def _checked(self, method: str, path: str, body: Object | None = None, **options: Any) -> Any:
        answer = self.request(method, path, body, **options)
        if answer.status >= 400:
            raise refusal(answer)
        return answer.body

    def path(self, api_version: str, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        plural, namespaced = self._resource(api_version, kind)
        parts = [_root(api_version)]
        if namespaced and namespace:
            parts += ["namespaces", quote(namespace)]
        parts.append(plural)
        if name:
            parts.append(quote(name))
        return "/".join(parts)

    def _resource(self, api_version: str, kind: str) -> tuple[str, bool]:
        known = self._resources.get(api_version, {})
        if kind not in known:
            answer = self.request("GET", _root(api_version))
            if answer.status == 404:
                raise ClusterError(f"the cluster does not serve {api_version} (wanted for {kind})")
            if answer.status >= 400:
                raise refusal(answer)
            known = self._resources[api_version] = {
                entry["kind"]: (entry["name"], entry["namespaced"])
                for entry in answer.body["resources"]
                if "/" not in entry["name"]
            }
        if kind not in known:
            raise ClusterError(f"the cluster serves {api_version} without the kind {kind}")
        return known[kind]

    def _path_of(self, item: Object) -> str:
        metadata = item["metadata"]
        return self.path(item["apiVersion"], item["kind"], metadata.get("namespace"), metadata["name"])

    def apply(self, objects: Iterable[Object]) -> None:
        for item in objects:
            self._checked(
                "PATCH",
                self._path_of(item),
                item,
                query={"fieldManager": MANAGER, "force": "true"},
                content_type="application/apply-patch+yaml",
            )

    def delete(self, objects: Iterable[Object]) -> None:
        for item in objects:
            if item["kind"] == "ServiceAccount":
                # One that is made anew under that name is another, and its predecessor's token is refused.
                self._tokens.pop(Account(item["metadata"]["namespace"], item["metadata"]["name"]), None)
            try:
                self._checked("DELETE", self._path_of(item), {"propagationPolicy": "Background"})
            except Refused as error:
                if error.status != 404:
                    raise

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = ""
    ) -> list[dict[str, Any]]:
        query = {"labelSelector": labels} if labels else None
        answer = self._checked("GET", self.path(api_version, kind, namespace), query=query)
        if not isinstance(answer, dict):
            raise ClusterError(f"the list of {kind} cannot be read: no JSON, or more than {LARGEST:,} bytes")
        return [{"apiVersion": api_version, "kind": kind, **item} for item in answer["items"]]

    def ask(
        self, namespace: str, pod: str, container: str, command: Sequence[str], line: str, timeout_s: float
    ) -> str:
        key = (namespace, pod, container, *command)
        with self._asking:
            asked = self._channels.get(key) or self._channels.setdefault(key, Channel())
        with asked.turn:
            try:
                asked.open(self._configuration, namespace, pod, container, command)
                return asked.ask(line, timeout_s)
            except ExecFailed:
                asked.close()
                raise

    def run(
        self, namespace: str, pod: str, container: str, command: Sequence[str], timeout_s: float
    ) -> Completed:
        return exec_channel.run(self._configuration, namespace, pod, container, command, timeout_s)

    def logs(self, namespace: str, pod: str, container: str, *, tail: int = 100) -> str:
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log?container={quote(container)}&tailLines={tail}"
        return self._send("GET", path, None, {}, own_rights=True).text


def _read(response: requests.Response) -> tuple[str, bool]:
    """The text of an answer, as far as it is read, and whether that is all. Raises RequestException."""
    content = bytearray()
    for part in response.iter_content(_PART):
        content += part
        if len(content) > LARGEST:
            return content[:LARGEST].decode("utf-8", "replace"), False
    return content.decode("utf-8", "replace"), True


def _decoded(text: str) -> Any:
    """JSON, or a list of it where a watch answered line by line; anything else stays text.

    So does what Python refuses although it is JSON: integers of thousands of digits, and deep nesting.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        try:
            return [json.loads(line) for line in text.splitlines()]
        except (ValueError, RecursionError):
            return text[:_SHOWN]


def refusal(answer: Answer) -> Refused:
    """The error that an answer of the API server states."""
    body = answer.body if isinstance(answer.body, dict) else {"message": str(answer.body)}
    message = printable(str(body.get("message", "no message"))[:500])
    return Refused(answer.status, printable(str(body.get("reason", ""))), message)


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
