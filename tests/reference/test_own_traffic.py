"""The mark on the sidecar's own traffic, counted by the kernel in a network of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from networks import in_a_network, printed

from smi_reference_mesh.compiler.bootstrap import bootstrap
from smi_reference_mesh.sidecar.own_traffic import MARK, mark_of, own_traffic

SCRIPT = Path(__file__).with_name("own_traffic_workload.py")


@in_a_network
def test_envoy_marks_upstream_sockets_even_with_a_source_address() -> None:
    assert printed(SCRIPT, "envoy") == {"8001": [1, 0], "8002": [1, 0]}


@in_a_network
def test_the_control_plane_client_marks_its_first_packet() -> None:
    assert printed(SCRIPT, "control-plane-client") == {"8003": [1, 0]}


def test_without_a_mark_the_bootstrap_has_no_socket_options() -> None:
    assert "cluster_manager" not in bootstrap("node")


def test_own_traffic_is_identified_by_user_by_default() -> None:
    assert mark_of(own_traffic({})) is None
    assert mark_of(own_traffic({"SMI_REFERENCE_OWN_TRAFFIC": "mark"})) == MARK
    with pytest.raises(ValueError, match="'colour', not one of uid, mark"):
        own_traffic({"SMI_REFERENCE_OWN_TRAFFIC": "colour"})
