"""The report of a run that could not begin: CI systems and readers find it where they look for results."""

from __future__ import annotations

import importlib.metadata
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from conformance import catalogue, suites_index
from conformance.profiles import Profile
from conformance.report import assemble, html, junit, store
from conformance.report.document import ClusterInfo, Finding, Mesh, Report, Run, Timing


def write(
    problem: str,
    profile: Profile,
    command: Sequence[str],
    *,
    directory: Callable[[str], Path],
    results: Path | None = None,
) -> Path:
    """Write what kept a run from beginning where its report would be.

    ``directory`` is that place by the run's id, ``results`` is another place for the JUnit file. Returns the
    page. Raises OSError.
    """
    made = report(problem, profile, command)
    folder = directory(made.run.id)
    store.write(made, folder)
    page = folder / store.HTML
    store.replace(page, html.page(made))
    if results is not None:
        store.replace(results, junit.render(made))
    return page


def report(problem: str, profile: Profile, command: Sequence[str]) -> Report:
    """The report: every requirement with a test was not reached, and a finding tells why."""
    now, tested = datetime.now(UTC), suites_index.by_requirement()
    return assemble.build(
        suite_version=importlib.metadata.version("smi-conformance"),
        run=Run(
            id=secrets.token_hex(3),
            started=now,
            finished=now,
            command=tuple(command),
            seed=0,
            interrupted=True,
        ),
        mesh=Mesh.model_validate(
            {
                "profile": profile.name,
                "description": profile.description,
                "versions": {"mesh": profile.version} if profile.version else {},
                "claims": profile.claims.in_words(),
            }
        ),
        cluster=ClusterInfo(context="none", kubernetes="unknown"),
        timing=Timing(total_s=0.0, other_s=0.0),
        requirements=[
            assemble.requirement_record(
                entry, otherwise="not reached" if one in tested else "untested", note=""
            )
            for one, entry in catalogue.load().items()
        ],
        findings=[Finding(severity="error", text=f"the run could not begin: {problem}")],
    )
