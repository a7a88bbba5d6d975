"""The conversion webhook: converts SMI objects between the versions of their API.

Each object is first made *whole*: in the newest version's schema, with every field of any version. Then it is
written in the desired version. An annotation keeps fields without a counterpart there, and restores them when
the object is made whole again, as far as the fields that they belong to still exist. So a round trip through
an older version loses nothing, and never widens a grant.

Sources: apis/traffic-split, apis/traffic-access and apis/traffic-specs of the specification; for the protocol
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning, §
Webhook request and response.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import lcm
from typing import Any

from smi_reference_mesh.kube.objects import Object
from smi_reference_mesh.smi.parsing import quantity

KEPT = "reference.smi-conformance.dev/kept"
"""Annotation: the fields without a counterpart in the object's version, as JSON."""

_TOP_LEVEL = frozenset({"v1alpha1", "v1alpha2"})
"""Versions of specs without `spec`."""
_PORT_IN_TARGET = frozenset({"v1alpha1", "v1alpha2"})
_OLD_RULES = frozenset({"HTTPRouteGroup", "TCPRoute"})

JSON = dict[str, Any]
ConversionHook = Callable[[JSON, Object], JSON]
"""Edits a converted object, with regard to its source."""


class Unconvertible(ValueError):
    """An object that is invalid in its own version, or an unknown version."""


def review(document: Mapping[str, Any], hook: ConversionHook = lambda converted, source: converted) -> JSON:
    """The response to a ConversionReview. Raises KeyError or TypeError for any other document.

    An object that cannot be converted fails the whole review, with the reason, as the protocol requires.
    """
    request = document["request"]
    desired = request["desiredAPIVersion"]
    response: JSON = {"uid": request["uid"], "convertedObjects": []}
    try:
        response["convertedObjects"] = [
            hook(convert(source, desired), source) for source in request["objects"]
        ]
        response["result"] = {"status": "Success"}
    except Unconvertible as error:
        response["result"] = {"status": "Failed", "message": str(error)}
    return {"apiVersion": document["apiVersion"], "kind": document["kind"], "response": response}


def convert(source: Object, desired: str) -> JSON:
    """The object in another version (`split.smi-spec.io/v1alpha4`) of its API. Raises Unconvertible."""
    group, _, version = desired.partition("/")
    kind, own = str(source["kind"]), str(source["apiVersion"])
    if own.partition("/")[0] != group or kind not in _KINDS:
        raise Unconvertible(f"{kind} of {own} is not known in {desired}")
    try:
        written, kept = _KINDS[kind][1](whole(source), version)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unconvertible(f"{kind} {source['metadata'].get('name')}: {error!r}") from error
    return _keeping({**written, "apiVersion": desired}, kept)


def whole(source: Object) -> JSON:
    """The object with every field of any version, including those kept in the annotation.

    The body is under `spec`, with the names of the newest version. Raises AttributeError, KeyError, TypeError
    or ValueError for an object that violates its version's schema.
    """
    item: JSON = copy.deepcopy(dict(source))
    annotations = item["metadata"].get("annotations") or {}
    kept = annotations.pop(KEPT, "{}")
    if not annotations:
        item["metadata"].pop("annotations", None)
    version = str(item["apiVersion"]).rpartition("/")[2]
    restore = _KINDS[str(item["kind"])][0]
    try:
        return restore(copy.deepcopy(item), version, json.loads(kept))
    except (AttributeError, KeyError, TypeError, ValueError):
        # Users can write the annotation: an invalid one must not make a whole list unreadable.
        return restore(item, version, {})


def _keeping(item: JSON, kept: JSON) -> JSON:
    if not kept:
        return item
    metadata = item["metadata"]
    annotations = {**(metadata.get("annotations") or {}), KEPT: json.dumps(kept, sort_keys=True)}
    return {**item, "metadata": {**metadata, "annotations": annotations}}


# --- TrafficSplit -----------------------------------------------------------------------------


def _whole_split(item: JSON, version: str, kept: JSON) -> JSON:
    spec = item["spec"]
    if "matches" in kept:
        spec.setdefault("matches", kept["matches"])
    backends, weights = spec["backends"], kept.get("weights")
    if weights is not None and [entry["weight"] for entry in backends] == _whole_numbers(weights):
        spec["backends"] = [
            {**entry, "weight": weight} for entry, weight in zip(backends, weights, strict=True)
        ]
    return item


def _write_split(item: JSON, version: str) -> tuple[JSON, JSON]:
    """Matches begin with v1alpha3; weights are quantities in v1alpha1, integers later."""
    spec, kept = item["spec"], {}
    if version in {"v1alpha1", "v1alpha2"} and "matches" in spec:
        kept["matches"] = spec.pop("matches")
    weights = [entry["weight"] for entry in spec["backends"]]
    if version != "v1alpha1" and not all(isinstance(weight, int) for weight in weights):
        kept["weights"] = weights
        spec["backends"] = [
            {**entry, "weight": number}
            for entry, number in zip(spec["backends"], _whole_numbers(weights), strict=True)
        ]
    return item, kept


def _whole_numbers(weights: Sequence[Any]) -> list[int]:
    """Integers in the same proportion as the quantities: 1 and 500m become 2 and 1."""
    exact = [Fraction(quantity(weight)) for weight in weights]
    scale = lcm(*(weight.denominator for weight in exact))
    return [int(weight * scale) for weight in exact]


# --- TrafficTarget ----------------------------------------------------------------------------


def _whole_target(item: JSON, version: str, kept: JSON) -> JSON:
    if version == "v1alpha1":
        body = {key: item.pop(key) for key in ("destination", "specs", "sources") if key in item}
        item["spec"] = {"rules" if key == "specs" else key: value for key, value in body.items()}
    spec = item.get("spec") or {}
    if "port" in kept:
        spec["destination"].setdefault("port", kept["port"])
    for position, rule in kept.get("rules", ()):
        spec.setdefault("rules", []).insert(position, rule)
    remembered = list(kept.get("groups", ()))
    for subject in _subjects(spec):
        known = next((entry for entry in remembered if entry[:3] == _identity(subject)), None)
        if known is not None:
            remembered.remove(known)
            if known[3] is not None:
                subject.setdefault("group", known[3])
    return item


def _write_target(item: JSON, version: str) -> tuple[JSON, JSON]:
    """Groups of subjects begin with v1alpha4, UDPRoute rules with v1alpha3, where the port ends."""
    spec, kept = item.get("spec") or {}, {}
    subjects = _subjects(spec)
    if version != "v1alpha4" and any("group" in subject for subject in subjects):
        kept["groups"] = [[*_identity(subject), subject.pop("group", None)] for subject in subjects]
    if version not in _PORT_IN_TARGET:
        if "port" in (spec.get("destination") or {}):
            kept["port"] = spec["destination"].pop("port")
        return item, kept
    rules = spec.get("rules") or []
    newer = [[position, rule] for position, rule in enumerate(rules) if rule["kind"] not in _OLD_RULES]
    if newer:
        kept["rules"] = newer
        spec["rules"] = [rule for rule in rules if rule["kind"] in _OLD_RULES]
    if version == "v1alpha1":
        body = item.pop("spec", None) or {}
        item |= {"specs" if key == "rules" else key: value for key, value in body.items()}
    return item, kept


def _subjects(spec: JSON) -> list[JSON]:
    return [subject for subject in (spec.get("destination"), *(spec.get("sources") or ())) if subject]


def _identity(subject: JSON) -> list[Any]:
    return [subject.get("kind"), subject.get("namespace"), subject.get("name")]


# --- HTTPRouteGroup and TCPRoute --------------------------------------------------------------


def _whole_group(item: JSON, version: str, kept: JSON) -> JSON:
    if version in _TOP_LEVEL:
        item["spec"] = {"matches": item.pop("matches")} if "matches" in item else {}
    remembered = list(kept.get("headers", ()))
    for match in item["spec"].get("matches") or ():
        known = next((entry for entry in remembered if entry[0] == match.get("name")), None)
        if known is not None:
            remembered.remove(known)
            if known[1] is not None:
                match.setdefault("headers", known[1])
    return item


def _write_group(item: JSON, version: str) -> tuple[JSON, JSON]:
    """Before v1alpha3 the matches are at top level; in v1alpha1 they have no headers."""
    matches, kept = item["spec"].get("matches") or [], {}
    if version == "v1alpha1" and any("headers" in match for match in matches):
        kept["headers"] = [[match.get("name"), match.pop("headers", None)] for match in matches]
    if version in _TOP_LEVEL:
        item |= item.pop("spec")
    return item, kept


def _whole_tcp(item: JSON, version: str, kept: JSON) -> JSON:
    return {**item, "spec": kept["spec"]} if "spec" in kept else item


def _write_tcp(item: JSON, version: str) -> tuple[JSON, JSON]:
    """Ports begin with v1alpha4, the body with v1alpha3."""
    if version == "v1alpha4" or "spec" not in item or (version == "v1alpha3" and item["spec"] == {}):
        return item, {}
    kept = {"spec": item.pop("spec")}
    return ({**item, "spec": {}} if version == "v1alpha3" else item), kept


_Restore = Callable[[JSON, str, JSON], JSON]
_Write = Callable[[JSON, str], tuple[JSON, JSON]]
_KINDS: Mapping[str, tuple[_Restore, _Write]] = {
    "TrafficSplit": (_whole_split, _write_split),
    "TrafficTarget": (_whole_target, _write_target),
    "HTTPRouteGroup": (_whole_group, _write_group),
    "TCPRoute": (_whole_tcp, _write_tcp),
}
