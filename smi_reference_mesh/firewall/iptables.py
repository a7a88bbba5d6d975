"""Rules in iptables-restore's format, and the tool that applies them, for kernels without nf_tables."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

from smi_reference_mesh.firewall.rules import Chain, Hook, Match, Rule, Verdict

# The kernel may support either backend or both; the backend of other software does not matter here.
_TOOLS = ("iptables-nft-restore", "iptables-legacy-restore", "iptables-restore")
_PATIENCE_S = 20.0
_BUILT_IN: dict[Hook, str] = {
    "nat prerouting": "PREROUTING",
    "nat output": "OUTPUT",
    "nat postrouting": "POSTROUTING",
    "filter forward": "FORWARD",
    "filter output": "OUTPUT",
}


def text(chains: Sequence[Chain]) -> str:
    """The complete tables of these chains."""
    lines = []
    for table in ("nat", "filter"):
        of_table = [chain for chain in chains if (chain[1] or "nat").startswith(table)]
        if of_table:
            lines.append(f"*{table}")
            lines += [f":{_name(chain)} {'ACCEPT' if chain[1] else '-'} [0:0]" for chain in of_table]
            lines += [line for chain in of_table for line in _rules(chain)]
            lines.append("COMMIT")
    return "".join(f"{line}\n" for line in lines)


def restore(wanted: str) -> str:
    """Replaces whole tables with the first tool that works; the errors, if none does."""
    environment = {"XTABLES_LOCKFILE": os.path.join(tempfile.gettempdir(), "xtables.lock"), **os.environ}
    problems = []
    for tool in _TOOLS:
        try:
            done = subprocess.run(  # noqa: S603 - one of our own list
                [tool],
                input=wanted,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=environment,
                timeout=_PATIENCE_S,
                check=False,
            )
        except FileNotFoundError:
            continue
        except (OSError, subprocess.TimeoutExpired) as error:
            problems.append(f"{tool}: {error}")
        else:
            if done.returncode == 0:
                return ""
            problems.append(f"{tool}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return "; ".join(problems) or "iptables is not installed, which could do it where nf_tables cannot"


def _name(chain: Chain) -> str:
    return _BUILT_IN[chain[1]] if chain[1] else chain[0]


def _rules(chain: Chain) -> Iterator[str]:
    for rule in chain[2]:
        yield " ".join([f"-A {_name(chain)}", *_words(rule)])


def _words(rule: Rule) -> Iterator[str]:
    matches, verdict = rule
    yield from map(_match, matches)
    yield f"-j {_verdict(verdict)}"


def _match(match: Match) -> str:
    kind, value = match
    if kind == "one in":
        return f"-m statistic --mode random --probability {1 / int(value):.11f}"
    return {
        "protocol": "-p {}",
        "port": "--dport {}",
        "source": "-s {}",
        "destination": "-d {}",
        "not destination": "! -d {}",
        "out by": "-o {}",
        "user": "-m owner --uid-owner {}",
        "mark": "-m mark --mark {}",
        "translated": "-m conntrack --ctstate DNAT",
    }[kind].format(value)


def _verdict(verdict: Verdict) -> str:
    kind, place, port = verdict
    return {
        "return": "RETURN",
        "jump": place,
        "redirect": f"REDIRECT --to-ports {port}",
        "lead to": f"DNAT --to-destination {place}:{port}",
        "masquerade": "MASQUERADE",
        "reset": "REJECT --reject-with tcp-reset",
        "unreachable": "REJECT --reject-with icmp-port-unreachable",
    }[kind]
