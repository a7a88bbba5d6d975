"""The parser reads the lines that Envoy's formats write, and ignores all others."""

from __future__ import annotations

import time

import pytest

from smi_reference_mesh.compiler.access_log import ACCESS_LOG_FORMAT, Record, parse_line

IN = b"smi\tin\t10.0.0.1\t200\t12\tinbound|8080\tinbound|8080\n"


def test_an_inbound_line_names_the_caller() -> None:
    assert parse_line(IN) == Record("in", "10.0.0.1", 200, 12, "inbound|8080", "inbound|8080")


@pytest.mark.parametrize(
    ("peer", "ip"), [("10.0.0.2:80", "10.0.0.2"), ("[fd00::1]:80", "fd00::1"), ("-", "")]
)
def test_an_outbound_line_names_the_server_without_its_port(peer: str, ip: str) -> None:
    record = parse_line(f"smi\tout\t{peer}\t503\t0\toutbound|a|b|1\tsplit/a/b\n".encode())
    assert record == Record("out", ip, 503, 0, "outbound|a|b|1", "split/a/b")


def test_absent_values_are_empty() -> None:
    assert parse_line(b"smi\tin\t10.0.0.1\t0\t3\t-\t-\n") == Record("in", "10.0.0.1", 0, 3, "", "")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"[info] started\n",
        b"smi\tin\n",
        IN.replace(b"in\t", b"up\t", 1),
        IN.replace(b"200", b"-"),
        b"smi\t\xff\n",
    ],
)
def test_other_lines_of_the_stream_are_ignored(line: bytes) -> None:
    assert parse_line(line) is None


def test_formats_have_as_many_fields_as_the_parser_expects() -> None:
    for direction, text in ACCESS_LOG_FORMAT.items():
        assert text.endswith("\n")
        assert text.startswith(f"smi\t{direction}\t")
        assert text.count("\t") == IN.count(b"\t")


def test_lines_are_read_far_faster_than_they_are_written() -> None:
    started = time.process_time()
    for _ in range(20_000):
        parse_line(IN)
    # A sidecar must parse two thousand lines a second, with a tenth of a core at most.
    assert time.process_time() - started < 1.0
