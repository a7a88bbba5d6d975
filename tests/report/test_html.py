from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from conformance import catalogue
from conformance.model.evidence import ApiRead, Convergence, Environment, RoundTrip
from conformance.model.verdict import Basis, Judgement, Reading, Share, Verdict
from conformance.report import charts, formatting, html, outcomes
from conformance.report.assemble import build, requirement_record
from conformance.report.conclusions import conclude
from conformance.report.document import ClusterInfo, Diagnostic, Finding, MeshRecord, NodeRecord, Report, Run

from .sample import STARTED, TIMING, conclude_with, sample, traffic

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    '" onmouseover="alert(1)" x="',
    "' onmouseover='alert(1)' x='",
    "javascript:alert(1)",
    "</pre></details><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "<!--",
    "]]><svg/onload=alert(1)>",
]
VOID = {"meta", "br", "col", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements with their attributes, all text, and whether every element is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"a comment in the page: {data!r}")

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.elements if "id" in attributes]


def spoiled(words: str) -> Report:
    """A report with the same hostile words in every field that takes any."""
    call = traffic(words, words, {words: 1}, path=words, headers={words: words}, failures={words: 2})
    call = replace(call, foreign={words: 2})
    body = {words: [words]}
    test = conclude_with(
        words,
        words,
        Judgement(
            Verdict.FAIL,
            words,
            words,
            words,
            (Share(words, 0.5, 0.4, 0.3, 0.45),),
            Basis(words, {words: words}),
            (Reading(words, words, words, words),),
        ),
        evidence=[
            (words, call),
            (words, ApiRead(words, words, 200, body)),
            (words, ApiRead(words, words, 200, words)),
            (words, RoundTrip(words, words, body, {}, {words: False})),
            (words, Environment(1, 1)),
        ],
        convergences=[Convergence(words, 1.0, None)],
    )
    entry = catalogue.load()["split-weighted-distribution"].model_copy(
        update={
            "statement": words,
            "source": f"{words} apis/x.md {words}",
            "versions": (words,),
            "readings": {words: {words: words, "b": words}},
        }
    )
    rest = catalogue.load()["split-single-backend"].model_copy(update={"statement": words, "source": words})
    return build(
        suite_version=words,
        run=Run(id=words, started=STARTED, finished=STARTED, command=(words, words), seed=1),
        mesh=MeshRecord(profile=words, description=words, versions={words: words}, claims={words: (words,)}),
        cluster=ClusterInfo(
            context=words,
            kubernetes=words,
            nodes=(NodeRecord(name=words, architecture=words, os=words, kernel=words, runtime=words),),
            images=(words,),
        ),
        timing=TIMING,
        requirements=[
            requirement_record(entry, [test, test], otherwise="untested", note=words, faults=[words]),
            requirement_record(rest, otherwise="not claimed", note=words),
        ],
        findings=[Finding(severity="error", text=words, remedy=words)],
        diagnostics=[Diagnostic(name=words, text=words)],
    )


def shape(page: Page) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(attributes)) for tag, attributes in page.elements]


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_stay_text_in_every_field(words: str) -> None:
    page = Page(html.page(spoiled(words)))
    assert shape(page) == shape(Page(html.page(spoiled("harmless"))))
    assert page.text.count(" ".join(words.split())) > 30
    for tag, attributes in page.elements:
        assert tag != "script"
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith(("#", formatting.SPECIFICATION))


def test_the_hostile_report_fills_every_field_that_takes_text() -> None:
    fields = "\n".join(text for text in _strings(spoiled("hostile").model_dump(mode="json")))
    known = {"fail", "judged", "traffic", "api read", "round trip", "environment", "GET", "http", "error"}
    assert fields.count("hostile") > 60
    assert known & set(fields.split("\n"))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value


def test_nothing_is_fetched_and_nothing_runs() -> None:
    page = Page(html.page(sample()))
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert not any("src" in attributes for _, attributes in page.elements)
    assert not re.search(r"url\(|@import", html.page(sample()))


def test_every_requirement_has_an_anchor_and_its_statement() -> None:
    report = sample()
    page = Page(html.page(report))
    ids = page.ids()
    assert len(set(ids)) == len(ids)
    for record in report.requirements:
        assert record.id in ids
        assert " ".join(record.statement.split()) in page.text


def test_every_link_inside_the_page_leads_somewhere() -> None:
    page = Page(html.page(sample()))
    inside = {a["href"] for tag, a in page.elements if tag == "a" and (a["href"] or "").startswith("#")}
    assert {f"#{name}" for name in page.ids()} >= inside


def test_the_headline_stands_with_its_reason_and_exit_code() -> None:
    text = Page(html.page(sample())).text
    assert "✗ Fail 3 of 85 core requirements failed. Exit code 1: a core requirement failed." in text


def test_an_interrupted_run_says_so() -> None:
    assert "This run was interrupted." in Page(html.page(sample(interrupted=True))).text
    assert "interrupted." not in Page(html.page(sample())).text


def test_what_failed_is_open_and_what_passed_is_folded() -> None:
    document = html.page(sample())
    assert document.count("<details open>") == 4


def test_a_verdict_is_told_in_a_word_as_well_as_in_colour() -> None:
    report = sample()
    text = Page(html.page(report)).text
    for outcome, symbol in outcomes.SYMBOLS.items():
        assert (f"{symbol} {outcome}" in text) == bool(report.counts[outcome])


def test_an_untested_requirement_is_listed_and_not_shown_as_met() -> None:
    entry = catalogue.load()["split-single-backend"]
    page = Page(html.page(sample([requirement_record(entry, otherwise="untested")])))
    assert "not judged in this run" in page.text
    assert "○ untested split-single-backend" in page.text
    assert "✓" not in page.text


def test_the_whole_catalogue_stays_small() -> None:
    report = sample().model_copy(update={"diagnostics": ()})
    assert len(report.requirements) > 150
    assert len(html.page(report).encode()) < 1_000_000


def test_evidence_beyond_what_is_drawn_is_counted() -> None:
    entry = catalogue.load()["split-single-backend"]
    reads = [("read", ApiRead("client", "/apis", 200, {"kind": "x" * 3_000}))] * 50
    for verdict, drawn in ((Verdict.PASS, 10), (Verdict.FAIL, 40)):
        test = conclude_with("t", "t", Judgement(verdict, "seen"), evidence=reads)
        text = Page(html.page(sample([requirement_record(entry, [test], otherwise="untested")]))).text
        assert text.count("GET /apis") == drawn
        assert f"{50 - drawn} more pieces in report.json" in text
        assert "Evidence 50 pieces" in text


@pytest.mark.parametrize("path", ["/admin", "<script>alert(1)</script>"])
def test_an_unexpected_request_is_shown_as_the_server_received_it(path: str) -> None:
    entry = catalogue.load()["split-single-backend"]
    arrived = f"GET {path} on port 8080 from 10.0.0.7"
    leaked = replace(traffic("client", "root", {"v2": 3}), arrivals={"v2": arrived})
    for verdict in (Verdict.PASS, Verdict.FAIL):
        test = conclude_with("t", "t", Judgement(verdict, "seen"), evidence=[("sample", leaked)])
        page = Page(html.page(sample([requirement_record(entry, [test], otherwise="untested")])))
        assert (arrived in page.text) == (verdict is Verdict.FAIL)


@pytest.mark.parametrize("words", ["v1alpha4", "<script>alert(1)</script>"])
def test_a_verdict_on_plain_values_shows_those_values(words: str) -> None:
    entry = catalogue.load()["common-api-groups-discoverable"]
    basis = Basis("groups_served", {"served": [words]})
    test = conclude("t", "t", Judgement(Verdict.PASS, "seen", basis=basis))
    page = Page(html.page(sample([requirement_record(entry, [test], otherwise="untested")])))
    assert f'"served": [ "{words}" ]' in page.text
    assert not any(tag == "script" for tag, _ in page.elements)


def test_a_long_answer_is_cut_off_and_says_where_the_rest_is() -> None:
    assert formatting.shortened("x" * 2_000, 1_600).endswith("… 400 more characters in report.json")
    assert formatting.shortened({"a": 1}, 1_600) == '{\n "a": 1\n}'


@pytest.mark.parametrize(
    ("share", "low", "observed", "inside"),
    [
        (Share("v1", 0.5, 0.5, 0.4, 0.6), 144.0, 180.0, True),
        (Share("v1", 0.7, 0.5, 0.4, 0.6), 144.0, 252.0, False),
        (Share("v1", 0.0, 0.0, 0.0, 0.0), 0.0, 0.0, True),
        (Share("v1", 1.0, 1.0, 1.0, 1.0), 358.0, 360.0, True),
        (Share("v1", float("nan"), 0.5, 0.4, 0.6), 144.0, 0.0, False),
    ],
    ids=["inside", "outside", "nothing", "everything", "not a number"],
)
def test_a_share_is_drawn_on_an_axis_from_0_to_100(
    share: Share, low: float, observed: float, inside: bool
) -> None:
    drawn = charts.plot(share)
    assert (drawn.low, drawn.observed, drawn.inside) == (low, observed, inside)
    assert drawn.width >= 2


def test_a_share_drawn_as_inside_is_never_outside_its_region() -> None:
    document = html.page(sample())
    for record in sample().requirements:
        for test in record.tests:
            for share in test.shares:
                assert charts.plot(share).inside == (share.low <= share.observed <= share.high)
    assert document.count('class="smi-out"') == 2


@pytest.mark.parametrize(
    ("time", "words"),
    [(0.304, "0.30 s"), (6.41, "6.4 s"), (74.9, "1 min 15 s"), (3_700, "1 h 1 min"), (59.99, "60.0 s")],
)
def test_times_are_told_in_words(time: float, words: str) -> None:
    assert formatting.seconds(time) == words


@pytest.mark.parametrize(
    ("part", "words"), [(0.798, "79.8 %"), (0.0025, "0.25 %"), (0.0, "0.0 %"), (1.0, "100.0 %")]
)
def test_shares_are_told_in_words(part: float, words: str) -> None:
    assert formatting.percent(part) == words


def test_a_run_without_any_time_is_drawn() -> None:
    timing = TIMING.model_copy(update=dict.fromkeys(type(TIMING).model_fields, 0.0))
    Page(html.page(sample().model_copy(update={"timing": timing})))


def test_files_of_the_specification_are_linked() -> None:
    assert str(formatting.source("apis/traffic-split/v1alpha4/traffic-split.md § Workflow <b>")) == (
        f'<a href="{formatting.SPECIFICATION}apis/traffic-split/v1alpha4/traffic-split.md">'
        "apis/traffic-split/v1alpha4/traffic-split.md</a> § Workflow &lt;b&gt;"
    )
