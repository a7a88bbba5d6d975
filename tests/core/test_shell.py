"""The prompt of `smi-conformance shell`, on the fake cluster."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.cli import main, shell
from conformance.profiles import Inspect
from conformance.run.context import RunContext

from .conftest import Bench
from .fake_cluster import FakeCluster


def talk(context: RunContext, *lines: str) -> str:
    """What a prompt says to these lines, without what it says before and after them."""
    out = io.StringIO()
    shell.run(context, stdin=io.StringIO("".join(f"{line}\n" for line in lines)), stdout=out)
    said = out.getvalue()
    return said[said.index("smi> ") :].removesuffix("removing the arena\n")


def test_leaving_removes_the_arena(context: RunContext, cluster: FakeCluster) -> None:
    assert "smi> " in talk(context, "quit", "pods")
    assert not [key for key in cluster.objects if key[0] in {"Namespace", "Pod"}]
    talk(context)
    assert not [key for key in cluster.objects if key[0] in {"Namespace", "Pod"}]


def test_the_introduction_names_the_workloads_and_how_to_reach_them(context: RunContext) -> None:
    out = io.StringIO()
    shell.run(context, stdin=io.StringIO(""), stdout=out)
    assert "main/client" in out.getvalue()
    assert "kubectl --context fake -n smi-main-r1" in out.getvalue()


def test_the_first_lines_that_it_suggests_work(context: RunContext) -> None:
    out = io.StringIO()
    shell.run(context, stdin=io.StringIO(""), stdout=out)
    lines = [line.strip() for line in out.getvalue().splitlines()]
    send = next(line for line in lines if line.startswith("send ")).partition("  ")[0]
    apply = next(line for line in lines if line.startswith("apply "))
    said = talk(context, send, apply, send)
    assert "error" not in said
    assert "answered by: v1 100;" in said
    assert "TrafficSplit smi-main-r1/resting" in said


def test_a_manifest_from_elsewhere_is_applied_in_the_version_that_it_is_written_in(
    context: RunContext, cluster: FakeCluster, tmp_path: Path
) -> None:
    cluster.serves["split.smi-spec.io/v1alpha2"] = ("TrafficSplit",)
    manifest = tmp_path / "bookstore.yaml"
    manifest.write_text(
        """
        apiVersion: split.smi-spec.io/v1alpha2
        kind: TrafficSplit
        metadata: {name: bookstore-split}
        spec: {service: bookstore, backends: [{service: bookstore-v1, weight: 50}]}
        """,
        encoding="utf-8",
    )
    said = talk(context, f"apply {manifest}", f"delete {manifest}")
    assert "TrafficSplit smi-main-r1/bookstore-split" in said
    assert "error" not in said
    assert "TrafficSplit/smi-main-r1/bookstore-split" in cluster.created


def test_traffic_is_sent_and_who_answered_is_told(context: RunContext) -> None:
    said = talk(context, "send main/client main/v1 20")
    assert "answered by: v1 20; received by: v1 20" in said


def test_a_fixture_is_applied_in_the_arena_and_deleted_again(context: RunContext) -> None:
    name = "traffic-split/zero-weight/split.yaml"
    send = "send main/client main/resting 20"
    said = talk(context, send, f"apply {name}", send, f"delete {name}", send)
    assert "TrafficSplit smi-main-r1/resting" in said
    assert said.count("answered by: v1 20;") == 1
    assert said.count("v2 ") > 1


def test_a_manifest_of_ones_own_is_placed_in_the_arena(
    context: RunContext, cluster: FakeCluster, tmp_path: Path
) -> None:
    manifest = tmp_path / "own.yaml"
    manifest.write_text(
        "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: smi-main, name: own}, data: {a: b}}",
        encoding="utf-8",
    )
    assert "ConfigMap smi-main-r1/own" in talk(context, f"apply '{manifest}'")
    manifest.write_text("just words", encoding="utf-8")
    assert "contains no Kubernetes objects" in talk(context, f"apply '{manifest}'")


def test_commands_logs_and_what_a_proxy_has_are_shown(context: RunContext) -> None:
    inspect = Inspect(container="proxy", configuration=("dump", "all"), statistics=("stats",))
    context = replace(context, profile=context.profile.model_copy(update={"inspect": inspect}))
    said = talk(
        context,
        "exec main/client ls -l",
        "exec main/client:proxy false",
        "logs main/client",
        "config main/client",
        "stats main/client nothing",
    )
    assert "probe ran ls -l" in said
    assert "exit status 1" in said
    assert "log of probe" in said
    assert "proxy ran dump all" in said
    assert "proxy ran stats" not in said


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("send main/client", "usage: send main/client main/resting"),
        ("send main/client main/v1 many", "usage: send"),
        ("send main/nobody main/v1", "no workload 'main/nobody' (pods lists them)"),
        ("send main/client shop/v1", "no part 'shop'"),
        ("config main/client", "has no section `inspect`"),
        ("apply no-such-file.yaml", "No such file"),
        ("apply 'unclosed", "No closing quotation"),
        ("odd", "unknown command 'odd'"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_prompt_goes_on(
    context: RunContext, line: str, answer: str
) -> None:
    said = talk(context, line, "send main/client main/v1 20")
    assert answer in said
    assert "answered by: v1 20" in said


def test_a_cluster_without_the_apis_is_refused_before_anything_is_made(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.cluster.serves = {"v1": bench.cluster.serves["v1"]}
    assert main.main(["shell", "--mesh", str(bench.profile)]) == 2
    assert "is not served" in capsys.readouterr().err
    assert not bench.cluster.objects
