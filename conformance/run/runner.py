"""Runs the suites under pytest: plans what is asked, takes verdicts, cleans up and writes the report."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from conformance import catalogue, judge
from conformance.catalogue import Requirement, foundations
from conformance.clusters import ClusterError
from conformance.drive.api_trials import HeadersRefused
from conformance.drive.rendering import NotExpressible
from conformance.drive.scenario import Scenario
from conformance.drive.tailoring import NotClaimed
from conformance.drive.version_selection import VersionSet, Wish, in_words
from conformance.model.evidence import Environment
from conformance.model.exit_codes import ExitCode
from conformance.model.verdict import Concluded, Inconclusive, Judgement, Verdict
from conformance.report import assemble, html, pytest_html, store, terminal
from conformance.report.conclusions import conclude
from conformance.report.document import Finding, Report
from conformance.report.drawing import seconds
from conformance.run import planning, preflight
from conformance.run.collection import (
    function_of,
    key_of,
    requirement_of,
    scenario_folder,
    scenario_of,
    spoken_by,
    turn_in_run,
    turn_of,
    why_unspoken,
)
from conformance.run.diagnostics import gather
from conformance.run.options import RunOptions
from conformance.run.progress import Amount, Progress
from conformance.run.scenario_runner import Stage
from conformance.run.scheduler import Turn
from conformance.run.session import Session
from conformance.text import files
from conformance.text.sanitize import printable
from conformance.traceability import fault_index, index
from conformance.traceability.index import sentence

_JUDGEMENT = pytest.StashKey[Judgement]()
_DURATION = pytest.StashKey[float]()


ADMISSION = "--label, --annotation, --request, --limit and others say what the cluster asks of all objects"
"""What helps where an admission policy or webhook denies what is created; both say so in these words."""


class Runner:
    """The pytest plugin object of one run."""

    def __init__(
        self,
        config: pytest.Config,
        session: Session,
        options: RunOptions,
        *,
        owns_arena: bool,
        staged: bool,
        planned: bool = False,
    ) -> None:
        self.config = config
        self.options = options
        self.session = session
        self._owns_arena = owns_arena
        self._staged = staged
        self._planned = planned
        self._pending: dict[str, str] = {}
        self._unclaimed: set[str] = set()
        self._unspoken: dict[str, str] = {}
        self._diagnosed: set[str] = set()
        self._report: Report | None = None
        self._written: Path | None = None
        self._progress = Progress()
        self._impossible = False
        self._timed_out = False
        self._rest_concluded = False
        self._turns: dict[str, Turn] = {}
        self._stage = Stage(session)
        self._scenario: Scenario | None = None
        self._on_sigterm = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL

    def set_up_html(self) -> None:
        """Have pytest-html write one self-contained report.html beside report.json."""
        self.directory = self.options.directory(self.session.run_id)
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
        """Whether pytest-html was not switched off."""
        return bool(self.config.pluginmanager.hasplugin("html"))

    # --- planning -----------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        levels, wanted = self.options.levels, self.options.requirements
        known = catalogue.load()
        spoken = [
            item
            for item in items
            if (one := requirement_of(item)) is None or not self._leaves_out(item, known[one])
        ]
        chosen = [
            item
            for item in spoken
            if (one := requirement_of(item)) is None
            or not ((levels and known[one].level not in levels) or (wanted and one not in wanted))
        ]
        left_out = [item for item in items if item not in chosen]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = chosen
        yield
        # Whatever was selected stands on these, so they are judged as well, and first.
        basics = [item for item in spoken if self._is_basic_for(item, items)]
        others = [item for item in items if item not in basics]
        items[:] = [*basics, *sorted(others, key=turn_in_run)]

    def _is_basic_for(self, basic: pytest.Item, items: list[pytest.Item]) -> bool:
        """Whether a test is one of those on which others stand, and is selected or needed."""
        if not scenario_folder(basic).startswith(index.BASIC_SUITES):
            return False
        one = requirement_of(basic)
        return basic in items or any(
            one in self.session.stands_on(scenario_of(item)) for item in items if requirement_of(item)
        )

    def _leaves_out(self, item: pytest.Item, requirement: Requirement) -> bool:
        """Whether a requirement is about other versions than the item's scenario speaks; notes the reason."""
        reason = why_unspoken(self.session, item, requirement)
        if reason:
            self._unspoken[requirement.id] = reason
        return bool(reason)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        known = catalogue.load()
        parts: dict[str, None] = {}
        spoken: dict[str, set[str]] = {}
        for item in session.items:
            one = requirement_of(item)
            if one is None:
                continue
            mark = scenario_of(item)
            reason = self.session.unclaimed(known[one], mark.groups, mark)
            if reason:
                self.session.absent[one] = ("not claimed", reason)
                self._unclaimed.add(function_of(item.nodeid))
                item.add_marker(pytest.mark.skip(reason=reason))
                continue
            self._pending[item.nodeid] = one
            parts |= dict.fromkeys(mark.arena)
            for group, version in (spoken_by(self.session, item) or {}).items():
                if group in mark.groups:
                    spoken.setdefault(group, set()).add(version)
            self._turns.setdefault(*turn_of(item))
        self._note_absent()
        asked = set(self._pending.values())
        self._progress = Progress(self.config, len(asked), _amount(self.config))
        if self.config.option.collectonly:
            self._plan(session)
            return
        if not self._pending:
            return
        self.session.waiter.on_wait = self._progress.waiting
        if self._owns_arena:
            for group in self.session.arena.groups(parts):
                spoken.setdefault(group, set()).add(self.session.api_versions()[group])
            self._open(session, list(parts), spoken)
        elif self._staged:
            self._open_stage(lanes=1)

    def _plan(self, session: pytest.Session) -> None:
        """Say what would be done, in place of the tests' names; or leave what would not be out of these."""
        asked = [item for item in session.items if item.nodeid in self._pending]
        session.items[:] = [] if self._planned else asked
        if not self._planned:
            return
        found = [
            (
                turn_of(item)[0],
                planning.Planned(
                    scenario_of(item).folder,
                    scenario_of(item).arena,
                    spoken_by(self.session, item) or {},
                    [self._pending[item.nodeid]],
                ),
            )
            for item in asked
        ]
        for line in planning.lines(self.session.profile, planning.merged(found)):
            print(line)

    def _note_absent(self) -> None:
        chosen = set(self._pending.values())
        for one in index.by_requirement():
            if one in chosen or one in self.session.absent:
                continue
            reason = self._unspoken.get(one)
            if reason is None or self._user_selects(one):
                self.session.absent[one] = ("not selected", reason or "its tests were not selected")
            else:
                self.session.absent[one] = ("in other versions", reason)

    def _user_selects(self, requirement_id: str) -> bool:
        """Whether it is the user who left a requirement out that this run does not speak the versions of."""
        pytests, asked = self.config.option, self.options
        level = catalogue.load()[requirement_id].level
        return bool(
            self.session.wish != Wish()
            or pytests.keyword
            or pytests.markexpr
            or (asked.levels and level not in asked.levels)
            or (asked.requirements and requirement_id not in asked.requirements)
        )

    def _open(self, session: pytest.Session, parts: list[str], spoken: Mapping[str, set[str]]) -> None:
        # CI systems end a job with SIGTERM: it gets the same tidy end as Ctrl-C.
        signal.signal(signal.SIGTERM, _interrupt)
        if timeout_s := self.options.timeout_s:
            signal.signal(signal.SIGALRM, self._time_is_over)
            signal.setitimer(signal.ITIMER_REAL, timeout_s)
        try:
            with self.session.phases.phase("setup"):
                problem = preflight.preflight(self.session, spoken)
                if problem is not None:
                    self._end_before(session, problem.seen, problem.remedy)
                    return
                self._progress.say(
                    f"run {self.session.run_id}: {len(set(self._pending.values()))} requirements, "
                    f"mesh {self.session.profile.name}, cluster {self.session.cluster.name}"
                )
                self.session.identify_mesh()
                self.session.arena.prepare(parts)
                self._open_stage(lanes=1 if self.options.one_by_one else 2)
        except ClusterError as error:
            self.session.arena.remove()
            remedy = ADMISSION if "denied request" in str(error) else ""
            self._end_before(session, str(error), remedy)

    def _end_before(self, session: pytest.Session, text: str, remedy: str = "") -> None:
        """End a run that cannot begin: no test is run, and the report says why."""
        self._impossible = True
        self.session.findings.append(Finding(severity="error", text=text, remedy=remedy))
        session.items.clear()

    def _time_is_over(self, number: int, frame: FrameType | None) -> None:
        self._timed_out = True
        raise KeyboardInterrupt

    def _open_stage(self, *, lanes: int) -> None:
        basics = set(self._pending.values()) & set(foundations.BASIC.values())
        self._stage.open(list(self._turns.values()), lanes=lanes, basics=basics)

    # --- running ------------------------------------------------------------------------------

    @contextmanager
    def scenario(
        self, module: pytest.Item | pytest.Collector, versions: VersionSet | None
    ) -> Iterator[Scenario]:
        """A module's scenario on the arena; ``versions`` where the run goes through several, else None.

        Raises Inconclusive when what an earlier scenario applied is still there: it might be judged instead.
        """
        turn = self._turns[key_of(module, versions)]
        spoken = f" in {in_words(versions)}" if versions else ""
        self._progress.scenario(f"scenario {turn.mark.folder}{spoken}")
        with self._stage.scenario(turn) as one:
            self._scenario = one
            yield one

    def take(self, item: pytest.Item, judgement: Judgement) -> Judgement:
        """Keep the judgement that a test came to, as far as the environment allows it."""
        taken = self._allowed(_carried(judgement))
        item.stash[_JUDGEMENT] = taken
        return taken

    def _allowed(self, judgement: Judgement) -> Judgement:
        """The judgement as far as the machine kept up under the scenario that it is about."""
        environment = self._scenario.driver.environment if self._scenario else Environment()
        return judge.discount_if_starved(judgement, environment) if judge.starved(environment) else judgement

    def _founded(self, item: pytest.Item, judgement: Judgement) -> Judgement:
        """The judgement, unless what its test presumes failed and may have brought it about."""
        entry = index.entry_of(item.nodeid)
        if entry is None:
            return judgement
        return self.session.founded(judgement, entry, spoken_by(self.session, item) or {})

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        with self.session.phases.phase("judging"):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        requirement = self._pending.get(item.nodeid)
        if requirement is None or call.when == "teardown":
            return report
        item.stash[_DURATION] = item.stash.get(_DURATION, 0.0) + call.duration + self._stage.ahead_s()
        judgement = _judged(item, call)
        if judgement is None:
            return report
        # Here, as some are judged without a test's doing, and what fails then may not be its own either.
        judgement = self._founded(item, judgement)
        self._conclude(item, requirement, judgement)
        report.user_properties.append(("requirement", requirement))
        report.user_properties.append(("verdict", judgement.verdict.value))
        if judgement.verdict is Verdict.INCONCLUSIVE:
            report.outcome = "failed"
            report.longrepr = printable(judgement.summary)
        if judgement.verdict is Verdict.NOT_CLAIMED:
            path, line, _ = item.location
            report.outcome = "skipped"
            report.longrepr = (path, line or 0, printable(judgement.summary))
        return report

    def _conclude(self, item: pytest.Item, requirement: str, judgement: Judgement) -> None:
        del self._pending[item.nodeid]
        conclusion = conclude(
            item.nodeid,
            sentence(item.name),
            judgement,
            item.stash[_DURATION],
            versions=spoken_by(self.session, item) or {},
        )
        self.session.conclude(requirement, conclusion)
        if requirement not in self._pending.values():
            self._tell(requirement)
        self._conclude_rests(item)
        module = item.nodeid.partition("::")[0]
        unsound = judgement.verdict in {Verdict.FAIL, Verdict.INCONCLUSIVE}
        if unsound and self._owns_arena and module not in self._diagnosed:
            self._diagnosed.add(module)
            self._gather(item)

    def _tell(self, requirement: str) -> None:
        found = self.session.conclusions[requirement]
        record = assemble.requirement_record(
            catalogue.load()[requirement],
            found,
            otherwise="not selected",
            missing=self._left_out(requirement),
        )
        self._progress.concluded(requirement, record.outcome, sum(one.duration_s for one in found))

    def _conclude_rests(self, item: pytest.Item) -> None:
        """That a change showed only after a rest is one finding of one requirement, once in a run."""
        rested = self._scenario.rested if self._scenario else []
        one = foundations.UNDER_CALLS
        if not rested or self._rest_concluded or self.session.unclaimed(catalogue.load()[one], ()):
            return
        self._rest_concluded = True
        judgement = self._allowed(judge.taken_up_under_calls(rested[0]))
        self.session.absent.pop(one, None)
        title = "A change takes effect while its service is called"
        self.session.conclude(one, conclude(item.nodeid, title, judgement, 0.0))

    def _gather(self, item: pytest.Item) -> None:
        mark = scenario_of(item)
        namespaces = [self.session.arena.namespace(part) for part in mark.arena]
        self.session.diagnostics += gather(
            self.session.cluster,
            self.session.run_id,
            namespaces,
            mark.folder,
            self.session.profile.control_plane,
        )

    def pytest_report_teststatus(
        self, report: pytest.TestReport | pytest.CollectReport
    ) -> tuple[str, str, str | tuple[str, dict[str, bool]]] | None:
        if isinstance(report, pytest.CollectReport):
            return None
        verdict = dict(report.user_properties).get("verdict")
        if (verdict or report.skipped) and _amount(self.config) != "verbose":
            # Each requirement is told when all its tests are over, and what was wrong in the end.
            return "judged" if verdict else "skipped", "", ""
        if verdict == "inconclusive" and report.when != "teardown":
            return "inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})
        return None

    @pytest.hookimpl(wrapper=True)
    def pytest_keyboard_interrupt(self) -> Generator[None, None, None]:
        # pytest calls this for pytest.exit as well.
        if not self._impossible:
            self.session.interrupted = True
            why = "interrupted"
            if self._timed_out:
                why = f"--timeout of {seconds(self.options.timeout_s or 0.0)} is over"
                self.session.findings.append(Finding(severity="error", text=f"the run ended early: {why}"))
            self._progress.say(
                f"\n{why}: removing the arena, then the report (once more Ctrl-C leaves it behind)"
            )
        return (yield)

    # --- ending -------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.config.option.collectonly:
            # Planned tests are taken out of pytest's sight, which then finds none.
            if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
                session.exitstatus = pytest.ExitCode.OK if self._pending else ExitCode.INCONCLUSIVE
            return
        if not self._owns_arena:
            return
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        if not self._impossible:
            if not self.session.conclusions and not self.session.interrupted:
                self._say_that_nothing_was_judged()
            else:
                self._tidy_up()
        report = self.report()
        self._write(report)
        if session.exitstatus != pytest.ExitCode.INTERNAL_ERROR:
            session.exitstatus = report.headline.exit_code

    def _write(self, report: Report) -> None:
        store.write(report, self.directory, self.options.junit)
        if not self._has_html:
            # Whoever switches pytest-html off gets the same page without its table of tests.
            files.replace(self.directory / store.HTML, html.page(report))
        self._written = self.directory

    def _say_that_nothing_was_judged(self) -> None:
        text = "nothing was judged: no selected requirement is claimed by the profile, or none was selected"
        remedy = "smi-conformance list names the requirements, --dry-run tells what a selection runs"
        self.session.findings.append(Finding(severity="error", text=text, remedy=remedy))

    def _tidy_up(self) -> None:
        try:
            self._stage.close()
            if not self.options.keep:
                with self.session.phases.phase("cleanup"):
                    self.session.arena.remove()
        except ClusterError as error:
            self._left_behind(str(error), "smi-conformance clean removes what is left")
        except KeyboardInterrupt:
            # Whoever is in a hurry gives the arena up, not the report.
            self.session.interrupted = True
            self._stage.abandon()
            remedy = f"smi-conformance clean --run {self.session.run_id} removes what is left"
            self._left_behind("the run was interrupted before its arena was removed", remedy)

    def _left_behind(self, text: str, remedy: str) -> None:
        self.session.findings.append(Finding(severity="error", text=text, remedy=remedy))

    def report(self) -> Report:
        """The report; once drawn, after the arena's removal, it stays as it is."""
        if self._report is None:
            self._account_for_pending()
            self._report = self.session.report(fault_index.faults_by_requirement())
        return self._report

    def _account_for_pending(self) -> None:
        unreached: dict[str, list[str]] = {}
        for nodeid, one in self._pending.items():
            unreached.setdefault(one, []).append(nodeid)
        self._pending.clear()
        for one in unreached:
            note = "" if one in self.session.conclusions else "the run ended before its tests"
            self.session.absent[one] = ("not reached", note)
        for one in index.by_requirement():
            # A test that ran in one set of versions is missing in each that was not reached.
            ran = self._ran(one)
            partly = [nodeid for nodeid in unreached.get(one, ()) if function_of(nodeid) in ran]
            self.session.missing[one] = [*self._left_out(one), *partly]

    def _ran(self, requirement: str) -> set[str]:
        """The tests of a requirement that ran, and those of what is not claimed, which are not missing."""
        found = self.session.conclusions.get(requirement, ())
        return {function_of(test.nodeid) for test in found} | self._unclaimed

    def _left_out(self, requirement: str) -> list[str]:
        """The tests of a requirement of which none ran."""
        ran = self._ran(requirement)
        entries = index.by_requirement()[requirement]
        return [entry.nodeid for entry in entries if not any(name.endswith(entry.nodeid) for name in ran)]

    def pytest_unconfigure(self) -> None:
        if self._owns_arena:
            signal.signal(signal.SIGTERM, self._on_sigterm)
            self.session.cluster.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._written is None:
            return
        terminalreporter.section("SMI conformance")
        for line in terminal.closing(self.report(), self._written):
            terminalreporter.write_line(line)


def _amount(config: pytest.Config) -> Amount:
    """How much is said, by pytest's own options -q and -v."""
    verbosity = int(config.option.verbose)
    return "verbose" if verbosity > -2 else "normal" if verbosity == -2 else "quiet"


def _carried(judgement: Judgement) -> Judgement:
    """The judgement, unless it speaks for or against the mesh and no judge with a null control came to it."""
    if judgement.verdict not in {Verdict.PASS, Verdict.FAIL} or judge.is_founded(judgement):
        return judgement
    summary = f"an error of the suite: no judge with a null control came to this: {judgement.summary}"
    return Judgement(Verdict.INCONCLUSIVE, summary, hint="see CONTRIBUTING.md on judges")


def _judged(item: pytest.Item, call: pytest.CallInfo[None]) -> Judgement | None:
    """What a finished phase of a test comes to; None while there is nothing to say yet."""
    if call.excinfo is None:
        if call.when == "setup":
            return None
        missing = Judgement(Verdict.INCONCLUSIVE, "the test ended without a judgement: an error of the suite")
        return item.stash.get(_JUDGEMENT, missing)
    error = call.excinfo.value
    if isinstance(error, KeyboardInterrupt | pytest.exit.Exception):
        return None
    if _JUDGEMENT in item.stash and isinstance(
        error, Inconclusive | pytest.fail.Exception | pytest.skip.Exception
    ):
        return item.stash[_JUDGEMENT]
    if isinstance(error, Concluded):
        return error.judgement
    if isinstance(error, NotClaimed):
        return judge.not_claimed(str(error))
    if isinstance(error, NotExpressible):
        return judge.not_applicable(str(error))
    if isinstance(error, HeadersRefused):
        return judge.headers_refused(error.attempts)
    if isinstance(error, pytest.skip.Exception):
        return Judgement(Verdict.NOT_CLAIMED, str(error))
    # The one boundary: whatever else goes wrong is trouble of suite or environment, never the mesh's.
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"{type(error).__name__}: {error}",
        hint="trouble of the environment or the suite, not of the mesh; see the diagnostics, run again",
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
