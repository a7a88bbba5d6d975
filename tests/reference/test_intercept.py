from __future__ import annotations

import shutil
import subprocess

import pytest

from reference.intercept import rules
from reference.own_traffic import OwnTraffic


def test_the_rules_redirect_both_ways_and_spare_sidecar_and_loopback() -> None:
    lines = rules().splitlines()
    assert lines[0] == "*nat"
    assert lines[-1] == "COMMIT"
    inbound = [line for line in lines if line.startswith("-A SMI_IN")]
    outbound = [line for line in lines if line.startswith("-A SMI_OUT")]
    # The first rule that matches decides, so the exceptions come first.
    assert "--dport 15021 -j RETURN" in inbound[0]
    assert inbound[-1].endswith("-j REDIRECT --to-ports 15006")
    assert "127.0.0.6/32" in outbound[0]
    assert outbound[0].endswith("-j RETURN")
    assert "! -d 127.0.0.0/8 -o lo" in outbound[1]
    assert outbound[1].endswith("--uid-owner 1337 -j REDIRECT --to-ports 15006")
    assert outbound[2] == "-A SMI_OUT -m owner --uid-owner 1337 -j RETURN"
    assert outbound[-1].endswith("-j REDIRECT --to-ports 15001")


def test_by_mark_the_rules_are_the_same_but_for_how_the_sidecar_is_known() -> None:
    assert "owner" not in rules("mark")
    assert rules("mark").replace("-m mark --mark 1337", "-m owner --uid-owner 1337") == rules("uid")


@pytest.mark.skipif(shutil.which("iptables-translate") is None, reason="iptables is not installed")
@pytest.mark.parametrize("own", ["uid", "mark"])
def test_iptables_understands_each_rule(own: OwnTraffic) -> None:
    for line in rules(own).splitlines():
        if line.startswith("-A"):
            command = ["iptables-translate", "-t", "nat", *line.split()]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
