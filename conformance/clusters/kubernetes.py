"""A cluster accessed through the official client's configuration and exec channel.

Requests go by path, since the generated client does not cover custom resources and aggregated APIs.
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
    ApiAnswer,
    ApiStatusError,
    ClusterError,
    Completed,
    ExecFailed,
    Object,
    client_configuration,
    exec_channel,
)
from conformance.clusters.client_configuration import Adapter
from conformance.clusters.exec_channel import Channel, authorization, root_cause
from conformance.text.sanitize import printable

MANAGER = "smi-conformance"
_TIMEOUT_S = (5.0, 30.0)
_TOKEN_LIFETIME_S = 600
MAX_BODY = 32 * 2**20
"""Maximum bytes read of an answer: far more than a run requests, and within memory."""
_CHUNK = 2**16
_MAX_TEXT = 10_000
"""Characters kept of an answer that cannot be decoded."""


class Received(NamedTuple):
    """A raw answer: its HTTP status, its text, and whether the text is complete."""

    status: int
    text: str
    whole: bool


class KubernetesCluster:
    """The cluster of a client configuration."""

    def __init__(self, configuration: kubernetes.client.Configuration, name: str, kubectl: str) -> None:
        self._configuration = configuration
        self.name = name
        self.kubectl = kubectl
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}
        self._tokens: dict[Account, tuple[str, float]] = {}
        # One session for all threads: they share only urllib3's connection pool.
        self._session = requests.Session()
        self._session.trust_env = False
        self._channels: dict[tuple[str, ...], Channel] = {}
        self._channels_lock = threading.Lock()
        self._session.mount("https://", Adapter(configuration.tls_server_name))

    @classmethod
    def for_context(cls, context: str | None = None, kubeconfig: str | None = None) -> Self:
        """The cluster of a kubeconfig's context. Raises ClusterError."""
        configuration, name = client_configuration.from_kubeconfig(context, kubeconfig)
        options = [*(["--kubeconfig", kubeconfig] if kubeconfig else []), "--context", name]
        return cls(configuration, name, shlex.join(options))

    @classmethod
    def at(cls, url: str, token: str, name: str) -> Self:
        """The cluster of an API server's URL, with a bearer token."""
        return cls(client_configuration.for_url(url, token), name, "")

    @property
    def url(self) -> str:
        """The URL of the API server."""
        return str(self._configuration.host)

    @property
    def unverified(self) -> bool:
        """Whether the kubeconfig skips verification of the API server's certificate."""
        return self._configuration.host.startswith("https") and not self._configuration.verify_ssl

    def api_client(self) -> kubernetes.client.ApiClient:
        """The official library's client for the same cluster."""
        return kubernetes.client.ApiClient(self._configuration)

    def close(self) -> None:
        """Close the connections and the channels to containers."""
        for channel in self._channels.values():
            channel.close()
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
                proxies=client_configuration.proxies(configuration),
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
    ) -> ApiAnswer:
        headers = {"Accept": accept, "Content-Type": content_type}
        if account is not None:
            headers["Authorization"] = f"Bearer {self._token(account)}"
        if query:
            path += "?" + "&".join(f"{quote(key)}={quote(value)}" for key, value in query.items())
        data = None if body is None else json.dumps(body)
        status, text, whole = self._send(method, path, data, headers, own_rights=account is None)
        return ApiAnswer(status, _decoded(text) if whole else text[:_MAX_TEXT])

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
            raise status_error(answer)
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
                raise status_error(answer)
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
                # A new account of that name is refused with its predecessor's token.
                self._tokens.pop(Account(item["metadata"]["namespace"], item["metadata"]["name"]), None)
            try:
                self._checked("DELETE", self._path_of(item), {"propagationPolicy": "Background"})
            except ApiStatusError as error:
                if error.status != 404:
                    raise

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = ""
    ) -> list[dict[str, Any]]:
        query = {"labelSelector": labels} if labels else None
        answer = self._checked("GET", self.path(api_version, kind, namespace), query=query)
        if not isinstance(answer, dict):
            raise ClusterError(f"the list of {kind} cannot be read: no JSON, or more than {MAX_BODY:,} bytes")
        return [{"apiVersion": api_version, "kind": kind, **item} for item in answer["items"]]

    def exec_line(
        self, namespace: str, pod: str, container: str, command: Sequence[str], line: str, timeout_s: float
    ) -> str:
        key = (namespace, pod, container, *command)
        with self._channels_lock:
            channel = self._channels.get(key) or self._channels.setdefault(key, Channel())
        with channel.lock:
            try:
                channel.open(self._configuration, namespace, pod, container, command)
                return channel.exec_line(line, timeout_s)
            except ExecFailed:
                channel.close()
                raise

    def run(
        self, namespace: str, pod: str, container: str, command: Sequence[str], timeout_s: float
    ) -> Completed:
        return exec_channel.run(self._configuration, namespace, pod, container, command, timeout_s)

    def logs(self, namespace: str, pod: str, container: str, *, tail: int = 100) -> str:
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log?container={quote(container)}&tailLines={tail}"
        return self._send("GET", path, None, {}, own_rights=True).text


def _read(response: requests.Response) -> tuple[str, bool]:
    """The text of an answer, up to MAX_BODY bytes, and whether it is complete. Raises RequestException."""
    content = bytearray()
    for part in response.iter_content(_CHUNK):
        content += part
        if len(content) > MAX_BODY:
            return content[:MAX_BODY].decode("utf-8", "replace"), False
    return content.decode("utf-8", "replace"), True


def _decoded(text: str) -> Any:
    """JSON, or a list of it for a watch's answer line by line; anything else stays text.

    So does JSON that Python refuses: integers of thousands of digits, and deep nesting.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        try:
            return [json.loads(line) for line in text.splitlines()]
        except (ValueError, RecursionError):
            return text[:_MAX_TEXT]


def status_error(answer: ApiAnswer) -> ApiStatusError:
    """The error for an answer with an error status."""
    body = answer.body if isinstance(answer.body, dict) else {"message": str(answer.body)}
    message = printable(str(body.get("message", "no message"))[:500])
    return ApiStatusError(answer.status, printable(str(body.get("reason", ""))), message)


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
