"""Packs the probe into a single file for the sample workloads."""

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
"""The packages that the probe needs for HTTP/2, copied from this installation."""
_MAIN = b"import sys\n\nfrom probe.__main__ import main\n\nsys.exit(main(sys.argv[1:]))\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
# PEP 552: the flags of hash-based byte code that is not checked against its source, and an empty hash.
_UNCHECKED = (1).to_bytes(4, "little") + bytes(8)
# The newest format whose output does not depend on reference counts.
_MARSHAL_FORMAT = 2


@functools.cache
def build() -> bytes:
    """The probe as a zipapp for ``python3 -I -S``; the same sources give the same bytes.

    It contains the probe's byte code for this Python version, which saves compilation; other versions ignore
    it. The HTTP/2 packages are large and rarely loaded, so they are included as source only.
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
    """The license files of a package, which must accompany its copies."""
    for file in importlib.metadata.files(part) or ():
        if file.name.startswith("LICENSE"):
            yield f"{part}/{file.name}", file.read_binary()
