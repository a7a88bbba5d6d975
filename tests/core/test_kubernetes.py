"""A real client against a server on loopback: what is asked, and what is made of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance import judge
from conformance.clusters import (
    Account,
    ApiAnswer,
    ApiStatusError,
    ClusterError,
    Completed,
    ExecFailed,
    kubernetes,
)
from conformance.clusters.kubernetes import KubernetesCluster, status_error
from conformance.drive.api_reads import Reader
from conformance.drive.wait import Waiter
from conformance.model.evidence import Call, Traffic
from conformance.model.verdict import Verdict

from .fake_api_server import ERROR, STDERR, STDOUT, Server
from .virtual import VirtualClock

SPLITS = "/apis/split.smi-spec.io/v1alpha4"
SPLIT = {
    "apiVersion": "split.smi-spec.io/v1alpha4",
    "kind": "TrafficSplit",
    "metadata": {"namespace": "ns", "name": "web"},
}
EXEC = "GET /api/v1/namespaces/ns/pods/client/exec"
QUESTION = ("ns", "client", "probe", ("python3", "/probe/probe.pyz"))


def answered(number: int, status: str) -> Traffic:
    """Requests to mid, each answered with this status."""
    call = Call("metrics/client", "mid", 8080, number)
    return Traffic(call, number, {"mid": number}, {"mid:8080": number}, {status: number}, {}, {"mid": number})


@pytest.fixture
def server() -> Server:
    made = Server()
    made.answers[f"GET {SPLITS}"] = (
        200,
        {
            "resources": [
                {"name": "trafficsplits", "kind": "TrafficSplit", "namespaced": True},
                {"name": "trafficsplits/status", "kind": "TrafficSplit", "namespaced": True},
            ]
        },
    )
    made.answers["GET /api/v1"] = (
        200,
        {"resources": [{"name": "namespaces", "kind": "Namespace", "namespaced": False}]},
    )
    return made


@pytest.fixture
def cluster(server: Server, tmp_path: Path) -> Iterator[KubernetesCluster]:
    with server.serving(tmp_path) as kubeconfig:
        made = KubernetesCluster.for_context(kubeconfig=kubeconfig)
        yield made
        made.close()


class TestRequests:
    def test_are_made_with_the_rights_of_the_kubeconfig(
        self, cluster: KubernetesCluster, server: Server
    ) -> None:
        server.answers["GET /version"] = (200, {"gitVersion": "v1.31.0"})
        assert cluster.request("GET", "/version").body == {"gitVersion": "v1.31.0"}
        assert server.asked[0].headers["Authorization"] == "Bearer mine"
        assert cluster.name == "local"

    def test_quote_what_is_asked_for(self, cluster: KubernetesCluster, server: Server) -> None:
        cluster.request("GET", "/x", query={"fieldSelector": "metadata.name=a&b"})
        assert server.asked[0].path == "/x?fieldSelector=metadata.name%3Da%26b"

    def test_bring_back_whatever_is_answered(self, cluster: KubernetesCluster, server: Server) -> None:
        server.answers["GET /broken"] = (503, "upstream connect error")
        assert cluster.request("GET", "/broken") == ApiAnswer(503, "upstream connect error")
        assert cluster.request("GET", "/absent").status == 404

    def test_bring_back_the_events_of_a_watch(self, cluster: KubernetesCluster, server: Server) -> None:
        server.answers["GET /watch"] = (200, '{"type": "ADDED"}\n{"type": "MODIFIED"}\n')
        assert cluster.request("GET", "/watch").body == [{"type": "ADDED"}, {"type": "MODIFIED"}]
        server.answers["GET /watch"] = (200, '{"type": "ADDED"}\n')
        assert cluster.request("GET", "/watch").body == {"type": "ADDED"}
        server.answers["GET /watch"] = (200, "")
        assert cluster.request("GET", "/watch").body == []

    @pytest.mark.parametrize(
        "text",
        ['{"items": ' + "9" * 5_000 + "}", "[" * 100_000 + "]" * 100_000, '{"a": 1}\n' + "9" * 5_000],
        ids=["an integer of many digits", "deep nesting", "one line of two"],
    )
    def test_bring_back_as_text_what_cannot_be_read_and_the_mesh_fails_for_it(
        self, cluster: KubernetesCluster, server: Server, text: str
    ) -> None:
        server.answers["GET /hostile"] = (200, text)
        read = Reader(cluster, Waiter(VirtualClock())).read("/hostile")
        assert read.body == text[:10_000]
        verdicts = (
            judge.discovery(read),
            judge.object_fields([read]),
            judge.request_counts(read, read, read, answered(3, "200"), answered(1, "500"), 2),
        )
        assert {one.verdict for one in verdicts} == {Verdict.FAIL}
        assert all("/hostile answered '" in one.summary for one in verdicts)

    def test_read_no_more_of_an_answer_than_fits(
        self, cluster: KubernetesCluster, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kubernetes, "MAX_BODY", 20)
        server.answers["GET /fits"] = (200, '{"a": "34567890123"}')
        server.answers["GET /larger"] = (200, '{"a": "345678901234"}')
        assert cluster.request("GET", "/fits").body == {"a": "34567890123"}
        assert cluster.request("GET", "/larger") == ApiAnswer(200, '{"a": "345678901234"')
        assert cluster.request("GET", "/fits").body == {"a": "34567890123"}

    def test_with_the_rights_of_an_account_ask_for_its_token_once(
        self, cluster: KubernetesCluster, server: Server
    ) -> None:
        path = "/api/v1/namespaces/ns/serviceaccounts/reader/token"
        server.answers[f"POST {path}"] = (201, {"status": {"token": "theirs"}})
        for _ in range(2):
            cluster.request("GET", "/x", account=Account("ns", "reader"))
        assert [(one.method, one.path, one.headers["Authorization"]) for one in server.asked] == [
            ("POST", path, "Bearer mine"),
            ("GET", "/x", "Bearer theirs"),
            ("GET", "/x", "Bearer theirs"),
        ]
        assert server.asked[0].body["spec"] == {"expirationSeconds": 600}

    def test_with_the_rights_of_an_account_that_was_made_anew_ask_for_another_token(
        self, cluster: KubernetesCluster, server: Server
    ) -> None:
        path = "/api/v1/namespaces/ns/serviceaccounts/reader"
        server.answers[f"POST {path}/token"] = (201, {"status": {"token": "theirs"}})
        server.answers[f"DELETE {path}"] = (200, {})
        kind = {"name": "serviceaccounts", "kind": "ServiceAccount", "namespaced": True}
        server.answers["GET /api/v1"] = (200, {"resources": [kind]})
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"namespace": "ns", "name": "reader"},
        }
        cluster.request("GET", "/x", account=Account("ns", "reader"))
        cluster.delete([account])
        cluster.request("GET", "/x", account=Account("ns", "reader"))
        assert [one.path for one in server.asked].count(f"{path}/token") == 2

    def test_that_nobody_takes_say_where(self, cluster: KubernetesCluster, tmp_path: Path) -> None:
        text = (tmp_path / "kubeconfig").read_text(encoding="utf-8")
        (tmp_path / "kubeconfig").write_text(text.replace("127.0.0.1", "127.0.0.1:1#"), encoding="utf-8")
        gone = KubernetesCluster.for_context(kubeconfig=str(tmp_path / "kubeconfig"))
        with pytest.raises(ClusterError, match=r"^cluster local cannot be reached at http://127.0.0.1:1#"):
            gone.request("GET", "/version")
        gone.close()


class TestObjects:
    def test_are_found_by_what_the_cluster_serves(self, cluster: KubernetesCluster, server: Server) -> None:
        assert cluster.path(str(SPLIT["apiVersion"]), "TrafficSplit", "ns", "web") == (
            f"{SPLITS}/namespaces/ns/trafficsplits/web"
        )
        assert cluster.path("v1", "Namespace", "ignored", "ns") == "/api/v1/namespaces/ns"
        cluster.path("v1", "Namespace")
        assert len(server.asked) == 2

    def test_of_a_kind_that_is_not_served_are_an_error(self, cluster: KubernetesCluster) -> None:
        with pytest.raises(
            ClusterError, match=r"does not serve access.smi-spec.io/v1alpha3 \(wanted for Traf"
        ):
            cluster.path("access.smi-spec.io/v1alpha3", "TrafficTarget")
        with pytest.raises(ClusterError, match="serves v1 without the kind Pod"):
            cluster.path("v1", "Pod")

    def test_are_applied_by_the_server_under_our_name(
        self, cluster: KubernetesCluster, server: Server
    ) -> None:
        server.answers[f"PATCH {SPLITS}/namespaces/ns/trafficsplits/web"] = (201, {})
        cluster.apply([SPLIT])
        asked = server.asked[-1]
        assert asked.path.endswith("?fieldManager=smi-conformance&force=true")
        assert asked.headers["Content-Type"] == "application/apply-patch+yaml"
        assert asked.body == SPLIT

    def test_that_are_refused_say_why(self, cluster: KubernetesCluster, server: Server) -> None:
        status = {"reason": "Invalid", "message": "spec.service: Required value"}
        server.answers[f"PATCH {SPLITS}/namespaces/ns/trafficsplits/web"] = (422, status)
        with pytest.raises(
            ApiStatusError, match=r"^spec.service: Required value \(HTTP 422 Invalid\)$"
        ) as caught:
            cluster.apply([SPLIT])
        assert (caught.value.status, caught.value.reason) == (422, "Invalid")

    def test_that_are_gone_already_are_deleted(self, cluster: KubernetesCluster, server: Server) -> None:
        cluster.delete([SPLIT])
        assert server.asked[-1].method == "DELETE"
        server.answers[f"DELETE {SPLITS}/namespaces/ns/trafficsplits/web"] = (403, "no")
        with pytest.raises(ApiStatusError, match="no \\(HTTP 403 \\)"):
            cluster.delete([SPLIT])

    def test_are_listed_with_their_kind(self, cluster: KubernetesCluster, server: Server) -> None:
        server.answers[f"GET {SPLITS}/namespaces/ns/trafficsplits"] = (
            200,
            {"items": [{"metadata": {"name": "web"}}]},
        )
        (found,) = cluster.list(str(SPLIT["apiVersion"]), "TrafficSplit", "ns", labels="app=web")
        assert found == {**SPLIT, "metadata": {"name": "web"}}
        assert server.asked[-1].path.endswith("?labelSelector=app%3Dweb")

    def test_of_which_there_is_no_list_that_can_be_read_are_an_error(
        self, cluster: KubernetesCluster, server: Server
    ) -> None:
        server.answers["GET /api/v1/namespaces"] = (200, "no JSON")
        with pytest.raises(ClusterError, match=r"^the list of Namespace cannot be read: no JSON, or more"):
            cluster.list("v1", "Namespace")

    @pytest.mark.parametrize("body", ["<html>Bad gateway</html>", {"kind": "Status"}, ["odd"]])
    def test_refusals_of_any_form_can_be_told(self, body: Any) -> None:
        assert "HTTP 502" in str(status_error(ApiAnswer(502, body)))

    def test_refusals_are_told_in_one_line(self) -> None:
        told = str(status_error(ApiAnswer(403, {"reason": "No\n", "message": "denied\n::error::by \x1b[2J"})))
        assert told == "denied ::error::by [2J (HTTP 403 No)"

    def test_logs_are_text(self, cluster: KubernetesCluster, server: Server) -> None:
        server.answers["GET /api/v1/namespaces/ns/pods/web/log"] = (200, "one\ntwo\n")
        assert cluster.logs("ns", "web", "probe", tail=2) == "one\ntwo\n"
        assert server.asked[-1].path.endswith("?container=probe&tailLines=2")


class TestAsking:
    def test_keeps_one_command_running_for_all_questions(
        self, cluster: KubernetesCluster, server: Server
    ) -> None:
        server.answers[EXEC] = (101, "")
        assert cluster.exec_line(*QUESTION, '{"op":"ping"}', 5) == '{"op":"ping"}\n\n'
        assert cluster.exec_line(*QUESTION, "x" * 300, 5) == "x" * 300 + "\n\n"
        assert server.channels == 1
        asked = server.asked[-1]
        assert asked.path.endswith("&command=python3&command=%2Fprobe%2Fprobe.pyz")
        assert asked.headers["authorization"] == "Bearer mine"

    def test_waits_for_the_end_of_an_answer(self, cluster: KubernetesCluster, server: Server) -> None:
        server.answers[EXEC] = (101, "")
        server.converse = lambda line: [
            (STDOUT, '{"a":1}\n'),
            (STDOUT, '{"b":2}'),
            (STDOUT, "\n"),
            (STDOUT, "\n"),
        ]
        assert cluster.exec_line(*QUESTION, "{}", 5).splitlines() == ['{"a":1}', '{"b":2}', ""]

    def test_that_is_refused_is_trouble_of_the_environment(
        self, cluster: KubernetesCluster, server: Server
    ) -> None:
        server.answers[EXEC] = (403, {"message": "pods is forbidden"})
        with pytest.raises(ExecFailed, match=r"exec in ns/client: .*403"):
            cluster.exec_line(*QUESTION, "{}", 5)

    def test_that_ends_with_an_error_says_what_the_container_said(
        self, cluster: KubernetesCluster, server: Server
    ) -> None:
        server.answers[EXEC] = (101, "")
        status = '{"status":"Failure","message":"command terminated with exit code 1"}'
        server.converse = lambda line: [(STDERR, "no probe answers"), (ERROR, status)]
        with pytest.raises(
            ExecFailed, match="ns/client: command terminated with exit code 1 no probe answers"
        ):
            cluster.exec_line(*QUESTION, "{}", 5)

    def test_that_breaks_off_is_begun_anew_by_the_next_question(
        self, cluster: KubernetesCluster, server: Server
    ) -> None:
        server.answers[EXEC] = (101, "")
        server.converse = lambda line: None
        with pytest.raises(ExecFailed, match="exec in ns/client"):
            cluster.exec_line(*QUESTION, "{}", 5)
        server.converse = lambda line: [(STDOUT, "{}\n\n")]
        assert cluster.exec_line(*QUESTION, "{}", 5) == "{}\n\n"
        assert server.channels == 2

    def test_gives_up_in_time(self, cluster: KubernetesCluster, server: Server) -> None:
        server.answers[EXEC] = (101, "")
        server.converse = lambda line: []
        with pytest.raises(ExecFailed, match=r"no answer within 0\.05 s"):
            cluster.exec_line(*QUESTION, "{}", 0.05)


class TestACommand:
    COMMAND = ("ns", "client", "probe", ["stats", "--all"])

    def test_brings_back_what_it_wrote_and_its_exit_status(
        self, cluster: KubernetesCluster, server: Server
    ) -> None:
        server.answers[EXEC] = (101, "")
        server.converse = lambda line: [(STDOUT, "a\n"), (STDERR, "odd"), (ERROR, '{"status":"Success"}')]
        assert cluster.run(*self.COMMAND, 5) == Completed(0, "a\n", "odd")
        assert "stdin" not in server.asked[-1].path
        failed = {
            "status": "Failure",
            "message": "command terminated with exit code 3",
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
        }
        server.converse = lambda line: [(ERROR, json.dumps(failed))]
        assert cluster.run(*self.COMMAND, 5) == Completed(3, "", "")

    def test_that_cannot_be_run_is_trouble_of_the_environment(
        self, cluster: KubernetesCluster, server: Server
    ) -> None:
        server.answers[EXEC] = (101, "")
        server.converse = lambda line: [(ERROR, '{"status":"Failure","message":"no such container"}')]
        with pytest.raises(ExecFailed, match="exec in ns/client: no such container"):
            cluster.run(*self.COMMAND, 5)
        server.answers[EXEC] = (403, {"message": "pods is forbidden"})
        with pytest.raises(ExecFailed, match=r"exec in ns/client: .*403"):
            cluster.run(*self.COMMAND, 5)


class TestAKubeconfig:
    def test_without_a_current_context_takes_the_one_that_is_named(
        self, tmp_path: Path, server: Server
    ) -> None:
        with server.serving(tmp_path) as kubeconfig:
            document = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
            del document["current-context"]
            Path(kubeconfig).write_text(yaml.safe_dump(document), encoding="utf-8")
            named = KubernetesCluster.for_context("local", kubeconfig)
            assert named.request("GET", "/version").status == 404
            named.close()
            with pytest.raises(ClusterError, match="no current context"):
                KubernetesCluster.for_context(None, kubeconfig)
