"""The tests of each requirement, read from the suites' source without running anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Literal, Self

from conformance.catalogue.foundations import BASIC, PRESUMED
from conformance.text import yamlio
from conformance.text.suggest import did_you_mean

SUITES = Path(__file__).resolve().parents[1] / "suites"
OUTSIDE = "outside"
"""The arena's part outside the mesh: a scenario with this part alone drives no traffic through the mesh."""
BASIC_SUITES = "basic/"
"""The folder of the tests of basic requirements."""


@dataclass(frozen=True, slots=True)
class ScenarioMark:
    """The ``scenario`` marker of a module: its fixtures' folder, the arena's parts, its SMI groups.

    ``every_version``: it concerns the interplay of versions, so it runs in all claimed versions unless
    ``--versions`` names others. ``alone``: its objects may stop a mesh altogether, so nothing is driven
    beside it. ``stands_on``: the basic requirements without which its evidence is inconclusive; by default
    those of its groups. ``presumes``: further requirements that its traffic needs besides a test's own; they
    are judged before it.
    """

    folder: str
    arena: tuple[str, ...]
    groups: tuple[str, ...]
    every_version: bool = False
    alone: bool = False
    stands_on: tuple[str, ...] = ()
    presumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TestEntry:
    """One test function: its file, requirement, scenario, and the judges it calls.

    ``judges`` include those called by functions of its module. ``files`` are the manifests of its scenario's
    folder that it, or a fixture of its module, applies as a whole, that is, without those rendered only as
    far as a version can express them. ``presumes`` are the requirements whose failure may explain a failure
    of this test: its own and its scenario's.
    """

    __test__ = False
    requirement: str
    file: str
    function: str
    scenario: ScenarioMark
    judges: tuple[str, ...]
    files: tuple[str, ...] = ()
    presumes: tuple[str, ...] = ()

    @property
    def nodeid(self) -> str:
        return f"{self.file}::{self.function}"


@cache
def index() -> tuple[TestEntry, ...]:
    """All tests of the suites, in file order. Raises ValueError for a module without a scenario marker."""
    entries: list[TestEntry] = []
    for path in sorted(SUITES.rglob("test_*.py")):
        entries += read(path.read_text(encoding="utf-8"), str(path.relative_to(SUITES)))
    return tuple(entries)


def by_requirement() -> dict[str, list[TestEntry]]:
    """Tests by requirement."""
    found: dict[str, list[TestEntry]] = {}
    for entry in index():
        found.setdefault(entry.requirement, []).append(entry)
    return found


@cache
def entry_of(nodeid: str) -> TestEntry | None:
    """The test of the suites for a pytest node id, whatever its parameters."""
    path, _, function = nodeid.partition("[")[0].partition("::")
    return next((one for one in index() if path.endswith(one.file) and one.function == function), None)


@cache
def depths() -> Mapping[str, int]:
    """By file: the length of the longest chain of files to be judged before it, by what its tests presume.

    Raises graphlib.CycleError, a ValueError, if files presume one another.
    """
    sorter = TopologicalSorter(presumed_files())
    sorter.prepare()
    found: dict[str, int] = {}
    depth = 0
    while ready := sorter.get_ready():
        found |= dict.fromkeys(ready, depth)
        sorter.done(*ready)
        depth += 1
    return found


def presumed_files() -> Mapping[str, set[str]]:
    """By file: the other files with a test of a requirement that one of its tests presumes."""
    tests = by_requirement()
    found: dict[str, set[str]] = {}
    for entry in index():
        presumed = {other.file for one in entry.presumes for other in tests[one]}
        found.setdefault(entry.file, set()).update(presumed - {entry.file})
    return found


@cache
def untested() -> Mapping[str, str]:
    """By id: why a requirement has no test. Raises ValueError for a requirement with two reasons."""
    reasons = yamlio.load((SUITES / "untested.yaml").read_text(encoding="utf-8"))
    listed = [(one, reason) for reason, ids in reasons.items() for one in ids]
    if len(dict(listed)) < len(listed):
        raise ValueError("untested.yaml: a requirement has two reasons")
    return dict(listed)


def read(source: str, file: str) -> list[TestEntry]:
    """The tests of one module."""
    module = ast.parse(source, file)
    marks = [_scenario(node) for node in module.body]
    scenario = next((mark for mark in marks if mark is not None), None)
    functions = {node.name: _Function.read(node) for node in module.body if isinstance(node, ast.FunctionDef)}
    entries = []
    for node in module.body:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        if scenario is None:
            raise ValueError(f"{file}: no pytestmark = pytest.mark.scenario(folder, arena=…, groups=…)")
        requirements = [one for decorator in node.decorator_list for one in _requirement(decorator)]
        judges = tuple(_judges(functions[node.name], functions))
        files = tuple(sorted(_files(functions[node.name], functions)))
        own = [one for decorator in node.decorator_list for one in _presumed(decorator)]
        presumed = tuple(dict.fromkeys([*scenario.presumes, *own]))
        entries += [
            TestEntry(
                one,
                file,
                node.name,
                scenario,
                judges,
                files,
                tuple(other for other in presumed if other != one),
            )
            for one in requirements or [""]
        ]
    return entries


_ARGUMENTS = [field.name for field in fields(ScenarioMark) if field.name != "folder"]


def scenario_mark(folder: str, named: Mapping[str, Any]) -> ScenarioMark:
    """The marker with these arguments. Raises ValueError for missing, unknown and malformed arguments."""
    for name, value in named.items():
        if name not in _ARGUMENTS:
            raise ValueError(f"scenario({folder}): no argument {name!r}{did_you_mean(name, _ARGUMENTS)}")
        if isinstance(value, str):
            raise ValueError(f"scenario({folder}): {name} is text, not a tuple: ({value!r},)")
    if missing := [name for name in ("arena", "groups") if name not in named]:
        raise ValueError(f"scenario({folder}): no {' and no '.join(missing)}")
    arena, groups = tuple(named["arena"]), tuple(named["groups"])
    return ScenarioMark(
        folder,
        arena,
        groups,
        every_version=bool(named.get("every_version", False)),
        alone=bool(named.get("alone", False)),
        stands_on=tuple(named.get("stands_on", _driven_by(BASIC, folder, arena, groups))),
        presumes=(*named.get("presumes", ()), *_driven_by(PRESUMED, folder, arena, groups)),
    )


def _driven_by(
    by_group: Mapping[str, str], folder: str, arena: tuple[str, ...], groups: tuple[str, ...]
) -> tuple[str, ...]:
    """The values of the groups whose objects a scenario applies, if it drives traffic through the mesh."""
    driven = not folder.startswith(BASIC_SUITES) and any(part != OUTSIDE for part in arena)
    return tuple(one for group, one in by_group.items() if driven and group in groups)


def _marker(node: ast.expr, name: str) -> ast.Call | None:
    if isinstance(node, ast.Call) and _dotted(node.func) == f"pytest.mark.{name}":
        return node
    return None


def _requirement(decorator: ast.expr) -> list[str]:
    call = _marker(decorator, "requirement")
    return [ast.literal_eval(argument) for argument in call.args] if call else []


def _presumed(decorator: ast.expr) -> Iterator[str]:
    call = _marker(decorator, "requirement")
    for keyword in call.keywords if call else ():
        if keyword.arg == "presumes":
            yield from ast.literal_eval(keyword.value)


def _scenario(node: ast.stmt) -> ScenarioMark | None:
    if not isinstance(node, ast.Assign) or _dotted(node.targets[0]) != "pytestmark":
        return None
    call = _marker(node.value, "scenario")
    if call is None:
        return None
    named: dict[str, Any] = {one.arg: ast.literal_eval(one.value) for one in call.keywords if one.arg}
    return scenario_mark(ast.literal_eval(call.args[0]), named)


_PARTIAL_CALLS = {"objects_for_version", "load"}
"""Functions that do not apply the whole file that they name."""


@dataclass(frozen=True, slots=True)
class _Function:
    """What one function names: files of fixtures, judges and functions of its module, those in their order.

    ``parameters`` are fixtures, if functions have these names; ``names`` are all names in it.
    """

    name: str
    files: frozenset[str]
    names: frozenset[str]
    parameters: tuple[str, ...]
    judges: tuple[tuple[Literal["judge", "function"], str], ...]

    @classmethod
    def read(cls, node: ast.FunctionDef) -> Self:
        files, names = _named(node)
        return cls(
            node.name,
            files,
            names,
            tuple(argument.arg for argument in node.args.args),
            tuple(_judges_named(node)),
        )


def _named(function: ast.FunctionDef) -> tuple[frozenset[str], frozenset[str]]:
    """The fixture files that a function names, and the names in it."""
    files, names = set(), set()
    waiting: list[ast.AST] = [function]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.JoinedStr():
                continue
            case ast.Call() if _dotted(node.func).rpartition(".")[2] in _PARTIAL_CALLS:
                continue
            case ast.Constant(value=str(text)) if text.endswith(".yaml"):
                files.add(text)
            case ast.Name(id=name) | ast.arg(arg=name):
                names.add(name)
        waiting += ast.iter_child_nodes(node)
    return frozenset(files), frozenset(names)


def _judges_named(function: ast.FunctionDef) -> Iterator[tuple[Literal["judge", "function"], str]]:
    """The judges that a function names, and the functions that it calls.

    ``seen.reading(…)`` is the judge of that name, applied to trials of a fixture.
    """
    for node in ast.walk(function):
        match node:
            case ast.Attribute(attr=name) if name == "reading" or _dotted(node.value) == "judge":
                yield "judge", name
            case ast.Call(func=ast.Name(id=name)):
                yield "function", name


def _dotted(node: ast.expr) -> str:
    """A name with its dots; of another expression what is behind it, as in ``.name``."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_dotted(value)}.{name}"
    return ""


def _files(function: _Function, functions: Mapping[str, _Function]) -> set[str]:
    """The fixture files named by a function, or by functions that it calls or takes as fixtures."""
    found, seen, waiting = set[str](), {function.name}, [function]
    while waiting:
        one = waiting.pop()
        found |= one.files
        others = (one.names & functions.keys()) - seen
        seen |= others
        waiting += (functions[name] for name in others)
    return found


def _judges(function: _Function, functions: Mapping[str, _Function]) -> list[str]:
    """The judges named by a function, directly or through fixtures and other functions of its module."""
    others = {name: one for name, one in functions.items() if name != function.name}
    found: list[str] = []
    for fixture in function.parameters:
        if fixture in others:
            found += _judges(others[fixture], others)
    for kind, name in function.judges:
        if kind == "judge":
            found.append(name)
        elif name in others:
            found += _judges(others[name], others)
    return found


def sentence(function: str) -> str:
    """The sentence about the mesh in a test function's name."""
    words = function.partition("[")[0].removeprefix("test_").replace("_", " ")
    return words[:1].upper() + words[1:]
