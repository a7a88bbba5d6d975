from __future__ import annotations

import json

import pytest

from smi_reference_mesh.compiler.bootstrap import bootstrap, path_source
from smi_reference_mesh.compiler.configuration import file_name
from smi_reference_mesh.sidecar.config_source import (
    agent_source,
    bootstrap_from_agent,
    from_agent,
    resource_key,
)


def test_the_agent_replaces_file_sources() -> None:
    text = json.dumps({"resources": [{"sds": path_source("/a/b.json")}, {"rds": path_source("/c.json")}]})
    expected = {"api_config_source": agent_source(), "resource_api_version": "V3"}
    assert json.loads(from_agent(text)) == {"resources": [{"sds": expected}, {"rds": expected}]}


def test_text_that_looks_like_a_source_within_a_string_stays() -> None:
    text = json.dumps({"regex": '"path_config_source": {"path": "x"}'})
    assert from_agent(text) == text


def test_the_bootstrap_uses_the_agent_for_everything() -> None:
    document = bootstrap_from_agent(bootstrap("node"), "/run/x.sock")
    assert "path_config_source" not in json.dumps(document)
    (agent,) = document["static_resources"]["clusters"]
    assert agent["name"] in document["dynamic_resources"]["lds_config"]["api_config_source"]["cluster_names"]


@pytest.mark.parametrize(
    ("url", "resources", "path"),
    [
        ("/v3/discovery:listeners", [], "lds.json"),
        ("/v3/discovery:clusters", [], "cds.json"),
        ("/v3/discovery:routes", ["outbound|a|b|80"], file_name("rds", "outbound|a|b|80")),
        ("/v3/discovery:secrets", ["identity"], "sds/identity.json"),
        ("/v3/discovery:routes", [], None),
        ("/v3/discovery:runtime", ["x"], None),
    ],
)
def test_resource_keys_are_the_compilers_file_names(url: str, resources: list[str], path: str | None) -> None:
    assert resource_key(url, resources) == path
