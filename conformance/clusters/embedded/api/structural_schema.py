"""Structural schemas of CustomResourceDefinitions: pruning, defaulting, validation.

As in apiextensions.k8s.io/v1; the jsonschema library validates.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

_SHARED_KEYWORDS = (
    "type", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength",
    "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "required", "multipleOf",
    "uniqueItems",
)  # fmt: skip
_SERVER_FIELDS = ("apiVersion", "kind", "metadata")
_PRESERVE_UNKNOWN = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"

Admitter = Callable[[dict[str, Any]], dict[str, Any]]


class Invalid(ValueError):
    """An object that violates its schema; ``str`` lists the problems."""


def admitter(schema: Mapping[str, Any]) -> Admitter:
    """A function that prunes, defaults and validates an object by a schema. It raises Invalid."""
    validator = Draft202012Validator(_plain(schema))

    def admit(obj: dict[str, Any]) -> dict[str, Any]:
        own = {name: obj[name] for name in _SERVER_FIELDS if name in obj}
        pruned = {**_defaulted(_pruned(obj, schema), schema), **own}
        problems = sorted(validator.iter_errors(pruned), key=lambda error: list(map(str, error.path)))
        if problems:
            raise Invalid(_joined([text for error in problems for text in _messages(error)]))
        return pruned

    return admit


def _joined(problems: list[str]) -> str:
    return problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"


def _pruned(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
        kept = {}
        for key, inner in value.items():
            if key in properties:
                kept[key] = _pruned(inner, properties[key])
            elif isinstance(others, Mapping):
                kept[key] = _pruned(inner, others)
            elif others is True or schema.get(_PRESERVE_UNKNOWN):
                kept[key] = inner
        return kept
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [_pruned(inner, schema["items"]) for inner in value]
    return value


def undeclared_field(obj: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """The path of the first undeclared field (``.spec.matches``); empty if all are declared."""
    own = {name: value for name, value in obj.items() if name not in _SERVER_FIELDS}
    return _undeclared_field(own, schema, "")


def _undeclared_field(value: Any, schema: Mapping[str, Any], path: str) -> str:
    if isinstance(value, dict):
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, inner in value.items():
            known = properties.get(key, others if isinstance(others, Mapping) else None)
            if known is None and not (others is True or schema.get(_PRESERVE_UNKNOWN)):
                return f"{path}.{key}"
            if known is not None and (found := _undeclared_field(inner, known, f"{path}.{key}")):
                return found
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for number, inner in enumerate(value):
            if found := _undeclared_field(inner, schema["items"], f"{path}[{number}]"):
                return found
    return ""


def _defaulted(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        filled = dict(value)
        for key, inner in (schema.get("properties") or {}).items():
            if key not in filled and "default" in inner:
                filled[key] = copy.deepcopy(inner["default"])
            if key in filled:
                filled[key] = _defaulted(filled[key], inner)
        return filled
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [_defaulted(inner, schema["items"]) for inner in value]
    return value


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The structural schema as plain JSON Schema."""
    plain: dict[str, Any] = {word: schema[word] for word in _SHARED_KEYWORDS if word in schema}
    if schema.get(_INT_OR_STRING):
        plain["type"] = ["integer", "string"]
    if schema.get("nullable") and "type" in plain:
        types = plain["type"] if isinstance(plain["type"], list) else [plain["type"]]
        plain["type"] = [*types, "null"]
    if schema.get("properties"):
        plain["properties"] = {name: _plain(inner) for name, inner in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), Mapping):
        plain["additionalProperties"] = _plain(schema["additionalProperties"])
    if isinstance(schema.get("items"), Mapping):
        plain["items"] = _plain(schema["items"])
    for word in ("allOf", "anyOf", "oneOf"):
        if schema.get(word):
            plain[word] = [_plain(inner) for inner in schema[word]]
    if schema.get("not"):
        plain["not"] = _plain(schema["not"])
    return plain


def _messages(error: ValidationError) -> Iterator[str]:
    where = ""
    for part in error.absolute_path:
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
    rule: Any = error.validator_value
    if error.validator == "required":
        there: Any = error.instance
        for name in rule:
            if name not in there:
                yield f"{where}.{name}: Required value".lstrip(".")
        return
    shown = error.instance
    if error.validator == "type":
        wanted = rule if isinstance(rule, str) else " or ".join(rule)
        kind = _type_of(shown)
        yield f'{where}: Invalid value: "{kind}": {where} in body must be of type {wanted}: "{kind}"'
    elif error.validator == "enum":
        allowed = ", ".join(json.dumps(each) for each in rule)
        yield f"{where}: Unsupported value: {json.dumps(shown)}: supported values: {allowed}"
    else:
        yield f"{where}: Invalid value: {json.dumps(shown)}: {error.message}"


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"
