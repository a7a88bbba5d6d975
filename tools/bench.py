"""How a run's time divides, how fast the probe is through two sidecars, and how soon a change is in force."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from conformance import profiles
from conformance.cli.main import main as smi_conformance
from conformance.clusters import Cluster, selection
from conformance.clusters.embedded.cluster import EmbeddedCluster
from conformance.drive.arena import WORKLOADS
from conformance.drive.traffic import SendOptions
from conformance.model.evidence import Call
from conformance.report import store
from conformance.run.context import RunContext
from tools import arguments

REQUESTS = 10_000
ROUNDS = 5
EDITS = 20


def main() -> int:
    """Print the figures; they are for comparing changes, so nothing is judged by them."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--runs", type=int, default=3, help="whole runs (default: %(default)s)")
    options = parser.parse_args()
    started = time.monotonic()
    with closing(selection.open_cluster(selection.select(options.context), "reference")) as cluster:
        context = RunContext.open(profiles.load("reference"), cluster, image=options.image)
        try:
            context.arena.create(list(WORKLOADS))
            context.arena.wait_ready(list(WORKLOADS))
            ready_s, memory = time.monotonic() - started, memory_mib(cluster)
            rates, updates = probe_rates(context), update_times(context)
        finally:
            context.arena.remove()
    timings = [run(options) for _ in range(options.runs)]
    print(f"\nfrom the start to an arena of {len(WORKLOADS)} parts that is ready: {ready_s:.1f} s")
    if memory is not None:
        print(f"memory of the embedded cluster with all its pods: {memory:,.0f} MiB")
    print("probe through two sidecars, requests a second (median of", ROUNDS, "rounds):")
    for way, rate in rates.items():
        print(f"  {way:<32} {rate:8,.0f}")
    print(f"from apply to the first request that it routes, ms (median of {EDITS} edits of a split):")
    print(f"  {statistics.median(updates):6.0f}   ({min(updates):.0f} to {max(updates):.0f})")
    if timings:
        print(f"run, seconds (median of {len(timings)}):")
        for phase in timings[0]:
            values = [timing[phase] for timing in timings]
            print(
                f"  {phase:<12} {statistics.median(values):6.1f}   ({min(values):.1f} to {max(values):.1f})"
            )
    return 0


def memory_mib(cluster: Cluster) -> float | None:
    """What the processes of an embedded cluster take, in MiB; of shared pages each has its part."""
    if not isinstance(cluster, EmbeddedCluster):
        return None
    total = 0
    for process in cluster.processes():
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def probe_rates(context: RunContext) -> dict[str, float]:
    """Requests a second of one client to one server, by how it sends."""
    ways = {
        "32 kept connections": SendOptions(),
        "one kept connection": SendOptions(concurrency=1),
        "a fresh connection each": SendOptions(new_connections=True),
    }
    rates = {}
    host = context.profile.host("v1", context.arena.namespace("main"))
    for name, way in ways.items():
        requests = REQUESTS if not way.new_connections and way.concurrency > 1 else REQUESTS // 5
        call = Call("main/client", host, 8080, requests=requests)
        rates[name] = statistics.median(one_rate(context, call, way) for _ in range(ROUNDS))
    return rates


def update_times(context: RunContext) -> list[float]:
    """Milliseconds from the call that applies an edit of a split to the first request that follows it.

    The split sends everything to one backend, then to the other. Requests go one after the other without
    pause; each takes a few milliseconds, which is how finely this measures.
    """
    scenario = context.scenario("traffic-split/live-edits")
    scenario.create_services()
    call = scenario.call("main/client", "main/moving", requests=1)
    times = []
    for edit in range(EDITS + 1):
        step, backend = (("1-most-to-v1.yaml", "v1"), ("2-all-to-v2.yaml", "v2"))[edit % 2]
        (split,) = scenario.objects(step)
        split["spec"]["backends"] = [{"service": backend, "weight": 1}]
        start = context.clock.now()
        scenario.apply_objects([split])
        while context.driver.send([call], SendOptions(concurrency=1))[0].answered != {backend: 1}:
            if context.clock.now() - start > context.profile.converge.within_s:
                raise SystemExit(f"the edit that leaves {backend} alone does not show")
        times.append((context.clock.now() - start) * 1000)
    scenario.delete_applied()
    # The first is no edit: it makes the split.
    return times[1:]


def one_rate(context: RunContext, call: Call, way: SendOptions) -> float:
    """One round, including what it takes to carry the plan there and the observations back."""
    start = context.clock.now()
    (traffic,) = context.driver.send([call], way)
    if traffic.answers != traffic.sent:
        raise SystemExit(f"requests failed: {traffic.failures}")
    return traffic.sent / (context.clock.now() - start)


def run(options: argparse.Namespace) -> dict[str, float]:
    """One whole run; its seconds by phase."""
    with tempfile.TemporaryDirectory(prefix="smi-conformance-") as folder:
        smi_conformance(["run", *arguments.where(options), "--mesh", "reference", "--reports", folder])
        (directory,) = Path(folder).iterdir()
        timing = store.read(directory).timing
    return {name.removesuffix("_s"): value for name, value in timing.model_dump().items()}


if __name__ == "__main__":
    sys.exit(main())
