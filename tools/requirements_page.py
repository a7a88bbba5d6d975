"""``python -m tools.requirements_page`` writes docs/requirements.md from catalogue, suites and faults."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from conformance import catalogue
from conformance.text.files import replace
from conformance.text.markdown import plain, table
from conformance.traceability.index import TestEntry, sentence
from conformance.traceability.matrix import Row, rows

PAGE = Path(__file__).resolve().parents[1] / "docs" / "requirements.md"
"""Where the page stands in a checkout."""

INTRODUCTION = """\
# Requirements

Every testable statement of the Service Mesh Interface, in our own words. This page is written by
`python -m tools.requirements_page` from the [catalogue](../conformance/catalogue/README.md), which explains
the levels and how sources are given; edits belong there. `smi-conformance explain ID` shows how a requirement
is tested.
"""

_COLUMNS = ("id", "level", "versions", "statement", "source", "tests", "faults")


def page(found: Sequence[Row]) -> str:
    """The page as Markdown: figures for each API, then a table of its requirements."""
    by_api = {api: [row for row in found if row.requirement.api == api] for api in catalogue.APIS}
    lines = [INTRODUCTION, *table(("API", "requirements", "tested"), _figures(by_api, found))]
    for api, mine in by_api.items():
        lines += ["", f"## {api}", "", *table(_COLUMNS, map(_cells, mine))]
    return "\n".join(lines) + "\n"


def _figures(by_api: dict[catalogue.Api, list[Row]], found: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    for api, mine in (*by_api.items(), ("all", found)):
        yield api, str(len(mine)), str(sum(1 for row in mine if row.tests))


def _cells(row: Row) -> tuple[str, ...]:
    one = row.requirement
    return (
        f"`{one.id}`",
        one.level,
        "<br>".join(one.versions),
        plain(one.statement),
        plain(one.source),
        "<br>".join(map(_link, row.tests)) or "untested",
        "<br>".join(f"`{fault}`" for fault in row.faults) if row.tests else "",
    )


def _link(test: TestEntry) -> str:
    return f"[{sentence(test.function)}](../conformance/suites/{test.file})"


def main() -> int:
    """Write the page; 2 where there is none to write, for instance in an installed package."""
    if not PAGE.parent.is_dir():
        print(f"{PAGE.parent} is not there: this works in a checkout only", file=sys.stderr)
        return 2
    replace(PAGE, page(rows()))
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
