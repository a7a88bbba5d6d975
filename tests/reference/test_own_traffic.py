"""The mark on the sidecar's own traffic, counted by the kernel in a network of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.clusters.local.node.preconditions import problems
from conformance.clusters.local.node.sandbox import stage_command, stage_environment
from reference.compiler.bootstrap import bootstrap
from reference.own_traffic import MARK, mark_of, own_traffic

LACKING = problems()
WORLD = Path(__file__).with_name("own_traffic_world.py")
in_a_sandbox = pytest.mark.skipif(bool(LACKING), reason="; ".join(LACKING))


def counted(what: str) -> dict[str, list[int]]:
    """Connections by destination port: how many were opened with the mark, how many without."""
    with subprocess.Popen(
        stage_command([sys.executable, "-W", "error", str(WORLD), what]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=stage_environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stdout.read()
        assert process.wait(30) == 0, process.stderr.read()
        counts: dict[str, list[int]] = json.loads(said)
        return counts


@in_a_sandbox
def test_envoy_marks_what_it_sends_upstream_also_from_a_source_address_of_its_own() -> None:
    assert counted("envoy") == {"8001": [1, 0], "8002": [1, 0]}


@in_a_sandbox
def test_the_link_to_the_control_plane_is_marked_from_the_first_packet_on() -> None:
    assert counted("link") == {"8003": [1, 0]}


def test_without_a_mark_the_bootstrap_says_nothing_of_sockets() -> None:
    assert "cluster_manager" not in bootstrap("node")


def test_traffic_is_known_by_user_unless_the_environment_says_otherwise() -> None:
    assert mark_of(own_traffic({})) is None
    assert mark_of(own_traffic({"SMI_REFERENCE_OWN_TRAFFIC": "mark"})) == MARK
    with pytest.raises(ValueError, match="'colour', not one of uid, mark"):
        own_traffic({"SMI_REFERENCE_OWN_TRAFFIC": "colour"})
