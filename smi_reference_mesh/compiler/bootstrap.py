"""A sidecar's bootstrap, and the files with its identity.

Imports the standard library only, since the sidecar loads it.
"""

from __future__ import annotations

import hashlib
import json
import socket
from typing import Any

from smi_reference_mesh.names import ADMIN_PORT, DIRECTORY

XDS_DIRECTORY = f"{DIRECTORY}/xds"

IDENTITY = "identity"
TRUST = "trust"

_RARELY = {"miss_timeout": "60s", "megamiss_timeout": "60s"}
_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type


def bootstrap(
    node_id: str,
    xds_directory: str = XDS_DIRECTORY,
    *,
    admin_port: int = ADMIN_PORT,
    mark: int | None = None,
) -> dict[str, Any]:
    """Envoy's static bootstrap; all other configuration comes from the files of the xDS directory.

    `lds.json` and `cds.json` must exist before Envoy starts. The admin interface listens on loopback only.
    With a mark, all sockets to upstreams carry it, including those of clusters with a source address of their
    own.
    """
    return {
        **_marked(mark),
        "node": {"id": node_id, "cluster": "smi-reference"},
        "admin": {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}},
        },
        "dynamic_resources": {
            "lds_config": path_source(f"{xds_directory}/lds.json"),
            "cds_config": path_source(f"{xds_directory}/cds.json"),
        },
        # Most statistics of most clusters are never used; creating them takes a tenth of Envoy's start.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        # Dozens of idle sidecars share a machine: the watchdogs would wake each one thirty times a second.
        "watchdogs": {"main_thread_watchdog": _RARELY, "worker_watchdog": _RARELY},
        "stats_config": {
            "stats_matcher": {"exclusion_list": {"patterns": [{"contains": ".circuit_breakers."}]}}
        },
    }


def _marked(mark: int | None) -> dict[str, Any]:
    if mark is None:
        return {}
    option = {"level": socket.SOL_SOCKET, "name": socket.SO_MARK, "int_value": mark}
    before_connecting = {**option, "state": "STATE_PREBIND"}
    return {"cluster_manager": {"upstream_bind_config": {"socket_options": [before_connecting]}}}


def path_source(path: str) -> dict[str, Any]:
    """A configuration source that watches a file, which must exist when Envoy subscribes."""
    return {"path_config_source": {"path": path}, "resource_api_version": "V3"}


def identity_files(cert_pem: str, key_pem: str, trust_bundle_pem: str) -> dict[str, str]:
    """The files with a workload's identity and trust bundle, by path relative to the xDS directory."""
    certificate = {
        "certificate_chain": {"inline_string": cert_pem},
        "private_key": {"inline_string": key_pem},
    }
    trust = {"trusted_ca": {"inline_string": trust_bundle_pem}}
    return {
        f"sds/{IDENTITY}.json": _secret(IDENTITY, "tls_certificate", certificate),
        f"sds/{TRUST}.json": _secret(TRUST, "validation_context", trust),
    }


def _secret(name: str, kind: str, value: dict[str, Any]) -> str:
    resource = {"@type": _SECRET, "name": name, kind: value}
    version = hashlib.sha256(json.dumps(resource, sort_keys=True).encode()).hexdigest()[:16]
    return json.dumps({"version_info": version, "type_url": _SECRET, "resources": [resource]}, sort_keys=True)
