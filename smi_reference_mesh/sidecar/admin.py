"""`python -m smi_reference_mesh.sidecar.admin PATH` prints a page of the admin interface of Envoy."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Sequence

from smi_reference_mesh.names import ADMIN_PORT


def main(arguments: Sequence[str], port: int = ADMIN_PORT) -> int:
    """Print the response to GET /PATH (config_dump, stats, clusters, listeners); 1 without one."""
    path = "/".join(arguments) or "help"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", f"/{path.lstrip('/')}")
        answer = connection.getresponse()
        sys.stdout.write(answer.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        print(f"Envoy's admin interface does not respond: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
