"""The content of SMI objects, independent of their version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """An invalid, unresolvable or unsupported part of an object."""

    kind: str
    namespace: str
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Match:
    """One route of an HTTPRouteGroup; all given conditions must hold.

    `path` is an RE2 expression for the whole path without the query; `methods` are alternatives; `None` means
    any. `headers` are pairs of a lower-case name and an RE2 expression for the whole value.
    """

    name: str
    path: str | None = None
    methods: tuple[str, ...] | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RouteGroup:
    """An HTTPRouteGroup: its matches are alternatives."""

    namespace: str
    name: str
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class PortRoute:
    """A TCPRoute or UDPRoute; `ports` is `None` for all ports."""

    namespace: str
    name: str
    ports: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Backend:
    """A service of the split's namespace and its weight, relative to those of the other backends."""

    service: str
    weight: Fraction


@dataclass(frozen=True, slots=True)
class Split:
    """A TrafficSplit; `groups` select its requests, or `None` for all traffic."""

    namespace: str
    name: str
    created: str
    root: str
    backends: tuple[Backend, ...]
    groups: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Subject:
    """A source or destination: a reference to a ServiceAccount or an IdentityBinding."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A reference to a route object in the target's namespace; `matches` is `None` for all matches."""

    kind: str
    name: str
    matches: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Target:
    """A TrafficTarget. `port` limits all its rules; exists only before v1alpha3."""

    namespace: str
    name: str
    destination: Subject
    sources: tuple[Subject, ...]
    rules: tuple[Rule, ...]
    port: int | None


@dataclass(frozen=True, slots=True)
class Binding:
    """An IdentityBinding: its schemes are alternatives.

    `selectors` are label sets of pods in the binding's namespace, `spiffe_ids` full SPIFFE URIs.
    """

    namespace: str
    name: str
    account: str | None
    selectors: tuple[Mapping[str, str], ...]
    spiffe_ids: tuple[str, ...]
