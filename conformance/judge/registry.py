"""Every judge by its name, and what a judgement needs to be made again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from types import MappingProxyType
from typing import ParamSpec

from conformance.model.verdict import Basis, Judgement

P = ParamSpec("P")

_judges: dict[str, Callable[..., Judgement]] = {}

JUDGES: Mapping[str, Callable[..., Judgement]] = MappingProxyType(_judges)
"""The judges by name; filled when ``conformance.judge`` is imported."""


def register(function: Callable[P, Judgement]) -> Callable[P, Judgement]:
    """Enter a function that states its basis by itself; raises ValueError when its name is taken."""
    if function.__name__ in _judges:
        raise ValueError(f"there is a judge called {function.__name__!r} already")
    _judges[function.__name__] = function
    return function


def judge(function: Callable[P, Judgement]) -> Callable[P, Judgement]:
    """Register a judge; whatever it concludes carries its name and the arguments as they were given."""
    signature = inspect.signature(function)

    @wraps(function)
    def judged(*args: P.args, **kwargs: P.kwargs) -> Judgement:
        arguments = dict(signature.bind(*args, **kwargs).arguments)
        return replace(function(*args, **kwargs), basis=Basis(function.__name__, arguments))

    return register(judged)


def recall(basis: Basis) -> Judgement:
    """Judge again from a basis, the judgements among its arguments first.

    Raises KeyError for a judge that does not exist (any more), TypeError for arguments that do not fit it.
    """
    return JUDGES[basis.judge](**{name: _again(value) for name, value in basis.arguments.items()})


def _again(value: object) -> object:
    match value:
        case Basis():
            return recall(value)
        case Judgement(basis=Basis() as basis):
            return recall(basis)
        case _:
            return value
