"""A container's files, environment, commands, probes, restarts and end."""

from __future__ import annotations

from typing import Any

import pytest
from node_client import IMAGE, Node, NodeRefusal, Pod, condition, is_ready, pod, python, shell, state

FOREVER = "sleep 1000"
PROCESSES = """
from pathlib import Path
for each in Path("/proc").glob("[0-9]*/cmdline"):
    try:
        print(each.read_bytes())
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def idle(node: Node) -> Pod:
    """An idle pod with all kinds of volumes and variables."""
    node.call("put", name="here/settings", content={"colour": "red", "shape": "round"})
    sources = [
        {"serviceAccountToken": {"audience": "mesh", "expirationSeconds": 600, "path": "token"}},
        {"configMap": {"name": "settings", "items": [{"key": "shape", "path": "a/form"}]}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]
    main = shell(
        FOREVER,
        env=[
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "WORK", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['a.b/c']"}}},
            {"name": "BOTH", "value": "$(NAME) and $(WORK), $$(NAME), $(NOBODY)"},
            {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
            {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        volumeMounts=[
            {"name": "settings", "mountPath": "/probe", "readOnly": True},
            {"name": "shared", "mountPath": "/run/probe"},
            {"name": "secret", "mountPath": "/etc/smi-reference", "readOnly": True},
            {"name": "all", "mountPath": "/var/run/secrets/all", "readOnly": True},
        ],
    )
    other = shell(FOREVER, name="other", volumeMounts=[{"name": "shared", "mountPath": "/elsewhere"}])
    return node.run(
        pod(
            "idle",
            main,
            other,
            annotations={"a.b/c": "nothing"},
            serviceAccountName="robot",
            volumes=[
                {"name": "settings", "configMap": {"name": "settings"}},
                {"name": "shared", "emptyDir": {"medium": "Memory"}},
                {"name": "secret", "secret": {"secretName": "keys", "defaultMode": 0o400}},
                {"name": "all", "projected": {"sources": sources}},
            ],
        )
    ).ready()


def test_volumes_hold_the_content_of_their_sources(idle: Pod) -> None:
    assert idle.says("cat", "/probe/colour", "/etc/smi-reference/password") == "redof here/keys"
    assert idle.says("cat", "/var/run/secrets/all/a/form", "/var/run/secrets/all/labels") == "roundidle"
    token = idle.says("cat", "/var/run/secrets/all/token")
    assert token.startswith("robot for mesh")
    assert token.endswith("good for 600 s")
    assert idle.says("stat", "-c", "%a", "/etc/smi-reference/password") == "400\n"


def test_containers_share_the_volumes_and_network_of_their_pod_and_nothing_else(idle: Pod) -> None:
    idle.says("sh", "-c", "echo hello > /run/probe/note; echo mine > /tmp/note")
    assert idle.says("cat", "/elsewhere/note", container="other") == "hello\n"
    assert idle.execute("cat", "/tmp/note", container="other")[0] == 1
    addresses = {idle.says("hostname", "-I", container=name) for name in ("main", "other")}
    assert addresses == {f"{idle.address} \n"}


@pytest.mark.parametrize("place", ["/", "/usr", "/probe", "/etc"])
def test_only_volumes_and_tmp_are_writable(idle: Pod, place: str) -> None:
    code, _, error = idle.execute("touch", f"{place}/mark")
    assert code != 0
    assert "Read-only file system" in error


def test_a_container_sees_its_own_processes_alone(idle: Pod) -> None:
    seen = idle.says("sh", "-c", "cat /proc/[0-9]*/comm")
    assert set(seen.split()) <= {"sh", "sleep", "cat"}


def test_variables_refer_to_fields_and_to_each_other(idle: Pod) -> None:
    said = idle.says("sh", "-c", 'echo "$BOTH; $COLOUR; $ADDRESS; $KUBERNETES_SERVICE_HOST"')
    assert said == f"idle and nothing, $(NAME), $(NOBODY); red; {idle.address}; 10.96.0.1\n"


def test_the_environment_of_the_machine_stays_outside(idle: Pod) -> None:
    assert "TMPDIR" not in idle.says("env")


def test_a_command_gets_its_input_and_gives_its_exit_code(idle: Pod) -> None:
    code, out, error = idle.execute("sh", "-c", "cat; echo no >&2; exit 7", stdin="in and out")
    assert (code, out, error) == (7, "in and out", "no\n")


def test_a_missing_command_is_refused_with_its_name(idle: Pod) -> None:
    with pytest.raises(NodeRefusal, match="nonesuch: No such file or directory"):
        idle.execute("nonesuch")


def test_a_command_can_be_killed(idle: Pod) -> None:
    assert idle.execute("sleep", "1000", kill=True)[0] == 137


def test_a_missing_container_is_refused(idle: Pod) -> None:
    with pytest.raises(NodeRefusal, match="container nobody is not valid for pod idle"):
        idle.execute("true", container="nobody")


def test_logs_keep_the_output_and_can_be_cut_to_the_last_lines(node: Node) -> None:
    talking = node.run(pod("talking", shell(f"seq 1 5; echo six >&2; {FOREVER}"))).ready()
    while "six" not in talking.logs():
        talking.says("true")
    assert talking.logs() == "1\n2\n3\n4\n5\nsix\n"
    assert talking.logs(tail=2) == "5\nsix\n"


def test_a_missing_image_is_reported(node: Node) -> None:
    wrong = node.run(pod("wrong", {"name": "main", "image": "nginx:1", "command": ["nginx"]}))
    waiting = wrong.until(lambda status: "ErrImage" in str(status))
    assert state(waiting)["state"]["waiting"]["reason"] == "ErrImageNeverPull"
    assert "has no images: nginx:1" in state(waiting)["state"]["waiting"]["message"]
    assert waiting["phase"] == "Pending"


def test_a_pod_waits_for_a_missing_config_map_and_reports_it(node: Node) -> None:
    volumes = [{"name": "late", "configMap": {"name": "late"}}]
    early = node.run(pod("early", shell(FOREVER), volumes=volumes))
    waiting = early.until(lambda status: "late" in str(status))
    assert state(waiting)["state"]["waiting"]["message"] == 'configmap "late" not found'
    node.call("put", name="here/late", content={"a": "b"})
    early.ready()


def test_a_missing_program_is_reported(node: Node) -> None:
    broken = node.run(pod("broken", {"name": "main", "image": IMAGE, "command": ["nonesuch"]}))
    waiting = state(broken.until(lambda status: "nonesuch" in str(status)))["state"]["waiting"]
    assert (waiting["reason"], waiting["message"]) == (
        "RunContainerError",
        "nonesuch: No such file or directory",
    )


def test_unsupported_fields_are_refused_rather_than_ignored(node: Node) -> None:
    probe = {"exec": {"command": ["true"]}}
    strange = node.run(pod("strange", shell(FOREVER, livenessProbe=probe)))
    status = strange.until(lambda status: "livenessProbe" in str(status))
    assert state(status)["state"]["waiting"]["reason"] == "CreateContainerConfigError"


def test_a_pod_is_ready_as_long_as_its_probe_succeeds(node: Node) -> None:
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    probed = node.run(pod("probed", shell(FOREVER, readinessProbe=probe)))
    probed.until(lambda status: status["phase"] == "Running")
    assert not is_ready(probed.until(lambda status: True))
    probed.says("touch", "/tmp/ready")
    probed.ready()
    probed.says("rm", "/tmp/ready")
    lost = probed.until(lambda status: not is_ready(status))
    assert state(lost)["ready"] is False


def test_a_container_that_ends_is_restarted_and_counted(node: Node) -> None:
    failing = node.run(pod("failing", shell("exit 3")))
    status = state(failing.until(lambda status: state(status)["restartCount"] >= 2))
    assert (
        status["lastState"]["terminated"]["exitCode"] == 3 or status["state"]["terminated"]["exitCode"] == 3
    )
    waiting = failing.until(lambda status: "CrashLoopBackOff" in str(status))
    assert state(waiting)["lastState"]["terminated"]["reason"] == "Error"
    assert failing.stop() < 1


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (4, "Failed")])
def test_a_pod_without_restarts_ends_like_its_container(node: Node, code: int, phase: str) -> None:
    once = node.run(pod(f"once-{code}", shell(f"exit {code}"), restartPolicy="Never"))
    ended = once.until(lambda status: status["phase"] == phase)
    assert state(ended)["state"]["terminated"]["exitCode"] == code
    assert condition(ended, "Ready") == "False"


def test_init_containers_sidecars_and_hooks_run_in_order(node: Node) -> None:
    mount: dict[str, Any] = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "sleep 0.2; echo hook >> /shared/order"]}}}
    note = "trap 'echo {0} ends >> /shared/order; exit 0' TERM; echo {0} >> /shared/order; sleep 1000 & wait"
    ordered = node.run(
        pod(
            "ordered",
            shell(note.format("main"), **mount),
            initContainers=[
                shell("sleep 0.2; echo first >> /shared/order", name="first", **mount),
                shell(note.format("sidecar"), name="side", restartPolicy="Always", lifecycle=hook, **mount),
                shell("echo last >> /shared/order", name="last", **mount),
            ],
            volumes=[{"name": "shared", "emptyDir": {}}],
        )
    )
    status = ordered.until(is_ready)
    while "main" not in (order := ordered.says("cat", "/shared/order")):
        ordered.says("true")
    assert order.split() == ["first", "sidecar", "hook", "last", "main"]
    assert state(status, "first")["state"]["terminated"]["reason"] == "Completed"
    assert state(status, "side")["started"] is True
    # SIGTERM reaches only the shell, so this also shows that children end with their container.
    assert ordered.stop() < 2


def test_a_container_is_probed_after_its_hook(node: Node) -> None:
    mount: dict[str, Any] = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "sleep 0.3; echo hook >> /shared/order"]}}}
    probe = {"exec": {"command": ["sh", "-c", "echo probe >> /shared/order"]}, "periodSeconds": 1}
    probed = node.run(
        pod(
            "hooked-and-probed",
            shell(FOREVER, lifecycle=hook, readinessProbe=probe, **mount),
            volumes=[{"name": "shared", "emptyDir": {}}],
        )
    ).ready()
    assert probed.says("cat", "/shared/order").split()[:2] == ["hook", "probe"]


def test_a_failing_hook_is_reported_and_its_container_restarted(node: Node) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo not yet; exit 5"]}}}
    hooked = node.run(pod("hooked", shell(FOREVER, lifecycle=hook)))
    hooked.until(lambda status: state(status)["restartCount"] >= 1)
    assert "postStart hook failed: exit code 5: not yet" in hooked.logs()


def test_a_pod_that_ignores_sigterm_is_killed_after_its_grace(node: Node) -> None:
    # The kernel drops signals that the first process of a container does not handle.
    deaf = node.run(pod("deaf", python("import time; time.sleep(1000)"))).ready()
    assert 0.3 < deaf.stop(grace=0.3) < 2


def test_the_processes_of_a_container_end_with_it(node: Node) -> None:
    parent = node.run(pod("parent", shell("setsid sleep 98765 & sleep 1000"))).ready()
    while "98765" not in node.python(PROCESSES):
        parent.says("true")
    parent.stop(grace=0)
    assert "98765" not in node.python(PROCESSES)


def test_a_name_can_be_used_again_once_its_pod_is_gone(node: Node) -> None:
    for _ in range(2):
        again = node.run(pod("again", shell(FOREVER))).ready()
        with pytest.raises(NodeRefusal, match="here/again runs already"):
            node.run(pod("again", shell(FOREVER)))
        again.stop(grace=0)
        with pytest.raises(NodeRefusal, match='pods "again" not found'):
            again.logs()


def test_a_pod_that_waits_is_stopped_at_once(node: Node) -> None:
    waiting = node.run(pod("waiting", shell(FOREVER), volumes=[{"name": "x", "configMap": {"name": "no"}}]))
    waiting.until(lambda status: "not found" in str(status))
    assert waiting.stop() < 1
