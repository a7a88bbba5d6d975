"""The mark on the sidecar's own traffic, counted by the kernel in a network of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from networks import in_a_network, told

from smi_reference_mesh.compiler.bootstrap import bootstrap
from smi_reference_mesh.sidecar.own_traffic import MARK, mark_of, own_traffic

SCRIPT = Path(__file__).with_name("own_traffic_workload.py")


@in_a_network
def test_envoy_marks_what_it_sends_upstream_also_from_a_source_address_of_its_own() -> None:
    assert told(SCRIPT, "envoy") == {"8001": [1, 0], "8002": [1, 0]}


@in_a_network
def test_the_link_to_the_control_plane_is_marked_from_the_first_packet_on() -> None:
    assert told(SCRIPT, "link") == {"8003": [1, 0]}


def test_without_a_mark_the_bootstrap_says_nothing_of_sockets() -> None:
    assert "cluster_manager" not in bootstrap("node")


def test_traffic_is_known_by_user_unless_the_environment_says_otherwise() -> None:
    assert mark_of(own_traffic({})) is None
    assert mark_of(own_traffic({"SMI_REFERENCE_OWN_TRAFFIC": "mark"})) == MARK
    with pytest.raises(ValueError, match="'colour', not one of uid, mark"):
        own_traffic({"SMI_REFERENCE_OWN_TRAFFIC": "colour"})
