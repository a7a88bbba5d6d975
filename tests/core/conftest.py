"""A bench on which whole runs happen in this process: against a cluster in memory, in virtual time."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from conformance.cli import main
from conformance.clusters import opening
from conformance.drive.arena import Arena
from conformance.profiles import Profile, parse
from conformance.report import store
from conformance.report.document import Report, RequirementRecord
from conformance.run.context import RunContext
from conformance.run.options import TABLE
from conformance.traceability import index

from .fake_cluster import FakeCluster
from .virtual import VirtualClock

PROFILE = """
name: fake
claims: {split: [v1alpha4], access: [v1alpha3], specs: [v1alpha4]}
join: {sidecar: false}
access: {open: {}}
converge: {within_s: 3, stable_s: 0.2}
"""
# In one thread, as virtual time knows only one.
_ONE_BY_ONE = "--one-by-one"
# These look for garbage of the whole process at the end of each run, which is most of what a run here takes.
_FASTER = ("-p", "no:unraisableexception", "-p", "no:threadexception")

_numbers = count(1)


@dataclass
class Bench:
    """What a run happens on, and what came of the last one."""

    folder: Path
    cluster: FakeCluster = field(default_factory=FakeCluster)
    clock: VirtualClock = field(default_factory=VirtualClock)

    @property
    def profile(self) -> Path:
        return self.folder / "fake.yaml"

    @property
    def directory(self) -> Path:
        return self.folder / "reports" / "r1"

    def run(self, *arguments: str) -> int:
        """``smi-conformance run`` with the fake's profile."""
        reports = str(self.folder / "reports")
        return main.main(
            [
                "run",
                "--mesh",
                str(self.profile),
                "--reports",
                reports,
                _ONE_BY_ONE,
                *arguments,
                "--",
                *_FASTER,
            ]
        )

    def pytest(self, *arguments: str) -> int:
        """The same with pytest itself, on suites by their path, and without the page for a browser."""
        options = ["--mesh", str(self.profile), "--reports", str(self.folder / "reports"), _ONE_BY_ONE]
        ours = {option.flags[-1] for option in TABLE}
        words = [f"--smi-{one[2:]}" if one in ours else one for one in (*options, *arguments)]
        configuration = ["-c", str(index.SUITES / "pytest.ini"), "--assert=plain", "-p", "no:html"]
        return int(pytest.main([*configuration, *_FASTER, *words]))

    def suite(self, name: str, *arguments: str) -> int:
        """A run of one of the real suites, such as ``traffic_split/test_delete.py``."""
        return self.pytest(str(index.SUITES / name), *arguments)

    def own_suite(self, source: str, *arguments: str) -> int:
        """A run of a suite of one's own."""
        path = self.folder / f"test_own_{next(_numbers)}.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return self.pytest(str(path), *arguments)

    @property
    def report(self) -> Report:
        return store.read(self.directory)

    def record(self, requirement: str) -> RequirementRecord:
        return next(one for one in self.report.requirements if one.id == requirement)

    def outcome(self, requirement: str) -> str:
        return self.record(requirement).outcome


@contextmanager
def made_bench(folder: Path) -> Iterator[Bench]:
    """A bench whose cluster is the one that commands reach."""
    bench = Bench(folder)
    bench.profile.write_text(PROFILE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("open_cluster", "existing"):
            patch.setattr(opening, name, lambda *_: bench.cluster)
        patch.setattr(opening, "check", lambda *_: None)
        patch.setattr(opening, "described", lambda *_: "cluster: fake (as all tests do)")
        fake = opening.Where("kubeconfig", "as all tests do", "fake")
        patch.setattr(opening, "chosen", lambda *_, **__: fake)
        context = partial(RunContext.open, clock=bench.clock, run_id="r1", seed=7)
        patch.setattr(RunContext, "open", context)
        yield bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with made_bench(tmp_path) as made:
        yield made


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def profile() -> Profile:
    return parse(PROFILE, "fake")


@pytest.fixture
def context(cluster: FakeCluster, clock: VirtualClock, profile: Profile) -> RunContext:
    return RunContext.open(profile, cluster, clock=clock, run_id="r1", seed=7)


@pytest.fixture
def arena(context: RunContext) -> Arena:
    return context.arena
