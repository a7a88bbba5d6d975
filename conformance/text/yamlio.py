"""YAML as the suite reads it: by libyaml where PyYAML has it, to the same objects in a tenth of the time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(text: str) -> Any:
    """The document of a text, None of an empty one. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one, either way


def load_all(text: str) -> Iterator[Any]:
    """The documents of a text, one after the other. Raises yaml.YAMLError."""
    documents: Iterator[Any] = yaml.load_all(text, Loader=_LOADER)
    return documents
