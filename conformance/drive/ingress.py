"""Objects for a mesh's ingress: fixtures with the ingress settings of its profile."""

from __future__ import annotations

import copy
from typing import Any

from conformance.clusters import Object
from conformance.profiles import Ingress, IngressAccount


def with_ingress_class(item: Object, ingress: Ingress) -> dict[str, Any]:
    """An Ingress object with the class and annotations of the controller."""
    copied: dict[str, Any] = copy.deepcopy(dict(item))
    copied["spec"]["ingressClassName"] = ingress.class_name
    if ingress.annotations:
        metadata = copied["metadata"]
        metadata["annotations"] = {**metadata.get("annotations", {}), **ingress.annotations}
    return copied


def granted(target: Object, account: IngressAccount) -> dict[str, Any]:
    """A TrafficTarget, in the newest stable version, whose only source is the ingress' ServiceAccount."""
    copied: dict[str, Any] = copy.deepcopy(dict(target))
    source = {"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}
    copied["spec"]["sources"] = [source]
    return copied
