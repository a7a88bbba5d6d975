"""Any value as JSON that every reader accepts. Nothing here raises: answers of a mesh are hostile input."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from datetime import date
from enum import Enum
from fractions import Fraction
from typing import Any

DEPTH = 64
"""Maximum nesting: deeper than any Kubernetes object, far from Python's recursion limit."""

DIGITS = 300
"""Digits of the longest integer kept as a number; Python refuses to print more than 4300."""


def safe_text(value: object) -> str:
    """A string without lone surrogates, which JSON decoders produce and UTF-8 cannot carry."""
    words = value if isinstance(value, str) else repr(value)
    return words.encode("utf-8", "replace").decode("utf-8") if _has_surrogate(words) else words


def json_value(value: Any, depth: int = DEPTH) -> Any:
    """The value in JSON's types: dataclasses as objects, sets as sorted lists, unknown types as text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return json_value(value.value, depth)
    if isinstance(value, str):
        return safe_text(str(value))
    if isinstance(value, int | float | Fraction):
        return _number(value)
    if depth == 0:
        return "… (nested too deeply)"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: json_value(getattr(value, name), depth - 1) for name in names}
    if isinstance(value, Mapping):
        return {safe_text(_key(key)): json_value(item, depth - 1) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((json_value(item, depth - 1) for item in value), key=repr)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Collection):
        return [json_value(item, depth - 1) for item in value]
    return safe_text(value)


def _number(value: int | float | Fraction) -> int | float | str:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if abs(value) < 10**DIGITS else f"an integer of {value.bit_length()} bits"


def _key(key: object) -> object:
    return key.value if isinstance(key, Enum) else key


def _has_surrogate(words: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in words) if not words.isascii() else False
