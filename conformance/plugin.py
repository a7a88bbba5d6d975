"""The pytest plugin: options, markers and fixtures; `Runner` does the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from conformance import catalogue, profiles
from conformance.catalogue import CatalogueError
from conformance.clusters import Cluster, ClusterError, selection
from conformance.drive.arena import Arena
from conformance.drive.scenario import Scenario
from conformance.drive.version_selection import VersionsError, format_versions, parse_version_choice
from conformance.model.exit_codes import ExitCode
from conformance.model.verdict import Judgement
from conformance.profiles import Profile, ProfileError
from conformance.run import not_started
from conformance.run.collection import SCENARIO, named_versions, scenario_of
from conformance.run.context import RunContext
from conformance.run.options import TABLE, RunOptions, from_pytest
from conformance.run.results import RunResults
from conformance.run.runner import Runner

_RUNNER = pytest.StashKey[Runner]()


@dataclass(frozen=True, slots=True, eq=False)
class RunRequest:
    """The inputs of a pytest run by our own code, passed as one of its plugins.

    ``command`` is the typed command, for the report; ``options`` replace pytest's options. ``planned``:
    print the plan and run nothing. ``context`` is shared by several pytest runs and keeps its arena;
    ``results`` receives the results of this run. ``staged``: Services of scenarios are created and deleted
    with them; otherwise the caller has created the Services of all scenarios.
    """

    command: tuple[str, ...] = ()
    options: RunOptions | None = None
    context: RunContext | None = None
    results: RunResults = field(default_factory=RunResults)
    staged: bool = False
    planned: bool = False


def _request(config: pytest.Config) -> RunRequest:
    plugins = config.pluginmanager.get_plugins()
    return next((one for one in plugins if isinstance(one, RunRequest)), RunRequest())


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("smi-conformance", "Service Mesh Interface conformance")
    for option in TABLE:
        option.add_to_pytest(group)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "requirement(id, presumes=()): the requirement of the catalogue that the test judges, and others "
        "whose failure may be the whole cause of its failure",
    )
    config.addinivalue_line(
        "markers",
        "scenario(folder, arena, groups, every_version=False, alone=False, stands_on=…, presumes=()): a "
        "module's fixtures, the arena's parts and the SMI groups that it needs; whether it runs in every "
        "claimed version by default, whether it must run without another scenario, the basic requirements "
        "that it stands on if they differ from those of its groups, and others that its traffic needs",
    )
    request = _request(config)
    options = request.options
    try:
        if options is None and config.getoption("smi_mesh"):
            options = from_pytest(config.getoption)
    except ClusterError as error:
        pytest.exit(str(error), ExitCode.INCONCLUSIVE)
    if options is None:
        return
    if config.getoption("numprocesses", None):
        raise pytest.UsageError(
            "-n: the scenarios of a run share a cluster and a mesh; the run drives them in parallel itself"
        )
    context = request.context
    runner = Runner(
        config,
        context or _context(config, request, options),
        request.results,
        options,
        owns_arena=context is None,
        staged=context is None or request.staged,
        planned=request.planned,
    )
    config.stash[_RUNNER] = runner
    config.pluginmanager.register(runner, "smi-conformance-runner")
    if context is None and not config.option.collectonly:
        runner.set_up_html()


def _context(config: pytest.Config, request: RunRequest, options: RunOptions) -> RunContext:
    command = request.command or ("pytest", *map(str, config.invocation_params.args))
    try:
        known = catalogue.load()
        for requirement_id in options.requirements:
            known[requirement_id]
        profile = profiles.load(options.mesh)
        version_choice = parse_version_choice(options.versions, profile.claims.by_group())
    except (CatalogueError, ProfileError, VersionsError) as error:
        pytest.exit(str(error), ExitCode.INCONCLUSIVE)
    try:
        only_collected = config.option.collectonly
        cluster = (
            selection.placeholder() if only_collected else selection.open_cluster(options.where, options.mesh)
        )
    except ClusterError as error:
        written = not_started.write(str(error), profile, command, options)
        pytest.exit(f"{error}; {written}", ExitCode.INCONCLUSIVE)
    return RunContext.open(
        profile,
        cluster,
        command=command,
        image=options.image,
        rules=options.rules,
        version_choice=version_choice,
        mesh_version=options.mesh_version,
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    suites = any(item.get_closest_marker("requirement") for item in items)
    if suites and _RUNNER not in config.stash and not config.option.collectonly:
        known = ", ".join(profiles.names())
        raise pytest.UsageError(f"the conformance suites need --smi-mesh PROFILE; there are: {known}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a scenario once for each selected set of versions; by default for one set without a name."""
    mark = metafunc.definition.get_closest_marker("scenario")
    runner = metafunc.config.stash.get(_RUNNER, None)
    if mark is None or runner is None or SCENARIO not in metafunc.fixturenames:
        return
    spoken = named_versions(runner.context, scenario_of(metafunc.definition))
    if spoken:
        metafunc.parametrize(
            SCENARIO, spoken, indirect=True, ids=[format_versions(one) for one in spoken], scope="module"
        )


def _runner(request: pytest.FixtureRequest) -> Runner:
    return request.config.stash[_RUNNER]


@pytest.fixture(scope="session")
def profile(request: pytest.FixtureRequest) -> Profile:
    """The profile of the mesh under test."""
    return _runner(request).context.profile


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The cluster of the run."""
    return _runner(request).context.cluster


@pytest.fixture(scope="session")
def arena(request: pytest.FixtureRequest) -> Arena:
    """The run's namespaces with the sample workloads."""
    return _runner(request).context.arena


@pytest.fixture(scope="module")
def scenario(request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """The module's scenario: its part of the arena is ready, and its objects are deleted at its end."""
    with _runner(request).scenario(request.node, getattr(request, "param", None)) as one:
        yield one


@pytest.fixture
def verdict(request: pytest.FixtureRequest) -> Callable[[Judgement], None]:
    """Receives the judgement of the test; a test that does not call it is inconclusive."""

    def take(judgement: Judgement) -> None:
        _runner(request).take(request.node, judgement)

    return take
