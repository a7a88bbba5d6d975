"""The report as JUnit XML, for the test pages of CI systems.

A suite for each API, a case for each test of a requirement, and a case for a run that ended early. A failed
test is a failure, an inconclusive test an error. A requirement without a verdict is a skipped case with the
reason, so that no CI system shows it as passed.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.catalogue import APIS
from conformance.model.verdict import Verdict
from conformance.report.document import Conclusion, Report, RequirementRecord
from conformance.report.readings import reading_rows

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 forbids even escaped (https://www.w3.org/TR/xml/#charsets)."""

RUN = "Run"
"""The suite of the run itself, for a run that ended early or judged nothing."""

UNJUDGED = {
    "observed": "an ambiguous requirement: observed, not judged",
    "not observed": "an ambiguous requirement without an observed reading",
    "not claimed": "the mesh's profile does not claim it",
    "untested": "this suite has no test of it",
    "in other versions": "applies to API versions that this run did not use",
    "not selected": "not selected for this run",
    "not reached": "the run ended earlier",
}
"""Reasons for a missing verdict, by status."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A testcase; ``result`` is the name of the element inside it, empty for a pass."""

    api: str
    name: str
    seconds: float
    result: str = ""
    message: str = ""
    text: str = ""
    properties: tuple[tuple[str, str], ...] = field(default=())


def render(report: Report) -> str:
    """The XML document with its declaration, well-formed for any answer of the mesh."""
    root = ET.Element("testsuites", name="smi-conformance")
    everything: list[_Case] = []
    for api in APIS:
        cases = [case for record in report.requirements if record.api == api for case in _cases(record)]
        if cases:
            root.append(_suite(report, api, cases))
            everything += cases
    early = report.run.interrupted or report.counts.get("not reached")
    if early or (report.headline.exit_code and all(case.result in ("", "skipped") for case in everything)):
        # CI systems show a run of skipped tests alone as a success.
        root.append(_suite(report, RUN, [ended := _ended(report)]))
        everything.append(ended)
    _totals(root, everything)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _ended(report: Report) -> _Case:
    """The case of a run that ended early or judged nothing."""
    errors = [one for one in report.findings if one.severity == "error"]
    text = "\n".join(f"{one.text} ({one.remedy})" if one.remedy else one.text for one in errors)
    return _Case(RUN, "the run", 0.0, "error", report.headline.reason, text)


def _cases(record: RequirementRecord) -> Iterator[_Case]:
    properties = (
        ("requirement", record.id),
        ("level", record.level),
        ("versions", ", ".join(record.versions)),
        ("outcome", record.outcome),
    )
    if record.verdict is None:
        reason = record.note or UNJUDGED[record.status]
        lines = [test.summary for test in record.tests]
        lines += [f"{one.question}: {one.answer}" for one in reading_rows(record)]
        seconds = sum(test.duration_s for test in record.tests)
        yield _Case(
            record.api,
            record.id,
            seconds,
            "skipped",
            f"{record.status}: {reason}",
            "\n".join(lines),
            properties,
        )
        return
    for test in record.tests:
        name = record.id if len(record.tests) == 1 else f"{record.id} [{test.nodeid.rpartition('::')[2]}]"
        yield _Case(
            record.api, name, test.duration_s, _RESULT[test.verdict], test.summary, _text(test), properties
        )


_RESULT = {
    Verdict.PASS: "",
    Verdict.FAIL: "failure",
    Verdict.INCONCLUSIVE: "error",
    Verdict.NOT_CLAIMED: "skipped",
}


def _text(test: Conclusion) -> str:
    """The complete reason, as CI systems often show nothing else."""
    lines = [test.summary]
    lines += [f"Expected: {test.expected}"] if test.expected else []
    lines += [f"Hint: {test.hint}"] if test.hint else []
    lines += [
        f"{share.server}: {share.observed:.2%} observed, {share.expected:.2%} expected, "
        f"{share.low:.2%} to {share.high:.2%} accepted"
        for share in test.shares
    ]
    return "\n".join([*lines, f"Test: {test.nodeid}"])


def _suite(report: Report, api: str, cases: list[_Case]) -> ET.Element:
    suite = ET.Element("testsuite", name=api, timestamp=report.run.started.isoformat(timespec="seconds"))
    _totals(suite, cases)
    properties = ET.SubElement(suite, "properties")
    for name, value in _run_properties(report):
        ET.SubElement(properties, "property", name=name, value=legal(value))
    suite.extend(_element(case) for case in cases)
    return suite


def _run_properties(report: Report) -> Iterator[tuple[str, str]]:
    yield "mesh", report.mesh.profile
    yield from ((f"version {part}", version) for part, version in report.mesh.versions.items())
    yield "kubernetes", report.cluster.kubernetes
    yield "cluster", report.cluster.context
    yield "suite version", report.suite_version
    yield "run", report.run.id
    yield "seed", str(report.run.seed)
    yield "verdict", report.headline.verdict.value
    yield "reason", report.headline.reason
    yield "partial", str(report.headline.partial).lower()


def _element(case: _Case) -> ET.Element:
    element = ET.Element("testcase", classname=case.api, name=legal(case.name), time=f"{case.seconds:.3f}")
    properties = ET.SubElement(element, "properties")
    for name, value in case.properties:
        ET.SubElement(properties, "property", name=name, value=legal(value))
    if case.result:
        result = ET.SubElement(element, case.result, message=legal(case.message))
        result.text = legal(case.text)
        if case.result != "skipped":
            result.set("type", "fail" if case.result == "failure" else "inconclusive")
    elif case.text:
        ET.SubElement(element, "system-out").text = legal(case.text)
    return element


def _totals(element: ET.Element, cases: list[_Case]) -> None:
    results = [case.result for case in cases]
    element.set("tests", str(len(cases)))
    element.set("failures", str(results.count("failure")))
    element.set("errors", str(results.count("error")))
    element.set("skipped", str(results.count("skipped")))
    element.set("time", f"{sum(case.seconds for case in cases):.3f}")


def legal(text: str) -> str:
    """The text with characters that XML forbids replaced by U+FFFD."""
    return _ILLEGAL.sub("\ufffd", text)
