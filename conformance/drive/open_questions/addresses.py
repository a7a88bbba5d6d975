"""Forms of address of a Service, for trials whose calls use another form than the profile's."""

from __future__ import annotations

from dataclasses import replace

from conformance.clusters import ClusterError
from conformance.drive.open_questions.register import Adapt
from conformance.drive.open_questions.trials import Trial
from conformance.drive.scenario import Scenario


def by_host(form: str, service: str) -> Adapt:
    """Calls a service (``main/root``) by a form of Kubernetes host name, such as ``{service}.{namespace}``.

    A mesh with host names of its own need not know the usual ones: the findings of the looks do not hold.
    """
    part, _, name = service.partition("/")

    def adapt(scenario: Scenario, trial: Trial) -> Trial:
        profile, namespace = scenario.profile, scenario.arena.namespace(part)
        host = form.format(service=name, namespace=namespace, domain=profile.cluster_domain)
        looks = trial.looks
        if profile.host(name, namespace) != profile.ordinary_host(name, namespace):
            looks = tuple(replace(one, finding="") for one in looks)
        return replace(trial, call=replace(trial.call, host=host), looks=looks)

    return adapt


def by_cluster_ip(service: str, host_of: str = "") -> Adapt:
    """Calls a service by its address; ``host_of`` is the service whose host the requests bear, if another."""
    part, _, name = service.partition("/")

    def adapt(scenario: Scenario, trial: Trial) -> Trial:
        headers, (host_part, _, host_name) = trial.call.headers, host_of.partition("/")
        if host_of:
            headers = {"host": scenario.profile.host(host_name, scenario.arena.namespace(host_part))}
        return replace(
            trial, call=replace(trial.call, host=_cluster_ip(scenario, part, name), headers=headers)
        )

    return adapt


def _cluster_ip(scenario: Scenario, part: str, service: str) -> str:
    """The address of a service. Raises ClusterError where it cannot be read."""
    path = scenario.cluster.path("v1", "Service", scenario.arena.namespace(part), service)
    read = scenario.cluster.request("GET", path)
    if read.status != 200:
        raise ClusterError(f"the address of service {service} could not be read (HTTP {read.status})")
    return str(read.body["spec"]["clusterIP"])


def host_without_port(_scenario: Scenario, trial: Trial) -> Trial:
    """The trial with a Host header that lacks the port."""
    return replace(trial, call=replace(trial.call, headers={"host": trial.call.host}))
