"""The pytest plugin: options, markers and fixtures; what it does stands in the modules that it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from conformance import catalogue, profiles
from conformance.catalogue import CatalogueError
from conformance.clusters import Cluster, ClusterError, opening
from conformance.drive.arena import Arena
from conformance.drive.house_rules import NO_RULES, HouseRules
from conformance.drive.manifests import STOCK_IMAGE
from conformance.drive.scenario import Scenario
from conformance.drive.version_sets import VersionsError, in_words, parse_wish
from conformance.model.exit_codes import ExitCode
from conformance.model.verdict import Inconclusive, Judgement, Verdict
from conformance.profiles import Profile, ProfileError
from conformance.report.conclusions import render
from conformance.run import not_started
from conformance.run.collection import SCENARIO, named_versions
from conformance.run.runner import Runner, directory_of, results_of
from conformance.run.session import Session
from conformance.traceability.index import scenario_mark

"""Exit code for input that cannot be used, as for whatever is inconclusive."""

_RUNNER = pytest.StashKey[Runner]()


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What a caller of pytest hands over, as one of its plugins: the command that was typed, for the report;
    a session, where several pytest runs share one, whose arena then stays.

    ``rules`` are those of the cluster. ``planned``: nothing is done, and what would be is said. ``staged``:
    in a shared session, the services of scenarios come and go with them; else the caller has made those of
    all.
    """

    command: tuple[str, ...] = ()
    session: Session | None = None
    staged: bool = False
    planned: bool = False
    rules: HouseRules = NO_RULES


def _given(config: pytest.Config) -> Given:
    plugins = config.pluginmanager.get_plugins()
    return next((one for one in plugins if isinstance(one, Given)), Given())


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("smi-conformance", "Service Mesh Interface conformance")
    group.addoption(
        "--mesh", metavar="PROFILE", help="the mesh's profile: a name, or a path such as ./my-mesh.yaml"
    )
    group.addoption("--context", metavar="NAME", help="context of the kubeconfig")
    group.addoption("--kubeconfig", metavar="FILE", help="kubeconfig (default: KUBECONFIG or ~/.kube/config)")
    group.addoption("--in-cluster", action="store_true", help="the cluster that this is a pod of")
    group.addoption("--embedded", action="store_true", help="the embedded cluster")
    group.addoption(
        "--image",
        default=STOCK_IMAGE,
        metavar="IMAGE",
        help="image of the sample workloads, any with Python 3.9+",
    )
    group.addoption(
        "--level",
        action="append",
        choices=catalogue.LEVELS,
        default=[],
        help="only requirements of this level; may be repeated",
    )
    group.addoption(
        "--requirement",
        action="append",
        default=[],
        metavar="ID",
        help="only this requirement; may be repeated",
    )
    group.addoption(
        "--reports",
        default="reports",
        metavar="DIR",
        help="where reports/<run>/ is written (default: reports)",
    )
    group.addoption(
        "--versions",
        default="newest",
        metavar="WHICH",
        help="API versions to speak: newest, all, or a list such as split=v1alpha2,specs=v1alpha3",
    )
    group.addoption(
        "--one-by-one",
        action="store_true",
        help="drive no two scenarios at the same time, though they work in namespaces of their own",
    )
    group.addoption("--output", metavar="DIR", help="write the report into this directory itself")
    group.addoption("--junit", metavar="FILE", help="write the JUnit file there as well")
    group.addoption("--timeout", type=float, metavar="SECONDS", help="end the run after that time")
    group.addoption("--keep", action="store_true", help="leave the arena in the cluster after the run")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "requirement(id, presumes=()): the requirement of the catalogue that the test judges, and others "
        "whose failure may be all that makes it fail",
    )
    config.addinivalue_line(
        "markers",
        "scenario(folder, arena, groups, every_version=False, alone=False, stands_on=…, presumes=()): a "
        "module's fixtures, the arena's parts and the SMI groups it needs; whether it is run in every "
        "claimed version by default, whether no other may be driven beside it, the basic requirements that "
        "it stands on if these are not those of its groups, and others that its traffic needs",
    )
    if not config.getoption("mesh"):
        return
    if config.getoption("numprocesses", None):
        raise pytest.UsageError(
            "-n: the scenarios of a run share a cluster and a mesh; those that can are driven side by side"
        )
    given = _given(config)
    session = given.session
    runner = Runner(
        config,
        session or _session(config),
        owns_arena=session is None,
        staged=session is None or given.staged,
        planned=given.planned,
    )
    config.stash[_RUNNER] = runner
    config.pluginmanager.register(runner, "smi-conformance-runner")
    if session is None and not config.option.collectonly:
        runner.set_up_html()


def _session(config: pytest.Config) -> Session:
    typed = ("pytest", *map(str, config.invocation_params.args))
    command = _given(config).command or typed
    try:
        known = catalogue.load()
        for requirement_id in config.getoption("requirement"):
            known[requirement_id]
        profile = profiles.load(config.getoption("mesh"))
        wish = parse_wish(config.getoption("versions"), profile.claims.by_group())
    except (CatalogueError, ProfileError, VersionsError) as error:
        pytest.exit(str(error), ExitCode.INCONCLUSIVE)
    try:
        where = opening.chosen(
            config.getoption("context"),
            config.getoption("kubeconfig"),
            embedded=config.getoption("embedded"),
            in_cluster=config.getoption("in_cluster"),
        )
        only_collected = config.option.collectonly
        cluster = (
            opening.nowhere() if only_collected else opening.open_cluster(where, config.getoption("mesh"))
        )
    except ClusterError as error:
        where_it_is = not_started.write(
            str(error), profile, command, directory=partial(directory_of, config), results=results_of(config)
        )
        pytest.exit(f"{error}; {where_it_is}", ExitCode.INCONCLUSIVE)
    return Session(
        profile,
        cluster,
        command=command,
        image=config.getoption("image"),
        rules=_given(config).rules,
        wish=wish,
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    suites = any(item.get_closest_marker("requirement") for item in items)
    if suites and _RUNNER not in config.stash and not config.option.collectonly:
        there = ", ".join(profiles.names())
        raise pytest.UsageError(f"the conformance suites need --mesh PROFILE; there are: {there}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a scenario once for each set of versions that is asked for; by default there is one, unnamed."""
    mark = metafunc.definition.get_closest_marker("scenario")
    runner = metafunc.config.stash.get(_RUNNER, None)
    if mark is None or runner is None or SCENARIO not in metafunc.fixturenames:
        return
    spoken = named_versions(runner.session, scenario_mark(mark.args[0], mark.kwargs))
    if spoken:
        metafunc.parametrize(
            SCENARIO, spoken, indirect=True, ids=[in_words(one) for one in spoken], scope="module"
        )


def _runner(request: pytest.FixtureRequest) -> Runner:
    return request.config.stash[_RUNNER]


@pytest.fixture(scope="session")
def profile(request: pytest.FixtureRequest) -> Profile:
    """The profile of the mesh under test."""
    return _runner(request).session.profile


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The cluster that the run happens in."""
    return _runner(request).session.cluster


@pytest.fixture(scope="session")
def arena(request: pytest.FixtureRequest) -> Arena:
    """The run's namespaces with the sample workloads."""
    return _runner(request).session.arena


@pytest.fixture(scope="module")
def scenario(request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """The module's scenario: its part of the arena is ready, and what it applies is withdrawn at its end."""
    with _runner(request).scenario(request.node, getattr(request, "param", None)) as one:
        yield one


@pytest.fixture
def verdict(request: pytest.FixtureRequest) -> Callable[[Judgement], None]:
    """Takes the judgement that the test comes to; a test that does not call it is inconclusive."""

    def take(judgement: Judgement) -> None:
        taken = _runner(request).take(request.node, judgement)
        if taken.verdict is Verdict.FAIL:
            pytest.fail(render(taken), pytrace=False)
        if taken.verdict is Verdict.INCONCLUSIVE:
            raise Inconclusive(render(taken))
        if taken.verdict is Verdict.NOT_CLAIMED:
            pytest.skip(render(taken))

    return take
