"""The API server accepts routes in the shape of their version, keeps every field, and refuses others."""

from __future__ import annotations

import pytest

from conformance.suite import ABSENT, GROUPS, Change, Conclude, Scenario, judge, load, served_kinds

pytestmark = pytest.mark.scenario("traffic-specs/schemas", arena=("outside",), groups=("specs",))

VIOLATIONS: dict[str, Change] = {
    "no matches": ("spec.matches", ABSENT),
    "a match that lacks its name": ("spec.matches.0.name", ABSENT),
    "the method get": ("spec.matches.0.methods", ["get"]),
    "the method QUERY": ("spec.matches.0.methods", ["QUERY"]),
    "a pathRegex that is a number": ("spec.matches.0.pathRegex", 7),
}
BAD_PORTS: dict[str, Change] = {
    "a port by name": ("spec.matches.ports", ["http"]),
    "matches as a list": ("spec.matches", [{"ports": [8301]}]),
}
ODD_PORTS: dict[str, Change] = {
    f"port {number}": ("spec.matches.ports", [number]) for number in (0, -1, 70000)
}


@pytest.mark.requirement("http-schema-by-version")
def test_a_route_group_keeps_every_field_of_its_version(scenario: Scenario, verdict: Conclude) -> None:
    verdict(judge.round_trips(scenario.round_trips(scenario.objects_for_version("groups.yaml"))))


@pytest.mark.requirement("http-headers-wire-form")
def test_header_filters_are_accepted_as_a_map_or_a_list_of_maps(
    scenario: Scenario, verdict: Conclude
) -> None:
    namespace = scenario.arena.namespace("outside")
    attempts = scenario.writer.header_forms.attempts(scenario.versions["specs"], namespace)
    verdict(judge.header_form(attempts))


@pytest.mark.requirement("http-reject-schema-violations")
def test_a_route_group_with_a_missing_or_invalid_field_is_refused(
    scenario: Scenario, verdict: Conclude
) -> None:
    whole = load("traffic-specs/schemas/groups.yaml")[0]
    verdict(judge.refusals([scenario.dry_run(whole)], scenario.dry_run_variants(whole, VIOLATIONS)))


@pytest.mark.requirement("tcp-schema-by-version")
def test_a_tcp_route_keeps_every_field_of_its_version(scenario: Scenario, verdict: Conclude) -> None:
    verdict(judge.round_trips(scenario.round_trips(scenario.objects_for_version("tcp.yaml"))))


@pytest.mark.requirement("udp-schema-v1alpha4")
def test_udp_routes_are_served_and_keep_their_ports(scenario: Scenario, verdict: Conclude) -> None:
    kind = (GROUPS["specs"], scenario.versions["specs"], "UDPRoute")
    there = sorted(served_kinds(scenario.cluster))
    trips = scenario.round_trips(scenario.objects_for_version("udp.yaml")) if kind in there else []
    verdict(judge.all_of(served=judge.groups_served([kind], there), field_stored=judge.round_trips(trips)))


@pytest.mark.requirement("l4-reject-bad-ports", presumes=("tcp-schema-by-version", "udp-schema-v1alpha4"))
def test_a_port_that_is_no_number_is_refused(scenario: Scenario, verdict: Conclude) -> None:
    there = {kind for _, _, kind in served_kinds(scenario.cluster)}
    written = [load("traffic-specs/schemas/tcp.yaml")[1], *load("traffic-specs/schemas/udp.yaml")]
    routes = [one for one in written if one["kind"] in there and scenario.writer.objects_for_version([one])]
    tried = [
        *(one for route in routes for one in scenario.dry_run_variants(route, BAD_PORTS)),
        *(one for route in routes for one in scenario.dry_run_variants(route, ODD_PORTS, "either")),
    ]
    verdict(judge.refusals([scenario.dry_run(route) for route in routes], tried))
