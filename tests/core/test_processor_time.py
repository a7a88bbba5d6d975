"""Processor time by part: which process belongs where, and what is counted."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tools.processor_time import OTHERS, ProcessorTime, part_of

COMMANDS = {
    "/srv/.venv/lib/python3.11/site-packages/envoy/_bin/envoy --config-path /run/bootstrap.json": "Envoy",
    "envoy --concurrency 1": "Envoy",
    "python3 -I -S /probe/probe.pyz serve --name v1": "probes",
    "python3 -m smi_reference_mesh.sidecar": "agents",
    "python3 -m smi_reference_mesh.control_plane": "control plane",
    "/srv/.venv/bin/python -m conformance.clusters.embedded --socket-fd 8": "cluster",
    "kube-apiserver --advertise-address=172.18.0.2": "cluster",
    "/usr/bin/kubelet --config=/var/lib/kubelet/config.yaml": "cluster",
    "/usr/bin/containerd-shim-runc-v2 -namespace k8s.io": "cluster",
    "/srv/.venv/bin/python .venv/bin/smi-conformance run --embedded": "suite",
    "vim notes-on-envoy": OTHERS,
    "": OTHERS,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_process_belongs_to_the_part_that_its_command_line_names(command: str) -> None:
    assert part_of("\0".join([*command.split(), ""])) == COMMANDS[command]


def test_a_process_counts_with_what_it_spends_while_the_measurement_is_open() -> None:
    work = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ninput()"
    with ProcessorTime(every_s=0.02) as measured:
        running = subprocess.Popen(
            [sys.executable, "-c", work, "/bin/smi-conformance"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert running.stdout is not None
        running.stdout.readline()
    # It has spent half a second, still runs, and the last sample is taken at the end.
    running.communicate("\n")
    assert measured.seconds["suite"] >= 0.45
