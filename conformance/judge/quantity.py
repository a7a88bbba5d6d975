"""Kubernetes quantities and Go durations as exact numbers.

Sources: Kubernetes API conventions, "Quantity" (k8s.io/apimachinery/pkg/api/resource, quantity.go: the
grammar in its comment); Go's time.ParseDuration for metav1.Duration.
"""

from __future__ import annotations

import re
from fractions import Fraction

_SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}
_LIMIT = 2**63
"""Every quantity is smaller: Kubernetes allows it 64 bits."""

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40}))"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,3})|(?P<suffix>[numkMGTPE]|[KMGTPE]i)?)"
)
_SECONDS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "μs": Fraction(1, 10**6),
    "ms": Fraction(1, 10**3),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_PART = re.compile(r"(?P<number>[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?P<unit>ns|us|µs|μs|ms|s|m|h)")


def parse_quantity(value: object) -> Fraction:
    """The value of a quantity: a string such as '10m', '1.5Ki' or '12e-3', or an integer.

    A JSON number with a fraction is refused, as it is no canonical quantity. Raises ValueError.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return _bounded(Fraction(value))
    if not isinstance(value, str):
        raise ValueError("not a Kubernetes quantity, which is a string such as '10m'")
    match = _QUANTITY.fullmatch(value)
    if match is None:
        raise ValueError("not a Kubernetes quantity")
    number = Fraction(match["number"])
    if match["exponent"] is not None:
        number *= Fraction(10) ** int(match["exponent"])
    else:
        number *= _SUFFIXES[match["suffix"] or ""]
    return _bounded(number)


def _bounded(number: Fraction) -> Fraction:
    if abs(number) >= _LIMIT:
        raise ValueError("too large for a Kubernetes quantity")
    return number


def parse_duration(value: object) -> Fraction:
    """Seconds of a duration such as '30s', '1m0s' or '500ms'; raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("not a duration, which is a string such as '30s'")
    text, sign = (value[1:], -1) if value.startswith("-") else (value, 1)
    if text == "0":
        return Fraction(0)
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise ValueError("not a duration such as '30s'")
    return sign * sum((Fraction(part["number"]) * _SECONDS[part["unit"]] for part in parts), Fraction(0))
