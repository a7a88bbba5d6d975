"""The faults of the reference mesh and the requirements that they concern, from a file beside this module.

The faults themselves need the reference mesh, which is an optional extra.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("faults.json")
"""Written by `python -m tools.fault_list`."""


class ListedFault(NamedTuple):
    """A fault in a sentence, and the requirements that fail under it or change their reading."""

    summary: str
    concerns: tuple[str, ...]


@cache
def faults() -> Mapping[str, ListedFault]:
    """All faults by id, in the order of their APIs."""
    listed = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: ListedFault(one["summary"], tuple(one["concerns"])) for name, one in listed.items()}


def faults_by_requirement() -> dict[str, list[str]]:
    """The ids of faults by requirement."""
    found: dict[str, list[str]] = {}
    for name, fault in faults().items():
        for one in fault.concerns:
            found.setdefault(one, []).append(name)
    return found
