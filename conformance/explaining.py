"""What there is to know of a requirement: from the catalogue, the suites, the fixtures and the faults."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conformance import catalogue, judge, suites_index
from conformance.catalogue import Requirement
from conformance.drive.manifests import folder
from conformance.record import sentence
from conformance.runner import faults_by_requirement
from conformance.suites_index import TestEntry

WIDTH = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement with its tests and faults."""

    requirement: Requirement
    tests: tuple[TestEntry, ...]
    faults: tuple[str, ...]
    untested: str = ""
    """Why it has no test; empty where it has one."""

    def as_json(self) -> dict[str, Any]:
        return {
            **self.requirement.model_dump(mode="json"),
            "tests": [test.nodeid for test in self.tests],
            "faults": list(self.faults),
            "untested": self.untested,
        }


def rows() -> list[Row]:
    """All requirements, in the catalogue's order."""
    tests, faults = suites_index.by_requirement(), faults_by_requirement()
    return [
        Row(
            entry,
            tuple(tests.get(entry.id, ())),
            tuple(faults.get(entry.id, ())),
            suites_index.untested().get(entry.id, ""),
        )
        for entry in catalogue.load().values()
    ]


def table(found: Sequence[Row]) -> str:
    """The rows as text, by API."""
    lines: list[str] = []
    for api in catalogue.APIS:
        mine = [row for row in found if row.requirement.api == api]
        tested = sum(1 for row in mine if row.tests)
        lines += [f"{api} ({len(mine)} requirements, {tested} tested)", ""]
        for row in mine:
            one = row.requirement
            how = f"tests: {len(row.tests)}, faults: {len(row.faults)}" if row.tests else "untested"
            lines.append(f"  {one.id:<44} {one.level:<10} {how:<22} {', '.join(one.versions)}")
        lines.append("")
    return "\n".join(lines).rstrip()


def explain(requirement_id: str) -> str:
    """Everything about one requirement as text. Raises CatalogueError for an unknown one."""
    one = catalogue.load()[requirement_id]
    row = next(row for row in rows() if row.requirement.id == requirement_id)
    parts = [
        f"{one.id} ({one.api}, {one.level})",
        _block("Statement", one.statement),
        _block("Source", one.source),
        _block("Versions", ", ".join(one.versions)),
        _block("How it shows", one.observe),
        _readings(one),
    ]
    if not row.tests:
        parts.append(f"Untested: {row.untested}")
    for test in row.tests:
        parts.append(_test(test))
    folders = dict.fromkeys(test.scenario.folder for test in row.tests)
    parts += [_objects(name) for name in folders]
    parts.append(_faults(row.faults) if row.tests else "")
    return "\n\n".join(part for part in parts if part)


def _readings(one: Requirement) -> str:
    """The readings among which a run tells the one that a mesh follows; empty where nothing is left open."""
    lines = ["Readings, of which the report marks the one that is seen"] if one.readings else []
    for question, options in one.readings.items():
        lines += [f"  {question}", *(f"    ({letter}) {text}" for letter, text in options.items())]
    return "\n".join(lines)


def _block(title: str, text: str) -> str:
    return f"{title}\n" + textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _test(test: TestEntry) -> str:
    source = (suites_index.SUITES / test.file).read_text(encoding="utf-8")
    lines = [f"Test: {sentence(test.function)}", f"  {test.nodeid}"]
    lines.append(f"  arena: {', '.join(test.scenario.arena)}; fixtures: fixtures/{test.scenario.folder}/")
    lines.append("  traffic and waiting: see the module's fixture:")
    lines += [f"    {line}" for line in _fixture(source).splitlines()]
    for name in dict.fromkeys(test.judges):
        words = inspect.getdoc(judge.JUDGES[name]) or ""
        lines += [f"  judged by {name}:", textwrap.indent(words, "    ")]
    return "\n".join(lines)


def _fixture(source: str) -> str:
    start = source.index('@pytest.fixture(scope="module")') if "@pytest.fixture" in source else -1
    if start < 0:
        return "(reads only)"
    end = source.find("\n\n\n", start)
    return source[start:end]


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


def _faults(ids: Sequence[str]) -> str:
    from reference import faults

    lines = ["Faults that it is shown to catch (smi-conformance faults --fault ID)"]
    lines += [f"  {one}: {faults.FAULTS[one].summary}" for one in ids]
    return "\n".join(lines)
