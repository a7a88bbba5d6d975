"""TrafficTarget and IdentityBinding of all versions. Source: apis/traffic-access of the specification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smi_reference_mesh.kube.objects import Object, name_of, namespace_of
from smi_reference_mesh.smi.conversion import whole
from smi_reference_mesh.smi.model import Binding, Rule, Subject, Target
from smi_reference_mesh.smi.parsing import (
    Report,
    Unreadable,
    entries,
    listing,
    mapping,
    optional_text,
    port,
    text,
)

ACCESS_GROUP = "access.smi-spec.io"
RULE_KINDS = ("HTTPRouteGroup", "TCPRoute", "UDPRoute")


def target(source: Object, report: Report) -> Target:
    """A TrafficTarget of any version.

    Raises Unreadable for an invalid destination or rule; leaves out invalid sources, which only narrows the
    grant.
    """
    namespace = namespace_of(source)
    body = _body(source)
    given = mapping(body, "destination")
    destination = _subject(given, namespace)
    if destination.namespace != namespace:
        raise Unreadable(f"destination {destination.name} is not in the namespace of the target")
    sources, rules = [], []
    for entry in entries(body, "sources"):
        try:
            sources.append(_subject(entry, namespace))
        except Unreadable as odd:
            report(f"source grants nothing: {odd}")
    for entry in entries(body, "rules"):
        rules.append(_rule(entry))
    limit = given.get("port")
    return Target(
        namespace=namespace,
        name=name_of(source),
        destination=destination,
        sources=tuple(sources),
        rules=tuple(rules),
        port=None if limit is None else port(limit),
    )


def _body(source: Object) -> Mapping[str, Any]:
    """The body, including fields that its stored version lacks: a port, a subject's group."""
    try:
        return mapping(whole({"apiVersion": "", "kind": "TrafficTarget", "metadata": {}, **source}), "spec")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"not a target: {error!r}") from error


def _subject(entry: Mapping[str, Any], namespace: str) -> Subject:
    kind = text(entry, "kind")
    group = optional_text(entry, "group")
    known = kind == "ServiceAccount" or (kind == "IdentityBinding" and group in (None, ACCESS_GROUP))
    if not known:
        raise Unreadable(f"kind {kind!r} of group {group!r} is nobody")
    return Subject(kind, optional_text(entry, "namespace") or namespace, text(entry, "name"))


def _rule(entry: Mapping[str, Any]) -> Rule:
    # Leaving out a rule can widen a grant (a TCPRoute limits an HTTPRouteGroup beside it), so an invalid rule
    # voids its target.
    kind = text(entry, "kind")
    if kind not in RULE_KINDS:
        raise Unreadable(f"{kind!r} is not a kind of rule")
    matches = listing(entry, "matches")
    if not all(isinstance(name, str) for name in matches):
        raise Unreadable("matches holds something that is not a name")
    return Rule(kind, text(entry, "name"), tuple(matches) or None)


def binding(source: Object, report: Report) -> Binding:
    """An IdentityBinding. Raises Unreadable for two schemes that exclude each other."""
    schemes = mapping(mapping(source, "spec"), "schemes")
    account = optional_text(schemes, "serviceAccount")
    selectors = []
    for entry in entries(schemes, "podLabelSelectors"):
        labels = mapping(entry, "matchLabels")
        if labels and set(entry) <= {"name", "matchLabels"}:
            selectors.append(dict(labels))
        else:
            report("a selector without matchLabels, or with anything else, selects no pod")
    if account and schemes.get("podLabelSelectors"):
        raise Unreadable("podLabelSelectors and serviceAccount exclude each other")
    identities = listing(schemes, "spiffeIdentities")
    if not all(isinstance(identity, str) and identity for identity in identities):
        raise Unreadable("spiffeIdentities holds something that is not an identity")
    return Binding(
        namespace=namespace_of(source),
        name=name_of(source),
        account=account,
        selectors=tuple(selectors),
        spiffe_ids=tuple("spiffe://" + identity.removeprefix("spiffe://") for identity in identities),
    )
