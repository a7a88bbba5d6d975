"""Runs the suites under pytest: plans the run, records verdicts, cleans up and writes the report."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from conformance import catalogue, judge
from conformance.catalogue import foundations
from conformance.clusters import ClusterError
from conformance.drive.scenario import Scenario
from conformance.drive.version_selection import VersionSet, format_versions
from conformance.model.evidence import Environment
from conformance.model.exit_codes import ExitCode
from conformance.model.verdict import Judgement, Verdict
from conformance.report import assemble, html, pytest_html, store, terminal
from conformance.report.document import Finding, Report
from conformance.report.formatting import seconds
from conformance.run import planning, preflight
from conformance.run.collection import (
    key_of,
    scenario_of,
    scheduled_of,
    versions_of,
)
from conformance.run.context import RunContext
from conformance.run.diagnostics import gather
from conformance.run.judged_tests import JudgedTests
from conformance.run.options import RunOptions
from conformance.run.outcome import judgement_of, show
from conformance.run.progress import Progress, Verbosity
from conformance.run.results import JudgedTest, RunResults, supported
from conformance.run.scenario_runner import ScenarioRunner
from conformance.run.scheduler import ScheduledScenario
from conformance.text import files
from conformance.traceability import fault_index, index
from conformance.traceability.index import sentence

_JUDGEMENT = pytest.StashKey[Judgement]()
_DURATION = pytest.StashKey[float]()


ADMISSION = (
    "--label, --annotation, --request, --limit and others add what the cluster requires of all objects"
)
"""The remedy if an admission policy or webhook denies an object; both write ``denied request``."""


class Runner:
    """The pytest plugin object of one run."""

    def __init__(
        self,
        config: pytest.Config,
        context: RunContext,
        results: RunResults,
        options: RunOptions,
        *,
        owns_arena: bool,
        staged: bool,
        planned: bool = False,
    ) -> None:
        self.config = config
        self.options = options
        self.context = context
        self.results = results
        self._owns_arena = owns_arena
        self._staged = staged
        self._planned = planned
        filtered = bool(config.option.keyword or config.option.markexpr)
        self._tests = JudgedTests(context, results, options, filtered=filtered)
        self._diagnosed: set[str] = set()
        self._report: Report | None = None
        self._written: Path | None = None
        self._progress = Progress()
        self._not_started = False
        self._timed_out = False
        self._rest_recorded = False
        self._schedule: dict[str, ScheduledScenario] = {}
        self._scenarios = ScenarioRunner(context, results)
        self._scenario: Scenario | None = None
        self._on_sigterm = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL

    def set_up_html(self) -> None:
        """Let pytest-html write one self-contained report.html beside report.json."""
        self.directory = self.options.directory(self.context.run_id)
        try:
            store.make_room(self.directory, self.options.junit)
        except OSError as error:
            pytest.exit(
                f"no reports can be written to {self.directory}: {error.strerror}", ExitCode.INCONCLUSIVE
            )
        if self._has_html:
            pytest_html.switch_on(self.config, self.directory / store.HTML, lambda: self._report)

    @property
    def _has_html(self) -> bool:
        """Whether pytest-html is active."""
        return bool(self.config.pluginmanager.hasplugin("html"))

    # --- planning -----------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        candidates = self._tests.in_versions(items)
        chosen = self._tests.wanted(candidates)
        left_out = [item for item in items if item not in chosen]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = chosen
        yield
        # The user's own filters have run by now; the basic tests of the remaining ones are added again.
        items[:] = self._tests.ordered(candidates, items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        judged = self._tests.settle(session.items)
        self._schedule = dict(map(scheduled_of, judged))
        self._progress = Progress(
            self.config, len(set(self._tests.pending.values())), _verbosity(self.config)
        )
        if self.config.option.collectonly:
            self._plan(session, judged)
            return
        if not judged:
            return
        self.context.waiter.on_wait = self._progress.waiting
        if self._owns_arena:
            parts = list(dict.fromkeys(part for item in judged for part in scenario_of(item).arena))
            versions = self._tests.versions(judged)
            for group in self.context.arena.required_groups(parts):
                versions.setdefault(group, set()).add(self.context.api_versions()[group])
            self._open(session, parts, versions)
        elif self._staged:
            self._open_scenarios(lanes=1)

    def _plan(self, session: pytest.Session, judged: list[pytest.Item]) -> None:
        """Print the plan and no test names, or keep the judged tests for pytest to list."""
        session.items[:] = [] if self._planned else judged
        if not self._planned:
            return
        found = [
            (
                scheduled_of(item)[0],
                planning.Planned(
                    scenario_of(item).folder,
                    scenario_of(item).arena,
                    versions_of(self.context, item) or {},
                    [self._tests.pending[item.nodeid]],
                ),
            )
            for item in judged
        ]
        for line in planning.lines(self.context.profile, planning.merged(found)):
            print(line)

    def _open(self, session: pytest.Session, parts: list[str], spoken: Mapping[str, set[str]]) -> None:
        # CI systems end a job with SIGTERM: the run cleans up as after Ctrl-C.
        signal.signal(signal.SIGTERM, _interrupt)
        if timeout_s := self.options.timeout_s:
            signal.signal(signal.SIGALRM, self._on_timeout)
            signal.setitimer(signal.ITIMER_REAL, timeout_s)
        try:
            with self.context.phases.phase("setup"):
                problem = preflight.preflight(self.context, spoken)
                if problem is not None:
                    self._cannot_start(session, problem.detail, problem.remedy)
                    return
                self._progress.say(
                    f"run {self.context.run_id}: {len(set(self._tests.pending.values()))} requirements, "
                    f"mesh {self.context.profile.name}, cluster {self.context.cluster.name}"
                )
                self.results.identify_mesh(self.context)
                self.context.arena.create(parts)
                self._open_scenarios(lanes=1 if self.options.one_by_one else 2)
        except ClusterError as error:
            self.context.arena.remove()
            remedy = ADMISSION if "denied request" in str(error) else ""
            self._cannot_start(session, str(error), remedy)

    def _cannot_start(self, session: pytest.Session, text: str, remedy: str = "") -> None:
        """End a run that cannot start: no test runs, and the report has the reason."""
        self._not_started = True
        self.results.findings.append(Finding(severity="error", text=text, remedy=remedy))
        session.items.clear()

    def _on_timeout(self, number: int, frame: FrameType | None) -> None:
        self._timed_out = True
        raise KeyboardInterrupt

    def _open_scenarios(self, *, lanes: int) -> None:
        basics = set(self._tests.pending.values()) & set(foundations.BASIC.values())
        self._scenarios.open(list(self._schedule.values()), lanes=lanes, basics=basics)

    # --- running ------------------------------------------------------------------------------

    @contextmanager
    def scenario(
        self, module: pytest.Item | pytest.Collector, versions: VersionSet | None
    ) -> Iterator[Scenario]:
        """A module's scenario on the arena; ``versions``: None if the run has only one set.

        Raises Inconclusive if objects of an earlier scenario still exist, since they might be judged instead.
        """
        scheduled = self._schedule[key_of(module, versions)]
        spoken = f" in {format_versions(versions)}" if versions else ""
        self._progress.scenario(f"scenario {scheduled.mark.folder}{spoken}")
        with self._scenarios.scenario(scheduled) as one:
            self._scenario = one
            yield one

    def take(self, item: pytest.Item, judgement: Judgement) -> None:
        """Keep the judgement of a test until pytest makes its report."""
        if _JUDGEMENT in item.stash:
            raise RuntimeError("a test judges its requirement once: an error of the suite")
        item.stash[_JUDGEMENT] = judgement

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        with self.context.phases.phase("judging"):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        requirement = self._tests.pending.get(item.nodeid)
        disclaimed = self._tests.disclaimed.get(item.nodeid)
        if (requirement is None and disclaimed is None) or call.when == "teardown":
            return report
        item.stash[_DURATION] = (
            item.stash.get(_DURATION, 0.0) + call.duration + self._scenarios.take_prefetch_seconds()
        )
        judgement = judgement_of(call, item.stash.get(_JUDGEMENT, None))
        if judgement is None:
            return report
        if requirement is None:
            self._tests.record_disclaimed(item, supported(judgement, self._environment))
            show(report, item, judge.not_claimed(disclaimed or ""))
            return report
        recorded = self._record(item, requirement, judgement)
        report.user_properties.append(("requirement", requirement))
        report.user_properties.append(("verdict", recorded.verdict.value))
        show(report, item, recorded)
        return report

    @property
    def _environment(self) -> Environment:
        """The machine's timeliness during the scenario that is judged."""
        return self._scenario.driver.environment if self._scenario else Environment()

    def _record(self, item: pytest.Item, requirement: str, judgement: Judgement) -> Judgement:
        del self._tests.pending[item.nodeid]
        entry = index.entry_of(item.nodeid)
        test = JudgedTest(
            requirement,
            item.nodeid,
            sentence(item.name),
            versions_of(self.context, item) or {},
            entry.presumes if entry else (),
            item.stash[_DURATION],
        )
        recorded = self.results.record(test, judgement, self._environment)
        if requirement not in self._tests.pending.values():
            self._show_progress(requirement)
        self._record_rests(item)
        module = item.nodeid.partition("::")[0]
        unsound = recorded.verdict in {Verdict.FAIL, Verdict.INCONCLUSIVE}
        if unsound and self._owns_arena and module not in self._diagnosed:
            self._diagnosed.add(module)
            self._collect_diagnostics(item)
        return recorded

    def _show_progress(self, requirement: str) -> None:
        found = self.results.conclusions[requirement]
        record = assemble.requirement_record(
            catalogue.load()[requirement],
            found,
            otherwise="not selected",
            missing=self._tests.left_out(requirement),
        )
        self._progress.concluded(requirement, record.outcome, sum(one.duration_s for one in found))

    def _record_rests(self, item: pytest.Item) -> None:
        """A change that showed only while clients rested fails `foundations.UNDER_CALLS`, once in a run."""
        rested = self._scenario.rested if self._scenario else []
        one = foundations.UNDER_CALLS
        if not rested or self._rest_recorded or self.context.not_claimed_reason(catalogue.load()[one], ()):
            return
        self._rest_recorded = True
        self.results.skipped_requirements.pop(one, None)
        test = JudgedTest(one, item.nodeid, "A change takes effect while its service is called")
        self.results.record(test, judge.taken_up_under_calls(rested[0]), self._environment)

    def _collect_diagnostics(self, item: pytest.Item) -> None:
        mark = scenario_of(item)
        namespaces = [self.context.arena.namespace(part) for part in mark.arena]
        self.results.diagnostics += gather(
            self.context.cluster,
            self.context.run_id,
            namespaces,
            mark.folder,
            self.context.profile.control_plane,
        )

    def pytest_report_teststatus(
        self, report: pytest.TestReport | pytest.CollectReport
    ) -> tuple[str, str, str | tuple[str, dict[str, bool]]] | None:
        if isinstance(report, pytest.CollectReport):
            return None
        verdict = dict(report.user_properties).get("verdict")
        if (verdict or report.skipped) and _verbosity(self.config) != "verbose":
            # `Progress` shows each requirement when all its tests are over, and the summary its failures.
            return "judged" if verdict else "skipped", "", ""
        if verdict == "inconclusive" and report.when != "teardown":
            return "inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})
        return None

    @pytest.hookimpl(wrapper=True)
    def pytest_keyboard_interrupt(self) -> Generator[None, None, None]:
        # pytest calls this for pytest.exit as well.
        if not self._not_started:
            self.results.interrupted = True
            why = "interrupted"
            if self._timed_out:
                why = f"--timeout of {seconds(self.options.timeout_s or 0.0)} has expired"
                self.results.findings.append(Finding(severity="error", text=f"the run ended early: {why}"))
            self._progress.say(
                f"\n{why}: removing the arena, then writing the report (Ctrl-C again leaves the arena behind)"
            )
        return (yield)

    # --- ending -------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.config.option.collectonly:
            # A plan removes all tests from pytest's list, so that pytest reports none collected.
            if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
                session.exitstatus = pytest.ExitCode.OK if self._tests.pending else ExitCode.INCONCLUSIVE
            return
        if not self._owns_arena:
            return
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        if not self._not_started:
            if not self.results.conclusions and not self.results.interrupted:
                self._record_nothing_judged()
            else:
                self._tidy_up()
        report = self.report()
        self._write(report)
        if session.exitstatus != pytest.ExitCode.INTERNAL_ERROR:
            session.exitstatus = report.headline.exit_code

    def _write(self, report: Report) -> None:
        store.write(report, self.directory, self.options.junit)
        if not self._has_html:
            # Without pytest-html: the same page without its table of tests.
            files.replace(self.directory / store.HTML, html.page(report))
        self._written = self.directory

    def _record_nothing_judged(self) -> None:
        text = "nothing was judged: no selected requirement is claimed by the profile, or none was selected"
        remedy = "smi-conformance list names the requirements, --dry-run shows what a selection runs"
        self.results.findings.append(Finding(severity="error", text=text, remedy=remedy))

    def _tidy_up(self) -> None:
        try:
            self._scenarios.close()
            if not self.options.keep:
                with self.context.phases.phase("cleanup"):
                    self.context.arena.remove()
        except ClusterError as error:
            self._record_leftover(str(error), "smi-conformance clean removes the leftovers")
        except KeyboardInterrupt:
            # A second Ctrl-C gives up the arena, not the report.
            self.results.interrupted = True
            self._scenarios.abandon()
            remedy = f"smi-conformance clean --run {self.context.run_id} removes the leftovers"
            self._record_leftover("the run was interrupted before its arena was removed", remedy)

    def _record_leftover(self, text: str, remedy: str) -> None:
        self.results.findings.append(Finding(severity="error", text=text, remedy=remedy))

    def report(self) -> Report:
        """The report; built once, after the arena's removal."""
        if self._report is None:
            self._tests.close()
            self._report = self.results.report(self.context, fault_index.faults_by_requirement())
        return self._report

    def pytest_unconfigure(self) -> None:
        if self._owns_arena:
            signal.signal(signal.SIGTERM, self._on_sigterm)
            self.context.cluster.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._written is None:
            return
        terminalreporter.section("SMI conformance")
        for line in terminal.closing_lines(self.report(), self._written):
            terminalreporter.write_line(line)


def _verbosity(config: pytest.Config) -> Verbosity:
    """The verbosity of the progress, from pytest's own options -q and -v."""
    verbosity = int(config.option.verbose)
    return "verbose" if verbosity > -2 else "normal" if verbosity == -2 else "quiet"


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
