"""Packs the probe into the one file that sample workloads run."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.resources
import importlib.util
import io
import marshal
import zipfile
from collections.abc import Iterator

_PACKAGE = "conformance.probe"
_NAME = "probe"
PARTS = ("h2", "hpack", "hyperframe")
"""The packages that the probe needs for HTTP/2, as they are installed here."""
_MAIN = b"import sys\n\nfrom probe.__main__ import main\n\nsys.exit(main(sys.argv[1:]))\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
# PEP 552: flags for byte code that goes without a look at its source, and where the hash of that would be.
_UNCHECKED = (1).to_bytes(4, "little") + bytes(8)
# The newest format that does not depend on what else refers to the same objects.
_MARSHAL_FORMAT = 2


@functools.cache
def build() -> bytes:
    """The probe as a zipapp for ``python3 -I -S``; the same bytes whenever its sources are the same.

    A Python of the version that runs here finds the probe's byte code in it, which spares it the compiling;
    others pass that over. What is for HTTP/2 is loaded by few, and large: it comes as source alone.
    """
    sources = {"__main__.py": _MAIN, **dict(_modules(_PACKAGE, _NAME))}
    for part in PARTS:
        sources |= {**dict(_modules(part, part)), **dict(_licenses(part))}
    sources |= {f"{name}c": _byte_code(name, text) for name, text in _modules(_PACKAGE, _NAME)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in sorted(sources.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _modules(package: str, folder: str) -> Iterator[tuple[str, bytes]]:
    for item in importlib.resources.files(package).iterdir():
        if item.name.endswith(".py"):
            yield f"{folder}/{item.name}", item.read_bytes()


def _byte_code(name: str, source: bytes) -> bytes:
    code = compile(source, name, "exec", dont_inherit=True)
    return importlib.util.MAGIC_NUMBER + _UNCHECKED + marshal.dumps(code, _MARSHAL_FORMAT)


def _licenses(part: str) -> Iterator[tuple[str, bytes]]:
    """A copy is handed to others with the notice that comes with it."""
    for file in importlib.metadata.files(part) or ():
        if file.name.startswith("LICENSE"):
            yield f"{part}/{file.name}", file.read_binary()
