"""Every judge by its name, and the recomputation of judgements."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import wraps
from types import MappingProxyType
from typing import ParamSpec, overload

from conformance.model.verdict import Basis, Judgement

P = ParamSpec("P")
Judge = Callable[P, Judgement]

CONTROLS = frozenset({"baseline", "during", "effect", "table"})
"""Parameters of judges that are or contain null controls; without a default, so every call supplies them."""

_judges: dict[str, Callable[..., Judgement]] = {}
_api_only: set[str] = set()
_aside: set[str] = set()

JUDGES: Mapping[str, Callable[..., Judgement]] = MappingProxyType(_judges)
"""The judges by name; filled when ``conformance.judge`` is imported."""


def register(*, api_only: str = "", own_control: str = "", aside: str = "") -> Callable[[Judge[P]], Judge[P]]:
    """Register a function that sets the basis of its judgements itself; otherwise as `judge`."""

    def enter(function: Judge[P]) -> Judge[P]:
        name = function.__name__
        if name in _judges:
            raise ValueError(f"a judge called {name!r} exists already")
        if not (api_only or own_control or aside or _controlled(function)):
            wanted = ", ".join(sorted(CONTROLS))
            raise TypeError(f"judge {name} has no null control ({wanted}) and no reason why it needs none")
        _judges[name] = function
        if api_only:
            _api_only.add(name)
        if aside:
            _aside.add(name)
        return function

    return enter


@overload
def judge(function: Judge[P]) -> Judge[P]: ...
@overload
def judge(
    *, api_only: str = ..., own_control: str = ..., aside: str = ...
) -> Callable[[Judge[P]], Judge[P]]: ...
def judge(
    function: Judge[P] | None = None, *, api_only: str = "", own_control: str = "", aside: str = ""
) -> Judge[P] | Callable[[Judge[P]], Judge[P]]:
    """Register a judge; each of its judgements carries the judge's name and arguments.

    It requires a null control (CONTROLS), or says why it needs none: ``api_only`` for a judge that only reads
    the Kubernetes API, whose claim cannot hold by chance; ``own_control`` for a judge whose evidence is a
    comparison that contains the control; ``aside`` for a judge that cannot carry a test by itself. Raises
    TypeError without any of these, and ValueError when its name is taken.
    """

    def decorate(function: Judge[P]) -> Judge[P]:
        signature = inspect.signature(function)

        @wraps(function)
        def judged(*args: P.args, **kwargs: P.kwargs) -> Judgement:
            arguments = dict(signature.bind(*args, **kwargs).arguments)
            return replace(function(*args, **kwargs), basis=Basis(function.__name__, arguments))

        return register(api_only=api_only, own_control=own_control, aside=aside)(judged)

    return decorate if function is None else decorate(function)


def _controlled(function: Callable[..., object]) -> bool:
    parameters = inspect.signature(function).parameters
    return any(
        name in parameters and parameters[name].default is inspect.Parameter.empty for name in CONTROLS
    )


def reads_api_only(judge: str) -> bool:
    """Whether the judge of that name only reads the Kubernetes API."""
    return judge in _api_only


def is_founded(judgement: Judgement) -> bool:
    """Whether a judge with a null control, or one that needs none, contributed to a judgement."""
    return any(name not in _aside for name in _judges_of(judgement.basis))


def _judges_of(value: object) -> Iterator[str]:
    """The names of the judges in a basis, or in an argument of a basis."""
    match value:
        case Basis():
            yield value.judge
            for inner in value.arguments.values():
                yield from _judges_of(inner)
        case Judgement():
            yield from _judges_of(value.basis)


def rejudge(basis: Basis) -> Judgement:
    """Judge again from a basis, the judgements among its arguments first.

    Raises KeyError for an unknown judge, TypeError for arguments that do not fit it.
    """
    return JUDGES[basis.judge](**{name: _again(value) for name, value in basis.arguments.items()})


def _again(value: object) -> object:
    match value:
        case Basis():
            return rejudge(value)
        case Judgement(basis=Basis() as basis):
            return rejudge(basis)
        case _:
            return value
