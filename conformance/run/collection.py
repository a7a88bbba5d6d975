"""The requirement, the scenario and the API versions of a collected test."""

from __future__ import annotations

import pytest

from conformance import catalogue
from conformance.catalogue import CatalogueError, Requirement
from conformance.drive.version_selection import VersionSet, format_versions
from conformance.run.context import RunContext
from conformance.run.scheduler import ScheduledScenario
from conformance.suite import drive_of
from conformance.traceability.index import ScenarioMark, depths, entry_of, scenario_mark

SCENARIO = "scenario"
"""The fixture whose parameter is a set of versions."""


def function_of(nodeid: str) -> str:
    """The id of a test without its parameters."""
    return nodeid.partition("[")[0]


def requirement_of(item: pytest.Item) -> str | None:
    """The requirement that a test judges, or None for tests of other projects."""
    marker = item.get_closest_marker("requirement")
    if marker is None:
        return None
    try:
        return catalogue.load()[str(marker.args[0])].id
    except CatalogueError as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from error


def scenario_of(node: pytest.Item | pytest.Collector) -> ScenarioMark:
    """The scenario marker of a test's module."""
    marker = node.get_closest_marker("scenario")
    if marker is None:
        raise pytest.UsageError(
            f"{node.nodeid}: no pytestmark = pytest.mark.scenario(folder, arena=…, groups=…)"
        )
    try:
        return scenario_mark(marker.args[0], marker.kwargs)
    except ValueError as error:
        raise pytest.UsageError(f"{node.nodeid}: {error}") from error


def scenario_folder(node: pytest.Item) -> str:
    """The fixtures' folder of a test's scenario; empty for tests of other projects."""
    marker = node.get_closest_marker("scenario")
    return str(marker.args[0]) if marker else ""


def named_versions(context: RunContext, mark: ScenarioMark) -> list[dict[str, str]]:
    """The sets of versions that a scenario runs in, for the ids of tests; empty for the default set."""
    if context.version_choice.kind == "newest" and not mark.every_version:
        return []
    return context.version_sets(mark.groups, every=mark.every_version)


def key_of(node: pytest.Item | pytest.Collector, versions: VersionSet | None) -> str:
    """The unique key, within a run, of a module's scenario in a set of versions."""
    module = node if isinstance(node, pytest.Module) else node.getparent(pytest.Module)
    return f"{(module or node).nodeid}[{format_versions(versions or {})}]"


def scheduled_of(item: pytest.Item) -> tuple[str, ScheduledScenario]:
    """The key and the scenario of a test."""
    callspec = getattr(item, "callspec", None)
    versions = callspec.params.get(SCENARIO) if callspec is not None else None
    module = item.getparent(pytest.Module)
    drive = drive_of(module.obj.__name__) if module is not None else None
    return key_of(item, versions), ScheduledScenario(scenario_of(item), versions, drive)


def order_in_run(item: pytest.Item) -> tuple[bool, int]:
    """The sort key of a run's items: presumed tests first, scenarios that may stop a mesh last."""
    entry = entry_of(item.nodeid)
    return (entry.scenario.alone, depths()[entry.file]) if entry else (False, 0)


def versions_of(context: RunContext, item: pytest.Item) -> VersionSet | None:
    """The versions of an item's scenario; None if the selected versions are compatible with none."""
    callspec = getattr(item, "callspec", None)
    if callspec is not None and SCENARIO in callspec.params:
        spoken: VersionSet = callspec.params[SCENARIO]
        return spoken
    return next(iter(context.version_sets(scenario_of(item).groups)), None)


def version_mismatch_reason(context: RunContext, item: pytest.Item, requirement: Requirement) -> str | None:
    """Why a requirement does not apply to the versions of an item's scenario; None if it does.

    None also for requirements that the mesh does not claim: `RunContext.not_claimed_reason` has the reason.
    """
    mark = scenario_of(item)
    if context.not_claimed_reason(requirement, mark.groups, mark):
        return None
    return context.version_mismatch_reason(requirement, versions_of(context, item))
