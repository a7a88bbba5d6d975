"""The documents say what is so: the generated page, commands, profiles, figures and links in them."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from conformance import catalogue, profiles
from conformance.cli import main
from conformance.judge import JUDGES
from conformance.judge.statistics import ALPHA, MIN_REQUESTS, draws_to_see_all, regions, sample_size
from conformance.text.markdown import plain
from conformance.traceability import fault_index
from conformance.traceability.matrix import rows
from smi_reference_mesh import faults
from smi_reference_mesh.variants import VARIANTS
from tools import cli_page, fault_list, requirements_page

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("conformance/*/README.md"),
    ]
    if page not in (requirements_page.PAGE, cli_page.PAGE)
)
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:make|smi-conformance|python -m) [^`]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)")


def text(name: str) -> str:
    """A document of the project as one line, so that line breaks do not matter."""
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def blocks(page: Path, language: str) -> Iterator[str]:
    for found, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if found == language:
            yield body


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line in the documents that is this project's own, as the page's name and its words."""
    for page in PAGES:
        prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
        shell = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
        for line in [*shell.splitlines(), *INLINE.findall(prose)]:
            words = shlex.split(line, comments=True)
            if words:
                words[0] = words[0].removeprefix(".venv/bin/")
                yield page.name, words


def own(program: str) -> list[tuple[str, list[str]]]:
    return [(page, words[1:]) for page, words in commands() if words[0] == program]


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_the_page_of_requirements_is_up_to_date() -> None:
    wanted = requirements_page.page(rows())
    assert requirements_page.PAGE.read_text(encoding="utf-8") == wanted, (
        "write it anew: python -m tools.requirements_page"
    )


def test_the_list_of_faults_is_up_to_date() -> None:
    there = fault_index.FILE.read_text(encoding="utf-8")
    assert there == fault_list.document(), "write it anew: python -m tools.fault_list"


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    there = cli_page.PAGE.read_text(encoding="utf-8")
    assert there == cli_page.page(), "write it anew: python -m tools.cli_page"


def test_the_page_of_the_command_line_names_every_command_and_option() -> None:
    page = cli_page.page()
    (commands,) = (one for one in main.parser()._actions if isinstance(one, argparse._SubParsersAction))
    assert len(commands.choices) > 8
    for name, command in commands.choices.items():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        options = {one for action in command._actions for one in action.option_strings} - {"-h", "--help"}
        assert {one for one in options if f"`{one}" not in section} == set(), name


def test_the_page_on_architecture_lists_every_folder_in_the_order_of_imports() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = (one["layers"] for one in contracts["contracts"] if one.get("containers") == ["conformance"])
    listed = re.findall(
        r"^\| `(\w+)(?:/|\.py)` \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE
    )
    assert listed == [name for layer in layers for name in layer.split(" | ")]


def test_the_page_of_requirements_names_every_requirement_and_the_tests_and_faults_of_those_tested() -> None:
    page = requirements_page.page(rows())
    for row in rows():
        assert f"| `{row.requirement.id}` | {row.requirement.level} |" in page
        assert all(test.file in page for test in row.tests)
        assert all(f"`{fault}`" in page for fault in row.faults)


def test_characters_that_markdown_reads_as_marks_are_escaped() -> None:
    cells = [line for line in requirements_page.page(rows()).splitlines() if line.startswith("| `")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 8 for line in cells)
    assert plain("a|b  *c*\n_d_") == r"a\|b \*c\* \_d\_"


def test_every_make_target_in_the_documents_exists() -> None:
    asked = [(page, word) for page, words in own("make") for word in words if "=" not in word]
    assert asked
    assert [(page, word) for page, word in asked if word not in make_targets()] == []


@pytest.mark.parametrize(("page", "words"), own("smi-conformance"))
def test_every_command_line_in_the_documents_is_understood(page: str, words: list[str]) -> None:
    given = words[: words.index("--")] if "--" in words else words
    options = main.parser().parse_args(given)
    assert callable(options.function)
    asked = getattr(options, "requirement", [])
    for requirement in [asked] if isinstance(asked, str) else asked:
        assert requirement == "ID" or requirement in catalogue.load(), page
    for fault in getattr(options, "fault", []):
        assert fault == "ID" or fault in faults.FAULTS, page
    for variant in getattr(options, "variant", []):
        assert variant == "ID" or variant in VARIANTS, page


def test_every_python_module_in_the_documents_exists() -> None:
    modules = [words[1] for program in ("python", "python3") for _, words in own(program) if words[0] == "-m"]
    assert modules
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_every_profile_in_the_documents_fits_the_model() -> None:
    bodies = [body for page in PAGES for body in blocks(page, "yaml") if body.lstrip().startswith("name:")]
    assert len(bodies) >= 4
    for body in bodies:
        profiles.parse(body, "in the documents")


def test_the_reference_profile_in_the_documents_is_the_one_that_is_shipped() -> None:
    bodies = [yaml.safe_load(body) for body in blocks(ROOT / "docs/profiles.md", "yaml")]
    (shown,) = [body for body in bodies if body.get("name") == "reference"]
    shipped = yaml.safe_load((ROOT / "conformance/profiles/reference.yaml").read_text(encoding="utf-8"))
    assert {**shown, "description": shipped["description"]} == shipped


def fields(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Every field of a profile that is not itself a group of fields, by its path."""
    for name, field in model.model_fields.items():
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        groups = [one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)]
        if groups and groups[0] is not profiles.Metadata:
            yield from fields(groups[0], f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_every_field_of_a_profile_is_explained() -> None:
    table = (ROOT / "docs/profiles.md").read_text(encoding="utf-8")
    assert [name for name in fields(profiles.Profile) if f"`{name}`" not in table] == []


def test_the_figures_of_the_readme_are_those_of_the_suite() -> None:
    found, readme = rows(), text("README.md")
    tested = [row for row in found if row.tests]
    levels = Counter(row.requirement.level for row in tested)
    real = sum(1 for fault in faults.FAULTS.values() if fault.real_defects)
    sentences = [
        f"lists {len(found)} requirements of SMI; {len(tested)} of them are tested",
        f"Of these {levels['core']} are core, {levels['extended']} extended and",
        f"and {levels['ambiguous']} ambiguous",
        f"in {len(faults.FAULTS)} ways, {real} of which recreate",
        f"different in {len(VARIANTS)} ways that are right as well",
    ]
    for api in ("TrafficSplit", "TrafficAccess", "TrafficSpecs", "TrafficMetrics"):
        sentences.append(f"{sum(1 for row in tested if row.requirement.api == api)} of {api}")
    assert [each for each in sentences if each not in readme] == []


def test_the_figures_of_the_page_on_verdicts_are_those_of_the_judges() -> None:
    page = text("docs/verdicts.md")
    for title, weights in (("80 : 20", (80, 20)), ("75 : 24 : 1", (75, 24, 1)), ("1000 : 500", (1000, 500))):
        named = dict(zip("abc", weights, strict=False))
        size = sample_size(named)
        assert f"| {title} | {size:,} |" in page
        accepted = regions(size, named).values()
        assert all(f"{region.low:,} to {region.high:,}" in page for region in accepted), title
    assert f"Less than {MIN_REQUESTS} requests" in page
    assert f"more than α: {draws_to_see_all(4)} for four" in page


def test_as_many_requirements_are_judged_by_shares_as_the_page_on_verdicts_says() -> None:
    assert "weights_followed" in JUDGES
    judged = [row for row in rows() if any("weights_followed" in test.judges for test in row.tests)]
    assert f"{len(judged)} requirements of this edition are judged by shares" in text("docs/verdicts.md")
    assert f"in at most {len(judged) * ALPHA:.2%}".replace("%", " %") in text("docs/verdicts.md")


@pytest.mark.parametrize(
    "page", [*PAGES, requirements_page.PAGE], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8")))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []
