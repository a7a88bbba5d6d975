"""The report of a run that could not start, in the place where CI systems and readers expect results."""

from __future__ import annotations

import importlib.metadata
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from conformance import catalogue
from conformance.profiles import Profile
from conformance.report import assemble, html, store
from conformance.report.document import ClusterInfo, Finding, MeshRecord, Report, Run, Timing
from conformance.run import mesh_version
from conformance.run.options import RunOptions
from conformance.text import files
from conformance.traceability import index


def write(problem: str, profile: Profile, command: Sequence[str], options: RunOptions) -> str:
    """Write the report of a run that ``problem`` prevented; returns a line with its path or an error."""
    report = _report(problem, profile, command, options.mesh_version)
    folder = options.directory(report.run.id)
    try:
        store.make_room(folder, options.junit)
        store.write(report, folder, options.junit)
        files.replace(folder / store.HTML, html.page(report))
    except OSError as error:
        return f"the report cannot be written: {error}"
    return f"report: {folder / store.HTML}"


def _report(problem: str, profile: Profile, command: Sequence[str], version: str) -> Report:
    """The report: no requirement with a test was reached, and a finding gives the reason."""
    now, tested = datetime.now(UTC), index.by_requirement()
    return assemble.build(
        suite_version=importlib.metadata.version("smi-conformance"),
        run=Run(
            id=secrets.token_hex(3),
            started=now,
            finished=now,
            command=tuple(command),
            seed=0,
            interrupted=False,
        ),
        mesh=MeshRecord.model_validate(
            {
                "profile": profile.name,
                "description": profile.description,
                "versions": mesh_version.versions(version, profile, {}),
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
        findings=[Finding(severity="error", text=f"the run could not start: {problem}")],
    )
