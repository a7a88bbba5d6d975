"""Claims: the API versions, or single kinds of them, that a mesh implements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from conformance import catalogue
from conformance.text.suggest import did_you_mean

Version = Literal["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"]
WHOLE, BY_KIND = "versions", "by kind"
"""The two forms of a claim, as validation errors name them."""
_Kinds = Annotated[tuple[str, ...], Field(min_length=1)]


def _form(value: Any) -> str:
    return BY_KIND if isinstance(value, Mapping) else WHOLE


_Claimed = Annotated[
    Annotated[tuple[Version, ...], Tag(WHOLE)] | Annotated[dict[Version, _Kinds], Tag(BY_KIND)],
    Discriminator(_form),
]
_Metrics = Annotated[
    Annotated[tuple[Literal["v1alpha1"], ...], Tag(WHOLE)]
    | Annotated[dict[Literal["v1alpha1"], _Kinds], Tag(BY_KIND)],
    Discriminator(_form),
]


class Claims(BaseModel):
    """The claimed API versions by group: all kinds of a version, or those listed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: _Claimed = ()
    access: _Claimed = ()
    specs: _Claimed = ()
    metrics: _Metrics = ()

    def by_group(self) -> dict[str, tuple[str, ...]]:
        """The claimed versions of each group."""
        return {group: tuple(getattr(self, group)) for group in catalogue.GROUPS}

    def kinds(self, group: str, version: str) -> tuple[str, ...]:
        """The claimed kinds of a version of a group; none if the version is not claimed."""
        claimed = getattr(self, group)
        if version not in claimed:
            return ()
        return tuple(claimed[version]) if isinstance(claimed, Mapping) else catalogue.kinds_of(group, version)

    def lacking(self, group: str, version: str, kind: str) -> str:
        """Why a kind of a claimed version is not claimed; empty if it is, or if the version is not."""
        if not self.kinds(group, version) or kind in self.kinds(group, version):
            return ""
        return f"the profile claims {group} {version} without {kind}"

    def in_words(self) -> dict[str, tuple[str, ...]]:
        """The claimed versions of each group, for the report: ``v1alpha4 without UDPRoute``."""
        return {
            group: tuple(
                " without ".join(filter(None, (one, self._left_out(group, one)))) for one in versions
            )
            for group, versions in self.by_group().items()
        }

    def _left_out(self, group: str, version: str) -> str:
        claimed = self.kinds(group, version)
        return " and ".join(one for one in catalogue.kinds_of(group, version) if one not in claimed)

    def problems(self) -> Iterator[str]:
        """Claimed kinds that do not exist in their version, each with those that do."""
        for group, versions in self.by_group().items():
            for version in versions:
                there = catalogue.kinds_of(group, version)
                for kind in self.kinds(group, version):
                    if kind not in there:
                        later = kind in catalogue.kinds_of(group, "v1alpha4")
                        hint = f"; it has {', '.join(there)}" if later else did_you_mean(kind, there)
                        yield f"claims.{group}.{version}: this version has no kind {kind!r}{hint}"
