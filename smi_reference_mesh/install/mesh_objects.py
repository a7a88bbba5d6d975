"""The Kubernetes objects of the reference mesh, from the manifests beside this module."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from smi_reference_mesh import names
from smi_reference_mesh.kube.certificates import CertificateAuthority, KeyPair
from smi_reference_mesh.sidecar.own_traffic import VARIABLE, OwnTraffic

_HERE = Path(__file__).parent
_SERVING_NAMES = (
    names.SERVICE_HOST,
    f"{names.SERVICE_HOST}.cluster.local",
    f"{names.SERVICE}.{names.NAMESPACE}",
)
# Versions with the schema of the stored version, between which the API server converts by itself.
_SAME_SCHEMA = {
    "trafficsplits": ("v1alpha4", "v1alpha3", "v1alpha2"),
    "traffictargets": ("v1alpha4", "v1alpha3"),
    "httproutegroups": ("v1alpha4", "v1alpha3"),
    "tcproutes": ("v1alpha4", "v1alpha3"),
}
# A serving certificate with less time left is replaced.
_RENEW_BEFORE = timedelta(days=30)

# The C parser, where available, takes a tenth of the time.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Manifest = dict[str, Any]


def crds(certificates: Mapping[str, str] | None = None) -> list[Manifest]:
    """The custom resource definitions of SMI.

    With `certificates` (the Secret's content) they serve all versions, which the control plane converts.
    Without, they serve the versions with the schema of the stored version.
    """
    documents = [document for path in sorted(_HERE.glob("crds/*.yaml")) for document in _load(path)]
    for document in documents:
        spec = document["spec"]
        if spec["conversion"]["strategy"] == "None":
            continue
        if certificates is not None:
            spec["conversion"]["webhook"]["clientConfig"]["caBundle"] = _bundle(certificates)
            continue
        spec["conversion"] = {"strategy": "None"}
        same_schema = _SAME_SCHEMA[spec["names"]["plural"]]
        spec["versions"] = [each for each in spec["versions"] if each["name"] in same_schema]
    return [_labelled(document) for document in documents]


def served() -> list[tuple[str, str, str]]:
    """Group, version and plural of all resources that the definitions serve with the conversion webhook."""
    return [
        (document["spec"]["group"], version["name"], document["spec"]["names"]["plural"])
        for path in sorted(_HERE.glob("crds/*.yaml"))
        for document in _load(path)
        for version in document["spec"]["versions"]
        if version["served"]
    ]


def namespace() -> Manifest:
    """The control plane's namespace."""
    (document,) = _file("namespace")
    return _labelled(document)


def secret(certificates: Mapping[str, str]) -> Manifest:
    """The Secret with the authority and the control plane's own certificate."""
    return _labelled(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": names.SERVICE, "namespace": names.NAMESPACE},
            "type": "Opaque",
            "stringData": dict(certificates),
        }
    )


def manifests(
    *, image: str, window_s: float, certificates: Mapping[str, str], own_traffic: OwnTraffic = "uid"
) -> list[Manifest]:
    """Everything but the CRDs, in the order of application; `certificates` is the Secret's content."""
    environment = {
        "SMI_REFERENCE_IMAGE": image,
        "SMI_REFERENCE_WINDOW_S": f"{window_s:g}",
        # Trusts the API server's authority and its own only; loading the image's other authorities takes
        # time.
        "SSL_CERT_FILE": os.devnull,
    }
    if own_traffic != "uid":
        environment[VARIABLE] = own_traffic
    environments = {
        names.SERVICE: environment,
        names.INGRESS_SERVICE: {"SMI_REFERENCE_TRUST": certificates["ca.crt"]},
    }
    bundle = _bundle(certificates)
    documents = [
        namespace(),
        secret(certificates),
        *_file("rbac"),
        *_file("control-plane"),
        *_file("ingress"),
        *_file("registrations"),
    ]
    for document in documents:
        match document["kind"]:
            case "Deployment":
                (container,) = document["spec"]["template"]["spec"]["containers"]
                container["image"] = image
                variables = environments[document["metadata"]["name"]].items()
                added = [{"name": key, "value": value} for key, value in variables]
                container["env"] = [*container.get("env", ()), *added]
                # Files of a mounted Secret change late and unnoticed, so a new certificate needs a new pod.
                template = document["spec"]["template"]["metadata"]
                marks = {"reference.smi-conformance.dev/certificate": _short(certificates)}
                template["annotations"] = {**template.get("annotations", {}), **marks}
            case "MutatingWebhookConfiguration":
                for webhook in document["webhooks"]:
                    webhook["clientConfig"]["caBundle"] = bundle
            case "APIService":
                document["spec"]["caBundle"] = bundle
    return [_labelled(document) for document in documents]


def certificates(existing: Mapping[str, str] | None, now: datetime) -> dict[str, str]:
    """The content of the Secret: the existing certificates that are valid, new ones for the others."""
    kept = dict(existing or {})
    try:
        pair = KeyPair(kept["ca.crt"], kept["ca.key"])
        authority = CertificateAuthority(pair)
    except (KeyError, ValueError):
        pair = CertificateAuthority.create(now)
        authority = CertificateAuthority(pair)
        kept = {"ca.crt": pair.certificate, "ca.key": pair.key}
    try:
        good = KeyPair(kept["tls.crt"], kept["tls.key"]).not_after > now + _RENEW_BEFORE
    except (KeyError, ValueError):
        good = False
    if not good:
        serving = authority.serving(_SERVING_NAMES, now)
        kept |= {"tls.crt": serving.certificate, "tls.key": serving.key}
    return kept


def _bundle(certificates: Mapping[str, str]) -> str:
    return base64.b64encode(certificates["ca.crt"].encode()).decode()


def _load(path: Path) -> list[Manifest]:
    return [document for document in yaml.load_all(path.read_text(), Loader=_LOADER) if document]


def _file(name: str) -> list[Manifest]:
    return _load(_HERE / "manifests" / f"{name}.yaml")


def _labelled(document: Mapping[str, Any]) -> Manifest:
    labelled = copy.deepcopy(dict(document))
    metadata = labelled["metadata"]
    metadata["labels"] = {**metadata.get("labels", {}), **names.PART_OF}
    return labelled


def _short(certificates: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(certificates), sort_keys=True).encode()).hexdigest()[:12]
