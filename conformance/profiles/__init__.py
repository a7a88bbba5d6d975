"""Profiles: the suite's knowledge of each mesh, one YAML file each; nothing else names a mesh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from conformance import catalogue
from conformance.model.errors import UserError
from conformance.profiles.claims import BY_KIND, WHOLE, Claims
from conformance.profiles.model import (
    ORDINARY_HOST,
    Access,
    ControlPlaneLocation,
    Converge,
    Ingress,
    IngressAccount,
    Inspect,
    Join,
    Membership,
    Metadata,
    Profile,
)
from conformance.text import yamlio
from conformance.text.suggest import did_you_mean

__all__ = [
    "ORDINARY_HOST",
    "Access",
    "Claims",
    "ControlPlaneLocation",
    "Converge",
    "Ingress",
    "IngressAccount",
    "Inspect",
    "Join",
    "Membership",
    "Metadata",
    "Profile",
    "ProfileError",
    "load",
    "names",
    "parse",
]

OWN_NAMESPACE = "$namespace"
"""Placeholder in the objects of a profile for the namespace in which they are created."""
_CLUSTER_SCOPED = {"Namespace", "ClusterRole", "ClusterRoleBinding"}
"""Well-known cluster-scoped kinds; for others, only a cluster's discovery tells."""


class ProfileError(UserError, ValueError):
    """An unusable profile; the message is one line with the remedy."""


_PYDANTIC_PLACES = (WHOLE, BY_KIND, "[key]")
"""Parts that pydantic adds to the location of an error."""


def _explain(error: ValidationError) -> str:
    errors = error.errors()
    # A misspelt key is also missing under its right name; the misspelling is the one to report.
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    place = [part for part in first["loc"] if part not in _PYDANTIC_PLACES]
    where = ".".join(str(part) for part in place)
    if first["type"] == "extra_forbidden":
        known = _keys(Profile, place[:-1])
        return f"unknown key {where!r}{did_you_mean(str(place[-1]), sorted(known))}"
    return f"{where}: {first['msg']}"


def _keys(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    for part in path:
        field = model.model_fields.get(str(part))
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        models = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)


def _misplaced(profile: Profile) -> str | None:
    """The problem of the first wrong object for the run's namespaces; None if all are fine.

    A run deletes only its namespaces: an object elsewhere would be left behind, or may have existed before.
    """
    opened = profile.access.open or Membership()
    for key, one in (("join", profile.join), ("outside", profile.outside), ("access.open", opened)):
        for index, item in enumerate(one.objects):
            if problem := _problem(item):
                return f"{key}.objects.{index}: {problem}"
    return None


def _problem(item: dict[str, Any]) -> str | None:
    metadata, kind = item.get("metadata"), item.get("kind")
    named = isinstance(metadata, dict) and metadata.get("name")
    if not isinstance(metadata, dict) or not isinstance(kind, str) or not (named and item.get("apiVersion")):
        return "no object with apiVersion, kind and metadata.name"
    if kind in _CLUSTER_SCOPED:
        return f"a {kind} is cluster-scoped and would be left behind; install it with the mesh"
    namespace = metadata.get("namespace", OWN_NAMESPACE)
    if namespace != OWN_NAMESPACE:
        return f"an object in {namespace!r} would be left behind; install it with the mesh"
    return None


def _problems(profile: Profile) -> Iterator[str]:
    """Problems that the model alone cannot detect; only the first is reported."""
    yield from filter(None, [_misplaced(profile)])
    yield from profile.claims.problems()
    known = catalogue.load()
    for requirement_id in profile.disclaims:
        if requirement_id not in known:
            yield f"disclaims: unknown requirement {requirement_id!r}{did_you_mean(requirement_id, known)}"
    if profile.access.udp and "udp" not in profile.carried:
        yield "access.udp: governed datagrams are also carried; add udp to protocols"
    try:
        host = profile.host("shop", "smi")
    except (AttributeError, KeyError, IndexError, ValueError):
        yield "hosts.service: only {service}, {namespace} and {domain} may be in braces"
        return
    if "shop" not in host:
        yield "hosts.service: {service} is missing"


def parse(text: str, name: str) -> Profile:
    """A profile from YAML. Raises ProfileError, one line that names the key and the remedy."""
    try:
        document = yamlio.load(text)
    except yaml.YAMLError as error:
        raise ProfileError(f"profile {name}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ProfileError(f"profile {name}: not a mapping; see docs/profiles.md for one in ten lines")
    try:
        profile = Profile.model_validate(document)
    except ValidationError as error:
        raise ProfileError(f"profile {name}: {_explain(error)}") from error
    if problem := next(_problems(profile), None):
        raise ProfileError(f"profile {name}: {problem}")
    return profile


def names() -> list[str]:
    """The names of the profiles that come with the suite."""
    files = resources.files(__name__).iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in files if entry.name.endswith(".yaml"))


def load(mesh: str) -> Profile:
    """A profile that comes with the suite, by name, or another by the path of its file.

    Raises ProfileError if it does not exist or does not fit the model.
    """
    if mesh in names():
        return parse((resources.files(__name__) / f"{mesh}.yaml").read_text(encoding="utf-8"), mesh)
    path = Path(mesh)
    if path.suffix in {".yaml", ".yml"} or "/" in mesh:
        try:
            return parse(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f"profile {mesh}: {getattr(error, 'strerror', None) or error}") from error
    hint = did_you_mean(mesh, names())
    raise ProfileError(f"unknown mesh {mesh!r}{hint} (or give the path of a profile, ./my-mesh.yaml)")
