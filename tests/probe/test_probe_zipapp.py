from __future__ import annotations

import ast
import builtins
import importlib.resources
import importlib.util
import io
import json
import subprocess
import zipfile
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest
from probe_peers import PYTHON, Probe, start_probe, stop_probe

from conformance.drive import probe_bundle
from conformance.probe import __main__ as command
from conformance.probe import control_client

SOURCES = [
    item for item in importlib.resources.files("conformance.probe").iterdir() if item.name.endswith(".py")
]


def test_the_same_sources_give_the_same_bytes() -> None:
    first = probe_bundle.build()
    probe_bundle.build.cache_clear()
    assert probe_bundle.build() == first


def test_the_zipapp_fits_into_a_config_map_with_room_to_spare() -> None:
    assert len(probe_bundle.build()) < 300_000, "of a mebibyte"


def test_the_zipapp_holds_the_probe_and_what_it_needs_for_http2() -> None:
    names = zipfile.ZipFile(io.BytesIO(probe_bundle.build())).namelist()
    assert [name for name in names if name.partition("/")[0] in ("__main__.py", "probe")] == sorted(
        ["__main__.py", *(f"probe/{item.name}{code}" for item in SOURCES for code in ("", "c"))]
    )
    assert {name.partition("/")[0] for name in names} == {"__main__.py", "probe", "h2", "hpack", "hyperframe"}
    assert {"h2/LICENSE", "hpack/LICENSE", "hyperframe/LICENSE"} <= set(names)


def test_byte_code_is_used_by_the_same_version_and_ignored_by_others(program: Path, tmp_path: Path) -> None:
    loads = "import sys; sys.path.insert(0, sys.argv[1]); import probe.plan; "
    tells = "print(probe.plan.__loader__.get_filename('probe.plan'))"
    other = tmp_path / "other.pyz"
    magic = importlib.util.MAGIC_NUMBER
    with zipfile.ZipFile(program) as mine, zipfile.ZipFile(other, "w") as theirs:
        for name in mine.namelist():
            content = mine.read(name)
            foreign = name.endswith(".pyc") and content.startswith(magic)
            theirs.writestr(name, b"\0" * 4 + content[4:] if foreign else content)
    for packed, loaded in ((program, "plan.pyc"), (other, "plan.py")):
        command = [*PYTHON, "-c", loads + tells, packed]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        assert Path(done.stdout.strip()).name == loaded


def test_http2_is_loaded_only_on_use(program: Path) -> None:
    loads = "import sys; sys.path.insert(0, sys.argv[1]); "
    loads += "import probe.serve, probe.batch_runner, probe.control_client; "
    tells = "print('h2' in sys.modules); import probe.http2_client; print('h2' in sys.modules)"
    done = subprocess.run(
        [*PYTHON, "-c", loads + tells, str(program)], capture_output=True, text=True, check=True, timeout=10
    )
    assert done.stdout.split() == ["False", "True"]


PACKED = [
    name for name in zipfile.ZipFile(io.BytesIO(probe_bundle.build())).namelist() if name.endswith(".py")
]


@pytest.mark.parametrize("name", PACKED)
def test_the_probe_has_the_syntax_of_python_3_9(name: str) -> None:
    text = zipfile.ZipFile(io.BytesIO(probe_bundle.build())).read(name)
    ast.parse(text, feature_version=(3, 9))


def evaluated_unions(text: str) -> list[str]:
    """Unions of types (``X | None``) outside of annotations, which Python does not evaluate."""
    module = ast.parse(text)
    annotations: set[ast.AST] = set()
    for node in ast.walk(module):
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            annotations |= set(ast.walk(annotation)) if annotation is not None else set()
    return [
        ast.unparse(node)
        for node in ast.walk(module)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and node not in annotations
        if any(_is_type(side) for side in (node.left, node.right))
    ]


def _is_type(node: ast.AST) -> bool:
    name = node.value if isinstance(node, ast.Subscript) else node
    if isinstance(name, ast.Name):
        return isinstance(getattr(builtins, name.id, None), type) or (
            name.id[:1].isupper() and not name.id.isupper()
        )
    return isinstance(node, ast.Constant) and node.value is None


@pytest.mark.parametrize("source", SOURCES, ids=lambda item: item.name)
def test_the_probe_evaluates_no_union_of_types_which_python_3_9_cannot(source: Traversable) -> None:
    assert evaluated_unions(source.read_text(encoding="utf-8")) == []


def test_evaluated_unions_are_found_beside_those_of_annotations() -> None:
    header = "from __future__ import annotations\n"
    assert evaluated_unions(header + "A = list[int] | None\ndef f(x: int | None) -> int | str: ...") == [
        "list[int] | None"
    ]
    assert evaluated_unions(header + "isinstance(x, Sized | Chunked)\nflags = a | 1") == ["Sized | Chunked"]


def ctl_of(program: Path, *arguments: str, line: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYTHON, str(program), "ctl", *arguments],
        input=line,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )


def test_a_line_goes_in_and_lines_come_out(program: Path, client: Probe, server: Probe) -> None:
    plan = {"batches": [{"id": "ctl", "host": "127.0.0.1", "port": server.http[0], "requests": 300}]}
    done = ctl_of(program, "--control", client.control, line=json.dumps({"op": "run", "plan": plan}) + "\n")
    *answer, end = done.stdout.splitlines()
    lines = [json.loads(line) for line in answer]
    assert (done.returncode, done.stderr, end) == (0, "", "")
    assert [sum(len(line.get("observations", [])) for line in lines), lines[-1]["complete"]] == [300, True]


def test_a_client_passes_line_after_line_and_ends_each_answer(program: Path, client: Probe) -> None:
    ask = '{"op":"ping"}\n{"op":"dance"}\n{"op":"ping"}\n'
    answers = ctl_of(program, "--control", client.control, line=ask).stdout.split("\n\n")
    assert [sorted(json.loads(answer)) for answer in answers[:-1]] == [
        ["instance", "pod", "server"],
        ["error"],
        ["instance", "pod", "server"],
    ]
    assert answers[-1] == ""


def test_a_request_may_be_an_argument(program: Path, client: Probe) -> None:
    done = ctl_of(program, "--control", client.control, '{"op":"ping"}')
    assert json.loads(done.stdout)["server"] == "client"


def test_the_client_waits_for_a_starting_probe(program: Path, tmp_path: Path) -> None:
    asking = subprocess.Popen(
        [*PYTHON, str(program), "ctl", "--control", str(tmp_path / "late.sock"), '{"op":"ping"}'],
        stdout=subprocess.PIPE,
    )
    probe = start_probe(tmp_path, program, "late")
    said, _ = asking.communicate(timeout=10)
    stop_probe(probe)
    assert json.loads(said)["server"] == "late"


def test_a_missing_probe_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_client, "START_S", 0)
    assert command.main(["ctl", "--control", str(tmp_path / "none"), "{}"]) == 1
    assert "no probe answers" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["ctl"], ["dance"], ["serve", "--name", "x"], ["serve", "--http", "x"], ["ctl", "a", "b"]],
)
def test_an_invalid_command_line_gets_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(arguments) == 2
    assert "usage: probe" in capsys.readouterr().err
