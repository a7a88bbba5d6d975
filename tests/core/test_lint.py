"""The lint is clean here, and fails on broken samples with a line that says what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools import lint
from tools.lint import Source

ROOT = Path(__file__).parents[2]
HEAD = """
import pytest
pytestmark = pytest.mark.scenario("traffic-split/x", arena=("main",), groups=("split",))
"""
MARK = '@pytest.mark.requirement("split-live-edits")\n'
GOOD = MARK + "def test_it(effect, verdict):\n    verdict(judge.weights_followed(effect, {}))\n"


def suite(text: str) -> dict[str, str]:
    return {"traffic_split/test_x.py": HEAD + textwrap.dedent(text)}


CLEAN = Source(
    known={"split-live-edits": "core", "split-schema-v1alpha1": "extended"},
    suites=suite(GOOD),
    untested={"planned: schemas": ["split-schema-v1alpha1"]},
    faults={"edits-ignored": ["split-live-edits"]},
    code={},
)


def found(check: Callable[[Source], Iterator[str]], **changes: Any) -> list[str]:
    return list(check(replace(CLEAN, **changes)))


def test_this_project_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint.main() == 0
    assert capsys.readouterr().out == ""


def test_what_is_wrong_is_printed_and_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lint, "collect", lambda: replace(CLEAN, faults={}, untested={}))
    assert lint.main() == 1
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_sample_is_clean() -> None:
    assert lint.problems(CLEAN) == []


class TestRequirements:
    def test_without_test_and_reason_are_found(self) -> None:
        (line,) = found(lint.requirements, untested={})
        assert line.startswith("catalogue: split-schema-v1alpha1: neither a test nor a reason in")

    def test_with_an_empty_reason_have_none(self) -> None:
        (line,) = found(lint.requirements, untested={" ": ["split-schema-v1alpha1"]})
        assert "neither a test nor a reason" in line

    def test_with_test_and_reason_are_found(self) -> None:
        (line,) = found(lint.requirements, untested={"x": ["split-schema-v1alpha1", "split-live-edits"]})
        assert line == "untested.yaml: split-live-edits: has a test, so it does not belong there"

    def test_that_are_none_are_found_among_the_reasons(self) -> None:
        (line,) = found(lint.requirements, untested={"x": ["split-schema-v1alpha1", "split-schema-v1"]})
        assert (
            line == "untested.yaml: split-schema-v1: no such requirement; did you mean split-schema-v1alpha1?"
        )

    def test_under_two_reasons_are_found(self) -> None:
        one = ["split-schema-v1alpha1"]
        (line,) = found(lint.requirements, untested={"x": one, "y": one})
        assert line.endswith("is listed twice")


class TestTests:
    def test_without_requirement_are_found(self) -> None:
        assert found(lint.tests, suites=suite(GOOD.removeprefix(MARK))) == [
            "traffic_split/test_x.py::test_it: no @pytest.mark.requirement(id)"
        ]

    def test_of_an_unknown_requirement_are_found(self) -> None:
        (line,) = found(lint.tests, suites=suite(GOOD.replace("live-edits", "live-edit")))
        assert line.endswith("split-live-edit: no such requirement; did you mean split-live-edits?")

    def test_of_what_is_ambiguous_need_its_readings(self) -> None:
        (line,) = found(lint.tests, known={**CLEAN.known, "split-live-edits": "ambiguous"})
        assert line == "split-live-edits: has a test, but the catalogue lists no readings of it"

    def test_of_two_requirements_are_found(self) -> None:
        both = GOOD.replace('edits")', 'edits", "split-schema-v1alpha1")')
        assert "one each" in found(lint.tests, suites=suite(both))[0]

    def test_in_parts_of_the_arena_that_there_are_not_are_found(self) -> None:
        text = (HEAD + GOOD).replace('"main"', '"mian"').replace('("split",)', '("splits",)')
        assert found(lint.tests, suites={"a.py": text}) == [
            "a.py: no part 'mian' in the arena; did you mean main?",
            "a.py: no SMI group 'splits'; did you mean split?",
        ]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("class TestX:\n    pass\n", "TestX: tests are plain functions; others are not counted"),
            ("async def test_y():\n    pass\n", "test_y: tests are plain functions"),
            ('@pytest.fixture(scope="module")\ndef y(scenario):\n    pass\n', "is marked @drives_scenario"),
            ('@pytest.mark.parametrize("a", [1])\n' + GOOD, "pytest.mark.parametrize: a test judges its"),
            ('@pytest.mark.skip(reason="slow")\n' + GOOD, "pytest.mark.skip: a test judges its"),
            ("@pytest.mark.xfail\n" + GOOD, "pytest.mark.xfail: a test judges its"),
        ],
    )
    def test_that_would_not_be_counted_are_found(self, text: str, message: str) -> None:
        (line,) = found(lint.tests, suites=suite(text))
        assert message in line

    def test_in_a_module_that_is_too_long_are_found(self) -> None:
        (line,) = found(lint.tests, suites=suite(GOOD + "\n" * lint.LONGEST_SUITE))
        assert "lines, more than 150: split it by topic" in line

    def test_without_a_scenario_are_an_error(self) -> None:
        with pytest.raises(ValueError, match="no pytestmark"):
            found(lint.tests, suites={"a.py": GOOD})


class TestScenarios:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                'arena=("main",), groups=("split",), presume=("a",)',
                "no argument 'presume'; did you mean presumes",
            ),
            ('arena=("main",), groups=("split")', r"groups is text, not a tuple: \('split',\)"),
            ('arena=("main",)', "no groups"),
        ],
    )
    def test_with_malformed_arguments_are_an_error(self, arguments: str, message: str) -> None:
        text = f'import pytest\npytestmark = pytest.mark.scenario("traffic-split/x", {arguments})\n{GOOD}'
        with pytest.raises(ValueError, match=message):
            found(lint.tests, suites={"a.py": text})

    @pytest.mark.parametrize("argument", ["presumes", "stands_on"])
    def test_that_depend_on_unknown_requirements_are_found(self, argument: str) -> None:
        mark = HEAD.replace('("split",)', f'("split",), {argument}=("split-live-edit",)')
        lines = found(lint.tests, suites={"a.py": mark + GOOD})
        assert any(
            "'split-live-edit' to stand on or presume; did you mean split-live-edits" in line
            for line in lines
        )

    def test_that_presume_unknown_requirements_in_a_test_are_found(self) -> None:
        marked = GOOD.replace('"split-live-edits")', '"split-live-edits", presumes=("split-x",))')
        lines = found(lint.tests, suites=suite(marked))
        assert any("::test_it: presumes split-x: no such requirement" in line for line in lines)

    DRIVEN = MARK + "def test_it(scenario, verdict):\n    scenario.apply('split.yaml')\n"

    @pytest.mark.parametrize(
        ("fixtures", "message"),
        [
            ({"traffic-split/x": {"split.yaml": []}}, ""),
            ({"traffic-split/x": {"split.yaml": ["new"], "services.yaml": ["root"]}}, ""),
            ({"traffic-split/y": {"split.yaml": []}}, "no folder fixtures/traffic-split/x"),
            ({"traffic-split/x": {"splits.yaml": []}}, "no file fixtures/traffic-split/x/split.yaml"),
            ({"traffic-split/x": {"split.yaml": ["root"]}}, "Service root is created together with"),
        ],
    )
    def test_need_their_fixtures(self, fixtures: dict[str, dict[str, list[str]]], message: str) -> None:
        lines = found(lint.fixtures, suites=suite(self.DRIVEN), fixtures=fixtures)
        assert [message in line for line in lines] == ([True] if message else [])


class TestFaults:
    def test_that_are_missing_are_found(self) -> None:
        assert found(lint.faults, faults={}) == [
            "split-live-edits: has a test, but no fault of the reference mesh breaks it"
        ]

    def test_must_change_what_is_only_observed(self) -> None:
        (line,) = found(lint.faults, faults={}, known={"split-live-edits": "ambiguous"})
        assert line.endswith("no fault of the reference mesh changes its reading")

    @pytest.mark.parametrize(
        ("shown", "message"),
        [
            ("when: a", ""),
            ("when: unacceptable", ""),
            ("when: none", ""),
            ("when: c", "no such reading: 'when: c'"),
            ("where: a", "no such reading: 'where: a'"),
            ("", "ambiguous, so it belongs in expected_readings"),
        ],
    )
    def test_show_readings_that_the_catalogue_has(self, shown: str, message: str) -> None:
        lines = found(
            lint.faults,
            known={"split-live-edits": "ambiguous"},
            shown={"edits-ignored": {"split-live-edits": shown}} if shown else {},
            readings={"split-live-edits": {"when": {"a": "at once", "b": "later"}}},
        )
        assert [line.partition("split-live-edits: ")[2] for line in lines] == ([message] if message else [])

    def test_that_show_a_reading_of_what_is_judged_are_found(self) -> None:
        lines = found(
            lint.faults,
            shown={"edits-ignored": {"split-live-edits": "when: a"}},
            readings={"split-live-edits": {"when": {"a": "at once", "b": "later"}}},
        )
        assert lines == ["fault edits-ignored: split-live-edits: core, so it belongs in breaks"]

    @pytest.mark.parametrize(
        ("breaks", "message"),
        [
            ([], "fault odd: breaks no requirement"),
            (["split-live-edit"], "no such requirement; did you mean split-live-edits?"),
            (["split-schema-v1alpha1"], "split-schema-v1alpha1: has no test that could catch it"),
        ],
        ids=["nothing", "unknown", "untested"],
    )
    def test_that_break_nothing_that_is_tested_are_found(self, breaks: list[str], message: str) -> None:
        (line,) = found(lint.faults, faults={**CLEAN.faults, "odd": breaks})
        assert line.startswith("fault odd: ")
        assert line.endswith(message)


class TestCode:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "HOST = 'svc.traefik.mesh'",
                "a.py:1: names a mesh (traefik); what differs belongs in a profile",
            ),
            ("if mesh == 'OSM':\n    pass", "a.py:1: names a mesh (OSM)"),
            ("# as Linkerd does\n", "a.py:1: names a mesh (Linkerd)"),
        ],
    )
    def test_that_knows_a_mesh_is_found(self, text: str, message: str) -> None:
        (line,) = found(lint.code, code={"conformance/a.py": text})
        assert line.startswith(f"conformance/{message}")

    @pytest.mark.parametrize(
        ("file", "text"),
        [
            ("conformance/profiles/mine.yaml", "name: linkerd"),
            ("conformance/a.py", "consultation = 'cosmos'"),
        ],
    )
    def test_where_it_has_to_is_left_alone(self, file: str, text: str) -> None:
        assert found(lint.code, code={file: text}) == []

    def test_is_looked_at_in_fixtures_and_templates_as_well(self) -> None:
        looked_at = lint.collect().code
        assert "fixtures/workloads/main.yaml" in looked_at
        assert "conformance/report/templates/page.jinja2" in looked_at
        assert "conformance/suites/untested.yaml" in looked_at
        assert "conformance/catalogue/common.yaml" not in looked_at


class TestRuff:
    """What ruff is told to find, as far as it is not its habit."""

    @pytest.mark.parametrize(
        ("text", "rule"),
        [
            ("import time\n\ntime.sleep(5)\n", "TID251"),
            ("import asyncio\n\n\nasync def f() -> None:\n    await asyncio.sleep(1)\n", "TID251"),
            ("from time import sleep as nap\n\nnap(1)\n", "TID251"),
            ("try:\n    print()\nexcept Exception:\n    print()\n", "BLE001"),
            ("try:\n    print()\nexcept:\n    print()\n", "E722"),
            ("try:\n    print()\nexcept (ValueError, Exception):\n    print()\n", "BLE001"),
            ("try:\n    print()\nexcept BaseException:\n    print()\n    raise\n", ""),
            ("try:\n    print()\nexcept ValueError:\n    print()\n", ""),
        ],
    )
    def test_finds_what_sleeps_or_swallows_errors(self, text: str, rule: str) -> None:
        assert ruff("conformance/a.py", text) == ({rule} if rule else set())

    @pytest.mark.parametrize("file", ["conformance/drive/wait.py", "conformance/probe/control_client.py"])
    def test_leaves_those_alone_that_wait_for_others(self, file: str) -> None:
        assert ruff(file, "import time\n\ntime.sleep(5)\n") == set()


def ruff(file: str, text: str) -> set[str]:
    """The rules that a text breaks, as the content of that file."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--output-format",
        "json",
        "--stdin-filename",
        file,
        "-",
    ]
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT)
    return {one["code"] for one in json.loads(done.stdout)}


def test_two_classes_of_one_name_are_reported() -> None:
    modules = {
        "a.py": "class Pod:\n    pass\n\n\nclass _Own: ...\n",
        "b.py": "class _Own: ...\nclass Pod(dict): ...\n",
    }
    assert found(lint.class_names, modules=modules) == ["b.py: class Pod has the name of a class of a.py"]
