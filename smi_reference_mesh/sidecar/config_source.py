"""Envoy's configuration source: the agent in its pod, by REST long polling over a Unix socket.

The compiler writes file paths as configuration sources. Envoy would watch those files, but needs an inotify
instance for each, and Linux allows a user 128 of them per node (fs.inotify.max_user_instances): a few
sidecars with some twenty services exhaust them, and Envoy aborts without one. The REST variant of the xDS
protocol carries the same JSON and needs only connections to the agent.

Imports the standard library only, since the agent uses this module.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

AGENT_CLUSTER: Final = "smi-agent"
SOCKET: Final = "xds.sock"

# Unambiguous in the compiler's JSON: within a string the quotes would be escaped.
_FILE_SOURCE = re.compile(r'"path_config_source":\s*\{\s*"path":\s*"[^"]*"\s*\}')
# Envoy's next request, by which it acknowledges a response, follows after one to two times this delay.
_REFRESH_S = 0.002
# The agent responds long before this: see smi_reference_mesh.sidecar.xds_server.
_TIMEOUT_S = 3600
_MANY = 100_000

_SERVICES: Final = {
    "/v3/discovery:listeners": "lds.json",
    "/v3/discovery:clusters": "cds.json",
    "/v3/discovery:routes": "rds/",
    "/v3/discovery:secrets": "sds/",
}


def agent_source() -> dict[str, Any]:
    """The agent as a configuration source (`ApiConfigSource`)."""
    return {
        "api_type": "REST",
        "transport_api_version": "V3",
        "cluster_names": [AGENT_CLUSTER],
        "refresh_delay": f"{_REFRESH_S}s",
        "request_timeout": f"{_TIMEOUT_S}s",
    }


_AGENT_SOURCE = '"api_config_source":' + json.dumps(agent_source(), separators=(",", ":"))


def from_agent(text: str) -> str:
    """The same JSON with the agent as configuration source in place of each file."""
    return _FILE_SOURCE.sub(lambda _: _AGENT_SOURCE, text)


def bootstrap_from_agent(bootstrap: dict[str, Any], socket: str) -> dict[str, Any]:
    """The bootstrap with the agent at a Unix socket as its configuration source."""
    document: dict[str, Any] = json.loads(from_agent(json.dumps(bootstrap)))
    address = {"pipe": {"path": socket}}
    limits = {"max_connections": _MANY, "max_pending_requests": _MANY, "max_requests": _MANY}
    agent = {
        "name": AGENT_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "5s",
        # Each subscription holds a connection open.
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": AGENT_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    document.setdefault("static_resources", {}).setdefault("clusters", []).append(agent)
    return document


def resource_key(url: str, resources: list[str]) -> str | None:
    """The key of the resource that a discovery request subscribes to; None for an unsupported request.

    The key is the resource's file path relative to the compiler's xDS directory.
    """
    key = _SERVICES.get(url)
    if key is None or not key.endswith("/"):
        return key
    return f"{key}{resources[0].replace('|', '_')}.json" if len(resources) == 1 else None
