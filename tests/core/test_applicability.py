"""What a mesh is asked: by versions, by kinds, by the protocols that it carries."""

from __future__ import annotations

from typing import Any

import pytest

from conformance import catalogue, profiles
from conformance.catalogue import kinds_of
from conformance.drive import tailoring
from conformance.drive.manifests import files
from conformance.drive.tailoring import NotClaimed, kinds_in
from conformance.profiles import Profile, ProfileError, parse
from conformance.run.context import RunContext
from conformance.run.results import RunResults
from conformance.traceability import applicability, explain, index, matrix
from conformance.traceability.index import ScenarioMark, TestEntry

from .conftest import Bench
from .fake_cluster import SERVES, FakeCluster
from .virtual import VirtualClock

WITHOUT_UDP = "claims: {split: [v1alpha4], access: [v1alpha3], specs: {v1alpha4: [HTTPRouteGroup, TCPRoute]}}"
ALL = "claims: {split: [v1alpha4], access: [v1alpha3], specs: [v1alpha4]}"


def mesh(*lines: str) -> Profile:
    return parse("\n".join(["name: mine", "join: {sidecar: false}", "access: {open: {}}", *lines]), "mine")


def context_of(profile: Profile, **options: Any) -> RunContext:
    return RunContext.open(profile, FakeCluster(**options), clock=VirtualClock(), run_id="r1")


def reasons(profile: Profile) -> dict[str, str]:
    """Why requirements with tests are not asked."""
    return {row.requirement.id: row.not_claimed for row in matrix.rows(profile) if row.not_claimed}


class TestClaimsByKind:
    def test_are_claims_of_those_kinds_and_of_the_version(self) -> None:
        claims = mesh(WITHOUT_UDP).claims
        assert claims.by_group()["specs"] == ("v1alpha4",)
        assert claims.kinds("specs", "v1alpha4") == ("HTTPRouteGroup", "TCPRoute")
        assert claims.kinds("split", "v1alpha4") == ("TrafficSplit",)
        assert claims.kinds("split", "v1alpha2") == ()
        assert (
            claims.lacking("specs", "v1alpha4", "UDPRoute")
            == "the profile claims specs v1alpha4 without UDPRoute"
        )
        assert claims.lacking("specs", "v1alpha3", "UDPRoute") == ""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("specs: {v1alpha4: [UDPRout]}", "specs.v1alpha4: this version has no kind 'UDPRout'; did"),
            ("specs: {v1alpha3: [UDPRoute]}", "specs.v1alpha3: this version has no kind 'UDPRoute'; it"),
            ("specs: {v1alpha9: [TCPRoute]}", "specs.v1alpha9: Input should be 'v1alpha1', "),
            ("specs: {v1alpha4: []}", "specs.v1alpha4: Tuple should have at least 1 item"),
            ("metrics: {v1alpha1: [Metrics]}", "metrics.v1alpha1: this version has no kind 'Metrics'"),
        ],
    )  # fmt: skip
    def test_that_are_misspelt_are_told(self, text: str, message: str) -> None:
        with pytest.raises(ProfileError) as caught:
            parse(f"name: mine\nclaims: {{{text}}}", "mine.yaml")
        assert str(caught.value).startswith(f"profile mine.yaml: claims.{message}")

    def test_leave_out_what_is_about_the_others_alone(self) -> None:
        found = {one for one, why in reasons(mesh(WITHOUT_UDP)).items() if "UDPRoute" in why}
        assert found == {"udp-schema-v1alpha4", "access-udproute-ports"}

    def test_have_no_object_of_another_kind_written(self) -> None:
        context = context_of(mesh(WITHOUT_UDP))
        for folder in dict.fromkeys(entry.scenario.folder for entry in index.index()):
            scenario = context.scenario(folder)
            for name in files(folder):
                written = scenario.objects_for_version(name.removeprefix(f"{folder}/"))
                kinds = {kind for item in written for _, kind in kinds_in(item)}
                assert "UDPRoute" not in kinds, name
        with pytest.raises(NotClaimed, match="the profile claims specs v1alpha4 without UDPRoute"):
            context.scenario("traffic-specs/schemas").objects("udp.yaml")

    def test_leave_out_what_refers_to_such_a_kind_too(self) -> None:
        written = context_of(mesh(WITHOUT_UDP)).scenario("common/objects").objects_for_version("objects.yaml")
        targets = [item["metadata"]["name"] for item in written if item["kind"] == "TrafficTarget"]
        assert targets == ["plain"]

    def test_leave_out_every_test_that_needs_route_groups(self) -> None:
        found = reasons(
            mesh("claims: {split: [v1alpha4], access: [v1alpha3], specs: {v1alpha4: [TCPRoute]}}")
        )
        assert found["access-default-deny"] == "the profile claims specs v1alpha4 without HTTPRouteGroup"
        assert "split-weighted-distribution" not in found


@pytest.mark.parametrize("entry", index.index(), ids=lambda entry: entry.nodeid)
def test_what_a_test_applies_as_a_whole_is_read_from_its_source(entry: TestEntry) -> None:
    """Whatever is named there is a file, so that none is overlooked for its name."""
    folder = entry.scenario.folder
    for name in entry.files:
        assert f"{folder}/{name}" in files(folder), entry.nodeid


def test_kinds_of_the_catalogue_are_kinds_of_a_version_that_it_is_about() -> None:
    for one in catalogue.load().values():
        there = {
            kind
            for group in catalogue.GROUPS
            for version in ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4")
            for kind in kinds_of(group, version)
        }
        assert set(one.kinds) <= there, one.id


class TestVersionsThatDoNotFit:
    def test_are_not_claimed_rather_than_not_selected(self) -> None:
        found = reasons(mesh("claims: {split: [v1alpha2], access: [v1alpha3], specs: [v1alpha4]}"))
        for one in ("interact-split-matches-with-target-routes", "interact-shared-group"):
            assert found[one].startswith("it is about split v1alpha3..v1alpha4, access ")
            assert found[one].endswith(
                "and the profile claims split v1alpha2; access v1alpha3; specs v1alpha4"
            )

    def test_are_told_so_in_the_report_of_a_run(self, bench: Bench) -> None:
        text = bench.profile.read_text(encoding="utf-8").replace("split: [v1alpha4]", "split: [v1alpha2]")
        bench.profile.write_text(text, encoding="utf-8")
        bench.cluster.serves["split.smi-spec.io/v1alpha2"] = SERVES["split.smi-spec.io/v1alpha4"]
        bench.run("--requirement", "split-delete-restores-root", "interact-shared-group")
        assert bench.outcome("interact-shared-group") == "not claimed"
        assert bench.outcome("split-zero-weight-gets-nothing") == "not selected"


class TestProtocols:
    def test_are_all_but_udp_unless_that_is_governed_or_told(self) -> None:
        assert mesh(ALL).carried == {"http", "h2c", "grpc", "tcp"}
        assert "udp" in profiles.load("reference").carried
        assert mesh(ALL, "protocols: [http]").carried == {"http"}

    def test_that_are_governed_are_carried(self) -> None:
        with pytest.raises(
            ProfileError, match=r"access\.udp: governed datagrams are also carried; add udp to"
        ):
            parse("name: mine\nclaims: {split: [v1alpha4]}\naccess: {udp: true}\nprotocols: [http]", "mine")

    def test_that_are_not_carried_are_not_asked_about(self) -> None:
        found = reasons(mesh(ALL, "protocols: [http]"))
        assert (
            found["http-grpc-through-routes"]
            == "the profile does not say that the mesh carries grpc (protocols)"
        )
        assert found["l4-ports-omitted"].startswith("the profile does not say that the mesh carries tcp")
        assert "access-default-deny" not in found

    def test_that_are_not_carried_have_no_port_in_any_service_of_the_mesh(self) -> None:
        context = context_of(mesh(ALL, "protocols: [http]"))
        context.arena.create(["main", "access", "outside"])
        assert isinstance(context.cluster, FakeCluster)
        ports = {
            (where.removesuffix("-r1"), port.get("appProtocol", "udp"))
            for (kind, where, _), item in context.cluster.objects.items()
            if kind == "Service"
            for port in item["spec"]["ports"]
        }
        assert {spoken for where, spoken in ports if where != "smi-outside"} == {"http"}
        assert {spoken for where, spoken in ports if where == "smi-outside"} > {"http"}

    def test_that_are_not_carried_are_not_called(self) -> None:
        scenario = context_of(mesh(ALL, "protocols: [http]")).scenario("doctor")
        with pytest.raises(NotClaimed, match=r"does not say that the mesh carries grpc \(protocols\)"):
            scenario.call("main/client", "main/over-grpc", port=8081, protocol="grpc")

    def test_may_be_kept_apart(self) -> None:
        http, tcp, udp = (
            {"port": 8080, "appProtocol": "http"},
            {"port": 9000, "appProtocol": "tcp"},
            {"port": 9000, "protocol": "UDP"},
        )
        apart, mixed = (
            {"kind": "Service", "metadata": {}, "spec": {"ports": [http, one]}} for one in (udp, tcp)
        )
        profile = mesh(ALL, "mixed_ports: false")
        told = tailoring.mixed_ports_reason(profile, mixed)
        assert told == "the profile claims no Service with ports of http and tcp (mixed_ports)"
        assert tailoring.tailor(profile, [], mixed, inside=True) is None
        assert tailoring.tailor(profile, [], mixed, inside=False) == mixed
        # What is not carried has no port.
        kept = tailoring.tailor(profile, [], apart, inside=True)
        assert kept is not None
        assert kept["spec"]["ports"] == [http]
        assert tailoring.mixed_ports_reason(mesh(ALL), mixed) == ""


class TestMarks:
    def test_are_put_on_services_by_what_their_ports_speak(self) -> None:
        marks = "services: {http: {labels: {m/p: http}}, grpc: {annotations: {m/scheme: h2c}}}"
        context = context_of(mesh(ALL, marks))
        services = {
            one["metadata"]["name"]: one for one in context.scenario("doctor").objects("services.yaml")
        }
        rpc = services["over-grpc"]["metadata"]
        assert rpc["annotations"] == {"m/scheme": "h2c"}
        assert "m/p" not in rpc["labels"]
        context.arena.create(["main", "outside"])
        assert isinstance(context.cluster, FakeCluster)
        assert context.cluster.objects["Service", "smi-main-r1", "v1"]["metadata"]["labels"]["m/p"] == "http"
        outside = context.cluster.objects["Service", "smi-outside-r1", "outsider"]
        assert "m/p" not in outside["metadata"]["labels"]

    def test_are_put_on_workloads_that_a_scenario_adds_as_well(self) -> None:
        marks = (
            "join: {sidecar: false, pod: {labels: {m/in: pod}}, deployment: {labels: {m/in: deployment}}, "
            "account: {annotations: {m/in: account}}}"
        )
        text = "\n".join(["name: mine", marks, "access: {open: {}}", ALL])
        context = context_of(parse(text, "mine"))
        made = {one["kind"]: one for one in context.scenario("traffic-split/canary").objects("2-fresh.yaml")}
        assert made["Deployment"]["metadata"]["labels"]["m/in"] == "deployment"
        assert made["Deployment"]["spec"]["template"]["metadata"]["labels"]["m/in"] == "pod"
        context.arena.create(["main"])
        assert isinstance(context.cluster, FakeCluster)
        accounts = [one for (kind, _, _), one in context.cluster.objects.items() if kind == "ServiceAccount"]
        assert all(one["metadata"]["annotations"] == {"m/in": "account"} for one in accounts)


class TestTheClustersDomain:
    def test_stands_in_ordinary_names_and_where_a_mesh_has_it_in_its_own(self) -> None:
        profile = mesh(
            ALL, "cluster_domain: corp.example", "hosts: {service: '{service}.{namespace}.m.{domain}'}"
        )
        assert profile.ordinary_host("a", "b") == "a.b.svc.corp.example"
        assert profile.host("a", "b") == "a.b.m.corp.example"

    def test_stands_in_names_that_fixtures_write_in_full(self) -> None:
        context = context_of(mesh(ALL, "cluster_domain: corp.example"))
        odd = context.scenario("traffic-split/forms").objects("2-odd.yaml")
        assert "qualified.smi-main-r1.svc.corp.example" in {item["spec"]["service"] for item in odd}


def test_what_is_claimed_of_a_version_stands_in_the_report() -> None:
    claims = RunResults().report(context_of(mesh(WITHOUT_UDP)), {}).mesh.claims
    assert claims["specs"] == ("v1alpha4 without UDPRoute",)
    assert claims["split"] == ("v1alpha4",)


def test_the_version_of_a_mesh_stands_in_the_report() -> None:
    context = context_of(mesh(ALL, "version: 1.2.3-rc1"))
    assert RunResults().report(context, {}).mesh.versions == {"mesh": "1.2.3-rc1"}


def test_a_mesh_without_a_scenario_is_asked_by_its_claims_alone() -> None:
    one = catalogue.load()["udp-schema-v1alpha4"]
    assert applicability.why_not(mesh(ALL), one, ("specs",)) is None
    mark = ScenarioMark("traffic-specs/schemas", ("outside",), ("specs",))
    assert applicability.why_not(mesh(WITHOUT_UDP), one, ("specs",), mark) is not None


class TestExplain:
    def test_shows_objects_as_a_mesh_gets_them(self) -> None:
        text = explain.explain("split-zero-weight-gets-nothing", profiles.load("osm"))
        assert "rendered for osm in split v1alpha2" in text
        assert "apiVersion: split.smi-spec.io/v1alpha2" in text
        assert "namespace: smi-main-RUN" in text

    def test_says_what_is_left_out_and_why(self) -> None:
        text = explain.explain("udp-schema-v1alpha4", profiles.load("osm"))
        assert "Not claimed by osm\n  the profile claims specs v1alpha4 without UDPRoute" in text
        assert "is left out: the profile claims specs v1alpha4 without UDPRoute" in text

    def test_a_list_marks_what_is_not_claimed(self) -> None:
        text = matrix.table(matrix.rows(profiles.load("osm")))
        assert "    not claimed: the profile claims specs v1alpha4 without UDPRoute" in text
