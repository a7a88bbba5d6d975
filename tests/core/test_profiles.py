from __future__ import annotations

from pathlib import Path

import pytest

from conformance import catalogue, profiles
from conformance.clusters import ClusterError
from conformance.drive.manifests import folder as fixtures
from conformance.profiles import ProfileError, parse
from conformance.run.context import RunContext

from . import fake_cluster
from .fake_cluster import SERVES, FakeCluster
from .virtual import VirtualClock

FOLDER = Path(__file__).with_name("profiles")
ROOT = Path(str(fixtures()))
ALL = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.yaml"))
ABOUT_OTHER_THINGS = (
    "workloads/", "common/", "traffic-specs/schemas/", "traffic-split/schemas/",
    "traffic-split/quantity-weights/", "traffic-split/with-specs/",
)  # fmt: skip
"""Fixtures that are no SMI objects, or that only some versions have words for."""
SMALL = "name: mine\nclaims: {split: [v1alpha4]}\n"


@pytest.mark.parametrize("name", profiles.names())
def test_profiles_that_come_with_the_suite_load(name: str) -> None:
    assert profiles.load(name).name == name


def test_the_reference_mesh_for_one_api_is_the_reference_mesh() -> None:
    whole, split = (profiles.load(name).model_dump() for name in ("reference", "reference-split"))
    assert split.pop("claims") == {
        **dict.fromkeys(whole["claims"], ()),
        "split": whole.pop("claims")["split"],
    }
    differing = {key for key in whole if whole[key] != split[key]}
    # Metrics are not read where they are not claimed.
    assert differing == {"name", "description", "metrics"}


def test_two_lines_are_a_profile() -> None:
    assert parse(SMALL, "mine").claims.by_group() == {
        "split": ("v1alpha4",),
        "access": (),
        "specs": (),
        "metrics": (),
    }


class TestAMisspeltProfile:
    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ("converg: {}", "unknown key 'converg'; did you mean converge?"),
            ("converge: {witin_s: 3}", "unknown key 'converge.witin_s'; did you mean within_s?"),
            ("access: {open: {names: {}}}", "unknown key 'access.open.names'; did you mean namespace?"),
            ("join: {pod: {label: {}}}", "unknown key 'join.pod.label'; did you mean labels?"),
            ("metrics: {zzz: 1}", "unknown key 'metrics.zzz'; there are: delay_s, sampled"),
            ("claims: {splits: [v1alpha4]}", "unknown key 'claims.splits'; did you mean split?"),
            ("name: My Mesh", "name: String should match pattern"),
            ("converge: {within_s: 0}", "converge.within_s: Input should be greater than 0"),
            ("claims: {split: [v1alpha9]}", "claims.split.0: Input should be 'v1alpha1', 'v1alpha2', "),
            ("claims: {metrics: [v1alpha2]}", "claims.metrics.0: Input should be 'v1alpha1'"),
            (
                "disclaims: {split-live-edit: x}",
                "disclaims: unknown requirement 'split-live-edit'; did you mean",
            ),
            ("hosts: {service: '{service}.{x}'}", "hosts.service: only {service}, {namespace} and {domain}"),
            ("hosts: {service: '{service.x}'}", "hosts.service: only {service}, {namespace} and {domain}"),
            ("hosts: {service: 'x.{namespace}'}", "hosts.service: {service} is missing"),
            ("ingress: {class_name: x}", "ingress.service: Field required"),
            ("ingress: {clas_name: x}", "unknown key 'ingress.clas_name'; did you mean class_name?"),
            (
                "ingress: {class_name: x, service: {namespace: x, nam: y}}",
                "unknown key 'ingress.service.nam'; did you mean name?",
            ),
            (
                "ingress: {class_name: x, service: {namespace: x, name: y, port: 0}}",
                "ingress.service.port: Input should be greater than or equal to 1",
            ),
            (
                "ingress: {class_name: My Class, service: {namespace: x, name: y}}",
                "ingress.class_name: String should match pattern",
            ),
            (
                "ingress: {class_name: x, service: {namespace: x, name: y}, account: {name: y}}",
                "ingress.account.namespace: Field required",
            ),
            ("name: [", "not YAML: "),
        ],
    )
    def test_gives_one_line_with_the_remedy(self, more: str, message: str) -> None:
        with pytest.raises(ProfileError) as caught:
            parse(SMALL + more, "mine.yaml")
        assert str(caught.value).startswith(f"profile mine.yaml: {message}")
        assert "\n" not in str(caught.value)

    def test_that_is_no_mapping_is_told(self) -> None:
        with pytest.raises(ProfileError, match=r"mine.yaml: not a mapping; see docs/profiles.md"):
            parse("[]", "mine.yaml")

    def test_is_told_by_its_name_as_well(self, tmp_path: Path) -> None:
        with pytest.raises(
            ProfileError, match=r"unknown mesh 'referense'; did you mean reference\? \(or give"
        ):
            profiles.load("referense")
        with pytest.raises(ProfileError, match="unknown mesh 'zzz'; there are: none, osm, reference"):
            profiles.load("zzz")
        with pytest.raises(ProfileError, match=r"absent\.yaml: No such file or directory"):
            profiles.load(str(tmp_path / "absent.yaml"))
        with pytest.raises(ProfileError, match="Is a directory"):
            profiles.load(f"{tmp_path}/")


def context_of(name: str) -> RunContext:
    """A context with a mesh as it is, on a cluster that serves what that mesh serves."""
    profile = profiles.load(str(FOLDER / f"{name}.yaml"))
    cluster = FakeCluster(serves={api: SERVES[api] for api in ("v1", "apps/v1")})
    versions = {"split": "TrafficSplit", "access": "TrafficTarget", "specs": "HTTPRouteGroup"}
    for group, kind in versions.items():
        (version,) = profile.claims.by_group()[group]
        cluster.serves[f"{group}.smi-spec.io/{version}"] = (kind, "TCPRoute")
    return RunContext.open(profile, cluster, clock=VirtualClock(), run_id="r1")


class TestAMeshOfSidecars:
    """Open Service Mesh: a profile, and nothing else, says what sets it apart."""

    @pytest.fixture
    def context(self) -> RunContext:
        return context_of("osm")

    def test_marks_the_namespaces_of_joined_pods_and_leaves_others_alone(self, context: RunContext) -> None:
        context.arena.create(["access", "outside"])
        assert isinstance(context.cluster, FakeCluster)
        joined = context.cluster.objects["Namespace", "", "smi-access-r1"]["metadata"]
        assert joined["labels"]["openservicemesh.io/monitored-by"] == "osm"
        assert joined["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
        assert joined["annotations"] == {"openservicemesh.io/sidecar-injection": "enabled"}
        outside = context.cluster.objects["Namespace", "", "smi-outside-r1"]["metadata"]
        assert "openservicemesh.io/monitored-by" not in outside["labels"]
        pod = context.cluster.objects["Pod", "smi-outside-r1", "outsider"]
        assert pod["metadata"]["labels"]["openservicemesh.io/ignore"] == "true"

    def test_has_its_calls_permitted_where_no_namespace_can_be_opened(self, context: RunContext) -> None:
        context.arena.create(["main"])
        assert isinstance(context.cluster, FakeCluster)
        target = context.cluster.objects["TrafficTarget", "smi-main-r1", "to-server"]
        assert target["spec"]["destination"]["namespace"] == "smi-main-r1"
        assert {one["namespace"] for one in target["spec"]["sources"]} == {"smi-main-r1", "smi-peer-r1"}
        assert context.arena.required_groups(["main"]) == ("access", "specs")
        assert context.arena.required_groups(["access", "outside"]) == ()

    def test_is_spoken_to_in_its_versions(self, context: RunContext) -> None:
        assert context.api_versions() == {"split": "v1alpha2", "access": "v1alpha3", "specs": "v1alpha4"}
        (split,) = context.scenario("traffic-split/delete").objects("split.yaml")
        assert split["apiVersion"] == "split.smi-spec.io/v1alpha2"

    def test_is_called_by_ordinary_names(self, context: RunContext) -> None:
        call = context.scenario("traffic-split/delete").call("main/client", "main/going")
        assert call.host == "going.smi-main-r1.svc.cluster.local"

    def test_is_not_asked_about_a_client_without_identity(self, context: RunContext) -> None:
        assert context.profile.requires_targets


class TestAMeshOfNodeProxies:
    """Traefik Mesh: no sidecars, and a name of its own to call through it."""

    @pytest.fixture
    def context(self) -> RunContext:
        return context_of("traefik-mesh")

    def test_has_pods_ready_without_a_second_container(self, context: RunContext) -> None:
        context.arena.wait_ready(["access"])
        assert context.arena.pod("access/alpha").workload == "alpha"

    def test_is_called_by_its_own_name(self, context: RunContext) -> None:
        call = context.scenario("traffic-split/delete").call("main/client", "main/going")
        assert call.host == "going.smi-main-r1.traefik.mesh"

    @pytest.mark.parametrize(
        ("client", "server"), [("main/client", "outside/outsider"), ("outside/outsider", "main/v1")]
    )
    def test_is_gone_past_where_one_end_is_outside(
        self, context: RunContext, client: str, server: str
    ) -> None:
        call = context.scenario("traffic-split/delete").call(client, server)
        assert call.host.endswith("-r1.svc.cluster.local")

    def test_is_spoken_to_in_its_versions(self, context: RunContext) -> None:
        assert context.api_versions() == {"split": "v1alpha3", "access": "v1alpha2", "specs": "v1alpha3"}
        rendered = context.scenario("permits").objects("main.yaml")
        assert {one["apiVersion"] for one in rendered} == {
            "specs.smi-spec.io/v1alpha3",
            "access.smi-spec.io/v1alpha2",
        }

    def test_has_the_ports_of_routes_in_its_targets(self, context: RunContext) -> None:
        *routes, target = context.scenario("traffic-access/routes").objects("target.yaml")
        assert target["spec"]["destination"]["port"] == 8080
        assert {rule["kind"] for rule in target["spec"]["rules"]} == {"HTTPRouteGroup"}
        assert {one["kind"]: one["spec"] for one in routes}["TCPRoute"] == {}
        raw = context.scenario("traffic-access/default-deny").objects("target.yaml")[-1]
        assert raw["spec"]["destination"]["port"] == 9000
        assert [rule["kind"] for rule in raw["spec"]["rules"]] == ["TCPRoute"]

    def test_has_them_in_later_steps_as_well(self, context: RunContext) -> None:
        narrowed = context.scenario("traffic-access/revoke").objects("2-narrowed.yaml")
        assert [target["spec"]["destination"]["port"] for target in narrowed] == [8080, 8080, 8080]

    def test_is_asked_for_objects_of_the_kinds_that_it_can_express(self, context: RunContext) -> None:
        found = context.scenario("common/objects").objects_for_version("objects.yaml")
        assert [one["kind"] for one in found] == [
            *("TrafficSplit", "HTTPRouteGroup", "TCPRoute"),
            *("TrafficSplit", "TrafficTarget", "HTTPRouteGroup", "TCPRoute"),
        ]

    def test_is_not_asked_what_it_disclaims(self, context: RunContext) -> None:
        entry = catalogue.load()["access-enforced-at-server"]
        assert context.not_claimed_reason(entry, ["access", "specs"]) == (
            "the profile disclaims it: the ordinary name of a service goes past the proxies"
        )

    def test_is_not_asked_for_what_its_versions_lack(self, context: RunContext) -> None:
        known = catalogue.load()
        assert context.not_claimed_reason(known["udp-schema-v1alpha4"], ["specs"]) == (
            "the profile claims none of specs v1alpha4"
        )
        assert context.not_claimed_reason(known["metrics-counts"], ["metrics"]) is not None
        reason = context.not_claimed_reason(known["common-api-groups-discoverable"], ["metrics"])
        assert reason == "its test works with metrics.smi-spec.io, which is not claimed"


@pytest.mark.parametrize("name", ["osm", "traefik-mesh"])
@pytest.mark.parametrize("file", [one for one in ALL if not one.startswith(ABOUT_OTHER_THINGS)])
def test_fixtures_say_the_same_in_the_versions_of_either_mesh(name: str, file: str) -> None:
    context = context_of(name)
    folder, _, step = file.rpartition("/")
    claimed = context.api_versions()
    for item in context.scenario(folder).objects_for_version(step):
        group, _, version = item["apiVersion"].partition("/")
        if group.endswith(".smi-spec.io"):
            assert version == claimed[group.partition(".")[0]]


def test_objects_of_a_profile_are_made_before_the_pods_in_their_namespace(clock: VirtualClock) -> None:
    text = SMALL + (
        "join:\n  sidecar: false\n  objects:\n"
        "    - {apiVersion: v1, kind: ConfigMap, metadata: {name: joins}, data: {where: '$namespace!'}}\n"
    )
    cluster = FakeCluster()
    context = RunContext.open(parse(text, "mine"), cluster, clock=clock, run_id="r1")
    context.arena.create(["access"])
    made = cluster.objects["ConfigMap", "smi-access-r1", "joins"]
    assert made["data"] == {"where": "smi-access-r1!"}
    assert made["metadata"]["labels"] == {"smi-conformance.dev/run": "r1"}
    order = cluster.created
    assert order.index("ConfigMap/smi-access-r1/joins") < order.index("Pod/smi-access-r1/alpha")


RBAC = "apiVersion: rbac.authorization.k8s.io/v1, kind:"


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (f"{RBAC} ClusterRoleBinding, metadata: {{name: a}}", "a ClusterRoleBinding is cluster-scoped"),
        ("apiVersion: v1, kind: Namespace, metadata: {name: mesh}", "a Namespace is cluster-scoped"),
        (f"{RBAC} Role, metadata: {{name: a, namespace: mesh}}", "an object in 'mesh' would be left behind"),
        ("apiVersion: v1, kind: List, items: []", "no object with apiVersion, kind and metadata.name"),
        ("apiVersion: v1, kind: [], metadata: {name: a}", "no object with apiVersion, kind and metadata"),
    ],
)
@pytest.mark.parametrize("key", ["join", "outside", "access.open"])
def test_objects_of_a_profile_that_a_run_would_leave_behind_are_refused(
    key: str, item: str, problem: str
) -> None:
    sound = f"{{{RBAC} Role, metadata: {{name: a, namespace: $namespace}}}}"
    objects = f"{{objects: [{sound}, {{{item}}}]}}"
    section = f"access: {{open: {objects}}}" if key == "access.open" else f"{key}: {objects}"
    with pytest.raises(ProfileError) as caught:
        parse(SMALL + section, "mine.yaml")
    assert str(caught.value).startswith(f"profile mine.yaml: {key}.objects.1: {problem}")


def test_objects_of_a_profile_that_lie_in_no_namespace_are_not_made(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SMALL + "join: {objects: [{apiVersion: m.example/v1, kind: Zone, metadata: {name: z}}]}\n"
    monkeypatch.setattr(fake_cluster, "CLUSTER_SCOPED", {*fake_cluster.CLUSTER_SCOPED, "Zone"})
    cluster = FakeCluster(serves={**SERVES, "m.example/v1": ("Zone",)})
    context = RunContext.open(parse(text, "mine"), cluster, clock=clock, run_id="r1")
    with pytest.raises(ClusterError, match="profile mine: Zone z is cluster-scoped"):
        context.arena.create(["access"])
    assert cluster.objects == {}


def test_pods_are_marked_in_the_templates_that_make_them(clock: VirtualClock) -> None:
    text = SMALL + "join: {sidecar: false, pod: {annotations: {mesh/join: 'yes'}}}\n"
    cluster = FakeCluster()
    RunContext.open(parse(text, "mine"), cluster, clock=clock, run_id="r1").arena.create(["main"])
    pods = [one for (kind, _, _), one in cluster.objects.items() if kind == "Pod"]
    assert len(pods) == 6
    assert all(pod["metadata"]["annotations"]["mesh/join"] == "yes" for pod in pods)


def test_a_mesh_without_access_control_needs_no_permits() -> None:
    assert not parse(SMALL, "mine").requires_targets
    assert not parse(SMALL.replace("split", "access") + "access: {default: allow}", "mine").requires_targets
    assert parse("name: mine\nclaims: {access: [v1alpha3]}", "mine").requires_targets
