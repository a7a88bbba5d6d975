"""The pytest plugin: options, markers and fixtures; what it does stands in the modules that it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from conformance import catalogue, profiles
from conformance.catalogue import CatalogueError
from conformance.clusters import Cluster, ClusterError, selection
from conformance.drive.arena import Arena
from conformance.drive.scenario import Scenario
from conformance.drive.version_selection import VersionsError, in_words, parse_wish
from conformance.model.exit_codes import ExitCode
from conformance.model.verdict import Inconclusive, Judgement, Verdict
from conformance.profiles import Profile, ProfileError
from conformance.report.conclusions import render
from conformance.run import not_started
from conformance.run.collection import SCENARIO, named_versions
from conformance.run.options import TABLE, RunOptions, from_pytest
from conformance.run.runner import Runner
from conformance.run.session import Session
from conformance.traceability.index import scenario_mark

_RUNNER = pytest.StashKey[Runner]()


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What a caller of pytest hands over, as one of its plugins.

    ``command`` is what was typed, for the report, and ``options`` what is asked of the run, in place of
    pytest's own options. ``planned``: nothing is done, and what would be is said. ``session`` is one that
    several pytest runs share, whose arena then stays; ``staged``: the services of scenarios come and go with
    them there, else the caller has made those of all.
    """

    command: tuple[str, ...] = ()
    options: RunOptions | None = None
    session: Session | None = None
    staged: bool = False
    planned: bool = False


def _given(config: pytest.Config) -> Given:
    plugins = config.pluginmanager.get_plugins()
    return next((one for one in plugins if isinstance(one, Given)), Given())


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("smi-conformance", "Service Mesh Interface conformance")
    for option in TABLE:
        option.add_to_pytest(group)


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
    given = _given(config)
    options = given.options
    try:
        if options is None and config.getoption("smi_mesh"):
            options = from_pytest(config.getoption)
    except ClusterError as error:
        pytest.exit(str(error), ExitCode.INCONCLUSIVE)
    if options is None:
        return
    if config.getoption("numprocesses", None):
        raise pytest.UsageError(
            "-n: the scenarios of a run share a cluster and a mesh; those that can are driven side by side"
        )
    session = given.session
    runner = Runner(
        config,
        session or _session(config, given, options),
        options,
        owns_arena=session is None,
        staged=session is None or given.staged,
        planned=given.planned,
    )
    config.stash[_RUNNER] = runner
    config.pluginmanager.register(runner, "smi-conformance-runner")
    if session is None and not config.option.collectonly:
        runner.set_up_html()


def _session(config: pytest.Config, given: Given, options: RunOptions) -> Session:
    command = given.command or ("pytest", *map(str, config.invocation_params.args))
    try:
        known = catalogue.load()
        for requirement_id in options.requirements:
            known[requirement_id]
        profile = profiles.load(options.mesh)
        wish = parse_wish(options.versions, profile.claims.by_group())
    except (CatalogueError, ProfileError, VersionsError) as error:
        pytest.exit(str(error), ExitCode.INCONCLUSIVE)
    try:
        only_collected = config.option.collectonly
        cluster = (
            selection.placeholder() if only_collected else selection.open_cluster(options.where, options.mesh)
        )
    except ClusterError as error:
        where_it_is = not_started.write(str(error), profile, command, options)
        pytest.exit(f"{error}; {where_it_is}", ExitCode.INCONCLUSIVE)
    return Session(
        profile,
        cluster,
        command=command,
        image=options.image,
        rules=options.rules,
        wish=wish,
        mesh_version=options.mesh_version,
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    suites = any(item.get_closest_marker("requirement") for item in items)
    if suites and _RUNNER not in config.stash and not config.option.collectonly:
        there = ", ".join(profiles.names())
        raise pytest.UsageError(f"the conformance suites need --smi-mesh PROFILE; there are: {there}")


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
