"""Checks that a cluster and its mesh are ready for a run; each failed check has a remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from conformance.catalogue import GROUPS, kinds_of
from conformance.clusters import Cluster, ClusterError
from conformance.drive.api_reads import kinds_in
from conformance.drive.version_selection import CONFIGURATION
from conformance.run import permissions, smoke
from conformance.run.context import RunContext
from conformance.run.smoke import Check

UNTESTED = {"IdentityBinding"}
"""Kinds that no test of this edition writes, so that a run does not need them."""


def reachable(cluster: Cluster) -> Check:
    """The API server answers. Raises nothing: an unreachable cluster is a failed check."""
    try:
        answer = cluster.request("GET", "/version")
    except ClusterError as error:
        return Check(False, "cluster", str(error))
    if answer.status >= 400:
        return Check(
            False, "cluster", f"the API server answers HTTP {answer.status}", "check your credentials"
        )
    return Check(True, "cluster", f"{cluster.name} runs Kubernetes {answer.body['gitVersion']}")


def served(context: RunContext, spoken: Iterable[tuple[str, str]]) -> Iterator[Check]:
    """The cluster serves the kinds that the run would apply, in the versions that it would write."""
    for group, version in spoken:
        if group not in CONFIGURATION:
            continue
        api_version = f"{GROUPS[group]}/{version}"
        wanted = [one for one in context.profile.claims.kinds(group, version) if one not in UNTESTED]
        answer = context.cluster.request("GET", f"/apis/{api_version}")
        there = set(kinds_in(answer.body)) if answer.status == 200 else set()
        absent = [kind for kind in wanted if kind not in there]
        if absent:
            yield Check(
                False,
                "APIs",
                f"{api_version} is not served with {', '.join(absent)}",
                _crds(context, group, version, wanted, there),
            )
        else:
            yield Check(True, "APIs", f"{api_version} serves {', '.join(sorted(wanted))}")


def _crds(context: RunContext, group: str, version: str, wanted: Iterable[str], there: set[str]) -> str:
    """The remedy of kinds that are not served; a mesh may serve only some of them on purpose."""
    remedy = f"install the CRDs of {context.profile.name}, or correct claims.{group} in its profile"
    served_kinds = [kind for kind in wanted if kind in there]
    if not served_kinds:
        return remedy
    return f"{remedy}: {group}: {{{version}: [{', '.join(served_kinds)}]}} claims only the served kinds"


def permitted(context: RunContext, groups: Iterable[str]) -> Check:
    """The user has the permissions that a run needs."""
    with_ingress = context.profile.ingress is not None
    missing = permissions.missing(
        context.cluster, groups, ingress=with_ingress, without=_unused(context), rules=context.rules
    )
    if missing:
        shown = ", ".join(map(str, missing[:5])) + (
            f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        )
        return Check(
            False, "rights", f"not permitted: {shown}", "bind the ClusterRole of docs/rbac.yaml to your user"
        )
    return Check(True, "rights", "all permissions that a run needs are granted")


def _unused(context: RunContext) -> set[str]:
    """The resources of kinds that the profile claims in no version."""
    claims = context.profile.claims
    every = [(group, one) for group, versions in claims.by_group().items() for one in versions]
    used = {kind for group, version in every for kind in claims.kinds(group, version)}
    return {
        f"{kind.lower()}s"
        for group, version in every
        for kind in kinds_of(group, version)
        if kind not in used
    }


def metrics(context: RunContext) -> Check:
    """The metrics API answers, if the profile claims it."""
    if not context.profile.claims.metrics:
        return Check(True, "metrics", "not claimed")
    path = f"/apis/{GROUPS['metrics']}/{tuple(context.profile.claims.metrics)[-1]}"
    answer = context.cluster.request("GET", path)
    if answer.status != 200:
        return Check(
            False,
            "metrics",
            f"{path} answers HTTP {answer.status}",
            "see `kubectl get apiservice v1alpha1.metrics.smi-spec.io`, or remove claims.metrics",
        )
    return Check(True, "metrics", f"{path} answers")


def ingress(context: RunContext) -> Check:
    """The Service of the ingress exists, if the profile names an ingress."""
    named = context.profile.ingress
    if named is None:
        return Check(True, "ingress", "not named in the profile")
    service = named.service
    path = context.cluster.path("v1", "Service", service.namespace, service.name)
    answer = context.cluster.request("GET", path)
    remedy = f"install the ingress, or correct ingress.service in the profile of {context.profile.name}"
    where = f"service {service.name} in {service.namespace}"
    if answer.status != 200:
        return Check(False, "ingress", f"{where}: HTTP {answer.status}", remedy)
    ports = [port["port"] for port in answer.body["spec"].get("ports") or ()]
    if service.port not in ports:
        there = ", ".join(map(str, ports)) or "none"
        return Check(False, "ingress", f"{where} has no port {service.port}; it has {there}", remedy)
    return Check(True, "ingress", f"{where} exists, for the class {named.class_name}")


def preflight(context: RunContext, spoken: Mapping[str, Iterable[str]]) -> Check | None:
    """The first failed check that prevents a run, before anything is created, or None.

    ``spoken`` are the versions that the run writes, by group (short name).
    """
    first = reachable(context.cluster)
    if not first.ok:
        return first
    allowed = permitted(context, spoken)
    if not allowed.ok:
        return allowed
    each = [(group, version) for group, versions in spoken.items() for version in sorted(versions)]
    return next((check for check in served(context, each) if not check.ok), None)


def examine(context: RunContext) -> Iterator[Check]:
    """All checks. The last ones create sample pods, drive the smoke test, and remove the pods."""
    groups = [group for group, claimed in context.profile.claims.by_group().items() if claimed]
    first = reachable(context.cluster)
    yield first
    if not first.ok:
        return
    allowed = permitted(context, groups)
    yield allowed
    claims = context.profile.claims.by_group()
    there = list(served(context, [(group, one) for group, versions in claims.items() for one in versions]))
    yield from there
    yield metrics(context)
    yield ingress(context)
    if allowed.ok and all(check.ok for check in there):
        yield from _smoke_checks(context)


def _smoke_checks(context: RunContext) -> Iterator[Check]:
    try:
        parts = smoke.parts(context)
        try:
            context.arena.create(parts)
            context.arena.wait_ready(parts)
        except ClusterError as error:
            yield smoke.trouble(error, context)
            return
        joined = "with a sidecar" if context.profile.join.sidecar else "no sidecar is expected"
        yield Check(True, "joined", f"the sample pods are ready, {joined}")
        try:
            yield from smoke.checks(context)
        except ClusterError as error:
            remedy = "a problem of the cluster or the suite, not of the mesh; see `kubectl get events`"
            yield Check(False, "traffic", str(error), remedy)
    finally:
        context.arena.remove()
