"""Names, ports and labels shared by the parts of the reference mesh.

Imports nothing, since each pod's interception loads this module: `typing` alone takes as long as Python's
start.
"""

from __future__ import annotations

NAMESPACE = "smi-reference"
SERVICE = "smi-reference"
INGRESS_SERVICE = "smi-reference-ingress"
SERVICE_HOST = f"{SERVICE}.{NAMESPACE}.svc"
AUDIENCE = "smi-reference"
TRUST_DOMAIN = "cluster.local"

INJECT_LABEL = "reference.smi-conformance.dev/inject"
STATUS_ANNOTATION = "reference.smi-conformance.dev/status"
INJECTED = "injected"
INGRESS = "ingress"
INGRESS_CLASS = "reference"
ACTIVE_FAULT_ANNOTATION = "reference.smi-conformance.dev/active-fault"
PART_OF = {"app.kubernetes.io/part-of": "smi-reference"}

FAULT_CONFIG_MAP = "fault"

# In each meshed pod.
OUTBOUND_PORT = 15001
INBOUND_PORT = 15006
ADMIN_PORT = 15000
READINESS_PORT = 15021
UDP_PORT = 15100
"""Redirection target of the first UDP port that a pod declares; each further port has the next number."""
UDP_PORTS = 64
"""The number of UDP ports supported per pod; further ones receive nothing."""
UDP_NOWHERE_PORT = UDP_PORT + UDP_PORTS
"""Redirection target of all other UDP ports; nothing listens there."""
UDP_PORTS_VARIABLE = "SMI_REFERENCE_UDP_PORTS"
SIDECAR_UID = 1337
INBOUND_PASSTHROUGH_SOURCE = "127.0.0.6"
DIRECTORY = "/run/smi-reference"
TOKEN_DIRECTORY = "/var/run/secrets/smi-reference"  # noqa: S105 - a place, not a secret

# In the ingress pod, which also has the readiness and the admin port.
INGRESS_PORT = 8080

# In the control plane's pod.
CONTROL_PORT = 8443
METRICS_API_PORT = 6443

METRICS_GROUP = "metrics.smi-spec.io"
METRICS_VERSION = "v1alpha1"


def spiffe_id(namespace: str, account: str) -> str:
    """The SPIFFE ID of a ServiceAccount in the mesh."""
    return f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}"
