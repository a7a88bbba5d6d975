"""What happens to an object between a request and the store: defaults, webhooks, schemas, pod security."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any

from conformance.clusters.embedded.api import defaults, pod_security
from conformance.clusters.embedded.api.api_resources import DEFINITIONS, Resource
from conformance.clusters.embedded.api.errors import Refusal, not_found
from conformance.clusters.embedded.api.field_validation import contradictions, missing
from conformance.clusters.embedded.api.patching import json_patch
from conformance.clusters.embedded.api.schema import Admit, Invalid, admission, undeclared
from conformance.clusters.embedded.api.service_client import Inside
from conformance.clusters.embedded.api.store import Object, Store
from smi_reference_mesh.kube.selectors import Term

WEBHOOKS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"


class Admission:
    """Lets objects into the store, changed as need be. Raises Refusal for those that may not come in."""

    def __init__(self, store: Store, inside: Inside) -> None:
        self._store = store
        self._inside = inside
        self._schemas: dict[tuple[str, str, str], Admit] = {}

    async def create(self, resource: Resource, thing: Object) -> Object:
        """A new object as it goes into the store."""
        _complete(resource, thing)
        self._namespace(resource, thing)
        first = self._defaulted(resource, thing, None)
        admitted = await self._webhooks(resource, first)
        # Meanwhile the namespace may be going, whatever the webhooks answered.
        self._namespace(resource, admitted)
        if admitted is not first:
            _complete(resource, admitted)
            admitted = self._defaulted(resource, admitted, None)
        if resource.key == "pods":
            self._secure(admitted)
        return self._valid(resource, admitted)

    def update(self, resource: Resource, thing: Object, before: Object) -> Object:
        """A changed object as it goes into the store."""
        _complete(resource, thing)
        if resource.key == "pods" and thing["spec"] != before["spec"]:
            problem = "spec: Forbidden: the embedded cluster takes no changes of what runs already"
            raise _invalid(resource, thing, problem)
        return self._valid(resource, self._defaulted(resource, thing, before))

    def _namespace(self, resource: Resource, thing: Object) -> None:
        if not resource.namespaced:
            return
        name = thing["metadata"].get("namespace", "")
        namespace = self._store.find("namespaces", "", name)
        if namespace is None:
            raise not_found("namespaces", name)
        if "deletionTimestamp" in namespace["metadata"]:
            what = f'{resource.plural} "{thing["metadata"]["name"]}" is forbidden'
            raise Refusal(
                403,
                f"{what}: unable to create new content in namespace {name} because it is being terminated",
            )

    def _defaulted(self, resource: Resource, thing: Object, before: Object | None) -> Object:
        match resource.key:
            case "namespaces":
                return defaults.namespace(thing, before)
            case "services":
                used = {one["spec"].get("clusterIP", "") for one in self._store.list("services")}
                return defaults.service(thing, before, used)
            case "deployments.apps":
                return defaults.deployment(thing)
            case "secrets":
                return defaults.secret(thing, lambda text: base64.b64encode(text.encode()).decode())
            case "pods" if before is None:
                return defaults.pod(thing, self._mounts_token(thing))
            case key if key == DEFINITIONS:
                return {**thing, "status": _established(thing)}
        return thing

    def _mounts_token(self, thing: Object) -> bool:
        name = thing["spec"].get("serviceAccountName", "default")
        account = self._store.find("serviceaccounts", thing["metadata"]["namespace"], name)
        if account is None:
            raise Refusal(
                403,
                f'pods "{thing["metadata"]["name"]}" is forbidden: error looking up service account '
                f'{thing["metadata"]["namespace"]}/{name}: serviceaccount "{name}" not found',
            )
        return account.get("automountServiceAccountToken") is not False

    def _secure(self, thing: Object) -> None:
        namespace = self._store.get("namespaces", "", thing["metadata"]["namespace"])
        level = (namespace["metadata"].get("labels") or {}).get(pod_security.LABEL)
        found = list(pod_security.violations(thing["spec"])) if level == "restricted" else []
        if found:
            name = thing["metadata"]["name"]
            raise Refusal(
                403,
                f'pods "{name}" is forbidden: violates PodSecurity "restricted:latest": {", ".join(found)}',
            )

    def _valid(self, resource: Resource, thing: Object) -> Object:
        definition = self._store.find(DEFINITIONS, "", resource.key)
        if definition is None:
            return thing
        metadata = definition["metadata"]
        key = (resource.key, resource.version, metadata["resourceVersion"])
        if key not in self._schemas:
            self._schemas[key] = admission(_schema(definition, resource))
        try:
            return self._schemas[key](thing)
        except Invalid as error:
            raise _invalid(resource, thing, str(error)) from error

    def declared(self, resource: Resource, thing: Object) -> None:
        """Raises Refusal where an object to be applied says something that its schema does not know.

        Applying is stricter than creating, where that is left out.
        """
        definition = self._store.find(DEFINITIONS, "", resource.key)
        if definition is None:
            return
        if path := undeclared(thing, _schema(definition, resource)):
            metadata = thing["metadata"]
            place = "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
            what = f"({place}; {resource.api_version}, Kind={resource.kind})"
            message = f"failed to create typed patch object {what}: {path}: field not declared in schema"
            raise Refusal(500, message)

    async def _webhooks(self, resource: Resource, thing: Object) -> Object:
        for configuration in self._store.list(WEBHOOKS):
            for webhook in configuration.get("webhooks") or ():
                if self._concerns(webhook, resource, thing):
                    thing = await self._call(webhook, resource, thing)
        return thing

    def _concerns(self, webhook: Mapping[str, Any], resource: Resource, thing: Object) -> bool:
        if not any(_covers(rule, resource) for rule in webhook.get("rules") or ()):
            return False
        namespace = self._store.find("namespaces", "", thing["metadata"].get("namespace", ""))
        around = (namespace or {}).get("metadata", {}).get("labels") or {}
        own = thing["metadata"].get("labels") or {}
        return selects(webhook.get("namespaceSelector"), around) and selects(
            webhook.get("objectSelector"), own
        )

    async def _call(self, webhook: Mapping[str, Any], resource: Resource, thing: Object) -> Object:
        request = {
            "uid": str(uuid.uuid4()),
            "kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
            "resource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
            "operation": "CREATE",
            "namespace": thing["metadata"].get("namespace", ""),
            "name": thing["metadata"]["name"],
            "object": thing,
        }
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        try:
            answer = await ask(
                self._inside, webhook["clientConfig"], review, webhook.get("timeoutSeconds", 10)
            )
            response = answer["response"]
            allowed = bool(response["allowed"])
            operations = json.loads(base64.b64decode(response["patch"])) if response.get("patch") else ()
            patched: Object = json_patch(thing, operations) if operations else thing
        except (Refusal, KeyError, TypeError, ValueError) as error:
            if webhook.get("failurePolicy", "Fail") == "Ignore":
                return thing
            raise Refusal(500, f'failed calling webhook "{webhook["name"]}": {error}') from error
        if not allowed:
            reason = (response.get("status") or {}).get("message", "no reason given")
            raise Refusal(403, f'admission webhook "{webhook["name"]}" denied the request: {reason}')
        return patched


async def ask(inside: Inside, where: Mapping[str, Any], review: Mapping[str, Any], timeout_s: float) -> Any:
    """The answer of a webhook (its ``clientConfig``) to a review. Raises Refusal, ValueError for no JSON."""
    service = where["service"]
    reply = await inside.request(
        "POST",
        (service["namespace"], service["name"], service.get("port", 443)),
        service.get("path", "/"),
        ca=base64.b64decode(where["caBundle"]).decode(),
        body=json.dumps(review),
        headers={"Content-Type": "application/json"},
        timeout_s=timeout_s,
    )
    if reply.status != 200:
        raise Refusal(500, f"it answered {reply.status}")
    return json.loads(reply.body)


def _invalid(resource: Resource, thing: Object, problem: str) -> Refusal:
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return Refusal(422, f'{kind} "{thing["metadata"]["name"]}" is invalid: {problem}')


def _complete(resource: Resource, thing: Object) -> None:
    """Raises Refusal (422) for an object that would be in the way of others."""
    problems = missing(resource.key, thing)
    if not problems:
        problems = list(contradictions(resource.key, thing))
    if problems:
        raise _invalid(resource, thing, problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")


def _schema(definition: Object, resource: Resource) -> Mapping[str, Any]:
    (schema,) = [
        version.get("schema", {}).get("openAPIV3Schema") or {"type": "object"}
        for version in definition["spec"]["versions"]
        if version["name"] == resource.version
    ]
    return schema


def _covers(rule: Mapping[str, Any], resource: Resource) -> bool:
    def has(listed: Any, value: str) -> bool:
        return "*" in listed or value in listed

    return (
        has(rule["operations"], "CREATE")
        and has(rule["apiGroups"], resource.group)
        and has(rule["apiVersions"], resource.version)
        and has(rule["resources"], resource.plural)
    )


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector admits some labels; an absent or empty one admits all."""
    selector = selector or {}
    equal = (selector.get("matchLabels") or {}).items() <= labels.items()
    terms = [
        Term(one["key"], one["operator"], tuple(one.get("values") or ()))
        for one in selector.get("matchExpressions") or ()
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
