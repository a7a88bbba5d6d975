from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from smi_reference_mesh.firewall import FirewallError
from smi_reference_mesh.firewall.iptables import text
from smi_reference_mesh.firewall.rules import Chain
from smi_reference_mesh.sidecar import interception, startup_gate
from smi_reference_mesh.sidecar.interception import rules
from smi_reference_mesh.sidecar.own_traffic import OwnTraffic


def test_the_rules_redirect_both_directions_except_sidecar_and_loopback() -> None:
    lines = text(rules()).splitlines()
    assert lines[0] == "*nat"
    assert lines[-1] == "COMMIT"
    inbound = [line for line in lines if line.startswith("-A SMI_IN")]
    outbound = [line for line in lines if line.startswith("-A SMI_OUT")]
    # The first matching rule decides, so exceptions come first.
    assert "--dport 15021 -j RETURN" in inbound[0]
    assert inbound[-1].endswith("-j REDIRECT --to-ports 15006")
    assert "-s 127.0.0.6 " in outbound[0]
    assert outbound[0].endswith("-j RETURN")
    assert "! -d 127.0.0.0/8 -o lo" in outbound[1]
    assert outbound[1].endswith("--uid-owner 1337 -j REDIRECT --to-ports 15006")
    assert outbound[2] == "-A SMI_OUT -m owner --uid-owner 1337 -j RETURN"
    assert outbound[-1].endswith("-j REDIRECT --to-ports 15001")


def test_each_udp_port_is_redirected_to_its_own_port_and_all_others_nowhere() -> None:
    assert [line for line in text(rules(udp=[9000, 53])).splitlines() if "udp" in line] == [
        "-A PREROUTING -p udp -j SMI_UDP",
        "-A SMI_UDP -p udp --dport 9000 -j REDIRECT --to-ports 15100",
        "-A SMI_UDP -p udp --dport 53 -j REDIRECT --to-ports 15101",
        "-A SMI_UDP -p udp -j REDIRECT --to-ports 15164",
    ]


def test_rules_by_mark_differ_in_the_sidecars_match_only() -> None:
    marked = text(rules("mark"))
    assert "owner" not in marked
    assert marked.replace("-m mark --mark 1337", "-m owner --uid-owner 1337") == text(rules("uid"))


@pytest.mark.skipif(shutil.which("iptables-translate") is None, reason="iptables is not installed")
@pytest.mark.parametrize("own", ["uid", "mark"])
def test_iptables_understands_each_rule(own: OwnTraffic) -> None:
    for line in text(rules(own, [9000])).splitlines():
        if line.startswith("-A"):
            command = ["iptables-translate", "-t", "nat", *line.split()]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


class Kernel:
    """Keeps the written rules, or refuses them."""

    def __init__(self, problem: str = "") -> None:
        self.problem = problem
        self.chains: Sequence[Chain] = ()

    def __call__(self, name: str) -> Kernel:
        return self

    means = "nf_tables"

    def put(self, chains: Sequence[Chain]) -> None:
        if self.problem:
            raise FirewallError(self.problem)
        self.chains = chains


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(interception, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(interception, "Firewall", kernel)
    return kernel


def test_the_rules_are_written_and_the_gate_is_made(
    tmp_path: Path, kernel: Kernel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert interception.main() == 0
    assert (tmp_path / startup_gate.GATE).is_fifo()
    assert kernel.chains == rules()
    assert capsys.readouterr().out == "intercept: rules written by nf_tables\n"


def test_a_kernel_error_fails_interception_with_its_message(
    kernel: Kernel, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel.problem = "cannot write rules: no such table"
    assert interception.main() == 1
    assert capsys.readouterr().err == "intercept: cannot write rules: no such table\n"


def test_the_udp_ports_come_from_the_environment(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMI_REFERENCE_UDP_PORTS", "9000 9001")
    assert interception.main() == 0
    assert kernel.chains == rules(udp=[9000, 9001])


def test_interception_imports_nothing_large() -> None:
    said = "import sys, smi_reference_mesh.sidecar.interception; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", said], capture_output=True, text=True, check=True)
    assert not {"typing", "enum", "re", "collections", "pathlib", "subprocess"} & set(done.stdout.split())
