"""The catalogue: every requirement of SMI, tested or not, loaded from the YAML files beside this module."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from conformance.model.errors import UserError
from conformance.text import yamlio
from conformance.text.suggest import did_you_mean

Api = Literal["Common", "TrafficSplit", "TrafficSpecs", "TrafficAccess", "TrafficMetrics"]
Level = Literal["core", "extended", "ambiguous"]
Protocol = Literal["http", "h2c", "grpc", "tcp", "udp"]
PROTOCOLS: tuple[Protocol, ...] = ("http", "h2c", "grpc", "tcp", "udp")
"""Protocols declared by the ports of the sample Services; h2c is HTTP/2 in cleartext, prior knowledge."""
APIS: tuple[Api, ...] = ("Common", "TrafficSplit", "TrafficSpecs", "TrafficAccess", "TrafficMetrics")
LEVELS: tuple[Level, ...] = ("core", "extended", "ambiguous")

GROUPS: Mapping[str, str] = {
    "split": "split.smi-spec.io",
    "access": "access.smi-spec.io",
    "specs": "specs.smi-spec.io",
    "metrics": "metrics.smi-spec.io",
}
"""Short names of the API groups, as the catalogue and profiles write them."""

OWN_GROUP: Mapping[Api, str] = {
    "TrafficSplit": "split",
    "TrafficAccess": "access",
    "TrafficSpecs": "specs",
    "TrafficMetrics": "metrics",
}
"""The API group whose claim decides whether a requirement of that API applies; Common has none."""


def kinds_of(group: str, version: str) -> tuple[str, ...]:
    """The kinds in a version of a group (short name), by the specification's own tables of kinds."""
    match group:
        case "split":
            return ("TrafficSplit",)
        case "access":
            return ("TrafficTarget", "IdentityBinding") if version == "v1alpha4" else ("TrafficTarget",)
        case "specs":
            routes = ("HTTPRouteGroup", "TCPRoute")
            return (*routes, "UDPRoute") if version == "v1alpha4" else routes
        case _:
            return ("TrafficMetrics",)


_RANGE = re.compile(r"(?P<group>split|access|specs|metrics) v1alpha(?P<first>\d)(?:\.\.v1alpha(?P<last>\d))?")


class CatalogueError(UserError, ValueError):
    """The catalogue's files do not fit its model, or a requested requirement does not exist."""


class Requirement(BaseModel):
    """One normative statement of SMI; the catalogue's README explains the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)+$")
    api: Api
    level: Level
    versions: tuple[str, ...] = Field(min_length=1)
    statement: str = Field(min_length=20)
    source: str = Field(min_length=5)
    observe: str = Field(min_length=20)
    kinds: tuple[str, ...] = ()
    """Kinds that it concerns, if a mesh may implement the same version without them."""
    protocols: tuple[Protocol, ...] = ()
    """Protocols that it concerns, besides HTTP."""
    readings: dict[str, dict[str, str]] = {}

    @field_validator("versions")
    @classmethod
    def _are_ranges(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            match = _RANGE.fullmatch(text)
            if match is None or int(match["last"] or match["first"]) < int(match["first"]):
                raise ValueError(f"{text!r} is not a range such as 'split v1alpha1..v1alpha4'")
        return value

    @model_validator(mode="after")
    def _readings_are_lettered(self) -> Requirement:
        if self.readings and self.level != "ambiguous":
            raise ValueError("only an ambiguous requirement has readings")
        for question, options in self.readings.items():
            if len(options) < 2 or list(options) != sorted(set(options) & set("abcdefgh")):
                raise ValueError(f"readings of {question!r} are not lettered as in the statement")
        return self

    def versions_of(self, group: str) -> tuple[str, ...]:
        """Versions of a group (short name) for which the statement holds, oldest first."""
        for text in self.versions:
            match = _RANGE.fullmatch(text)
            if match is not None and match["group"] == group:
                numbers = range(int(match["first"]), int(match["last"] or match["first"]) + 1)
                return tuple(f"v1alpha{number}" for number in numbers)
        return ()

    def applies(self, claims: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether it applies to a mesh with these claims (group → versions)."""
        groups = (OWN_GROUP[self.api],) if self.api in OWN_GROUP else tuple(GROUPS)
        return any(set(self.versions_of(group)) & set(claims.get(group, ())) for group in groups)


class Catalogue(Mapping[str, Requirement]):
    """Requirements by id, in the order of the specification's APIs and of the files."""

    def __init__(self, requirements: tuple[Requirement, ...]) -> None:
        self._by_id = {requirement.id: requirement for requirement in requirements}
        if len(self._by_id) != len(requirements):
            seen: set[str] = set()
            twice = sorted({r.id for r in requirements if r.id in seen or seen.add(r.id)})  # type: ignore[func-returns-value]
            raise CatalogueError(f"requirements with the same id: {', '.join(twice)}")

    def __getitem__(self, requirement_id: str) -> Requirement:
        try:
            return self._by_id[requirement_id]
        except KeyError:
            hint = did_you_mean(requirement_id, self._by_id)
            raise CatalogueError(
                f"unknown requirement {requirement_id!r}{hint} (smi-conformance list shows all)"
            ) from None

    def __contains__(self, requirement_id: object) -> bool:
        return requirement_id in self._by_id

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)


def parse(text: str, name: str) -> tuple[Requirement, ...]:
    """The requirements of one catalogue file. Raises CatalogueError, which names file and entry."""
    entries = yamlio.load(text)
    if not isinstance(entries, list):
        raise CatalogueError(f"{name}: not a list of requirements")
    found = []
    for position, entry in enumerate(entries, 1):
        try:
            found.append(Requirement.model_validate(entry))
        except ValidationError as error:
            first = error.errors()[0]
            where = entry.get("id", f"entry {position}") if isinstance(entry, dict) else f"entry {position}"
            field = ".".join(str(part) for part in first["loc"])
            raise CatalogueError(f"{name}: {where}: {field}: {first['msg']}") from error
    return tuple(found)


@cache
def load() -> Catalogue:
    """The whole catalogue. Raises CatalogueError if a file does not fit the model."""
    folder: Traversable = resources.files(__name__)
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda e: e.name
    )
    requirements = [r for entry in files for r in parse(entry.read_text(encoding="utf-8"), entry.name)]
    return Catalogue(tuple(sorted(requirements, key=lambda r: APIS.index(r.api))))
