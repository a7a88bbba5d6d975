"""The aggregated API metrics.smi-spec.io/v1alpha1, for the API server's aggregation layer.

Authentication is the front proxy's: X-Remote-* headers count only with a client certificate of the API
server. Authorization is delegated: each request for metrics becomes a SubjectAccessReview, so that
Kubernetes' RBAC governs metrics and edges. Discovery needs no authorization beyond the API server's, since
its own aggregation layer comes as a user without groups.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smi_reference_mesh.hooks import AccessReview, MeshHooks, MetricsQuery
from smi_reference_mesh.kube.client import KubeClient
from smi_reference_mesh.metrics.traffic_metrics import (
    CLUSTER_SCOPED,
    KINDS,
    MetricsSnapshot,
    NotFound,
    Reference,
    discovery,
    group,
)
from smi_reference_mesh.names import METRICS_GROUP, METRICS_VERSION

_ROOT = f"/apis/{METRICS_GROUP}/{METRICS_VERSION}"
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
}


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """The identity of the API server's front proxy: kube-system's extension-apiserver-authentication."""

    client_ca: str
    allowed_names: tuple[str, ...]
    user_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]

    @classmethod
    def from_config_map(cls, data: Mapping[str, str]) -> FrontProxy:
        """Reads the ConfigMap's data. Raises KeyError or ValueError if it is incomplete."""

        def names(key: str) -> tuple[str, ...]:
            return tuple(json.loads(data[key]))

        return cls(
            data["requestheader-client-ca-file"],
            names("requestheader-allowed-names"),
            names("requestheader-username-headers"),
            names("requestheader-group-headers"),
            names("requestheader-extra-headers-prefix"),
        )

    def tls(self, certificate: str, key: str) -> ssl.SSLContext:
        """A server context that verifies a client's certificate, if the client presents one."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.client_ca)
        context.load_cert_chain(certificate, key)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def trusts(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a verified client certificate (as of SSLSocket.getpeercert) is the proxy's."""
        if not certificate:
            return False
        subject = {key: value for part in certificate.get("subject", ()) for key, value in part}
        return not self.allowed_names or subject.get("commonName") in self.allowed_names


@dataclass(frozen=True, slots=True)
class MetricsReader:
    """A user, from the front proxy's headers."""

    user: str
    groups: tuple[str, ...]
    extra: Mapping[str, Sequence[str]]


class _Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def parse(path: str, query: Mapping[str, str]) -> MetricsQuery | None:
    """The query of a path; None for discovery. Raises NotFound.

    As in every Kubernetes API: /KIND, /namespaces/NS/KIND, /namespaces/NS/KIND/NAME and the sub-resource
    /namespaces/NS/KIND/NAME/edges; the same without namespace for cluster-scoped kinds.
    """
    if path.rstrip("/") in ("/apis", f"/apis/{METRICS_GROUP}", _ROOT):
        return None
    parts = path.removeprefix(_ROOT + "/").rstrip("/").split("/")
    if not path.startswith(_ROOT + "/") or "" in parts:
        raise NotFound("the server could not find the requested resource")
    selector = query.get("labelSelector", "")
    match parts:
        case [plural]:
            return _known(MetricsQuery(path, plural, selector=selector))
        case [plural, name] if plural in CLUSTER_SCOPED:
            return _known(MetricsQuery(path, plural, name=name, selector=selector))
        case [plural, name, "edges"] if plural in CLUSTER_SCOPED:
            return _known(MetricsQuery(path, plural, name=name, edges=True, selector=selector))
        case ["namespaces", namespace, plural] if plural not in CLUSTER_SCOPED:
            return _known(MetricsQuery(path, plural, namespace, selector=selector))
        case ["namespaces", namespace, plural, name] if plural not in CLUSTER_SCOPED:
            return _known(MetricsQuery(path, plural, namespace, name, selector=selector))
        case ["namespaces", namespace, plural, name, "edges"] if plural not in CLUSTER_SCOPED:
            return _known(MetricsQuery(path, plural, namespace, name, edges=True, selector=selector))
    raise NotFound("the server could not find the requested resource")


def _known(query: MetricsQuery) -> MetricsQuery:
    if query.plural not in KINDS:
        raise NotFound("the server could not find the requested resource")
    return query


def answer(query: MetricsQuery, metrics_snapshot: MetricsSnapshot) -> dict[str, Any]:
    """The document for a query. Raises NotFound, and ValueError for an invalid selector."""
    reference = Reference(query.plural, query.namespace, query.name)
    if query.edges:
        return metrics_snapshot.edges(reference)
    if query.name:
        return metrics_snapshot.single(reference)
    return metrics_snapshot.listing(query.plural, query.namespace, query.selector)


def review_of(user: MetricsReader, query: MetricsQuery) -> dict[str, Any]:
    """The SubjectAccessReview for a query."""
    # To the API server a namespace is within itself: a Role in it may grant its metrics.
    namespace = query.name if query.plural == "namespaces" else query.namespace
    attributes = {
        "group": METRICS_GROUP,
        "version": METRICS_VERSION,
        "resource": query.plural,
        "subresource": "edges" if query.edges else "",
        "namespace": namespace,
        "name": query.name,
        "verb": "get" if query.name else "list",
    }
    spec = {
        "user": user.user,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra.items()},
        "resourceAttributes": attributes,
    }
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


class MetricsApi:
    """The web application. `metrics_snapshot` returns the present metrics, `hooks` the hooks in force."""

    def __init__(
        self,
        api: KubeClient,
        proxy: FrontProxy,
        metrics_snapshot: Callable[[], MetricsSnapshot],
        hooks: Callable[[], MeshHooks],
    ) -> None:
        self._api = api
        self._proxy = proxy
        self._metrics_snapshot = metrics_snapshot
        self._hooks = hooks

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        return application

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(await self._respond(request))
        except _Refusal as refusal:
            return _status(refusal.status, str(refusal))
        except NotFound as error:
            return _status(404, str(error))

    async def _respond(self, request: web.Request) -> dict[str, Any]:
        user = self._user(request)
        query = parse(request.path, request.query)
        if request.method != "GET" or request.query.get("watch", "0") not in ("", "0", "false"):
            raise _Refusal(405, "the server does not allow this method on the requested resource")
        hooks = self._hooks()
        if query is None:
            return hooks.metrics(_discovery(request), MetricsQuery(request.path))
        await self._authorize(user, query)
        if request.query.get("fieldSelector"):
            raise _Refusal(400, "field selectors are not supported")
        try:
            return hooks.metrics(answer(query, self._metrics_snapshot()), query)
        except ValueError as error:
            raise _Refusal(400, str(error)) from error

    def _user(self, request: web.Request) -> MetricsReader:
        transport = request.transport
        if transport is None or not self._proxy.trusts(transport.get_extra_info("peercert")):
            raise _Refusal(401, "Unauthorized")
        users = [value for name in self._proxy.user_headers for value in request.headers.getall(name, [])]
        if not users:
            raise _Refusal(401, "Unauthorized")
        groups = [value for name in self._proxy.group_headers for value in request.headers.getall(name, [])]
        extra: dict[str, list[str]] = {}
        for name, value in request.headers.items():
            for prefix in self._proxy.extra_prefixes:
                if name.lower().startswith(prefix.lower()):
                    extra.setdefault(name[len(prefix) :].lower(), []).append(value)
        return MetricsReader(users[0], tuple(groups), extra)

    async def _authorize(self, user: MetricsReader, query: MetricsQuery) -> None:
        review = review_of(user, query)
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        status = (await self._api.request("POST", path, review))["status"]
        allowed = bool(status.get("allowed")) and not status.get("denied", False)
        if not self._hooks().allows(allowed, AccessReview(user.user, user.groups, query)):
            what = f"{query.plural}{'/edges' if query.edges else ''}"
            where = f' in the namespace "{query.namespace}"' if query.namespace else ""
            raise _Refusal(403, f'User "{user.user}" cannot read {what} of {METRICS_GROUP}{where}')


def _discovery(request: web.Request) -> dict[str, Any]:
    path = request.path.rstrip("/")
    if path == _ROOT:
        return discovery()
    if path != "/apis":
        return group()
    if "as=APIGroupDiscoveryList" in request.headers.get("Accept", ""):
        # The aggregation layer then requests the documents separately.
        raise _Refusal(406, "aggregated discovery is not offered")
    return {"apiVersion": "v1", "kind": "APIGroupList", "groups": [group()]}


def _status(code: int, message: str) -> web.Response:
    document = {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": _REASONS.get(code, ""),
        "code": code,
    }
    return web.json_response(document, status=code)
