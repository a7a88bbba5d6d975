"""``python -m tools.lint``: what keeps the suite honest, as far as its source shows it.

Every requirement has a test or a reason; every test has a requirement, a judge that cannot do without a null
control, and a fault that it catches; nothing sleeps, swallows errors or knows a mesh by name.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conformance import catalogue
from conformance.catalogue import GROUPS, Level
from conformance.drive.arena import WORKLOADS
from conformance.judge import JUDGES
from conformance.text import yamlio
from conformance.text.suggest import did_you_mean
from conformance.traceability import index
from conformance.traceability.index import ScenarioMark, TestEntry
from tools import plain_forms

CONTROLS = frozenset({"before", "during", "effect", "cells"})
"""Parameters of judges that are null controls; a cell of an access table holds its own."""

API_ONLY = {
    "apiservice": "looks at an object and an answer of the API server; that they are there is the claim",
    "discovery": "looks at what the API server lists; without the API there is no list",
    "header_form": "tells what the API server makes of documents; a reading, which blames nobody",
    "groups_served": "compares the profile with what the API server lists; without CRDs it lists nothing",
    "names_and_columns": "looks at what discovery and a list of splits show; without CRDs they show nothing",
    "object_fields": "looks at the form of answers; without the API there are none",
    "rbac": "judges denials beside reads that are allowed, all made by the suite's own accounts",
    "refusals": "judges refusals beside the same documents without a violation, which are accepted",
    "round_trips": "sends its own objects there and back; without CRDs none comes back",
}
"""Judges that read the Kubernetes API only, and why their claims cannot hold by chance."""

ASIDE = {
    "unharmed": "what goes on as before says nothing unless an effect is judged beside it",
    "inconclusive": "never passes",
    "not_claimed": "never passes",
    "not_applicable": "never passes",
    "stands_on": "never passes",
    "taken_up_under_calls": "never passes",
    "headers_refused": "never passes",
    "unavailable": "never passes",
    "presumes": "takes a pass from the judgement that it is given",
    "in_environment": "takes a pass from the judgement that it is given",
    "given": "takes a pass from the judgement that it is given",
    "all_of": "as good as its parts",
}
"""Judges that do not carry a test by themselves, and why they need no control of their own."""

SLEEPERS = frozenset({"conformance/drive/wait.py", "conformance/drive/probe/ctl.py"})
"""The function that waits, and the probe's client, which waits until there is a socket to wait on."""

MESHES = re.compile(r"\b(osm|open ?service ?mesh|traefik|linkerd|istio|consul)\b", re.IGNORECASE)
_BY_MODULE = "pytest.fixture(scope='module')"
_ALTERS = re.compile(r"pytest\.mark\.(parametrize|skip|skipif|xfail|usefixtures|filterwarnings)\b")
NAMES_MESHES = ("conformance/profiles/",)


@dataclass(frozen=True, slots=True)
class Source:
    """What is looked at: texts by file, requirements by the reason that they are untested and by fault."""

    known: Mapping[str, Level]
    suites: Mapping[str, str]
    untested: Mapping[str, Iterable[str]]
    faults: Mapping[str, Iterable[str]]
    code: Mapping[str, str]
    judges: Mapping[str, Callable[..., object]]
    shown: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Readings that faults bring about, by fault and requirement; those requirements stand in faults too."""
    readings: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    """Readings of the catalogue, by requirement, question and letter."""

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
                yield f"untested.yaml: {one}: stands there twice"
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
        yield from (f"{file}: {problem}" for problem in _mark(mark))
    for one in sorted({entry.requirement for entry in source.entries()}):
        if source.known.get(one) == "ambiguous" and not source.readings.get(one):
            yield f"{one}: has a test, but its readings do not stand in the catalogue"
    for file, text in source.suites.items():
        yield from (f"{file}:{line}: {problem}" for line, problem in _unseen(ast.parse(text, file)))


def _unseen(module: ast.Module) -> Iterator[tuple[int, str]]:
    """What would let a requirement pass on some of its tests only, and what does not fit two lanes."""
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.AsyncFunctionDef) and node.name.lower().startswith("test"):
            yield node.lineno, f"{node.name}: tests are plain functions; others are not counted"
        for decorator in getattr(node, "decorator_list", []):
            if found := _ALTERS.match(ast.unparse(decorator)):
                yield decorator.lineno, f"{found[0]}: a test judges its requirement once, wherever it runs"
            if ast.unparse(decorator) == _BY_MODULE:
                yield (
                    decorator.lineno,
                    "what drives a module's scenario is marked @driven, to go beside others",
                )


def _mark(mark: ScenarioMark) -> Iterator[str]:
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
                yield f"fault {fault}: {one}: what is ambiguous is shown, and nothing else is"
            if one not in source.known:
                yield f"fault {fault}: {one}: no such requirement{did_you_mean(one, source.known)}"
            elif one not in tested:
                yield f"fault {fault}: {one}: has no test that could catch it"


def _reads(reading: str, known: Mapping[str, Mapping[str, str]]) -> bool:
    question, _, word = reading.rpartition(": ")
    return question in known and word in {*known[question], "none", "unacceptable"}


def judges(source: Source) -> Iterator[str]:
    """Every judge takes a null control, or stands in one of the lists with the reason."""
    excused = {**API_ONLY, **ASIDE}
    for name, judge in source.judges.items():
        if name not in excused and not CONTROLS & set(inspect.signature(judge).parameters):
            yield f"judge {name}: takes none of {', '.join(sorted(CONTROLS))}, and is not excused in lint.py"
    for name in excused:
        if name not in source.judges:
            yield f"lint.py excuses {name}, but there is no such judge"


def judgements(source: Source) -> Iterator[str]:
    """Every test hands ``verdict`` what a judge made of evidence and null control, and nothing else."""
    for file, text in source.suites.items():
        functions = {
            node.name: node for node in ast.parse(text, file).body if isinstance(node, ast.FunctionDef)
        }
        for name, node in functions.items():
            if name.startswith("test_"):
                where = f"{file}:{node.lineno}: {name}"
                test = _Test(node, functions, source.judges)
                yield from (f"{where}: {problem}" for problem in test.problems())


class _Test:
    """A test function, read for what it hands to ``verdict``, also by other functions of its module."""

    def __init__(
        self,
        function: ast.FunctionDef,
        functions: Mapping[str, ast.FunctionDef],
        judges: Mapping[str, Callable[..., object]],
    ) -> None:
        self._functions = functions
        self._judges = judges
        self._verdicts = [
            node
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "verdict"
        ]
        self._made = _assigned(function)

    def problems(self) -> Iterator[str]:
        if not self._verdicts:
            yield "never calls verdict, so it is always inconclusive"
        names: list[str] = []
        found = [
            problem
            for call in self._verdicts
            for argument in [*call.args, *(keyword.value for keyword in call.keywords)]
            for problem in self._judged(argument, names)
        ]
        yield from found
        if names and not found and all(name in ASIDE for name in names):
            yield "nothing that it judges has a null control"

    def _judged(self, value: ast.expr, names: list[str]) -> Iterator[str]:
        """Problems with one judgement; ``names`` collects the judges behind it."""
        if isinstance(value, ast.Name) and value.id in self._made:
            value = self._made[value.id]
        if isinstance(value, ast.DictComp):
            # Several judgements that are made alike, as the parts of one.
            value = value.value
        if isinstance(value, ast.Dict):
            for part in value.values:
                yield from self._judged(part, names)
            return
        if isinstance(value, ast.Call) and ast.unparse(value.func) in self._functions:
            yield from self._returned(self._functions[ast.unparse(value.func)], names)
            return
        if not isinstance(value, ast.Call) or not ast.unparse(value.func).startswith("judge."):
            yield f"hands {ast.unparse(value)} to verdict, which no judge made"
            return
        name = ast.unparse(value.func).removeprefix("judge.")
        if name not in self._judges:
            yield f"judge.{name}: no such judge{did_you_mean(name, self._judges)}"
            return
        names.append(name)
        if name == "all_of":
            for part in [*value.args, *(keyword.value for keyword in value.keywords)]:
                yield from self._judged(part, names)
        elif name == "given":
            for part in value.args[:2]:
                yield from self._judged(part, names)
        elif not _controlled(value, self._judges[name]):
            yield f"judge.{name} is called without its null control"

    def _returned(self, function: ast.FunctionDef, names: list[str]) -> Iterator[str]:
        """Problems with what a function of the module returns; it is read as if its lines stood here."""
        others = {name: one for name, one in self._functions.items() if name != function.name}
        within = _Test(function, others, self._judges)
        returned = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and node.value is not None
        ]
        if not returned:
            yield f"hands {function.name}() to verdict, which returns nothing"
        for value in returned:
            yield from within._judged(value, names)


def _assigned(function: ast.FunctionDef) -> dict[str, ast.expr]:
    """What a function gives names to."""
    return {
        ast.unparse(target): node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
    }


def _controlled(call: ast.Call, judge: Callable[..., object]) -> bool:
    """Whether a call gives the judge its control; an argument with a star may be anything."""
    if any(isinstance(one, ast.Starred) for one in call.args):
        return True
    parameters = list(inspect.signature(judge).parameters)
    given = {*parameters[: len(call.args)], *(one.arg for one in call.keywords)}
    return not CONTROLS & set(parameters) or bool(CONTROLS & given)


def code(source: Source) -> Iterator[str]:
    """Nothing sleeps, swallows errors or knows a mesh, but for the places that are there for it."""
    for file, text in source.code.items():
        if file.endswith(".py"):
            yield from (f"{file}:{line}: {problem}" for line, problem in sorted(_statements(file, text)))
        if not file.startswith(NAMES_MESHES):
            for number, line in enumerate(text.splitlines(), 1):
                if found := MESHES.search(line):
                    yield f"{file}:{number}: names a mesh ({found[0]}); what differs belongs in a profile"


def _statements(file: str, text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text, file)):
        if isinstance(node, ast.Call | ast.ImportFrom) and file not in SLEEPERS and _sleeps(node):
            yield node.lineno, "sleeps; drive/wait.py is where one waits, for something and not for long"
        if isinstance(node, ast.ExceptHandler) and _catches_all(node):
            yield node.lineno, "catches everything; what goes wrong is judged in runner.py, and nowhere else"


def _sleeps(node: ast.Call | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "sleep" for alias in node.names)
    return ast.unparse(node.func).rpartition(".")[2] == "sleep"


def _catches_all(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    caught = handler.type
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(kind is None or ast.unparse(kind) in {"Exception", "BaseException"} for kind in kinds)


CHECKS = (requirements, tests, faults, judges, judgements, code)


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
    return Source(
        known={one.id: one.level for one in catalogue.load().values()},
        suites={str(path.relative_to(index.SUITES)): path.read_text("utf-8") for path in suites},
        untested=yamlio.load((index.SUITES / "untested.yaml").read_text("utf-8")),
        faults={fault.id: fault.concerns for fault in FAULTS.values()},
        shown={fault.id: fault.shows for fault in FAULTS.values()},
        readings={one.id: one.readings for one in catalogue.load().values()},
        code={str(path.relative_to(root)): path.read_text("utf-8") for path in sorted(looked_at)},
        judges=JUDGES,
    )


def main() -> int:
    """Print what is wrong; 1 if anything is."""
    found = [*problems(collect()), *plain_forms.problems(plain_forms.fixtures())]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
