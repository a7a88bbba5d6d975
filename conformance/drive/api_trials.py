"""Dry runs against the API server, and the form of header filters that they show."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from conformance.catalogue import GROUPS
from conformance.clusters import Cluster, Object
from conformance.drive.rendering import HeaderForm, render
from conformance.judge.admission import kept
from conformance.model.evidence import AdmissionAttempt

HEADERS = {"x-smi-conformance": "^a$", "x-second": "^b$"}
_FORMS: tuple[HeaderForm, ...] = ("map", "list")
_WITHOUT_HEADERS = "v1alpha1"


class HeadersRefused(Exception):
    """The API server accepts header filters in neither form, so objects with them cannot be written."""

    def __init__(self, attempts: tuple[AdmissionAttempt, ...]) -> None:
        super().__init__("header filters are accepted in neither form")
        self.attempts = attempts


DRY_RUN: Mapping[str, str] = {"dryRun": "All"}
"""Options of a request that persists nothing."""
IGNORE_UNKNOWN_FIELDS: Mapping[str, str] = {"fieldValidation": "Ignore"}
"""Options of a request that creates an object despite unknown fields.

Server-side apply refuses fields that the schema does not know, and so do clients with strict validation.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts
§ Validation for unrecognized or duplicate fields.
"""


def attempt(
    cluster: Cluster,
    item: Object,
    name: str,
    expect: Literal["accepted", "refused", "either"] = "accepted",
    options: Mapping[str, str] = DRY_RUN,
) -> AdmissionAttempt:
    """Send the creation of an object to the API server; a dry run unless ``options`` differ.

    Raises ClusterError if the object's kind is not served.
    """
    path = cluster.path(item["apiVersion"], item["kind"], item["metadata"].get("namespace"))
    answer = cluster.request("POST", path, item, query=options)
    body: Mapping[str, Any] = answer.body if isinstance(answer.body, Mapping) else {"message": answer.body}
    answered = AdmissionAttempt(name, expect, item, answer.status)
    if answered.accepted:
        return replace(answered, returned=body)
    return replace(answered, message=str(body.get("message", ""))[:500])


ABSENT = object()
"""In a change: the field is removed."""

Change = tuple[str, Any]
"""A path such as ``spec.backends.0.weight``, and its new value."""


def changed(item: Object, change: Change) -> dict[str, Any]:
    """A copy of an object with a change. Raises KeyError or IndexError if the path does not exist."""
    path, value = change
    copied = copy.deepcopy(dict(item))
    keys: list[str | int] = [int(part) if part.isdigit() else part for part in path.split(".")]
    parent: Any = copied
    for key in keys[:-1]:
        parent = parent[key]
    if value is ABSENT:
        del parent[keys[-1]]
    else:
        parent[keys[-1]] = value
    return copied


@dataclass(slots=True)
class HeaderForms:
    """The form of header filters that the cluster's schema accepts, tried once per version of specs.

    A schema for one form refuses the other, or drops its content. Source:
    apis/traffic-specs/v1alpha4/traffic-specs.md, § HTTP header filters, against smi-sdk-go
    crds/httproutegroup.yaml.
    """

    cluster: Cluster
    _tried: dict[str, tuple[AdmissionAttempt, ...]] = field(default_factory=dict)

    def attempts(self, version: str, namespace: str) -> tuple[AdmissionAttempt, ...]:
        """Dry runs of both forms, in an existing namespace; empty for a version without headers.

        Raises ClusterError if HTTPRouteGroup is not served in the version.
        """
        if version == _WITHOUT_HEADERS:
            return ()
        if version not in self._tried:
            self._tried[version] = tuple(
                attempt(self.cluster, _group(namespace, version, form), form, "either") for form in _FORMS
            )
        return self._tried[version]

    def form(self, version: str, namespace: str) -> HeaderForm:
        """The form of header filters to write; the specification's if both are accepted.

        Raises HeadersRefused if neither is accepted, and ClusterError as `attempts` does.
        """
        tried = self.attempts(version, namespace)
        for form, one in zip(_FORMS, tried, strict=False):
            if kept(one):
                return form
        if tried:
            raise HeadersRefused(tried)
        return "map"

    def known(self) -> dict[str, str]:
        """The forms tried so far: version of specs → form, or ``neither``."""
        return {
            version: next((one.name for one in tried if kept(one)), "neither")
            for version, tried in sorted(self._tried.items())
        }

    def invalidate(self) -> None:
        """Try again at the next use."""
        self._tried.clear()


def _group(namespace: str, version: str, form: HeaderForm) -> dict[str, Any]:
    written = {
        "apiVersion": f"{GROUPS['specs']}/v1alpha4",
        "kind": "HTTPRouteGroup",
        "metadata": {"namespace": namespace, "name": f"headers-as-{form}"},
        "spec": {"matches": [{"name": "m", "pathRegex": ".*", "methods": ["GET"], "headers": dict(HEADERS)}]},
    }
    return render(written, {"specs": version}, headers=form)
