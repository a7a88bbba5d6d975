"""Access checks: calls that must be granted or denied, driven without and under a policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from conformance.drive.scenario.waits import Waits
from conformance.drive.traffic import SendOptions
from conformance.model.evidence import AccessResult, AccessTable, Call, Convergence, Traffic

UNMESHED_SERVER = "outside/outsider"
"""The server outside the mesh: the positive control of a denial that has no other."""
UNMESHED_SERVERS = {"tcp": f"{UNMESHED_SERVER}-tcp", "udp": f"{UNMESHED_SERVER}-udp"}
"""Its Services for protocols other than HTTP."""
CHECK_REQUESTS = 10
"""The requests of each check, spread over the stable window."""
GRANTED: Final = True
DENIED: Final = False
"""Expectations of a check."""
_NEW = SendOptions(new_connections=True)


@dataclass(frozen=True, slots=True)
class AccessCheck:
    """A call and whether access control must let it through to ``server``.

    ``control_call`` is the same call to a server outside the mesh: the positive control of a denial whose
    client has no grant beside it.
    """

    name: str
    expect: Literal["granted", "denied"]
    call: Call
    server: str
    control_call: Call | None = None


class AccessChecks(Waits):
    """The access checks of a scenario."""

    __slots__ = ()

    def access_check(
        self,
        name: str,
        client: str,
        service: str,
        *,
        granted: bool,
        server: str = "",
        control: bool = True,
        **what: Any,
    ) -> AccessCheck:
        """A check, with its control call unless granted calls beside it serve as the positive ``control``.

        ``server`` is the workload that is expected to answer if granted; the Service's name by default.
        """
        outside = UNMESHED_SERVERS.get(what.get("protocol", ""), UNMESHED_SERVER)
        call = self.call(client, service, **what)
        control_call = self.call(client, outside, **what) if control else None
        responder = server or service.partition("/")[2]
        return AccessCheck(name, "granted" if granted else "denied", call, responder, control_call)

    def request_checks(
        self, expected: Mapping[str, bool], service: str = "access/server", client: str = "access/alpha"
    ) -> list[AccessCheck]:
        """Checks without control calls: by request, as ``GET /path`` or ``/path``, whether it is granted."""
        return [
            self.access_check(
                request,
                client,
                service,
                granted=granted,
                control=False,
                method=request.split()[0] if " " in request else "GET",
                path=request.split()[-1],
            )
            for request, granted in expected.items()
        ]

    def wait_for_access(
        self, checks: Sequence[AccessCheck], *, discover: bool = True
    ) -> dict[str, Convergence]:
        """Wait until every check is granted or denied as expected, in the clients' view.

        Each check has its own convergence: a check that never comes true says nothing of the others.
        """
        start = self.waiter.clock.now()
        since: dict[str, float | None] = {check.name: None for check in checks}

        def as_expected() -> bool:
            polls = [replace(check.call, requests=2) for check in checks]
            # The state is that at the beginning of a poll, which lasts as long as a silent denial.
            elapsed = self.waiter.clock.now() - start
            for check, traffic in zip(checks, self.driver.send(polls, _NEW), strict=True):
                expected = {check.server: traffic.sent} if check.expect == "granted" else {}
                if traffic.answered != expected:
                    since[check.name] = None
                elif since[check.name] is None:
                    since[check.name] = elapsed
            return None not in since.values()

        granted = [check.name for check in checks if check.expect == "granted"]
        what = f"{', '.join(granted) or 'nothing'} granted and nothing else"
        convergence = self.wait_for_propagation(as_expected, what, discover=discover)
        each = self._each(convergence, [f"{check.name} {check.expect}" for check in checks], since.values())
        return dict(zip(since, each, strict=True))

    def baseline(self, checks: Sequence[AccessCheck], servers: Iterable[str]) -> list[Traffic]:
        """The null control: drive the checks before the policy exists.

        The deletion of an earlier scenario's grants may take a while to show, so this waits first until no
        granted call goes through; where one still does, the null control reports it.
        """
        polls = [replace(check.call, requests=2) for check in checks if check.expect == "granted"]
        if polls:
            self.wait_for_propagation(
                lambda: not any(traffic.answers for traffic in self.driver.send(polls, _NEW)),
                "earlier grants are gone",
            )
        calls = [replace(check.call, requests=3) for check in checks]
        return self.driver.send(calls, _NEW, ledgers=servers)

    def access(
        self,
        checks: Sequence[AccessCheck],
        *names: str,
        servers: Iterable[str],
        baseline: Sequence[Traffic] | None = None,
    ) -> AccessTable:
        """Drive the checks, apply these files, wait for access as expected, and drive the checks again.

        ``baseline`` is that of an earlier step, for a step that only takes grants away.
        """
        ledgers = list(servers)
        earlier = self.baseline(checks, ledgers) if baseline is None else baseline
        self.apply(*names)
        return self.table(checks, earlier, ledgers)

    def table(
        self, checks: Sequence[AccessCheck], baseline: Sequence[Traffic], servers: Iterable[str]
    ) -> AccessTable:
        """The second half of `access`, after a change that was made already."""
        convergences = self.wait_for_access(checks)
        return AccessTable(self.results(checks, baseline, servers, convergences))

    def results(
        self,
        checks: Sequence[AccessCheck],
        baseline: Sequence[Traffic],
        servers: Iterable[str],
        convergences: Mapping[str, Convergence],
    ) -> tuple[AccessResult, ...]:
        """Drive all checks at the same moment, on new connections over the profile's stable window."""
        calls = [replace(check.call, requests=CHECK_REQUESTS) for check in checks]
        calls += [
            replace(check.control_call, requests=CHECK_REQUESTS)
            for check in checks
            if check.control_call is not None
        ]
        options = SendOptions(new_connections=True, duration_s=self.profile.converge.stable_s)
        traffic = self.driver.send(calls, options, ledgers=servers)
        controls = iter(traffic[len(checks) :])
        return tuple(
            AccessResult(
                name=check.name,
                expect=check.expect,
                baseline=earlier,
                traffic=seen,
                server=check.server,
                convergence=convergences[check.name],
                control=next(controls) if check.control_call is not None else None,
            )
            for check, earlier, seen in zip(checks, baseline, traffic, strict=False)
        )
