"""Everything about one requirement: from the catalogue, the suites, the fixtures and the faults."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Sequence

import yaml

from conformance import catalogue, judge
from conformance.catalogue import Requirement
from conformance.clusters import Object
from conformance.drive import version_selection
from conformance.drive.arena import render_objects
from conformance.drive.manifests import RunScope, files, folder, load
from conformance.drive.rendering import NotInVersion, WireFormat, pick, ports
from conformance.profiles import Profile
from conformance.traceability import fault_index, index, matrix
from conformance.traceability.index import ScenarioMark, TestEntry, sentence

WIDTH = 100
RUN = "RUN"


def explain(requirement_id: str, profile: Profile | None = None) -> str:
    """Everything about one requirement as text; with a profile, its objects are rendered for that mesh.

    Raises CatalogueError for an unknown requirement.
    """
    one = catalogue.load()[requirement_id]
    row = next(row for row in matrix.rows(profile) if row.requirement.id == requirement_id)
    parts = [
        f"{one.id} ({one.api}, {one.level})",
        _block("Statement", one.statement),
        _block("Source", one.source),
        _block("Versions", ", ".join(one.versions)),
        _block("How it shows", one.observe),
        _readings(one),
    ]
    if row.not_claimed and profile:
        parts.append(_block(f"Not claimed by {profile.name}", row.not_claimed))
    if not row.tests:
        reason = row.untested or "no reason given (conformance/suites/untested.yaml)"
        parts.append(f"Untested: {reason}")
    for test in row.tests:
        parts.append(_test(test))
    marks = {test.scenario.folder: test.scenario for test in row.tests}
    parts += [_objects_of(mark, profile) if profile else _objects(folder) for folder, mark in marks.items()]
    parts.append(_faults(row.faults) if row.tests else "")
    return "\n\n".join(part for part in parts if part)


def _readings(one: Requirement) -> str:
    """The possible readings of a requirement; empty if it leaves nothing open."""
    lines = ["Readings; the report marks the observed one"] if one.readings else []
    for question, options in one.readings.items():
        lines += [f"  {question}", *(f"    ({letter}) {text}" for letter, text in options.items())]
    return "\n".join(lines)


def _block(title: str, text: str) -> str:
    return f"{title}\n" + textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _test(test: TestEntry) -> str:
    source = (index.SUITES / test.file).read_text(encoding="utf-8")
    lines = [f"Test: {sentence(test.function)}", f"  {test.nodeid}"]
    lines.append(f"  arena: {', '.join(test.scenario.arena)}; fixtures: fixtures/{test.scenario.folder}/")
    if test.presumes:
        lines.append(f"  inconclusive beside a failure of: {', '.join(test.presumes)}")
    driven = _driven(source)
    lines.append("  traffic and waiting:" if driven else "  drives no traffic")
    lines += [textwrap.indent(driven, "    ")] if driven else []
    if trials := _trials(source, test.function):
        lines += ["  trials:", textwrap.indent("\n".join(trials), "    ")]
    for name in dict.fromkeys(test.judges):
        # The first paragraph; the others are for readers of the code.
        words = (inspect.getdoc(judge.JUDGES[name]) or "").partition("\n\n")[0]
        lines += [f"  judged by {name}:", textwrap.indent(words, "    ")]
    return "\n".join(lines)


def _trials(source: str, function: str) -> list[str]:
    """The source of the trials that a test reads, as its module declares them."""
    module = ast.parse(source)
    (test,) = (one for one in module.body if isinstance(one, ast.FunctionDef) and one.name == function)
    used = {one.id for one in ast.walk(test) if isinstance(one, ast.Name)}
    declared = [one for one in module.body if isinstance(one, ast.Assign) and _declares_trials(one.value)]
    return [
        ast.get_source_segment(source, one) or ""
        for one in declared
        if used & {name.id for name in ast.walk(one.targets[0]) if isinstance(name, ast.Name)}
    ]


def _declares_trials(value: ast.expr) -> bool:
    return "declare" in {one.attr for one in ast.walk(value) if isinstance(one, ast.Attribute)}


def _driven(source: str) -> str:
    """The source of the function that drives a module's scenario; empty if there is none."""
    for one in ast.parse(source).body:
        if isinstance(one, ast.FunctionDef) and "drives_scenario" in map(ast.unparse, one.decorator_list):
            return ast.get_source_segment(source, one) or ""
    return ""


def _objects(name: str) -> str:
    files = folder()
    for part in name.split("/"):
        files = files / part
    if not files.is_dir():
        return "Objects applied: none (traffic only)"
    texts = [
        f"--- fixtures/{name}/{entry.name}\n{entry.read_text(encoding='utf-8').strip()}"
        for entry in sorted(files.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    ]
    return "Objects applied\n" + textwrap.indent("\n".join(texts), "  ")


def _objects_of(mark: ScenarioMark, profile: Profile) -> str:
    """The objects of a scenario's files, rendered for a mesh; ``RUN`` stands for the id of the run."""
    claims = profile.claims.by_group()
    together = next(iter(version_selection.assignments(claims, mark.groups)), {})
    versions = {**{group: pick(group, those) or "" for group, those in claims.items()}, **together}
    listed = ports(item for name in files(mark.folder) for item in load(name))
    wire = WireFormat({group: version for group, version in versions.items() if version}, listed)
    scope = RunScope(RUN, domain=profile.cluster_domain)
    texts = []
    for name in files(mark.folder):
        texts.append(f"--- fixtures/{name}")
        for item in load(name):
            texts.append(_as_written(profile, scope, item, wire))
    spoken = version_selection.format_versions(together) or "no version"
    title = f"Objects applied, rendered for {profile.name} in {spoken}"
    return f"{title}\n" + textwrap.indent("\n".join(texts), "  ") if texts else _objects(mark.folder)


def _as_written(profile: Profile, scope: RunScope, item: Object, wire: WireFormat) -> str:
    what = f"{item['kind']} {item['metadata']['name']}"
    try:
        made = render_objects(profile, scope, [item], wire)
    except NotInVersion as error:
        return f"# {what} is left out: {error}"
    if not made:
        return f"# {what} is left out: the mesh does not carry its ports' protocols (protocols, mixed_ports)"
    return yaml.safe_dump_all(made, sort_keys=False, explicit_start=False).strip() + "\n---"


def _faults(ids: Sequence[str]) -> str:
    known = fault_index.faults()
    lines = ["Faults that its tests catch (smi-conformance faults --fault ID)"]
    lines += [f"  {one}: {known[one].summary}" for one in ids] or [
        "  none listed (python -m tools.fault_list)"
    ]
    return "\n".join(lines)
