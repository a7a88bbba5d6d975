"""Packs the probe into the one file that sample workloads run."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.resources
import io
import zipfile
from collections.abc import Iterator

_PACKAGE = "conformance.drive.probe"
PARTS = ("h2", "hpack", "hyperframe")
"""The packages that the probe needs for HTTP/2, as they are installed here."""
_MAIN = b"import sys\n\nfrom probe.__main__ import main\n\nsys.exit(main(sys.argv[1:]))\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@functools.cache
def build() -> bytes:
    """The probe as a zipapp for ``python3 -I -S``; the same bytes whenever its sources are the same."""
    sources = {"__main__.py": _MAIN, **dict(_modules(_PACKAGE, "probe"))}
    for part in PARTS:
        sources |= {**dict(_modules(part, part)), **dict(_licenses(part))}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in sorted(sources.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED, compresslevel=9)
    return packed.getvalue()


def _modules(package: str, folder: str) -> Iterator[tuple[str, bytes]]:
    for item in importlib.resources.files(package).iterdir():
        if item.name.endswith(".py"):
            yield f"{folder}/{item.name}", item.read_bytes()


def _licenses(part: str) -> Iterator[tuple[str, bytes]]:
    """A copy is handed to others with the notice that comes with it."""
    for file in importlib.metadata.files(part) or ():
        if file.name.startswith("LICENSE"):
            yield f"{part}/{file.name}", file.read_binary()
