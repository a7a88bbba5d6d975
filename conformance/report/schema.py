"""The JSON schema of the report; ``python -m conformance.report.schema`` rewrites the published file."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from conformance.report.document import Report

NAME = "report.schema.json"


def schema() -> dict[str, Any]:
    """The schema of a written report, as JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://smi-conformance.dev/report.schema.json",
        **Report.model_json_schema(mode="serialization"),
    }


def published() -> str:
    """The text of the published file, which is shipped beside this module."""
    return resources.files("conformance.report").joinpath(NAME).read_text(encoding="utf-8")


def dumps() -> str:
    """The schema as text, as in the published file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name(NAME).write_text(dumps(), encoding="utf-8")
