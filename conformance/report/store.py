"""Reports on disk: written atomically, and read back."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from conformance.report import junit
from conformance.report.document import Report
from conformance.text import files

JSON = "report.json"
JUNIT = "junit.xml"
HTML = "report.html"


class ReportError(ValueError):
    """The file is not a report, or has another schema version."""


def dumps(report: Report) -> str:
    """The document as written: indented JSON with a final newline."""
    return report.model_dump_json(indent=1) + "\n"


def loads(document: str | bytes, name: str = "report") -> Report:
    """The report in a JSON document. Raises ReportError, whose message begins with ``name``."""
    try:
        return Report.model_validate_json(document)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("schema_version",):
            wanted = Report.model_fields["schema_version"].default
            raise ReportError(
                f"{name}: schema_version {first['input']!r} where this version of the suite reads {wanted}: "
                "use the suite that wrote it (suite_version in the report)"
            ) from error
        where = ".".join(str(part) for part in first["loc"])
        raise ReportError(f"{name}: {where + ': ' if where else ''}{first['msg']}") from error


def report_directory(output: str | None, reports: str, run: str) -> Path:
    """The directory of a run's report: ``output`` if given, else a subdirectory of ``reports``."""
    return Path(output) if output else Path(reports, run)


def make_room(directory: Path, results: Path | None = None) -> None:
    """Create the directories of a report, and remove the files of another run's report there.

    ``results`` is a second path of the JUnit file. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for path in (*(directory / name for name in (JSON, JUNIT, HTML)), *([results] if results else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)


def write(report: Report, directory: Path, results: Path | None = None) -> tuple[Path, Path]:
    """Write report.json and junit.xml into the directory, and the latter to ``results`` as well.

    Missing directories are created. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    document, cases = directory / JSON, directory / JUNIT
    files.replace(document, dumps(report))
    for path in (cases, *([results] if results else [])):
        files.replace(path, junit.render(report))
    return document, cases


def read(path: Path) -> Report:
    """The report in a file, or in the directory that `write` wrote. Raises ReportError or OSError."""
    path = path / JSON if path.is_dir() else path
    return loads(path.read_bytes(), str(path))
