"""Authentication by bearer tokens, and role-based authorization from the roles in the store.

Sources: the Kubernetes documentation of authentication/v1, authorization/v1 and rbac.authorization.k8s.io/v1.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.clusters.embedded.api.object_store import Object, Store

RBAC = "rbac.authorization.k8s.io"
MASTERS_GROUP = "system:masters"
AUTHENTICATED_GROUP = "system:authenticated"
ACCOUNT_PREFIX = "system:serviceaccount:"
AUDIENCE = "https://kubernetes.default.svc"
_SELF_REVIEW = ("create", "authorization.k8s.io", "selfsubjectaccessreviews")
_DISCOVERY = ("/api", "/apis", "/version", "/healthz", "/livez", "/readyz", "/openapi")

BOOTSTRAP_ROLES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "cluster-admin": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    "system:auth-delegator": [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ],
}
"""The default cluster roles of Kubernetes that are referenced here."""


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated user."""

    name: str
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes of a request for authorization: of a resource, or of a non-resource path."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        where = f' in the namespace "{self.namespace}"' if self.namespace else " at the cluster scope"
        if self.path:
            return f'cannot {self.verb} path "{self.path}"'
        return f'cannot {self.verb} resource "{what}" in API group "{self.group}"{where}'


@dataclass(frozen=True, slots=True)
class _Token:
    user: User
    audiences: tuple[str, ...]
    uid: str
    account: tuple[str, str]
    expires: float
    pod: tuple[str, str, str] | None = None
    """Namespace, name and uid of the pod that the token is bound to."""


class Tokens:
    """Bearer tokens: the administrator's, and those of ServiceAccounts, void without the account."""

    def __init__(self, administrator: str, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._administrator = administrator
        self._store = store
        self._clock = clock
        self._known: dict[str, _Token] = {}

    def issue(
        self,
        account: Object,
        audiences: Sequence[str],
        lifetime_s: float,
        pod: Mapping[str, Any] | None = None,
    ) -> str:
        """A token of a ServiceAccount for audiences (default: the API server), optionally bound to a pod."""
        metadata = account["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        extra, bound = {}, None
        if pod is not None:
            bound = namespace, pod["metadata"]["name"], pod["metadata"]["uid"]
            extra = {
                "authentication.kubernetes.io/pod-name": [pod["metadata"]["name"]],
                "authentication.kubernetes.io/pod-uid": [pod["metadata"]["uid"]],
            }
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED_GROUP)
        user = User(f"{ACCOUNT_PREFIX}{namespace}:{name}", groups, extra)
        token = secrets.token_urlsafe(32)
        self._known[_digest(token)] = _Token(
            user, tuple(audiences) or (AUDIENCE,), metadata["uid"], (namespace, name),
            self._clock() + lifetime_s, bound,
        )  # fmt: skip
        return token

    def user(self, token: str) -> User | None:
        """The user of a token for the API server; None for an invalid token."""
        if hmac.compare_digest(token.encode(), self._administrator.encode()):
            return User("kubernetes-admin", (MASTERS_GROUP, AUTHENTICATED_GROUP))
        found = self._review(token)
        return found.user if found is not None and AUDIENCE in found.audiences else None

    def review(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]] | None:
        """The user of a token, and the audiences (default: the API server) for which it is valid."""
        found = self._review(token)
        wanted = list(audiences) or [AUDIENCE]
        shared = [each for each in wanted if found is not None and each in found.audiences]
        return (found.user, shared) if found is not None and shared else None

    def _review(self, token: str) -> _Token | None:
        found = self._known.get(_digest(token))
        if found is None or self._clock() > found.expires:
            return None
        account = self._store.find("serviceaccounts", *found.account)
        if account is None or account["metadata"]["uid"] != found.uid:
            return None
        if found.pod is not None:
            namespace, name, uid = found.pod
            pod = self._store.find("pods", namespace, name)
            if pod is None or pod["metadata"]["uid"] != uid:
                return None
        return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def allowed(store: Store, user: User, wanted: Attributes) -> bool:
    """Whether the roles in the store allow a user's request."""
    if MASTERS_GROUP in user.groups:
        return True
    if wanted.path:
        return (
            wanted.verb == "get" and wanted.path.startswith(_DISCOVERY) and AUTHENTICATED_GROUP in user.groups
        )
    if (wanted.verb, wanted.group, wanted.resource) == _SELF_REVIEW and AUTHENTICATED_GROUP in user.groups:
        return True
    return any(_permits(rule, wanted) for rule in _rules(store, user, wanted.namespace))


def _rules(store: Store, user: User, namespace: str) -> Iterator[Mapping[str, Any]]:
    for binding in store.list(f"clusterrolebindings.{RBAC}"):
        if _binds(binding, user):
            yield from _role(store, binding, "")
    for binding in store.list(f"rolebindings.{RBAC}", namespace) if namespace else ():
        if _binds(binding, user):
            yield from _role(store, binding, namespace)


def _binds(binding: Object, user: User) -> bool:
    for subject in binding.get("subjects") or ():
        match subject["kind"]:
            case "ServiceAccount":
                if user.name == f"{ACCOUNT_PREFIX}{subject.get('namespace', '')}:{subject['name']}":
                    return True
            case "User":
                if user.name == subject["name"]:
                    return True
            case "Group":
                if subject["name"] in user.groups:
                    return True
    return False


def _role(store: Store, binding: Object, namespace: str) -> Sequence[Mapping[str, Any]]:
    reference = binding["roleRef"]
    if reference["kind"] == "ClusterRole":
        role = store.find(f"clusterroles.{RBAC}", "", reference["name"])
        return BOOTSTRAP_ROLES.get(reference["name"], ()) if role is None else role.get("rules") or ()
    role = store.find(f"roles.{RBAC}", namespace, reference["name"])
    return [] if role is None else role.get("rules") or ()


def _permits(rule: Mapping[str, Any], wanted: Attributes) -> bool:
    resource = f"{wanted.resource}/{wanted.subresource}" if wanted.subresource else wanted.resource
    names = rule.get("resourceNames") or ()
    resources = {"*", resource, f"*/{wanted.subresource}" if wanted.subresource else resource}
    return (
        bool({"*", wanted.verb} & set(rule.get("verbs") or ()))
        and bool({"*", wanted.group} & set(rule.get("apiGroups") or ()))
        and bool(resources & set(rule.get("resources") or ()))
        and (not names or wanted.name in names)
    )
