"""Validating access to fields of untrusted JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

Report = Callable[[str], None]
"""Records an oddity in an otherwise valid object."""


class Unreadable(ValueError):
    """An invalid object or field."""


def mapping(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object under a key; empty if absent. Raises Unreadable for any other value."""
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Unreadable(f"{key} is not an object")
    return value


def listing(parent: Mapping[str, Any], key: str) -> Sequence[Any]:
    """The list under a key; empty if absent. Raises Unreadable for any other value."""
    value = parent.get(key)
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise Unreadable(f"{key} is not a list")
    return value


def entries(parent: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    """The objects in the list under a key. Raises Unreadable if an item is not an object."""
    found = listing(parent, key)
    if not all(isinstance(entry, Mapping) for entry in found):
        raise Unreadable(f"{key} holds something that is not an object")
    return found


def text(parent: Mapping[str, Any], key: str) -> str:
    """The non-empty string under a key. Raises Unreadable for any other value or none."""
    value = parent.get(key)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"{key} is missing or not a string")
    return value


def optional_text(parent: Mapping[str, Any], key: str) -> str | None:
    """The string under a key, None if absent or empty. Raises Unreadable for any other value."""
    return None if parent.get(key) in (None, "") else text(parent, key)


def port(value: object) -> int:
    """A port number. Raises Unreadable unless it is an integer of 1 to 65535."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise Unreadable(f"{value!r} is not a port")
    return value


def number(value: object) -> Fraction:
    """A weight from v1alpha2 on: a non-negative number. Raises Unreadable for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"weight {value!r} is not a number")
    if not 0 <= value < float("inf"):
        raise Unreadable(f"weight {value!r} is negative or not finite")
    return Fraction(str(value))


_SUFFIXES: Mapping[str, Fraction] = {
    **{
        suffix: Fraction(10) ** (3 * (i - 3))
        for i, suffix in enumerate(("n", "u", "m", "", "k", "M", "G", "T"))
    },
    **{suffix: Fraction(1024) ** (i + 1) for i, suffix in enumerate(("Ki", "Mi", "Gi", "Ti"))},
}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([eE][+-]?[0-9]{1,2})|([numkMGT]|[KMGT]i)?)")


def quantity(value: object) -> Fraction:
    """A weight of v1alpha1: a non-negative Kubernetes quantity such as `1`, `"500m"` or `"1e3"`.

    Raises Unreadable for any other value. Source: split v1alpha1; grammar in
    k8s.io/apimachinery/pkg/api/resource.
    """
    if not isinstance(value, str):
        return number(value)
    found = _QUANTITY.fullmatch(value.strip())
    if found is None:
        raise Unreadable(f"weight {value!r} is not a quantity")
    digits, exponent, suffix = found.groups()
    return Fraction(Decimal(digits + (exponent or ""))) * _SUFFIXES[suffix or ""]


@lru_cache(maxsize=4096)
def _complaint(pattern: str) -> str | None:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "no reason given"
        return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return None


def regex(value: object) -> str:
    """A regular expression that Envoy can compile, that is RE2. Raises Unreadable for any other value.

    A single invalid expression would make Envoy reject the whole response that contains it.
    """
    if not isinstance(value, str):
        raise Unreadable(f"{value!r} is not a regular expression")
    complaint = _complaint(value)
    if complaint is not None:
        raise Unreadable(f"{value!r} is not a regular expression: {complaint}")
    return value
