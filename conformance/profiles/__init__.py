"""Profiles: what the suite must know of a mesh, one YAML file each; nothing else names a mesh."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from conformance import catalogue, yaml_text
from conformance.near import meant

Version = Literal["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"]
_NAME = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
ORDINARY_HOST = "{service}.{namespace}.svc.cluster.local"
OWN_NAMESPACE = "$namespace"
"""In the objects of a profile: the namespace that they are made in."""
_IN_NO_NAMESPACE = {"Namespace", "ClusterRole", "ClusterRoleBinding"}
"""Kinds that are known for it; of others only a cluster can tell."""


class ProfileError(ValueError):
    """A profile that cannot be used; the message is one line with the remedy."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Marks(_Strict):
    """Labels and annotations to put on an object."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Membership(_Strict):
    """What makes pods of a namespace part of the mesh, or keeps them out of it.

    ``objects`` are made in the namespace before its pods, for example a permission without which pods
    do not get ready; ``$namespace`` in any of their strings stands for the namespace's name. They go with the
    namespace, so none lies elsewhere.
    """

    namespace: Marks = Marks()
    pod: Marks = Marks()
    objects: tuple[dict[str, Any], ...] = ()


class Join(Membership):
    """How pods join. ``sidecar``: a joined pod shows more containers than its manifest names."""

    sidecar: bool = True


class Access(_Strict):
    """What holds where no TrafficTarget names a workload, and how a namespace is taken out of access control.

    ``open`` absent means that no namespace can be: then scenarios that are not about access apply
    TrafficTargets for their own calls, and what needs a namespace without access control is not asked of the
    mesh.

    ``udp``: datagrams are governed as well, by UDPRoutes; where they are not, nothing is asked about them.
    """

    default: Literal["deny", "allow"] = "deny"
    open: Membership | None = None
    udp: bool = False


class Hosts(_Strict):
    """The name that a client calls to reach a service through the mesh."""

    service: str = ORDINARY_HOST


class Claims(_Strict):
    """API versions that the mesh says it implements, by group."""

    split: tuple[Version, ...] = ()
    access: tuple[Version, ...] = ()
    specs: tuple[Version, ...] = ()
    metrics: tuple[Literal["v1alpha1"], ...] = ()

    def by_group(self) -> dict[str, tuple[str, ...]]:
        return {group: getattr(self, group) for group in catalogue.GROUPS}


class Converge(_Strict):
    """Seconds a change may take to show, and how long a denial must hold to count.

    ``quiet_s``: what does not show in time is looked at once more after clients sent nothing for so long, as
    some meshes take a change up only when a service is not called.
    """

    within_s: float = Field(default=30.0, gt=0, le=600)
    stable_s: float = Field(default=1.0, gt=0, le=60)
    quiet_s: float = Field(default=10.0, gt=0, le=120)


class Metrics(_Strict):
    """Seconds after which traffic shows in TrafficMetrics, and how its figures come about.

    ``sampled``: they are computed from samples taken now and then, as Prometheus' ``increase()`` is, so they
    are right under a steady load only; else they count each request.
    """

    delay_s: float = Field(default=30.0, gt=0, le=600)
    sampled: bool = False


class Inspect(_Strict):
    """For people: commands that show what the proxy of a joined pod has, and the container they run in."""

    container: str
    configuration: tuple[str, ...] = Field(min_length=1)
    statistics: tuple[str, ...] = Field(min_length=1)


class Account(_Strict):
    """A ServiceAccount."""

    namespace: str = Field(pattern=_NAME)
    name: str = Field(pattern=_NAME)


class Entrance(_Strict):
    """The Service by which an ingress controller is reached, and its port for plain HTTP."""

    namespace: str = Field(pattern=_NAME)
    name: str = Field(pattern=_NAME)
    port: int = Field(default=80, ge=1, le=65535)


class Ingress(_Strict):
    """An ingress controller that takes part in the mesh: a client of services that splits hold for.

    ``class_name`` and ``annotations`` are what an Ingress object (networking.k8s.io/v1) has to carry for the
    controller to take it up and to go through the mesh. ``account`` is what it runs as: it is granted calls
    where nothing goes through without a grant.
    """

    class_name: str = Field(pattern=_NAME)
    service: Entrance
    annotations: dict[str, str] = {}
    account: Account | None = None


class Profile(_Strict):
    """One mesh as the suite sees it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    description: str = ""
    claims: Claims
    disclaims: dict[str, str] = {}
    """Requirements the mesh does not claim to meet, each with its reason."""
    join: Join = Join()
    outside: Membership = Membership()
    access: Access = Access()
    hosts: Hosts = Hosts()
    converge: Converge = Converge()
    metrics: Metrics = Metrics()
    inspect: Inspect | None = None
    ingress: Ingress | None = None

    def host(self, service: str, namespace: str) -> str:
        """The name that a client calls to reach a service through the mesh."""
        return self.hosts.service.format(service=service, namespace=namespace)

    @property
    def needs_permits(self) -> bool:
        """Whether nothing goes through without TrafficTargets, and no namespace can be taken out of that."""
        return bool(self.claims.access) and self.access.default == "deny" and self.access.open is None

    def ordinary_host(self, service: str, namespace: str) -> str:
        """The name that Kubernetes itself gives a service: for calls that have an end outside the mesh."""
        return ORDINARY_HOST.format(service=service, namespace=namespace)


def _explain(error: ValidationError) -> str:
    errors = error.errors()
    # What is misspelt is missing as well, and the misspelling is what is to be mended.
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys(Profile, first["loc"][:-1])
        return f"unknown key {where!r}{meant(str(first['loc'][-1]), sorted(known))}"
    return f"{where}: {first['msg']}"


def _keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        field = model.model_fields.get(str(part))
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        models = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)


def _misplaced(profile: Profile) -> str | None:
    """What is wrong with an object that is to be made in the namespaces of a run; None where nothing is.

    A run deletes its namespaces alone: what lies elsewhere may have been there before, and be somebody's.
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
    if kind in _IN_NO_NAMESPACE:
        return f"a {kind} lies in no namespace, and would be left behind; install it with the mesh"
    namespace = metadata.get("namespace", OWN_NAMESPACE)
    if namespace != OWN_NAMESPACE:
        return f"what lies in {namespace!r} would be left behind; install it with the mesh"
    return None


def parse(text: str, name: str) -> Profile:
    """A profile from YAML. Raises ProfileError with one line that names the key and the remedy."""
    try:
        document = yaml_text.load(text)
    except yaml.YAMLError as error:
        raise ProfileError(f"profile {name}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ProfileError(f"profile {name}: not a mapping; see docs/profiles.md for one in ten lines")
    try:
        profile = Profile.model_validate(document)
    except ValidationError as error:
        raise ProfileError(f"profile {name}: {_explain(error)}") from error
    if problem := _misplaced(profile):
        raise ProfileError(f"profile {name}: {problem}")
    known = catalogue.load()
    for requirement_id in profile.disclaims:
        if requirement_id not in known:
            hint = meant(requirement_id, known)
            raise ProfileError(f"profile {name}: disclaims: unknown requirement {requirement_id!r}{hint}")
    try:
        host = profile.host("shop", "smi")
    except (AttributeError, KeyError, IndexError, ValueError) as error:
        raise ProfileError(
            f"profile {name}: hosts.service: only {{service}} and {{namespace}} may stand in braces"
        ) from error
    if "shop" not in host:
        raise ProfileError(f"profile {name}: hosts.service: {{service}} does not stand in it")
    return profile


def names() -> list[str]:
    """Profiles that come with the suite."""
    files = resources.files(__name__).iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in files if entry.name.endswith(".yaml"))


def load(mesh: str) -> Profile:
    """A profile that comes with the suite, by name, or any other by the path of its file.

    Raises ProfileError when there is none or it does not fit the model.
    """
    if mesh in names():
        return parse((resources.files(__name__) / f"{mesh}.yaml").read_text(encoding="utf-8"), mesh)
    path = Path(mesh)
    if path.suffix in {".yaml", ".yml"} or "/" in mesh:
        try:
            return parse(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f"profile {mesh}: {getattr(error, 'strerror', None) or error}") from error
    hint = meant(mesh, names())
    raise ProfileError(f"unknown mesh {mesh!r}{hint} (or give the path of a profile, ./my-mesh.yaml)")
