"""How configuration reaches Envoy: over REST, from the agent beside it, by long polling on a Unix socket.

The compiler lets resources refer to each other by file. Envoy would follow files, but takes one inotify
instance for each, and Linux gives a user 128 of them on a whole node (fs.inotify.max_user_instances): a few
sidecars with some twenty services would use them up, and an Envoy that gets no more of them aborts. The REST
flavour of the xDS protocol carries the same JSON and needs nothing but connections to the agent.

Only the standard library is imported: the agent uses this module, too.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

AGENT_CLUSTER: Final = "smi-agent"
SOCKET: Final = "xds.sock"

# In the compiler's JSON; within a string the quotes would be escaped, so nothing else looks like this.
_FILE_SOURCE = re.compile(r'"path_config_source":\s*\{\s*"path":\s*"[^"]*"\s*\}')
# A new request follows an answer after once to twice this time. It is what the agent waits for, see
# smi_reference_mesh.agent.xds.
_REFRESH_S = 0.002
# The agent answers long before this: see smi_reference_mesh.agent.xds.
_TIMEOUT_S = 3600
_MANY = 100_000

_SERVICES: Final = {
    "/v3/discovery:listeners": "lds.json",
    "/v3/discovery:clusters": "cds.json",
    "/v3/discovery:routes": "rds/",
    "/v3/discovery:secrets": "sds/",
}


def agent_source() -> dict[str, Any]:
    """The configuration source that stands for the agent."""
    return {
        "api_type": "REST",
        "transport_api_version": "V3",
        "cluster_names": [AGENT_CLUSTER],
        "refresh_delay": f"{_REFRESH_S}s",
        "request_timeout": f"{_TIMEOUT_S}s",
    }


_AGENT_SOURCE = '"api_config_source":' + json.dumps(agent_source(), separators=(",", ":"))


def from_agent(text: str) -> str:
    """The same JSON with each file as configuration source replaced by the agent."""
    return _FILE_SOURCE.sub(lambda _: _AGENT_SOURCE, text)


def bootstrap_from_agent(bootstrap: dict[str, Any], socket: str) -> dict[str, Any]:
    """A bootstrap whose resources come from the agent that listens at a Unix socket."""
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


def path_of(url: str, resources: list[str]) -> str | None:
    """The file, by path relative to the xDS directory, that a discovery request asks for; None if none."""
    place = _SERVICES.get(url)
    if place is None or not place.endswith("/"):
        return place
    return f"{place}{resources[0].replace('|', '_')}.json" if len(resources) == 1 else None
