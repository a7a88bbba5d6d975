"""Whether requests land on the port that the chosen backend maps to."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.judge import traffic_checks
from conformance.judge.phrasing import counted, listed, several
from conformance.judge.registry import judge
from conformance.judge.statistics import LEAST
from conformance.model.evidence import Effect
from conformance.model.verdict import Judgement, Verdict

_TARGET = "the targetPort of the chosen backend decides, not that of the root or of another backend"


@judge
def lands_on(effect: Effect, ports: Mapping[str, int]) -> Judgement:
    """Each server of ``ports`` is reached, at its own port and no other; nothing else answers, nothing fails.

    A claim of effect: before the change one of these servers and ports was left out.
    """
    before, sample, settling = effect.before, effect.sample, effect.settling
    wanted = [f"{server}:{port}" for server, port in ports.items()]
    asked = f"every request is answered by one of {listed(wanted)}, each of which is reached"
    elsewhere = {place: count for place, count in sample.ports.items() if place not in wanted and count}
    missing = [place for place in wanted if not sample.ports.get(place)]
    astray = (
        f"answered at other places: {counted(elsewhere)}" if elsewhere else "",
        traffic_checks.strays(sample, set(ports)),
    )
    return (
        traffic_checks.excused(before, sample, *astray)
        or traffic_checks.wrong(
            traffic_checks.late(settling),
            *astray,
            f"never answered: {listed(missing)}" if missing else "",
            traffic_checks.failed(sample),
            expected=asked,
            hint=traffic_checks.hint(before, sample, settling, _TARGET),
        )
        or traffic_checks.contradictory(sample)
        or traffic_checks.unsound(before, sample)
        or traffic_checks.too_few(sample, LEAST, "a leak of 5 points")
        or (
            traffic_checks.no_difference("all of these places were reached", before.ports)
            if all(before.ports.get(place) for place in wanted)
            else None
        )
        or Judgement(
            Verdict.PASS,
            f"{several(sample.sent, 'request')} landed on {counted(sample.ports)}",
            expected=asked,
        )
    )
