"""Requests that store no object: token reviews, access reviews, and ServiceAccount tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from conformance.clusters.embedded.api.auth import Attributes, Tokens, User, allowed
from conformance.clusters.embedded.api.object_store import Object, Store

_LIFETIME_S = 3600


def token_review(tokens: Tokens, body: Object) -> Object:
    """The TokenReview with its status."""
    spec = body.get("spec") or {}
    found = tokens.review(str(spec.get("token", "")), spec.get("audiences") or ())
    status: dict[str, Any] = {"authenticated": False}
    if found is not None:
        user, audiences = found
        reviewed = {"username": user.name, "groups": list(user.groups), "extra": dict(user.extra)}
        status = {"authenticated": True, "user": reviewed, "audiences": audiences}
    return {**body, "metadata": {}, "status": status}


def access_review(store: Store, body: Object, user: User | None = None) -> Object:
    """The SubjectAccessReview, or SelfSubjectAccessReview of ``user``, with its status."""
    spec = body.get("spec") or {}
    reviewed = user or User(str(spec.get("user", "")), tuple(spec.get("groups") or ()))
    wanted = spec.get("resourceAttributes")
    if wanted is None:
        path = spec.get("nonResourceAttributes") or {}
        attributes = Attributes(path.get("verb", ""), path=path.get("path", "/"))
    else:
        attributes = Attributes(
            wanted.get("verb", ""),
            wanted.get("group", ""),
            wanted.get("resource", ""),
            wanted.get("subresource", ""),
            wanted.get("namespace", ""),
            wanted.get("name", ""),
        )
    return {**body, "metadata": {}, "status": {"allowed": allowed(store, reviewed, attributes)}}


def token_request(tokens: Tokens, account: Object, body: Object) -> Object:
    """The TokenRequest with its status."""
    spec = body.get("spec") or {}
    lifetime = int(spec.get("expirationSeconds") or _LIFETIME_S)
    token = tokens.issue(account, spec.get("audiences") or (), lifetime)
    expires = datetime.now(UTC) + timedelta(seconds=lifetime)
    status = {"token": token, "expirationTimestamp": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": spec,
            "status": status}  # fmt: skip
