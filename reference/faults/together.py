"""Faults of several APIs together: splits that grant what only targets may grant."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from reference.faults import Fault
from reference.faults.spoilers import SpoiltWorld
from reference.world import Object, World, account_of, labels_of, name_of, namespace_of

Account = tuple[str, str]


def _accounts(world: World) -> dict[tuple[str, str], set[Account]]:
    """The accounts of the pods that each service selects."""
    found: dict[tuple[str, str], set[Account]] = {}
    for service in world.of("services"):
        selector = service["spec"].get("selector") or {}
        found[namespace_of(service), name_of(service)] = {
            (namespace_of(pod), account_of(pod))
            for pod in world.of("pods")
            if namespace_of(pod) == namespace_of(service)
            and selector
            and selector.items() <= labels_of(pod).items()
        }
    return found


def _behind(world: World) -> Iterator[tuple[Object, set[Account], set[Account]]]:
    """Each split, with the accounts behind its root and behind its backends."""
    accounts = _accounts(world)
    for split in world.of("trafficsplits"):
        namespace, spec = namespace_of(split), split["spec"]
        backends = [accounts.get((namespace, one["service"]), set()) for one in spec["backends"]]
        yield split, accounts.get((namespace, spec["service"]), set()), set().union(*backends)


def _destination(target: Object) -> Account:
    destination = target["spec"]["destination"]
    return str(destination.get("namespace") or namespace_of(target)), str(destination["name"])


def _granted_with_the_root(world: World) -> World:
    """Whoever may call the root may call the backends of its split."""
    targets = list(world.of("traffictargets"))
    made: list[Object] = []
    for split, roots, backends in _behind(world):
        for target in targets:
            for namespace, name in sorted(backends) if _destination(target) in roots else ():
                copied: dict[str, Any] = copy.deepcopy(dict(target))
                copied["metadata"]["name"] = f"{name_of(target)}-{name_of(split)}-{name}"
                copied["spec"]["destination"].update(namespace=namespace, name=name)
                made.append(copied)
    return world.replacing("traffictargets", [*targets, *made])


def _granted_by_conditions(world: World) -> World:
    """The groups that select requests of a split are rules of the targets of its backends as well."""
    targets: list[dict[str, Any]] = copy.deepcopy([dict(target) for target in world.of("traffictargets")])
    for split, _, backends in _behind(world):
        groups = [
            {"kind": "HTTPRouteGroup", "name": one["name"]} for one in split["spec"].get("matches") or ()
        ]
        for target in targets:
            if _destination(target) in backends and namespace_of(target) == namespace_of(split):
                target["spec"]["rules"] = [*(target["spec"].get("rules") or ()), *groups]
    return world.replacing("traffictargets", targets)


FAULTS = (
    Fault(
        "split-opens-its-backends",
        "Who may call the root of a split may call its backends.",
        frozenset(
            {
                "interact-split-access-on-backend-identity",
                "interact-split-matches-with-target-routes",
                "interact-shared-group",
                "common-dynamic-reconfiguration",
            }
        ),
        lambda: SpoiltWorld(_granted_with_the_root),
    ),
    Fault(
        "split-conditions-grant",
        "What selects requests for a split is granted at its backends.",
        frozenset({"interact-split-matches-with-target-routes", "common-dynamic-reconfiguration"}),
        lambda: SpoiltWorld(_granted_by_conditions),
    ),
)
