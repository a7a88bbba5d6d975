"""doctor: check a cluster and its mesh before a run."""

from __future__ import annotations

import argparse

from conformance import profiles
from conformance.cli.options import (
    cluster_options,
    cluster_rules,
    mesh_options,
    open_cluster,
    rule_options,
    where,
)
from conformance.clusters import selection
from conformance.model.exit_codes import ExitCode
from conformance.run.context import RunContext
from conformance.run.preflight import examine


def arguments(command: argparse.ArgumentParser) -> None:
    """Describe the command, and add its arguments."""
    command.description = (
        "Checks a cluster and its mesh before a run; creates two pods and removes them again."
    )
    cluster_options(command)
    mesh_options(command)
    rule_options(command)
    command.set_defaults(function=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    profile = profiles.load(options.mesh)
    print(selection.describe(where(options)), flush=True)
    wrong = 0
    with open_cluster(options) as cluster:
        context = RunContext.open(profile, cluster, image=options.image, rules=cluster_rules(options))
        for check in examine(context):
            wrong += not check.ok
            print(f"{'ok     ' if check.ok else 'MISSING'} {check.name:<10} {check.detail}", flush=True)
            if check.remedy:
                print(f"{'':8}{'':<10} → {check.remedy}")
    return ExitCode.INCONCLUSIVE if wrong else ExitCode.HOLDS
