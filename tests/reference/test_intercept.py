from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reference import gate, intercept
from reference.intercept import restore, rules
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


def test_each_udp_port_is_redirected_to_a_port_of_its_own_and_all_others_to_nowhere() -> None:
    assert [line for line in rules(udp=[9000, 53]).splitlines() if "udp" in line] == [
        "-A PREROUTING -p udp -j SMI_UDP",
        "-A SMI_UDP -p udp --dport 9000 -j REDIRECT --to-ports 15100",
        "-A SMI_UDP -p udp --dport 53 -j REDIRECT --to-ports 15101",
        "-A SMI_UDP -p udp -j REDIRECT --to-ports 15164",
    ]


def test_by_mark_the_rules_are_the_same_but_for_how_the_sidecar_is_known() -> None:
    assert "owner" not in rules("mark")
    assert rules("mark").replace("-m mark --mark 1337", "-m owner --uid-owner 1337") == rules("uid")


@pytest.mark.skipif(shutil.which("iptables-translate") is None, reason="iptables is not installed")
@pytest.mark.parametrize("own", ["uid", "mark"])
def test_iptables_understands_each_rule(own: OwnTraffic) -> None:
    for line in rules(own, [9000]).splitlines():
        if line.startswith("-A"):
            command = ["iptables-translate", "-t", "nat", *line.split()]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


def tool(tmp_path: Path, name: str, script: str) -> str:
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_tool_gets_the_rules_and_what_it_says_is_told_when_it_fails(tmp_path: Path) -> None:
    written = tmp_path / "written"
    assert restore(tool(tmp_path, "good", f"echo noise >&2; cat > {written}"), rules()) == ""
    assert written.read_text() == rules()
    assert restore(tool(tmp_path, "bad", "cat > /dev/null; echo no such table >&2; exit 3"), "*nat") == (
        "no such table"
    )
    assert restore("false", "*nat") == "exit status 1"
    assert restore(str(tmp_path / "none"), "*nat") == "No such file or directory"


def test_the_first_tool_that_works_writes_the_rules_and_the_gate_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(intercept, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(intercept, "_TOOLS", ("no-such-tool", "false", tool(tmp_path, "good", "cat")))
    assert intercept.main() == 0
    assert (tmp_path / gate.GATE).is_fifo()
    monkeypatch.setattr(intercept, "_TOOLS", ("no-such-tool", "false"))
    assert intercept.main() == 1
    assert capsys.readouterr().err == "no-such-tool: No such file or directory\nfalse: exit status 1\n"


def test_the_udp_ports_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intercept, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(intercept, "_TOOLS", (tool(tmp_path, "keeping", f"cat > {tmp_path}/rules"),))
    monkeypatch.setenv("SMI_REFERENCE_UDP_PORTS", "9000 9001")
    assert intercept.main() == 0
    assert (tmp_path / "rules").read_text() == rules(udp=[9000, 9001])


def test_interception_imports_nothing_large() -> None:
    said = "import sys, reference.intercept; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", said], capture_output=True, text=True, check=True)
    assert not {"typing", "enum", "re", "collections", "pathlib", "subprocess"} & set(done.stdout.split())
