"""The command line: what it says, where, and with which exit code."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from conformance.cli import main
from conformance.drive.manifests import RUN_LABEL
from conformance.report import store
from conformance.run.options import duration_s
from conformance.traceability import explain, index, matrix

from .conftest import Bench

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "here",
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
}
RUN = ["run", "--mesh", "none"]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A loopback port that refuses: bound, so that nobody else takes it, and not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def kubeconfig(tmp_path: Path, closed_port: int) -> str:
    path = tmp_path / "kubeconfig"
    text = yaml.safe_dump(KUBECONFIG).replace("127.0.0.1:1", f"127.0.0.1:{closed_port}")
    path.write_text(text, encoding="utf-8")
    return str(path)


class TestUnusableInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["run", "--mesh", "referense"], "error: unknown mesh 'referense'; did you mean reference?"),
            (
                ["run", "--mesh", "none", "--requirement", "split-live-edit"],
                "error: unknown requirement 'split-live-edit'; did you mean split-live-edits?",
            ),
            (["run", "--mesh", "{misspelt}"], "unknown key 'converg'; did you mean converge?"),
            ([*RUN, "--context", "prod"], "no context 'prod' in the kubeconfig; there are: here"),
            ([*RUN, "--kubeconfig", "{absent}"], "error: no usable kubeconfig: set KUBECONFIG"),
            ([*RUN, "--kubeconfig", "{misspelt}"], "error: no usable kubeconfig: set KUBECONFIG"),
            ([*RUN, "--kubeconfig", "{garbage}"], "error: no usable kubeconfig: set KUBECONFIG"),
            (RUN, "error: cluster here cannot be reached at https://127.0.0.1:{port}: "),
            (["clean"], "error: cluster here cannot be reached at https://127.0.0.1:{port}: "),
            (["faults", "--fault", "no-such"], "error: unknown fault 'no-such' (smi-conformance explain"),
            (["faults", "--fault", "split-weight-ignored"], "did you mean split-weights-ignored? (smi-"),
            (["faults"], "error: cluster here cannot be reached"),
            (["faults", "--jobs", "2"], "error: --jobs: needs embedded clusters"),
            (["doctor", "--mesh", "{misspelt}"], "unknown key 'converg'"),
            (["explain", "split-live-edit"], "error: unknown requirement 'split-live-edit'; did you mean"),
        ],
    )
    def test_is_one_line_on_stderr_and_exit_code_2(
        self,
        arguments: list[str],
        message: str,
        kubeconfig: str,
        closed_port: int,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "misspelt.yaml").write_text("name: x\nclaims: {}\nconverg: {}\n", encoding="utf-8")
        (tmp_path / "garbage.yaml").write_text("a: [b\nc: d}", encoding="utf-8")
        names = {name: str(tmp_path / f"{name}.yaml") for name in ("misspelt", "garbage", "absent")}
        monkeypatch.chdir(tmp_path)
        given = [argument.format(**names) for argument in arguments]
        if "--kubeconfig" not in given and given[0] != "explain":
            given += ["--kubeconfig", kubeconfig]
        before = sorted(tmp_path.iterdir())
        assert main.main(given) == 2
        said = capsys.readouterr()
        # Which cluster it was may be said before that.
        assert re.fullmatch(r"(cluster: here at https://\S+ \(--\w+\)\n)?(report: \S+\n)?", said.out)
        assert message.format(port=closed_port) in said.err
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
        made = [one for one in tmp_path.iterdir() if one not in before]
        if given[0] == "run" and re.search("kubeconfig|cannot be reached", said.err):
            # What keeps a run from beginning is in a report as well: CI systems look for results there.
            (run,) = (tmp_path / "reports").iterdir()
            report = store.read(run)
            assert report.headline.exit_code == 2
            assert report.findings[0].text in said.err.replace("error: ", "the run could not start: ")
            assert "<error" in (run / "junit.xml").read_text(encoding="utf-8")
            assert (run / "report.html").exists()
        else:
            assert made == []

    def test_is_told_where_no_report_can_be_written_either(
        self, kubeconfig: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").touch()
        output = str(tmp_path / "file" / "out")
        assert main.main([*RUN, "--kubeconfig", kubeconfig, "-o", output]) == 2
        said = capsys.readouterr()
        assert "the report cannot be written: " in said.out
        assert said.err.startswith("error: cluster here cannot be reached")

    def test_the_doctor_of_an_unreachable_cluster_says_so_in_its_list(
        self, kubeconfig: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main.main(["doctor", "--mesh", "none", "--kubeconfig", kubeconfig]) == 2
        assert capsys.readouterr().out.partition("\n")[2].startswith("MISSING cluster    cluster here cannot")

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["run"],
            ["run", "--mesh", "none", "--level", "vital"],
            ["list", "--", "-x"],
            ["faults", "--jobs", "0"],
            ["faults", "--jobs", "many"],
        ],
    )
    def test_of_the_wrong_shape_shows_the_usage(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            main.main(arguments)
        assert caught.value.code == 2
        assert "usage: smi-conformance" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "usage", "error"),
        [
            (["run", "--mseh", "none"], "run", "unknown option --mseh; did you mean --mesh?"),
            (["run", "--mesh=none", "--lvel=core"], "run", "unknown option --lvel; did you mean --level?"),
            (["reference", "install", "--cotnext", "x"], "reference install", "did you mean --context?"),
            (["list", "--zzz"], "list", "unknown option --zzz; there are: -h, --help, --format, --mesh,"),
        ],
    )
    def test_with_a_misspelt_option_says_which_may_be_meant(
        self, arguments: list[str], usage: str, error: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            main.main(arguments)
        assert caught.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith(f"usage: smi-conformance {usage} ")
        assert error in said

    def test_takes_an_option_cut_short(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["list", "--form", "json"]) == 0
        assert capsys.readouterr().out.startswith(("[", "{"))


class TestCommands:
    def test_run_hands_options_to_pytest(self, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        code = main.main(
            ["run", "--mesh", str(bench.profile), "-k", "no_such", "--level", "core", "--requirement",
             "split-live-edits", "split-delete-restores-root", "--keep", "--", "--co", "-q"]
        )  # fmt: skip
        assert code == 2
        assert f"no tests collected ({len(index.index())} deselected)" in capsys.readouterr().out

    def test_run_tells_what_pytest_skipped_and_saw_fail_to_those_who_ask_for_more(
        self, bench: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bench.cluster.mesh.splits = False
        asked = ["-k", "test_zero_weight or test_drawn_weights"]
        assert bench.run(*asked) == 1
        said = capsys.readouterr().out
        assert "FAILED" not in said
        assert "[1/4] ✗ split-single-service-follow" in said
        assert bench.run(*asked, "-v") == 1
        assert "\nFAILED " in capsys.readouterr().out

    def test_run_tells_requirements_line_by_line_and_tests_not_at_all(
        self, bench: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert bench.run("-k", "test_quantity_weights or test_zero_weight") == 0
        before_the_end = capsys.readouterr().out.partition("=== SMI conformance")[0]
        told = [line for line in before_the_end.splitlines() if line.strip("= ")]
        assert all(line.startswith(("cluster: ", "run r1: ", "[")) for line in told), told

    def test_run_may_only_collect_what_it_would_run(
        self, bench: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked = ["run", "--mesh", str(bench.profile), "--requirement", "split-zero-weight-gets-nothing"]
        assert main.main([*asked, "--", "--collect-only", "-q"]) == 0
        said = capsys.readouterr().out
        assert re.findall(r"::(test_\w+)", said) == [
            "test_all_requests_to_the_root_reach_the_only_backend",
            "test_a_backend_of_weight_zero_gets_no_requests",
        ]
        assert bench.cluster.created == []

    def test_a_dry_run_says_what_would_be_done(
        self,
        bench: Bench,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        before = sorted(tmp_path.iterdir())
        asked = ["run", "--mesh", str(bench.profile), "--requirement", "split-zero-weight-gets-nothing"]
        assert main.main([*asked, "--dry-run"]) == 0
        said = capsys.readouterr().out
        assert said.startswith(
            "a run would judge 2 requirements of mesh fake in 2 scenarios; this is a dry run"
        )
        assert "scenario traffic-split/zero-weight in split v1alpha4\n  namespaces: smi-main-RUN" in said
        assert "1 TrafficSplit\n  judges:     split-zero-weight-gets-nothing\n" in said
        assert bench.cluster.created == []
        assert sorted(tmp_path.iterdir()) == before

    def test_a_dry_run_of_nothing_is_an_error(self, bench: Bench) -> None:
        assert main.main(["run", "--mesh", str(bench.profile), "-k", "no_such", "--dry-run"]) == 2

    @pytest.mark.parametrize(
        ("text", "seconds"), [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("45", 45), ("0.5s", 0.5)]
    )
    def test_durations_are_written_as_for_kubectl(self, text: str, seconds: float) -> None:
        assert duration_s(text) == seconds

    @pytest.mark.parametrize("text", ["", "0", "soon", "-3s", "3d", "m"])
    def test_what_is_no_duration_is_refused(self, text: str) -> None:
        with pytest.raises(argparse.ArgumentTypeError, match="is not a duration such as 90s"):
            duration_s(text)

    def test_list_shows_every_requirement(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["list"]) == 0
        assert "split-zero-weight-gets-nothing" in capsys.readouterr().out
        assert main.main(["list", "--format", "json"]) == 0
        assert len(json.loads(capsys.readouterr().out)) == 181

    def test_list_shows_a_part(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["list", "--api", "TrafficSplit", "--level", "core", "--format", "json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown
        assert {(one["api"], one["level"]) for one in shown} == {("TrafficSplit", "core")}
        assert main.main(["list", "--untested"]) == 0
        said = capsys.readouterr().out
        untested = [row for row in matrix.rows() if not row.tests]
        assert all(f"  {row.requirement.id} " in said and row.untested in said for row in untested)
        assert "split-zero-weight-gets-nothing" not in said

    def test_version_and_images_are_lines_for_scripts(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["version"]) == 0
        assert capsys.readouterr().out == importlib.metadata.version("smi-conformance") + "\n"
        assert main.main(["images"]) == 0
        assert capsys.readouterr().out == "python:3.11-slim\n"
        assert main.main(["images", "--mesh", "reference"]) == 0
        assert re.fullmatch(
            r"python:3.11-slim\nsmi-conformance/reference:[0-9a-f]{12}\n", capsys.readouterr().out
        )

    def test_whatever_the_locale_has_no_signs_for_is_written_in_others(self, tmp_path: Path) -> None:
        profile = tmp_path / "own.yaml"
        one = "split-zero-weight-gets-nothing"
        profile.write_text(
            f"name: own\nclaims: {{split: [v1alpha4]}}\ndisclaims: {{{one}: reason ✓}}\n", encoding="utf-8"
        )
        command = [sys.executable, "-m", "conformance.cli.main", "explain", one, "--mesh", str(profile)]
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert "reason \\u2713" in done.stdout
        assert done.returncode == 0

    def test_a_shell_is_told_what_may_come_next(self, tmp_path: Path) -> None:
        answer = tmp_path / "answer"
        asked = "smi-conformance run --dry"
        environment = {
            **os.environ,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
            "COMP_LINE": asked,
            "COMP_POINT": str(len(asked)),
        }
        command = [sys.executable, "-m", "conformance.cli.main"]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        assert answer.read_text(encoding="utf-8").strip() == "--dry-run"

    def test_list_may_be_cut_short_by_its_reader(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as broken:
            command = [sys.executable, "-m", "conformance.cli.main", "list"]
            done = subprocess.run(command, stdout=broken, stderr=subprocess.PIPE, text=True, check=False)
        assert "Traceback" not in done.stderr

    def test_explain_lists_the_readings_of_what_is_left_open(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main.main(["explain", "split-all-weights-zero"]) == 0
        said = capsys.readouterr().out
        assert "  all weights zero\n    (a) no destination: requests fail\n    (b) the root" in said
        assert "(smi-conformance faults --fault ID)\n  split-all-zero-means-equal: Where" in said

    def test_explain_shows_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["explain", "split-zero-weight-gets-nothing"]) == 0
        assert "judged by nothing_reaches" in capsys.readouterr().out

    def test_doctor_lists_what_it_looked_at(self, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        bench.cluster.mesh.access = "deny"
        assert main.main(["doctor", "--mesh", str(bench.profile)]) == 0
        said = capsys.readouterr().out
        assert "ok      reachable  20 of 20 calls from a meshed pod to the outside were answered" in said
        bench.cluster.forbidden = frozenset({("create", "pods")})
        assert main.main(["doctor", "--mesh", str(bench.profile)]) == 2
        said = capsys.readouterr().out
        assert "MISSING rights     not permitted: create pods, create pods/exec" in said
        assert "→ bind the ClusterRole of docs/rbac.yaml to your user" in said

    def test_clean_removes_what_a_run_left_behind(
        self, bench: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bench.suite("traffic_split/test_zero_weight.py", "--keep")
        capsys.readouterr()
        assert main.main(["clean", "--run", "another"]) == 0
        assert capsys.readouterr().out == "cluster fake: nothing to remove\n"
        assert any(RUN_LABEL in one["metadata"]["labels"] for one in bench.cluster.objects.values())
        assert main.main(["clean"]) == 0
        assert capsys.readouterr().out == "cluster fake: removed 1 namespace: smi-main-r1\n"
        assert bench.cluster.objects == {}

    def test_an_interrupt_is_no_traceback(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(explain, "explain", interrupt)
        assert main.main(["explain", "x"]) == 2
        assert capsys.readouterr().err == "interrupted\n"

    def test_what_an_extra_would_bring_is_no_traceback(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def lack(*_: object) -> str:
            raise ModuleNotFoundError("No module named 're2'", name="re2")

        monkeypatch.setattr(explain, "explain", lack)
        assert main.main(["explain", "split-live-edits"]) == 2
        said = capsys.readouterr().err
        assert (
            said == "error: not installed: re2; this command needs pip install 'smi-conformance[embedded]'\n"
        )

    def test_a_module_of_ours_that_is_not_there_is_an_error_of_the_suite(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lack(*_: object) -> str:
            raise ModuleNotFoundError("No module named 'conformance.gone'", name="conformance.gone")

        monkeypatch.setattr(explain, "explain", lack)
        with pytest.raises(ModuleNotFoundError):
            main.main(["explain", "split-live-edits"])

    @pytest.mark.parametrize(
        ("given", "unused"),
        [
            ("--help", ("conformance.catalogue", "pydantic", "pytest", "yaml")),
            ("list", ("kubernetes", "pytest")),
        ],
    )
    def test_a_command_imports_no_more_than_it_uses(self, given: str, unused: tuple[str, ...]) -> None:
        code = (
            "import sys; from conformance.cli.main import main\n"
            "try: main([sys.argv[1]])\n"
            "except SystemExit: pass\n"
            "print(*sys.modules, file=sys.stderr)"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code, given], capture_output=True, text=True, check=True
        )
        assert ended.stdout
        assert set(unused) & set(ended.stderr.split()) == set()

    def test_an_option_before_the_command_is_the_one_that_is_unknown(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            main.main(["--verbos", "run", "--mesh", "reference"])
        assert caught.value.code == 2
        assert "--verbos" in capsys.readouterr().err

    def test_an_interrupt_while_a_command_is_imported_leaves_no_traceback(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupted(name: str) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("conformance.cli.main.importlib.import_module", interrupted)
        assert main.main(["list"]) == 2
        assert capsys.readouterr().err == "interrupted\n"

    def test_version_is_that_of_the_package(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            main.main(["--version"])
        assert caught.value.code == 0
        assert capsys.readouterr().out.startswith("smi-conformance 0.")
