"""Conditions on requests, for routing and for access control, from the same Match.

Envoy's `safe_regex` must match the whole path, without the query, or the whole header value.
"""

from __future__ import annotations

from smi_reference_mesh.compiler import envoy
from smi_reference_mesh.compiler.configuration import JSON
from smi_reference_mesh.smi.model import Match


def route_match(match: Match) -> JSON:
    """For a route: RouteMatch."""
    path: JSON = envoy.ANYTHING if match.path is None else {"safe_regex": _regex(match.path)}
    return {**path, "headers": _headers(match)}


def permission(match: Match) -> JSON:
    """For access control: RBAC Permission."""
    rules = [{"header": header} for header in _headers(match)]
    if match.path is not None:
        rules.insert(0, {"url_path": {"path": {"safe_regex": _regex(match.path)}}})
    return {"and_rules": {"rules": rules}} if rules else {"any": True}


def _headers(match: Match) -> list[JSON]:
    # Methods are upper-case words and need no quoting.
    given = [] if match.methods is None else [(":method", "|".join(match.methods))]
    given += [(":authority" if name == "host" else name, pattern) for name, pattern in match.headers]
    return [{"name": name, "string_match": {"safe_regex": _regex(pattern)}} for name, pattern in given]


def _regex(pattern: str) -> JSON:
    # Envoy refuses an empty expression, which matches only the empty string.
    return {"regex": pattern or "^$"}
