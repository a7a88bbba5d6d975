"""Required fields of the built-in kinds. Pure.

These kinds have no schemas in the embedded cluster. The fields that its controllers and its authorization
rely on are validated before storing, so that no invalid object breaks later requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.clusters.embedded.api.api_resources import DEFINITIONS

INGRESSES = "ingresses.networking.k8s.io"
_POD = ("spec.containers[].name",)
_BINDING = ("roleRef.kind", "roleRef.name", "subjects?[].kind", "subjects?[].name")
_PATH = "spec.rules[].http.paths[]"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_FIELDS: Mapping[str, Sequence[str]] = {
    "pods": _POD,
    "services": ("spec.ports?[].port",),
    "deployments.apps": (
        "spec.selector.matchLabels",
        "spec.template.metadata.labels",
        *(f"spec.template.{path}" for path in _POD),
    ),
    "rolebindings.rbac.authorization.k8s.io": _BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDING,
    "endpointslices.discovery.k8s.io": ("ports?[].port", "endpoints?[].addresses[]"),
    INGRESSES: (f"{_PATH}.pathType", f"{_PATH}.backend.service.name", f"{_PATH}.backend.service.port"),
    "apiservices.apiregistration.k8s.io": ("spec.group", "spec.version"),
    DEFINITIONS: (
        "spec.group",
        "spec.scope",
        "spec.names.plural",
        "spec.names.kind",
        "spec.versions[].name",
        "spec.versions[].served",
        "spec.versions[].storage",
    ),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": (
        "webhooks?[].name",
        "webhooks?[].clientConfig.service.name",
        "webhooks?[].clientConfig.service.namespace",
        "webhooks?[].clientConfig.caBundle",
        *(f"webhooks?[].rules[].{name}" for name in ("apiGroups", "apiVersions", "operations", "resources")),
    ),
}
"""Paths by resource; ``[]`` means each entry of a list, ``?`` an optional field."""


def missing(key: str, obj: Mapping[str, Any]) -> list[str]:
    """The missing fields of an object, in the API server's words."""
    found = [each for path in _FIELDS.get(key, ()) for each in _lacking(obj, path.split("."), "")]
    return list(dict.fromkeys(f"{path}: Required value" for path in found))


def contradictions(key: str, obj: Mapping[str, Any]) -> Iterator[str]:
    """Contradictory fields of an object without missing fields, in the API server's words."""
    spec = obj.get("spec") or {}
    if key == "deployments.apps":
        labels = spec["template"]["metadata"]["labels"]
        if not spec["selector"]["matchLabels"].items() <= labels.items():
            problem = "`selector` does not match template `labels`"
            yield f"spec.template.metadata.labels: Invalid value: {json.dumps(labels)}: {problem}"
    if key == INGRESSES:
        yield from _ingress(spec)
    if key == DEFINITIONS:
        name = f"{spec['names']['plural']}.{spec['group']}"
        if obj["metadata"]["name"] != name:
            yield f'metadata.name: Invalid value: "{obj["metadata"]["name"]}": must be {name}'
        if [bool(version["storage"]) for version in spec["versions"]].count(True) != 1:
            yield "spec.versions: Invalid value: must have exactly one version marked as storage version"


def _ingress(spec: Mapping[str, Any]) -> Iterator[str]:
    # Reject unsupported fields, which would otherwise appear to take effect.
    for name in sorted(spec.keys() - {"ingressClassName", "rules"}):
        yield f"spec.{name}: Forbidden: the embedded cluster supports only the rules of ingresses"
    for number, rule in enumerate(spec["rules"]):
        for place, path in enumerate(rule["http"]["paths"]):
            where = f"spec.rules[{number}].http.paths[{place}]"
            if path["pathType"] not in _PATH_TYPES:
                listed = ", ".join(f'"{each}"' for each in _PATH_TYPES)
                yield f'{where}.pathType: Unsupported value: "{path["pathType"]}": supported values: {listed}'
            if not str(path.get("path", "/")).startswith("/"):
                yield f'{where}.path: Invalid value: "{path["path"]}": must be an absolute path'
            port = path["backend"]["service"]["port"]
            if len(port.keys() & {"name", "number"}) != 1:
                yield f"{where}.backend.service.port: Invalid value: must have either a name or a number"


def _lacking(value: Any, parts: Sequence[str], where: str) -> Iterator[str]:
    if not parts:
        return
    part, rest = parts[0], parts[1:]
    name = part.removesuffix("[]").removesuffix("?")
    path = f"{where}.{name}" if where else name
    inner = value.get(name) if isinstance(value, Mapping) else None
    if inner is None or inner == "":
        if "?" not in part:
            yield path
    elif part.endswith("[]"):
        if not isinstance(inner, list) or (not inner and "?" not in part):
            yield path
        else:
            for number, each in enumerate(inner):
                yield from _lacking(each, rest, f"{path}[{number}]")
    else:
        yield from _lacking(inner, rest, path)
