from __future__ import annotations

import pytest

from smi_reference_mesh.kube import selectors

LABELS = {"app": "foo", "tier": "a", "example.com/x": ""}


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        ("", True),
        ("app=foo", True),
        ("app==foo", True),
        ("app = foo , tier=a", True),
        ("app=bar", False),
        ("app!=bar", True),
        ("app!=foo", False),
        ("absent!=foo", True),
        ("tier in (a, b)", True),
        ("tier in (b)", False),
        ("tier notin (b,c)", True),
        ("absent notin (b)", True),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("!app", False),
        ("example.com/x=", True),
        ("tier in (a,b),app=foo,!absent", True),
    ],
)
def test_a_selector_matches_labels(text: str, matched: bool) -> None:
    assert selectors.matches(selectors.parse(text), LABELS) is matched


@pytest.mark.parametrize("text", ["=foo", "app=foo,", "app in a", "app in (a", "a b", "app=foo bar"])
def test_an_invalid_selector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse requirement"):
        selectors.parse(text)


def test_a_selector_has_its_manifest_form() -> None:
    assert selectors.as_json(selectors.parse("app=foo,tier in (a,b),!old")) == {
        "matchLabels": {"app": "foo"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "old", "operator": "DoesNotExist"},
        ],
    }
