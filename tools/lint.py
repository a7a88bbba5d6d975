"""``python -m tools.lint``: checks of the suite's source that ruff and mypy cannot make.

Every requirement has a test or a reason; every test has a requirement, fixtures that exist, and a fault that
it catches; no code names a mesh; no two classes share a name. `conformance.judge.registry` demands null
controls, ruff bans sleeps and swallowed errors.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conformance import catalogue
from conformance.catalogue import GROUPS, Level
from conformance.catalogue.foundations import BASIC, PRESUMED
from conformance.drive.arena import WORKLOADS
from conformance.drive.manifests import SERVICES, files, folder, load
from conformance.text import yamlio
from conformance.text.suggest import did_you_mean
from conformance.traceability import index
from conformance.traceability.index import ScenarioMark, TestEntry
from tools import plain_forms

PUBLIC_CLASS = re.compile(r"^class ([A-Za-z]\w*)", re.MULTILINE)
MESHES = re.compile(r"\b(osm|open ?service ?mesh|traefik|linkerd|istio|consul)\b", re.IGNORECASE)
_BY_MODULE = "pytest.fixture(scope='module')"
_ALTERS = re.compile(r"pytest\.mark\.(parametrize|skip|skipif|xfail|usefixtures|filterwarnings)\b")
LONGEST_SUITE = 150
"""Lines of a suite's module."""
NAMES_MESHES = ("conformance/profiles/",)


@dataclass(frozen=True, slots=True)
class Source:
    """What is looked at: texts by file, requirements by the reason that they are untested and by fault."""

    known: Mapping[str, Level]
    suites: Mapping[str, str]
    untested: Mapping[str, Iterable[str]]
    faults: Mapping[str, Iterable[str]]
    code: Mapping[str, str]
    shown: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Readings that faults bring about, by fault and requirement; those requirements stand in faults too."""
    readings: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    """Readings of the catalogue, by requirement, question and letter."""
    fixtures: Mapping[str, Mapping[str, Iterable[str]]] = field(default_factory=dict)
    """The names of the Services in each fixture file, by folder and file."""
    modules: Mapping[str, str] = field(default_factory=dict)
    """The text of each Python module that is no suite, by file."""

    def entries(self) -> list[TestEntry]:
        """All tests. Raises ValueError for a module that cannot be read as a suite."""
        return [entry for file, text in self.suites.items() for entry in index.read(text, file)]


def requirements(source: Source) -> Iterator[str]:
    """Every requirement has either a test or a reason for having none."""
    tested = {entry.requirement for entry in source.entries()}
    reasoned: dict[str, str] = {}
    for reason, ids in source.untested.items():
        for one in ids:
            if one not in source.known:
                yield f"untested.yaml: {one}: no such requirement{did_you_mean(one, source.known)}"
            if one in reasoned:
                yield f"untested.yaml: {one}: is listed twice"
            if one in tested:
                yield f"untested.yaml: {one}: has a test, so it does not belong there"
            reasoned[one] = reason
    for one in source.known:
        if one not in tested and not reasoned.get(one, "").strip():
            yield f"catalogue: {one}: neither a test nor a reason in conformance/suites/untested.yaml"


def tests(source: Source) -> Iterator[str]:
    """Every test is about one requirement of the catalogue, and names parts and groups that there are."""
    seen: set[str] = set()
    for entry in source.entries():
        if not entry.requirement:
            yield f"{entry.nodeid}: no @pytest.mark.requirement(id)"
        elif entry.requirement not in source.known:
            near = did_you_mean(entry.requirement, source.known)
            yield f"{entry.nodeid}: {entry.requirement}: no such requirement{near}"
        if entry.nodeid in seen:
            yield f"{entry.nodeid}: judges two requirements, or there are two of that name: one each"
        seen.add(entry.nodeid)
    marks = {entry.file: entry.scenario for entry in source.entries()}
    for file, mark in marks.items():
        yield from (f"{file}: {problem}" for problem in _mark(mark, source.known))
    for entry in source.entries():
        for one in entry.presumes:
            if one not in source.known and one not in entry.scenario.presumes:
                near = did_you_mean(one, source.known)
                yield f"{entry.nodeid}: presumes {one}: no such requirement{near}"
    for one in sorted({entry.requirement for entry in source.entries()}):
        if source.known.get(one) == "ambiguous" and not source.readings.get(one):
            yield f"{one}: has a test, but the catalogue lists no readings of it"
    for file, text in source.suites.items():
        yield from (f"{file}:{line}: {problem}" for line, problem in _unseen(ast.parse(text, file)))
        if (lines := len(text.splitlines())) > LONGEST_SUITE:
            yield (
                f"{file}: {lines} lines, more than {LONGEST_SUITE}: split it by topic, or drive more in "
                "conformance/drive"
            )


def _unseen(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Tests that would not be counted, and fixtures that could not run beside other scenarios."""
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.AsyncFunctionDef) and node.name.lower().startswith("test"):
            yield node.lineno, f"{node.name}: tests are plain functions; others are not counted"
        for decorator in getattr(node, "decorator_list", []):
            if found := _ALTERS.match(ast.unparse(decorator)):
                yield decorator.lineno, f"{found[0]}: a test judges its requirement once, wherever it runs"
            if ast.unparse(decorator) == _BY_MODULE:
                yield (
                    decorator.lineno,
                    "a fixture that drives a scenario is marked @drives_scenario, to run beside others",
                )


def fixtures(source: Source) -> Iterator[str]:
    """Scenarios with fixtures have the files that they apply, and their Services exist before the rest."""
    for entry in {entry.file: entry for entry in source.entries()}.values():
        named = entry.scenario.folder
        there = source.fixtures.get(named)
        if there is None:
            if source.fixtures and entry.files:
                yield f"{entry.file}: no folder fixtures/{named}{did_you_mean(named, source.fixtures)}"
            continue
        for name in entry.files:
            if name not in there:
                yield f"{entry.file}: no file fixtures/{named}/{name}{did_you_mean(name, there)}"
        for name, services in there.items() if SERVICES not in there else ():
            for service in services:
                yield (
                    f"fixtures/{named}/{name}: Service {service} is created together with the objects under "
                    f"test, so no baseline can reach it: move it to {SERVICES}"
                )


def _mark(mark: ScenarioMark, known: Iterable[str]) -> Iterator[str]:
    by_default = {*BASIC.values(), *PRESUMED.values()}
    for one in (*mark.stands_on, *mark.presumes):
        if one not in known and one not in by_default:
            yield f"no requirement {one!r} to stand on or presume{did_you_mean(one, known)}"
    for part in mark.arena:
        if part not in WORKLOADS:
            yield f"no part {part!r} in the arena{did_you_mean(part, WORKLOADS)}"
    for group in mark.groups:
        if group not in GROUPS:
            yield f"no SMI group {group!r}{did_you_mean(group, GROUPS)}"


def faults(source: Source) -> Iterator[str]:
    """Every requirement with a test has a fault that the test must catch; faults break what is tested."""
    tested = {entry.requirement for entry in source.entries()}
    broken = {one for ids in source.faults.values() for one in ids}
    for one, level in source.known.items():
        if one in tested - broken:
            # An ambiguous requirement is observed: nothing to blame, but what is seen must be able to differ.
            what = "changes its reading" if level == "ambiguous" else "breaks it"
            yield f"{one}: has a test, but no fault of the reference mesh {what}"
    for fault, ids in source.faults.items():
        if not ids:
            yield f"fault {fault}: breaks no requirement"
        for one in ids:
            reading = source.shown.get(fault, {}).get(one, "")
            if reading and not _reads(reading, source.readings.get(one, {})):
                yield f"fault {fault}: {one}: no such reading: {reading!r}"
            if one in source.known and (source.known[one] == "ambiguous") != bool(reading):
                where = "expected_readings" if source.known[one] == "ambiguous" else "breaks"
                yield f"fault {fault}: {one}: {source.known[one]}, so it belongs in {where}"
            if one not in source.known:
                yield f"fault {fault}: {one}: no such requirement{did_you_mean(one, source.known)}"
            elif one not in tested:
                yield f"fault {fault}: {one}: has no test that could catch it"


def _reads(reading: str, known: Mapping[str, Mapping[str, str]]) -> bool:
    question, _, word = reading.rpartition(": ")
    return question in known and word in {*known[question], "none", "unacceptable"}


def code(source: Source) -> Iterator[str]:
    """Nothing knows a mesh by name, but for the profiles."""
    for file, text in source.code.items():
        if not file.startswith(NAMES_MESHES):
            for number, line in enumerate(text.splitlines(), 1):
                if found := MESHES.search(line):
                    yield f"{file}:{number}: names a mesh ({found[0]}); what differs belongs in a profile"


def class_names(source: Source) -> Iterator[str]:
    """No two public classes have the same name; those of a suite are known in its module alone."""
    known: dict[str, str] = {}
    for file, text in source.modules.items():
        for name in PUBLIC_CLASS.findall(text):
            if (first := known.setdefault(name, file)) != file:
                yield f"{file}: class {name} has the name of a class of {first}"


CHECKS = (requirements, tests, fixtures, faults, code, class_names)


def problems(source: Source) -> list[str]:
    """What is wrong, a line each."""
    return [problem for check in CHECKS for problem in check(source)]


def collect() -> Source:
    """This project's own source."""
    from smi_reference_mesh.faults import FAULTS

    root = Path(__file__).resolve().parents[1]
    suites = sorted(index.SUITES.rglob("test_*.py"))
    # The catalogue's YAML quotes where a statement comes from, which may be a mesh's documentation.
    looked_at = [*root.glob("conformance/**/*.py"), *root.glob("conformance/**/*.jinja2")]
    looked_at += [*root.glob("conformance/suites/*.yaml"), *root.glob("fixtures/**/*.yaml")]
    modules = [*root.glob("conformance/**/*.py"), *root.glob("smi_reference_mesh/**/*.py")]
    return Source(
        known={one.id: one.level for one in catalogue.load().values()},
        suites={str(path.relative_to(index.SUITES)): path.read_text("utf-8") for path in suites},
        untested=yamlio.load((index.SUITES / "untested.yaml").read_text("utf-8")),
        faults={fault.id: fault.affected for fault in FAULTS.values()},
        shown={fault.id: fault.expected_readings for fault in FAULTS.values()},
        readings={one.id: one.readings for one in catalogue.load().values()},
        fixtures={name: _services(name) for name in _folders()},
        code={str(path.relative_to(root)): path.read_text("utf-8") for path in sorted(looked_at)},
        modules={
            str(path.relative_to(root)): path.read_text("utf-8")
            for path in sorted(modules)
            if index.SUITES not in path.parents
        },
    )


def _folders() -> Iterator[str]:
    for api in folder().iterdir():
        if api.is_dir():
            yield from (f"{api.name}/{one.name}" for one in api.iterdir() if one.is_dir())


def _services(scenario: str) -> dict[str, list[str]]:
    return {
        name.rpartition("/")[2]: [
            item["metadata"]["name"] for item in load(name) if item["kind"] == "Service"
        ]
        for name in files(scenario)
    }


def main() -> int:
    """Print the problems; 1 if there are any."""
    try:
        found = [*problems(collect()), *plain_forms.problems(plain_forms.fixtures())]
    except ValueError as error:
        # A catalogue, a suite or a fault that cannot be read at all.
        found = [str(error)]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
