"""Admission of objects into the store: defaults, webhooks, schemas, pod security."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any

from conformance.clusters.embedded.api import defaults, pod_security
from conformance.clusters.embedded.api.api_errors import StatusError, not_found
from conformance.clusters.embedded.api.api_resources import DEFINITIONS, Resource
from conformance.clusters.embedded.api.field_validation import contradictions, missing
from conformance.clusters.embedded.api.object_store import Object, Store
from conformance.clusters.embedded.api.patching import json_patch
from conformance.clusters.embedded.api.service_client import ServiceClient
from conformance.clusters.embedded.api.structural_schema import Admitter, Invalid, admitter, undeclared_field
from smi_reference_mesh.kube.selectors import Term

WEBHOOKS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"


class Admission:
    """Admits objects into the store, with defaults and mutations. Raises StatusError."""

    def __init__(self, store: Store, service_client: ServiceClient) -> None:
        self._store = store
        self._service_client = service_client
        self._schemas: dict[tuple[str, str, str], Admitter] = {}

    async def create(self, resource: Resource, obj: Object) -> Object:
        """The new object to store."""
        _check_fields(resource, obj)
        self._check_namespace(resource, obj)
        first = self._defaulted(resource, obj, None)
        admitted = await self._webhooks(resource, first)
        # The namespace may have begun to terminate during the webhooks' calls.
        self._check_namespace(resource, admitted)
        if admitted is not first:
            _check_fields(resource, admitted)
            admitted = self._defaulted(resource, admitted, None)
        if resource.key == "pods":
            self._check_pod_security(admitted)
        return self._validated(resource, admitted)

    def update(self, resource: Resource, obj: Object, before: Object) -> Object:
        """The changed object to store."""
        _check_fields(resource, obj)
        if resource.key == "pods" and obj["spec"] != before["spec"]:
            problem = "spec: Forbidden: the embedded cluster allows no changes of running pods"
            raise _invalid(resource, obj, problem)
        return self._validated(resource, self._defaulted(resource, obj, before))

    def _check_namespace(self, resource: Resource, obj: Object) -> None:
        if not resource.namespaced:
            return
        name = obj["metadata"].get("namespace", "")
        namespace = self._store.find("namespaces", "", name)
        if namespace is None:
            raise not_found("namespaces", name)
        if "deletionTimestamp" in namespace["metadata"]:
            what = f'{resource.plural} "{obj["metadata"]["name"]}" is forbidden'
            raise StatusError(
                403,
                f"{what}: unable to create new content in namespace {name} because it is being terminated",
            )

    def _defaulted(self, resource: Resource, obj: Object, before: Object | None) -> Object:
        match resource.key:
            case "namespaces":
                return defaults.namespace(obj, before)
            case "services":
                used = {each["spec"].get("clusterIP", "") for each in self._store.list("services")}
                return defaults.service(obj, before, used)
            case "deployments.apps":
                return defaults.deployment(obj)
            case "secrets":
                return defaults.secret(obj, lambda text: base64.b64encode(text.encode()).decode())
            case "pods" if before is None:
                return defaults.pod(obj, self._mounts_token(obj))
            case key if key == DEFINITIONS:
                return {**obj, "status": _established(obj)}
        return obj

    def _mounts_token(self, obj: Object) -> bool:
        name = obj["spec"].get("serviceAccountName", "default")
        account = self._store.find("serviceaccounts", obj["metadata"]["namespace"], name)
        if account is None:
            raise StatusError(
                403,
                f'pods "{obj["metadata"]["name"]}" is forbidden: error looking up service account '
                f'{obj["metadata"]["namespace"]}/{name}: serviceaccount "{name}" not found',
            )
        return account.get("automountServiceAccountToken") is not False

    def _check_pod_security(self, obj: Object) -> None:
        namespace = self._store.get("namespaces", "", obj["metadata"]["namespace"])
        level = (namespace["metadata"].get("labels") or {}).get(pod_security.LABEL)
        found = list(pod_security.violations(obj["spec"])) if level == "restricted" else []
        if found:
            name = obj["metadata"]["name"]
            raise StatusError(
                403,
                f'pods "{name}" is forbidden: violates PodSecurity "restricted:latest": {", ".join(found)}',
            )

    def _validated(self, resource: Resource, obj: Object) -> Object:
        definition = self._store.find(DEFINITIONS, "", resource.key)
        if definition is None:
            return obj
        metadata = definition["metadata"]
        key = (resource.key, resource.version, metadata["resourceVersion"])
        if key not in self._schemas:
            self._schemas[key] = admitter(_schema(definition, resource))
        try:
            return self._schemas[key](obj)
        except Invalid as error:
            raise _invalid(resource, obj, str(error)) from error

    def check_declared(self, resource: Resource, obj: Object) -> None:
        """Raises StatusError if an applied object has a field that its schema does not declare.

        Creation prunes such fields instead.
        """
        definition = self._store.find(DEFINITIONS, "", resource.key)
        if definition is None:
            return
        if path := undeclared_field(obj, _schema(definition, resource)):
            metadata = obj["metadata"]
            place = "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
            what = f"({place}; {resource.api_version}, Kind={resource.kind})"
            message = f"failed to create typed patch object {what}: {path}: field not declared in schema"
            raise StatusError(500, message)

    async def _webhooks(self, resource: Resource, obj: Object) -> Object:
        for configuration in self._store.list(WEBHOOKS):
            for webhook in configuration.get("webhooks") or ():
                if self._matches(webhook, resource, obj):
                    obj = await self._call(webhook, resource, obj)
        return obj

    def _matches(self, webhook: Mapping[str, Any], resource: Resource, obj: Object) -> bool:
        if not any(_rule_matches(rule, resource) for rule in webhook.get("rules") or ()):
            return False
        namespace = self._store.find("namespaces", "", obj["metadata"].get("namespace", ""))
        namespace_labels = (namespace or {}).get("metadata", {}).get("labels") or {}
        own = obj["metadata"].get("labels") or {}
        return selects(webhook.get("namespaceSelector"), namespace_labels) and selects(
            webhook.get("objectSelector"), own
        )

    async def _call(self, webhook: Mapping[str, Any], resource: Resource, obj: Object) -> Object:
        request = {
            "uid": str(uuid.uuid4()),
            "kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
            "resource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
            "operation": "CREATE",
            "namespace": obj["metadata"].get("namespace", ""),
            "name": obj["metadata"]["name"],
            "object": obj,
        }
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        try:
            answer = await call_webhook(
                self._service_client, webhook["clientConfig"], review, webhook.get("timeoutSeconds", 10)
            )
            response = answer["response"]
            allowed = bool(response["allowed"])
            operations = json.loads(base64.b64decode(response["patch"])) if response.get("patch") else ()
            patched: Object = json_patch(obj, operations) if operations else obj
        except (StatusError, KeyError, TypeError, ValueError) as error:
            if webhook.get("failurePolicy", "Fail") == "Ignore":
                return obj
            raise StatusError(500, f'failed calling webhook "{webhook["name"]}": {error}') from error
        if not allowed:
            reason = (response.get("status") or {}).get("message", "no reason given")
            raise StatusError(403, f'admission webhook "{webhook["name"]}" denied the request: {reason}')
        return patched


async def call_webhook(
    service_client: ServiceClient, where: Mapping[str, Any], review: Mapping[str, Any], timeout_s: float
) -> Any:
    """A webhook's answer to a review; ``where`` is its clientConfig. Raises StatusError, ValueError."""
    service = where["service"]
    reply = await service_client.request(
        "POST",
        (service["namespace"], service["name"], service.get("port", 443)),
        service.get("path", "/"),
        ca=base64.b64decode(where["caBundle"]).decode(),
        body=json.dumps(review),
        headers={"Content-Type": "application/json"},
        timeout_s=timeout_s,
    )
    if reply.status != 200:
        raise StatusError(500, f"it answered {reply.status}")
    return json.loads(reply.body)


def _invalid(resource: Resource, obj: Object, problem: str) -> StatusError:
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return StatusError(422, f'{kind} "{obj["metadata"]["name"]}" is invalid: {problem}')


def _check_fields(resource: Resource, obj: Object) -> None:
    """Raises StatusError (422) for an object that lacks required fields or contradicts itself."""
    problems = missing(resource.key, obj)
    if not problems:
        problems = list(contradictions(resource.key, obj))
    if problems:
        raise _invalid(resource, obj, problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")


def _schema(definition: Object, resource: Resource) -> Mapping[str, Any]:
    (schema,) = [
        version.get("schema", {}).get("openAPIV3Schema") or {"type": "object"}
        for version in definition["spec"]["versions"]
        if version["name"] == resource.version
    ]
    return schema


def _rule_matches(rule: Mapping[str, Any], resource: Resource) -> bool:
    def has(listed: Any, value: str) -> bool:
        return "*" in listed or value in listed

    return (
        has(rule["operations"], "CREATE")
        and has(rule["apiGroups"], resource.group)
        and has(rule["apiVersions"], resource.version)
        and has(rule["resources"], resource.plural)
    )


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector matches the labels; an absent or empty selector matches all."""
    selector = selector or {}
    equal = (selector.get("matchLabels") or {}).items() <= labels.items()
    terms = [
        Term(each["key"], each["operator"], tuple(each.get("values") or ()))
        for each in selector.get("matchExpressions") or ()
    ]
    return equal and all(term.matches(labels) for term in terms)


def _established(definition: Object) -> dict[str, Any]:
    spec = definition["spec"]
    conditions = [
        {"type": name, "status": "True", "reason": reason, "message": ""}
        for name, reason in (("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted"))
    ]
    stored = [version["name"] for version in spec["versions"] if version["storage"]]
    return {"conditions": conditions, "acceptedNames": spec["names"], "storedVersions": stored}
