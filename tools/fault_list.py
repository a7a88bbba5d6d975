"""``python -m tools.fault_list`` writes the list of faults that the suite knows without the reference mesh.

The faults themselves need what the reference mesh needs, which is an extra that need not be installed.
"""

from __future__ import annotations

import json
import sys

from conformance.text.files import replace
from conformance.traceability.fault_index import FILE
from smi_reference_mesh.faults import FAULTS


def document() -> str:
    """The list as JSON: what each fault is, and the requirements that it concerns."""
    listed = {
        fault.id: {"summary": fault.summary, "affected": sorted(fault.affected)} for fault in FAULTS.values()
    }
    return json.dumps(listed, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the list."""
    replace(FILE, document())
    print(f"wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
