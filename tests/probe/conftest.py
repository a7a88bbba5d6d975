from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from probe_peers import Probe, start_probe, stop_probe

from conformance.drive import probe_bundle


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "probe.pyz"
    path.write_bytes(probe_bundle.build())
    return path


@pytest.fixture(scope="session")
def _probes(tmp_path_factory: pytest.TempPathFactory, program: Path) -> Iterator[dict[str, Probe]]:
    directory = tmp_path_factory.mktemp("run")
    probes = {name: start_probe(directory, program, name) for name in ("client", "v1")}
    yield probes
    for probe in probes.values():
        assert probe.process.poll() is None, f"{probe.name} ended by itself"
        stop_probe(probe)
        assert (directory / f"{probe.name}.stderr").read_text() == ""


@pytest.fixture
def client(_probes: dict[str, Probe]) -> Probe:
    return _probes["client"]


@pytest.fixture
def server(_probes: dict[str, Probe]) -> Probe:
    return _probes["v1"]
