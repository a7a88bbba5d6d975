"""Installs the reference mesh into a cluster, and removes it.

All objects are labelled and applied server-side, so installation is idempotent and touches no other objects.
The keys are generated here and kept in a Secret, which a second installation does not change.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.discovery import LazyDiscoverer
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError, ResourceNotFoundError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from smi_reference_mesh import names
from smi_reference_mesh.install.image import default_image
from smi_reference_mesh.install.mesh_objects import (
    Manifest,
    certificates,
    crds,
    manifests,
    namespace,
    secret,
    served,
)
from smi_reference_mesh.sidecar.own_traffic import OwnTraffic

_MANAGER = "smi-reference-installer"
_POLL_S = 0.05

# Registered after the Service works: a connection that the API server opens to the Service's address before
# the node programs it may reach another destination, and is kept.
_REGISTRATIONS = ("MutatingWebhookConfiguration", "APIService")

_DEPLOYMENT: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": names.SERVICE, "namespace": names.NAMESPACE},
}
_SECRET: Manifest = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": names.SERVICE, "namespace": names.NAMESPACE},
}
_API_SERVICE: Manifest = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": f"{names.METRICS_VERSION}.{names.METRICS_GROUP}"},
}


class InstallError(Exception):
    """The mesh did not start or disappear in time; the text names the last missing condition."""


def install(
    api_client: ApiClient,
    *,
    image: str | None = None,
    window_s: float = 10.0,
    crds_only: bool = False,
    groups: Collection[str] | None = None,
    own_traffic: OwnTraffic = "uid",
    within_s: float = 120.0,
) -> None:
    """Installs the mesh, or only the CRDs, and waits until it works; does not wait for its ingress.

    `groups` are the API groups whose definitions are installed (default: all), `image` must be known to the
    nodes (default: the one built from this code), `window_s` is the window of the metrics API in seconds,
    `own_traffic` how interception distinguishes sidecars from applications. Raises InstallError if the mesh
    does not start in time, ApiException if the API server refuses an object.
    """
    client = _dynamic(api_client)

    def wanted(documents: Iterable[Manifest]) -> list[Manifest]:
        return [each for each in documents if groups is None or each["spec"]["group"] in groups]

    for document in wanted(crds()):
        # Definitions with the conversion webhook stay unchanged until the new control plane runs.
        if crds_only or not _is_converted(_get(client, document)):
            _apply(client, document)
    _await(lambda: _missing_crds(client, wanted(crds())), "CRDs are not established", within_s)
    if crds_only:
        return
    _apply(client, namespace())
    settled = _settled_certificates(client)
    documents = manifests(
        image=image or default_image(), window_s=window_s, certificates=settled, own_traffic=own_traffic
    )
    for document in documents:
        if document["kind"] not in _REGISTRATIONS:
            _apply(client, document)
    _await(lambda: _not_ready(client), "the control plane is not ready", within_s)
    _await(lambda: _unreachable(client), "the control plane's service does not answer", within_s)
    for document in [*(each for each in documents if each["kind"] in _REGISTRATIONS), *wanted(crds(settled))]:
        _apply(client, document)
    _await(lambda: _unavailable(client), "the metrics API is not available", within_s)
    _await(lambda: _unserved(client, groups), "versions are not served", within_s)


def uninstall(api_client: ApiClient, *, within_s: float = 120.0) -> None:
    """Removes the mesh and the CRDs with all their objects, and waits until they are gone.

    Raises InstallError for objects that remain.
    """
    client = _dynamic(api_client)
    placeholder = dict.fromkeys(("ca.crt", "ca.key", "tls.crt", "tls.key"), "")
    everything = [*crds(), *manifests(image="", window_s=1, certificates=placeholder)]
    # The webhook first: with failurePolicy Fail it must not outlive its service.
    doomed = list(reversed(everything))
    for document in doomed:
        _delete(client, document)
    _await(lambda: [_title(each) for each in doomed if _exists(client, each)], "still there", within_s)


class _Discoverer(LazyDiscoverer):
    """Discovers the API server's resources without a cache file.

    The library's discoverer writes them to a temporary file of a well-known name, and trusts that file.
    """

    def __init__(self, client: Any, _cache_file: str | None) -> None:
        super().__init__(client, str(Path(os.devnull, "none")))  # type: ignore[no-untyped-call]

    def _write_cache(self) -> None:
        """Writes nothing."""


def _dynamic(api_client: ApiClient) -> Any:
    """A client of all APIs; importing the generated classes for single APIs takes most of a second."""
    return DynamicClient(api_client, discoverer=_Discoverer)


def _title(document: Mapping[str, Any]) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


def _resource(client: Any, document: Mapping[str, Any]) -> Any:
    return client.resources.get(api_version=document["apiVersion"], kind=document["kind"])


def _apply(client: Any, document: Manifest) -> None:
    client.server_side_apply(
        _resource(client, document), body=document, field_manager=_MANAGER, force_conflicts=True
    )


def _place(document: Mapping[str, Any]) -> dict[str, str]:
    metadata = document["metadata"]
    place = {"name": metadata["name"]}
    return {**place, "namespace": metadata["namespace"]} if "namespace" in metadata else place


def _delete(client: Any, document: Mapping[str, Any]) -> None:
    try:
        body = {"propagationPolicy": "Background"}
        client.delete(_resource(client, document), **_place(document), body=body)
    except (NotFoundError, ResourceNotFoundError, ConflictError):
        # A conflict is a terminating namespace.
        return


def _exists(client: Any, document: Mapping[str, Any]) -> bool:
    return _get(client, document) is not None


def _get(client: Any, document: Mapping[str, Any]) -> Manifest | None:
    try:
        found: Manifest = client.get(_resource(client, document), **_place(document)).to_dict()
    except (NotFoundError, ResourceNotFoundError):
        return None
    return found


def _settled_certificates(client: Any) -> dict[str, str]:
    """The certificates of the installation.

    Of two simultaneous installations one creates the authority and the other adopts it, since sidecars that
    trust one authority would reject a control plane of the other.
    """
    existing = _existing_certificates(client)
    if existing is None:
        existing = certificates(None, datetime.now(UTC))
        document = secret(existing)
        try:
            client.create(_resource(client, document), body=document, namespace=names.NAMESPACE)
        except ConflictError:
            existing = _existing_certificates(client)
    return certificates(existing, datetime.now(UTC))


def _existing_certificates(client: Any) -> dict[str, str] | None:
    found = _get(client, _SECRET)
    if found is None:
        return None
    return {key: base64.b64decode(value).decode() for key, value in (found.get("data") or {}).items()}


def _has(document: Manifest | None, condition: str) -> bool:
    conditions = (document or {}).get("status", {}).get("conditions") or ()
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def _missing_crds(client: Any, wanted: Iterable[Manifest]) -> list[str]:
    return [_title(each) for each in wanted if not _has(_get(client, each), "Established")]


def _is_converted(definition: Manifest | None) -> bool:
    conversion = (definition or {}).get("spec", {}).get("conversion") or {}
    return bool(conversion.get("strategy") == "Webhook")


def _unserved(client: Any, groups: Collection[str] | None) -> list[str]:
    """Versions of the definitions that the API server does not serve yet."""
    problems = []
    for group, version, plural in served():
        if groups is not None and group not in groups:
            continue
        try:
            client.request("get", f"/apis/{group}/{version}/{plural}", limit=1, serialize=False)
        except ApiException as error:
            # While a definition changes, the API server may also reject requests of its kinds.
            if error.status not in {404, 429, 500, 503}:
                raise
            problems.append(f"{group}/{version} {plural}: {error.status} {error.reason}")
    return problems


def _not_ready(client: Any) -> list[str]:
    deployment = _get(client, _DEPLOYMENT) or {}
    status = deployment.get("status", {})
    current = status.get("observedGeneration") == deployment.get("metadata", {}).get("generation")
    if (
        current
        and status.get("updatedReplicas") == status.get("readyReplicas") == status.get("replicas") == 1
    ):
        return []
    return [json.dumps(status.get("conditions", "no status"))]


def _unreachable(client: Any) -> list[str]:
    path = f"/api/v1/namespaces/{names.NAMESPACE}/services/https:{names.SERVICE}:control/proxy/healthz"
    try:
        client.request("get", path, serialize=False)
    except ApiException as error:
        return [f"{path}: {error.status} {error.reason}"]
    return []


def _unavailable(client: Any) -> list[str]:
    service = _get(client, _API_SERVICE)
    return [] if _has(service, "Available") else [json.dumps((service or {}).get("status", {}))]


def _await(missing: Callable[[], Iterable[str]], problem: str, within_s: float) -> None:
    """Waits until `missing` returns nothing. Raises InstallError with its last result."""
    waiting = Retrying(
        retry=retry_if_result(bool),
        stop=stop_after_delay(within_s),
        wait=wait_fixed(_POLL_S),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else [],
    )
    rest = list(waiting(lambda: list(missing())))
    if rest:
        raise InstallError(f"{problem} after {within_s:g} s: {'; '.join(rest)}")
