"""Files that others may read while they are written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace(path: Path, content: str) -> None:
    """Put the content at the path in one step: readers see the old file or the new one. Raises OSError."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
        # mkstemp makes files for their owner alone; a report is there to be handed on.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
