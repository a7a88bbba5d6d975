"""How the time of a run divides, and how fast the probe is through two sidecars."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from conformance import profiles
from conformance.cli import main as smi_conformance
from conformance.clusters.kubernetes import KubernetesCluster
from conformance.drive.traffic import Manner
from conformance.evidence import Call
from conformance.report import store
from conformance.session import Session

REQUESTS = 10_000
ROUNDS = 5


def main() -> int:
    """Print the figures; they are for comparing changes, so nothing is judged by them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--context", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--runs", type=int, default=3, help="whole runs (default: %(default)s)")
    options = parser.parse_args()
    cluster = KubernetesCluster(options.context)
    rates = probe_rates(Session(profiles.load("reference"), cluster, image=options.image))
    timings = [run(options) for _ in range(options.runs)]
    print("\nprobe through two sidecars, requests a second (median of", ROUNDS, "rounds):")
    for manner, rate in rates.items():
        print(f"  {manner:<32} {rate:8,.0f}")
    if timings:
        print(f"run, seconds (median of {len(timings)}):")
        for phase in timings[0]:
            values = [timing[phase] for timing in timings]
            print(
                f"  {phase:<12} {statistics.median(values):6.1f}   ({min(values):.1f} to {max(values):.1f})"
            )
    return 0


def probe_rates(session: Session) -> dict[str, float]:
    """Requests a second of one client to one server, by the manner of sending."""
    manners = {
        "32 kept connections": Manner(),
        "one kept connection": Manner(concurrency=1),
        "a fresh connection each": Manner(fresh=True),
    }
    rates = {}
    try:
        session.arena.ready(["main"])
        host = session.profile.host("v1", session.arena.namespace("main"))
        for name, manner in manners.items():
            requests = REQUESTS if not manner.fresh and manner.concurrency > 1 else REQUESTS // 5
            call = Call("main/client", host, 8080, requests=requests)
            rates[name] = statistics.median(one_rate(session, call, manner) for _ in range(ROUNDS))
    finally:
        session.arena.remove()
    return rates


def one_rate(session: Session, call: Call, manner: Manner) -> float:
    """One round, including what it takes to carry the plan there and the observations back."""
    start = session.clock.now()
    (traffic,) = session.driver.send([call], manner)
    if traffic.answers != traffic.sent:
        raise SystemExit(f"requests failed: {traffic.failures}")
    return traffic.sent / (session.clock.now() - start)


def run(options: argparse.Namespace) -> dict[str, float]:
    """One whole run; its seconds by phase."""
    with tempfile.TemporaryDirectory(prefix="smi-conformance-") as folder:
        smi_conformance(
            [
                "run",
                "--context",
                options.context,
                "--mesh",
                "reference",
                "--image",
                options.image,
                "--reports",
                folder,
            ]
        )
        (directory,) = Path(folder).iterdir()
        timing = store.read(directory).timing
    return {name.removesuffix("_s"): value for name, value in timing.model_dump().items()}


if __name__ == "__main__":
    sys.exit(main())
