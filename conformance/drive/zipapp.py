"""Packs the probe into the one file that sample workloads run."""

from __future__ import annotations

import functools
import importlib.resources
import io
import zipfile

_PACKAGE = "conformance.drive.probe"
_MAIN = b"import sys\n\nfrom probe.__main__ import main\n\nsys.exit(main(sys.argv[1:]))\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@functools.cache
def build() -> bytes:
    """The probe as a zipapp for ``python3 -I -S``; the same bytes whenever its sources are the same."""
    sources = {
        f"probe/{item.name}": item.read_bytes()
        for item in importlib.resources.files(_PACKAGE).iterdir()
        if item.name.endswith(".py")
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in sorted({"__main__.py": _MAIN, **sources}.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED, compresslevel=9)
    return packed.getvalue()
