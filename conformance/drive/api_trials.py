"""Documents put to the API server for an answer only, and the form of header filters found out that way."""

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
    """The API server takes header filters in neither form, so nothing that needs them can be written."""

    def __init__(self, attempts: tuple[AdmissionAttempt, ...]) -> None:
        super().__init__("header filters are accepted in neither form")
        self.attempts = attempts


DRY_RUN: Mapping[str, str] = {"dryRun": "All"}
"""Options of a request of which nothing is kept."""
IGNORE_UNKNOWN_FIELDS: Mapping[str, str] = {"fieldValidation": "Ignore"}
"""Options of a request that creates an object whatever fields it has, as far as its schema lets it.

Applying refuses fields that the schema does not know, and so do clients that ask for it. Source:
https://kubernetes.io/docs/reference/using-api/api-concepts § Validation for unrecognized or duplicate fields.
"""


def attempt(
    cluster: Cluster,
    item: Object,
    name: str,
    expect: Literal["accepted", "refused", "either"] = "accepted",
    options: Mapping[str, str] = DRY_RUN,
) -> AdmissionAttempt:
    """Ask the API server whether it would create an object. Nothing is kept unless ``options`` say otherwise.

    Raises ClusterError when the object's kind is not served.
    """
    path = cluster.path(item["apiVersion"], item["kind"], item["metadata"].get("namespace"))
    answer = cluster.request("POST", path, item, query=options)
    body: Mapping[str, Any] = answer.body if isinstance(answer.body, Mapping) else {"message": answer.body}
    answered = AdmissionAttempt(name, expect, item, answer.status)
    if answered.accepted:
        return replace(answered, returned=body)
    return replace(answered, message=str(body.get("message", ""))[:500])


ABSENT = object()
"""In a change: the field is taken away."""

Change = tuple[str, Any]
"""A path such as ``spec.backends.0.weight``, and the value that is put there."""


def changed(item: Object, change: Change) -> dict[str, Any]:
    """A copy of an object with a change made. Raises KeyError or IndexError where the path leads nowhere."""
    path, value = change
    copied = copy.deepcopy(dict(item))
    keys: list[str | int] = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = copied
    for key in keys[:-1]:
        place = place[key]
    if value is ABSENT:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return copied


@dataclass(slots=True)
class HeaderForms:
    """The form of header filters that the cluster's schema takes, found out once for each version of specs.

    Each form is refused, or its content dropped, by a schema that is written for the other. Source:
    apis/traffic-specs/v1alpha4/traffic-specs.md, § HTTP header filters, against smi-sdk-go
    crds/httproutegroup.yaml.
    """

    cluster: Cluster
    _tried: dict[str, tuple[AdmissionAttempt, ...]] = field(default_factory=dict)

    def attempts(self, version: str, namespace: str) -> tuple[AdmissionAttempt, ...]:
        """Both forms put to the API server, in a namespace that is there; none for a version without headers.

        Raises ClusterError when HTTPRouteGroup is not served in the version.
        """
        if version == _WITHOUT_HEADERS:
            return ()
        if version not in self._tried:
            self._tried[version] = tuple(
                attempt(self.cluster, _group(namespace, version, form), form, "either") for form in _FORMS
            )
        return self._tried[version]

    def form(self, version: str, namespace: str) -> HeaderForm:
        """The form to write header filters in; the documents' where both are taken.

        Raises HeadersRefused where neither is, and ClusterError as `attempts` does.
        """
        tried = self.attempts(version, namespace)
        for form, one in zip(_FORMS, tried, strict=False):
            if kept(one):
                return form
        if tried:
            raise HeadersRefused(tried)
        return "map"

    def known(self) -> dict[str, str]:
        """What was found out: version of specs → form, or ``neither``."""
        return {
            version: next((one.name for one in tried if kept(one)), "neither")
            for version, tried in sorted(self._tried.items())
        }

    def invalidate(self) -> None:
        """Find out anew when next asked."""
        self._tried.clear()


def _group(namespace: str, version: str, form: HeaderForm) -> dict[str, Any]:
    written = {
        "apiVersion": f"{GROUPS['specs']}/v1alpha4",
        "kind": "HTTPRouteGroup",
        "metadata": {"namespace": namespace, "name": f"headers-as-{form}"},
        "spec": {"matches": [{"name": "m", "pathRegex": ".*", "methods": ["GET"], "headers": dict(HEADERS)}]},
    }
    return render(written, {"specs": version}, headers=form)
