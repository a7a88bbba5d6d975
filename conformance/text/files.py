"""Atomic replacement of files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace(path: Path, content: str) -> None:
    """Write the content to the path atomically: readers see the old file or the new one. Raises OSError."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
        # mkstemp creates files readable by their owner alone; a report is meant to be shared.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
