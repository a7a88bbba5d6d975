"""shell: a test environment (arena) that keeps running, with a prompt to debug it interactively."""

from __future__ import annotations

import argparse
import cmd
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, TextIO

import yaml

from conformance import profiles
from conformance.cli.options import (
    cluster_options,
    cluster_rules,
    mesh_options,
    open_cluster,
    rule_options,
    where,
)
from conformance.clusters import ClusterError, selection
from conformance.drive.arena import CONTAINER, WORKLOADS, WorkloadPod
from conformance.drive.manifests import exists, folder, load
from conformance.drive.rendering import NotInVersion
from conformance.drive.scenario import Scenario
from conformance.run.context import RunContext
from conformance.run.preflight import preflight
from conformance.text import yamlio
from conformance.text.suggest import did_you_mean
from conformance.traceability import index

EXEC_WITHIN_S = 60.0
SEND = "send main/client main/resting 100"
"""The first suggested line: to the root of the split that the next line applies."""
SCENARIO = "shell"
"""Folder name of the shell's own scenario, which has no fixtures."""


def arguments(command: argparse.ArgumentParser) -> None:
    """Describe the command, and add its arguments."""
    command.description = (
        "Creates an arena and opens a prompt: send traffic, apply manifests, run commands in "
        "pods, read logs and a proxy's configuration. Leaving the prompt removes the arena."
    )
    cluster_options(command)
    mesh_options(command, default="reference")
    rule_options(command)
    command.set_defaults(function=_shell)


def _shell(options: argparse.Namespace) -> int:
    profile = profiles.load(options.mesh)
    print(selection.describe(where(options)), flush=True)
    with open_cluster(options) as cluster:
        context = RunContext.open(profile, cluster, image=options.image, rules=cluster_rules(options))
        problem = preflight(context, {group: [one] for group, one in context.api_versions().items()})
        if problem is not None:
            raise ClusterError(str(problem))
        run(context)
    return 0


class UsageError(Exception):
    """The line is not a valid command; the message gives the usage."""


def _command(function: Callable[[Shell, list[str]], None]) -> Callable[[Shell, str], None]:
    """A method of the prompt from a function of words; errors are printed, and the prompt continues."""

    @wraps(function)
    def run(self: Shell, line: str) -> None:
        try:
            function(self, shlex.split(line))
        except (UsageError, ClusterError, NotInVersion, OSError, ValueError, yaml.YAMLError) as error:
            self.say(f"error: {error}")

    return run


class Shell(cmd.Cmd):
    """A prompt for an arena. Workloads are addressed as in the suites: part/workload, main/client."""

    prompt = "smi> "

    def __init__(
        self, context: RunContext, stdin: TextIO | None = None, stdout: TextIO | None = None
    ) -> None:
        super().__init__(stdin=stdin, stdout=stdout)
        self.use_rawinput = stdin is None
        self._context = context
        self._scenario: Scenario = context.scenario(SCENARIO)

    def say(self, text: str) -> None:
        """Write a line."""
        self.stdout.write(text if text.endswith("\n") else text + "\n")
        self.stdout.flush()

    def emptyline(self) -> bool:
        """Do nothing; cmd.Cmd would repeat the last command."""
        return False

    def default(self, line: str) -> None:
        """Report an unknown command."""
        self.say(f"unknown command {line.split()[0]!r}; help lists them")

    def completenames(self, text: str, *_: Any) -> list[str]:
        """Commands that begin with the text."""
        return [name for name in super().completenames(text) if name != "EOF"]

    def completedefault(self, text: str, line: str, begin: int, _end: int) -> list[str]:
        """Addresses of workloads that begin with the text."""
        start = line[:begin].rpartition(" ")[2]
        found = [pod for pod in _addresses(self._context) if pod.startswith(start + text)]
        return [address.removeprefix(start) for address in found]

    @_command
    def do_pods(self, words: list[str]) -> None:
        """pods: the workloads, with the namespaces, names, addresses and containers of their pods"""
        _expect(words, 0, "pods")
        for line in _table(self._context):
            self.say(line)

    @_command
    def do_exec(self, words: list[str]) -> None:
        """exec main/client[:CONTAINER] COMMAND…: run a command in a pod (default: the probe's container)"""
        _expect_least(words, 2, "exec main/client[:CONTAINER] COMMAND…")
        pod, container = self._pod(words[0])
        self._run(pod, container, words[1:])

    @_command
    def do_logs(self, words: list[str]) -> None:
        """logs main/client[:CONTAINER]: the last lines of a container's log"""
        _expect(words, 1, "logs main/client[:CONTAINER]")
        pod, container = self._pod(words[0])
        self.say(self._context.cluster.logs(pod.namespace, pod.name, container, tail=100))

    @_command
    def do_config(self, words: list[str]) -> None:
        """config main/client: the configuration of the pod's proxy"""
        _expect(words, 1, "config main/client")
        self._inspect(words[0], "configuration")

    @_command
    def do_stats(self, words: list[str]) -> None:
        """stats main/client [WORD]: the statistics of the pod's proxy; only lines with the word, if given"""
        _expect_least(words, 1, "stats main/client [WORD]")
        self._inspect(words[0], "statistics", words[1] if len(words) > 1 else "")

    @_command
    def do_apply(self, words: list[str]) -> None:
        """apply FILE…: a fixture (traffic-split/zero-weight/split.yaml) or a manifest, placed in the arena"""
        _expect_least(words, 1, "apply FILE…")
        for word in words:
            for item in self._objects(word):
                self._scenario.apply_objects([item])
                self.say(f"{item['kind']} {item['metadata'].get('namespace', '')}/{item['metadata']['name']}")

    @_command
    def do_delete(self, words: list[str]) -> None:
        """delete FILE…: delete the objects of these files"""
        _expect_least(words, 1, "delete FILE…")
        for word in words:
            self._scenario.delete_objects(self._objects(word))

    @_command
    def do_send(self, words: list[str]) -> None:
        """send main/client main/resting [N [PATH]]: requests through the mesh, and their responders"""
        usage = "send main/client main/resting [N [PATH]]"
        _expect_least(words, 2, usage)
        number, path = (words[2] if len(words) > 2 else "100"), (words[3] if len(words) > 3 else "/")
        if not number.isdecimal() or not int(number):
            raise UsageError(f"usage: {usage}")
        client, service = self._address(words[0]), words[1]
        if service.partition("/")[0] not in WORKLOADS:
            part = service.partition("/")[0]
            raise UsageError(f"no part {part!r}{did_you_mean(part, WORKLOADS)}")
        call = replace(self._scenario.call(client, service, path=path), requests=int(number))
        servers = self._context.arena.workloads(service.partition("/")[0])
        (traffic,) = self._scenario.send(call, servers=servers)
        self.say(f"answered by: {_counts(traffic.answered)}; received by: {_counts(traffic.received)}")
        if traffic.failures or set(traffic.statuses) - {"200"}:
            self.say(f"failures: {_counts(traffic.failures)}; statuses: {_counts(traffic.statuses)}")

    def do_quit(self, _line: str) -> bool:
        """quit: remove the arena and leave (Ctrl-D does the same)"""
        return True

    def do_EOF(self, _line: str) -> bool:
        """Leave."""
        self.say("")
        return True

    def _address(self, address: str) -> str:
        known = _addresses(self._context)
        if address not in known:
            raise UsageError(f"no workload {address!r}{did_you_mean(address, known)} (pods lists them)")
        return address

    def _pod(self, word: str) -> tuple[WorkloadPod, str]:
        address, _, container = word.partition(":")
        return self._context.arena.pod(self._address(address)), container or CONTAINER

    def _run(self, pod: WorkloadPod, container: str, command: Sequence[str], word: str = "") -> None:
        done = self._context.cluster.run(pod.namespace, pod.name, container, command, EXEC_WITHIN_S)
        for line in done.output.splitlines():
            if word in line:
                self.say(line)
        if done.errors:
            self.say(done.errors)
        if done.status:
            self.say(f"exit status {done.status}")

    def _inspect(self, address: str, what: str, word: str = "") -> None:
        profile = self._context.profile
        if profile.inspect is None:
            raise UsageError(
                f"the profile {profile.name} has no section `inspect`, which configures this command"
            )
        pod, _ = self._pod(address)
        self._run(pod, profile.inspect.container, getattr(profile.inspect, what), word)

    def _objects(self, name: str) -> list[dict[str, Any]]:
        if exists(name):
            return self._context.arena.render(load(name))
        found = list(yamlio.load_all(Path(name).read_text(encoding="utf-8")))
        documents = [each for each in found if isinstance(each, dict)]
        items = [one for each in documents for one in each.get("items", [each])]
        if not items or not all({"apiVersion", "kind", "metadata"} <= set(one) for one in items):
            raise UsageError(f"{name} contains no Kubernetes objects")
        # In the manifest's own API version, even one unknown to the suite.
        placed = self._context.arena.scope.localize(items, WORKLOADS.values())
        for item in placed:
            item["metadata"].setdefault("namespace", self._context.arena.namespace("main"))
        return placed


def run(context: RunContext, *, stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
    """Run a shell in a new arena with all parts until the end of input. Raises ClusterError."""
    shell = Shell(context, stdin, stdout)
    parts = list(WORKLOADS)
    try:
        shell.say(f"arena of run {context.run_id}: {', '.join(parts)}")
        context.arena.create(parts)
        context.create_services(sorted({entry.scenario.folder for entry in index.index()}))
        context.arena.wait_ready(parts)
        for line in _table(context):
            shell.say(line)
        shell.cmdloop(_introduction(context))
    finally:
        shell.say("removing the arena")
        context.arena.remove()


def _introduction(context: RunContext) -> str:
    return f"""
At this prompt (help lists the commands, help COMMAND explains it; Ctrl-D removes the arena and leaves):
  {SEND}          requests through the mesh, and their responders
  apply traffic-split/zero-weight/split.yaml
                                           a fixture of {folder()}, or any manifest
  config main/client | stats main/client   configuration and statistics of its proxy
  exec main/client COMMAND | logs main/client
{_kubectl_hint(context)}"""


def _kubectl_hint(context: RunContext) -> str:
    if not context.cluster.kubectl:
        return ""
    kubectl = f"kubectl {context.cluster.kubectl} -n {context.arena.namespace('main')}"
    client = context.arena.pod("main/client").name
    return f"""Or from another terminal, with kubectl:
  {kubectl} get pods,trafficsplits
  {kubectl} exec {client} -c {CONTAINER} -- COMMAND
"""


def _addresses(context: RunContext) -> list[str]:
    return [address for part in WORKLOADS for address in context.arena.workloads(part)]


def _table(context: RunContext) -> Iterator[str]:
    rows = []
    for address in _addresses(context):
        pod = context.arena.pod(address)
        rows.append((address, pod.namespace, pod.name, pod.ip))
    yield from _aligned([("WORKLOAD", "NAMESPACE", "POD", "ADDRESS"), *rows])


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _counts(counts: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count) or "none"


def _expect(words: Iterable[str], number: int, usage: str) -> None:
    if len(list(words)) != number:
        raise UsageError(f"usage: {usage}")


def _expect_least(words: Sequence[str], least: int, usage: str) -> None:
    if len(words) < least:
        raise UsageError(f"usage: {usage}")
