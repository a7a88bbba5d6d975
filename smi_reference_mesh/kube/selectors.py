"""Label selectors in their query form: `app=foo,tier in (a,b),!legacy`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KEY = r"[A-Za-z0-9][-A-Za-z0-9_./]*"
_VALUE = r"[-A-Za-z0-9_.]*"
_FORMS = (
    (re.compile(rf"({_KEY})\s*==?\s*({_VALUE})"), "="),
    (re.compile(rf"({_KEY})\s*!=\s*({_VALUE})"), "NotIn"),
    (re.compile(rf"({_KEY})\s+in\s+\(([^()]*)\)"), "In"),
    (re.compile(rf"({_KEY})\s+notin\s+\(([^()]*)\)"), "NotIn"),
    (re.compile(rf"!\s*({_KEY})"), "DoesNotExist"),
    (re.compile(rf"({_KEY})"), "Exists"),
)


@dataclass(frozen=True, slots=True)
class Term:
    """A requirement on one label."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "=" | "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels


def parse(text: str) -> tuple[Term, ...]:
    """The terms of a selector; none for an empty one. Raises ValueError for an invalid selector."""
    parts = [part.strip() for part in re.split(r",(?![^(]*\))", text)]
    return tuple(_term(part) for part in parts) if text.strip() else ()


def _term(part: str) -> Term:
    for form, operator in _FORMS:
        if found := form.fullmatch(part):
            key, *rest = found.groups()
            values = tuple(value.strip() for value in rest[0].split(",")) if rest else ()
            return Term(key, operator, values)
    raise ValueError(f"unable to parse requirement: {part!r}")


def matches(terms: tuple[Term, ...], labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy all terms."""
    return all(term.matches(labels) for term in terms)


def as_json(terms: tuple[Term, ...]) -> dict[str, Any]:
    """The selector in its manifest form (LabelSelector)."""
    document: dict[str, Any] = {}
    equalities = {term.key: term.values[0] for term in terms if term.operator == "="}
    expressions = [
        {"key": term.key, "operator": term.operator, **({"values": list(term.values)} if term.values else {})}
        for term in terms
        if term.operator != "="
    ]
    if equalities:
        document["matchLabels"] = equalities
    if expressions:
        document["matchExpressions"] = expressions
    return document
