"""Switches cases on and off in a cluster: hooks of the reference mesh, and objects of the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from conformance.campaign.cases import Case
from conformance.catalogue import GROUPS
from conformance.clusters import Cluster, ClusterError, Object
from conformance.clusters.kubernetes import status_error
from conformance.drive.api_reads import METRICS, served_kinds
from conformance.drive.wait import NotSeen
from conformance.run.context import RunContext
from smi_reference_mesh import faults
from smi_reference_mesh.faults import Change, Fault
from smi_reference_mesh.hooks import DefaultHooks

SWITCH = "/api/v1/namespaces/smi-reference/configmaps/fault"
ACTIVE = "reference.smi-conformance.dev/active-fault"
SWITCH_OBJECT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"namespace": "smi-reference", "name": "fault"},
}
HEALTH = "/api/v1/namespaces/smi-reference/services/https:smi-reference:control/proxy/healthz"
SWITCHED_WITHIN_S = 30.0
_DEFINITIONS, _DEFINITION = "apiextensions.k8s.io/v1", "CustomResourceDefinition"


def switch_all_off(cluster: Cluster) -> None:
    """Delete the leftovers of a killed campaign, except changed CRDs, which a new installation restores.

    Raises ClusterError.
    """
    cluster.delete([SWITCH_OBJECT, *(one for fault in faults.FAULTS.values() for one in fault.extra_objects)])


@contextmanager
def switched_on(context: RunContext, case: Case) -> Iterator[RunContext]:
    """Switch the case on within the block; yields the context to use in it.

    Raises ClusterError if the mesh does not adopt the case.
    """
    with ExitStack() as stack:
        if isinstance(case, Fault):
            if case.change:
                stack.enter_context(_changed(context, case.change))
            if case.extra_objects:
                stack.enter_context(_added(context, case.extra_objects))
            if case.removed_groups:
                context = stack.enter_context(_without_definitions(context, case.removed_groups))
        if case.hooks is DefaultHooks:
            yield context
            return
        _switch(context, case.id)
        try:
            yield context
        finally:
            _switch(context, "")


def _switch(context: RunContext, case: str) -> None:
    context.cluster.apply([{**SWITCH_OBJECT, "data": {"fault": case}}])

    def active() -> bool:
        read = context.cluster.request("GET", SWITCH)
        annotations = read.body["metadata"].get("annotations", {}) if read.status == 200 else {}
        return bool(annotations.get(ACTIVE) == case)

    because = f"{case or 'no fault'} in force; see the log of deployment smi-reference"
    _until(context, active, because)


@contextmanager
def _changed(context: RunContext, change: Change) -> Iterator[None]:
    cluster = context.cluster
    before = cluster.request("GET", change.path)
    if before.status != 200:
        raise status_error(before)
    _put(cluster, change.path, change.edit(before.body))
    try:
        yield
    finally:
        now = cluster.request("GET", change.path).body
        _put(cluster, change.path, {**now, "spec": before.body["spec"]})
        # The API server serves a changed APIService only after a moment.
        _until(context, lambda: cluster.request("GET", METRICS).status == 200, "metrics served")


@contextmanager
def _added(context: RunContext, objects: Sequence[Object]) -> Iterator[None]:
    try:
        context.cluster.apply(objects)
        yield
    finally:
        context.cluster.delete(objects)


@contextmanager
def _without_definitions(context: RunContext, groups: Sequence[str]) -> Iterator[RunContext]:
    """Delete the CRDs of these groups, and their claims, within the block."""
    cluster, profile = context.cluster, context.profile
    names = {GROUPS[group] for group in groups}

    def served() -> set[tuple[str, str, str]]:
        return {one for one in served_kinds(cluster) if one[0] in names}

    before = served()
    definitions = [
        {**_strip_server_fields(one), "apiVersion": _DEFINITIONS, "kind": _DEFINITION}
        for one in cluster.list(_DEFINITIONS, _DEFINITION)
        if one["spec"]["group"] in names
    ]
    plurals = {one["spec"]["names"]["plural"] for one in definitions}
    paths = [
        f"/apis/{_DEFINITIONS}/customresourcedefinitions/{one['metadata']['name']}" for one in definitions
    ]
    claims = profile.claims.model_copy(update=dict.fromkeys(groups, ()))
    try:
        cluster.delete(definitions)
        # Applying to a CRD that is being deleted would edit it instead of creating a new CRD.
        _until(
            context,
            lambda: not served() and all(cluster.request("GET", path).status == 404 for path in paths),
            "definitions gone",
        )
        # The mesh notices by itself, and later.
        _until(context, lambda: plurals <= _not_served(cluster), "the mesh notices the missing definitions")
        yield replace(context, profile=profile.model_copy(update={"claims": claims}))
    finally:
        cluster.apply(definitions)
        _until(context, lambda: before <= served(), f"{', '.join(sorted(names))} served")
        _until(context, lambda: plurals.isdisjoint(_not_served(cluster)), "the mesh notices the definitions")


def _not_served(cluster: Cluster) -> set[str]:
    """The resources that the control plane of the reference mesh reports as not served."""
    health = cluster.request("GET", HEALTH)
    if health.status != 200:
        raise status_error(health)
    return set(health.body["notServed"])


def _strip_server_fields(item: Object) -> Object:
    """An object without the fields that the API server adds."""
    metadata = item["metadata"]
    kept = {key: metadata[key] for key in ("name", "labels", "annotations") if key in metadata}
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": kept}


def mesh_is_settled(cluster: Cluster) -> bool:
    """Whether every sidecar of the reference mesh has applied its newest configuration."""
    health = cluster.request("GET", HEALTH)
    return health.status == 200 and health.body["settled"] is True


def _until(context: RunContext, check: Callable[[], bool], because: str) -> None:
    try:
        context.waiter.until(check, within=SWITCHED_WITHIN_S, because=because)
    except NotSeen as error:
        raise ClusterError(str(error)) from error


def _put(cluster: Cluster, path: str, body: Object) -> None:
    answer = cluster.request("PUT", path, body)
    if answer.status >= 400:
        raise status_error(answer)
