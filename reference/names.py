"""Names, ports and labels that the parts of the reference mesh agree on."""

from __future__ import annotations

from typing import Final

NAMESPACE: Final = "smi-reference"
SERVICE: Final = "smi-reference"
INGRESS_SERVICE: Final = "smi-reference-ingress"
SERVICE_HOST: Final = f"{SERVICE}.{NAMESPACE}.svc"
AUDIENCE: Final = "smi-reference"
TRUST_DOMAIN: Final = "cluster.local"

INJECT_LABEL: Final = "reference.smi-conformance.dev/inject"
STATUS_ANNOTATION: Final = "reference.smi-conformance.dev/status"
INJECTED: Final = "injected"
INGRESS: Final = "ingress"
INGRESS_CLASS: Final = "reference"
ACTIVE_FAULT_ANNOTATION: Final = "reference.smi-conformance.dev/active-fault"
PART_OF: Final = {"app.kubernetes.io/part-of": "smi-reference"}

FAULT_CONFIG_MAP: Final = "fault"

# In each meshed pod.
OUTBOUND_PORT: Final = 15001
INBOUND_PORT: Final = 15006
ADMIN_PORT: Final = 15000
READINESS_PORT: Final = 15021
SIDECAR_UID: Final = 1337
INBOUND_PASSTHROUGH_SOURCE: Final = "127.0.0.6"
DIRECTORY: Final = "/run/smi-reference"
TOKEN_DIRECTORY: Final = "/var/run/secrets/smi-reference"  # noqa: S105 - a place, not a secret

# In the ingress' pod, which has the readiness and the admin port as well.
INGRESS_PORT: Final = 8080

# In the control plane's pod.
CONTROL_PORT: Final = 8443
METRICS_API_PORT: Final = 6443

METRICS_GROUP: Final = "metrics.smi-spec.io"
METRICS_VERSION: Final = "v1alpha1"


def spiffe_id(namespace: str, account: str) -> str:
    """The identity of a ServiceAccount in the mesh."""
    return f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}"
