"""YAML loading, by libyaml if PyYAML has it: the same objects in a tenth of the time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(text: str) -> Any:
    """The document in a text, None for an empty text. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one, either way


def load_all(text: str) -> Iterator[Any]:
    """The documents in a text, lazily. Raises yaml.YAMLError."""
    documents: Iterator[Any] = yaml.load_all(text, Loader=_LOADER)
    return documents
