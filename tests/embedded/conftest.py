from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_objects import namespace
from fake_node import Served, serving
from node_client import Node

from conformance.clusters.embedded.node.preconditions import problems


@pytest.fixture(scope="session")
def can_start() -> None:
    """Skips if the machine lacks a precondition of the embedded cluster, with the reason."""
    if lacking := problems():
        pytest.skip("; ".join(lacking))


@pytest.fixture(scope="module")
def node(can_start: None) -> Iterator[Node]:
    node = Node.start()
    yield node
    node.running.stop()


@pytest.fixture
def served() -> Iterator[Served]:
    """An API server over a fake node, with a namespace."""
    with serving() as made:
        made.cluster.apply([namespace("shop")])
        yield made
