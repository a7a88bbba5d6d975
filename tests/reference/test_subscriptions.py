from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fake_api_server import eventually

from smi_reference_mesh.compiler.configuration import Configuration
from smi_reference_mesh.control_plane.subscriptions import ConfigUpdate, Subscriptions
from smi_reference_mesh.hooks import DefaultHooks
from smi_reference_mesh.kube.certificates import CertificateAuthority
from smi_reference_mesh.kube.objects import Workload
from smi_reference_mesh.kube.snapshot import ClusterSnapshot

SERVER = Workload("shop", "server")
CLIENT = Workload("shop", "client")


def snapshot(*accounts: str, weight: int = 1) -> ClusterSnapshot:
    pods = [
        {
            "metadata": {"name": account, "namespace": "shop"},
            "spec": {"serviceAccountName": account, "containers": [{"ports": [{"containerPort": weight}]}]},
        }
        for account in accounts
    ]
    return ClusterSnapshot({"pods": tuple(pods)})


def subscriptions() -> Subscriptions:
    return Subscriptions(CertificateAuthority(CertificateAuthority.create(datetime.now(UTC))), lambda: None)


async def polled(made: Subscriptions, workload: Workload, have: str = "", identity: str = "") -> ConfigUpdate:
    update = await made.poll(workload, have, identity, 5)
    assert update is not None
    return update


def test_the_first_poll_brings_everything_and_an_identity() -> None:
    async def scenario() -> None:
        made = subscriptions()
        await made.update(snapshot("server"), DefaultHooks())
        update = await polled(made, SERVER)
        assert update.base == ""
        assert {"lds.json", "cds.json", "sds/identity.json", "sds/trust.json"} <= set(update.responses)
        assert json.loads(json.dumps(update.as_json()))["version"] == update.version

    asyncio.run(scenario())


def test_a_later_poll_brings_what_changed_and_no_new_identity() -> None:
    async def scenario() -> None:
        made = subscriptions()
        await made.update(snapshot("server", weight=8080), DefaultHooks())
        first = await polled(made, SERVER)
        waiting = asyncio.create_task(polled(made, SERVER, first.version, first.identity))
        await eventually(lambda: made.subscribers[SERVER].polls)
        await made.update(snapshot("server", weight=9090), DefaultHooks())
        second = await waiting
        assert second.base == first.version
        assert "lds.json" in second.responses
        assert second.identity == first.identity
        assert not any(path.startswith("sds/") for path in second.responses)
        assert any("8080" in path for path in second.removed)

    asyncio.run(scenario())


def test_an_unchanged_configuration_does_not_end_a_poll() -> None:
    async def scenario() -> None:
        made = subscriptions()
        await made.update(snapshot("server", "client"), DefaultHooks())
        first = await polled(made, CLIENT)
        waiting = asyncio.create_task(made.poll(CLIENT, first.version, first.identity, 0.05))
        await eventually(lambda: made.subscribers[CLIENT].polls)
        await made.update(snapshot("server", "client"), DefaultHooks())
        assert await waiting is None

    asyncio.run(scenario())


def test_a_pod_that_polls_before_the_watch_reports_it_is_served_then() -> None:
    async def scenario() -> None:
        made = subscriptions()
        await made.update(snapshot("client"), DefaultHooks())
        waiting = asyncio.create_task(polled(made, SERVER))
        await eventually(lambda: made.subscribers.get(SERVER) and made.subscribers[SERVER].polls)
        await made.update(snapshot("client", "other"), DefaultHooks())
        await made.update(snapshot("client", "server"), DefaultHooks())
        assert (await waiting).version

    asyncio.run(scenario())


def test_a_restarted_control_plane_recognises_versions() -> None:
    async def scenario() -> None:
        pair = CertificateAuthority.create(datetime.now(UTC))
        first = Subscriptions(CertificateAuthority(pair), lambda: None)
        await first.update(snapshot("server"), DefaultHooks())
        update = await polled(first, SERVER)
        second = Subscriptions(CertificateAuthority(pair), lambda: None)
        await second.update(snapshot("server"), DefaultHooks())
        assert await second.poll(SERVER, update.version, update.identity, 0.01) is None
        assert second.is_settled()
        # The same responses have the same version, so the update is the difference to it.
        await second.update(snapshot("server", weight=2), DefaultHooks())
        assert (await polled(second, SERVER, update.version, update.identity)).base == update.version
        # The former version is unknown: everything is sent.
        assert (await polled(second, SERVER, "elsewhere", update.identity)).base == ""

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "identity", ["{fingerprint}:1", "other:9999999999"], ids=["due", "of another authority"]
)
def test_a_due_identity_is_renewed_without_another_change(identity: str) -> None:
    async def scenario() -> None:
        authority = CertificateAuthority(CertificateAuthority.create(datetime.now(UTC)))
        made = Subscriptions(authority, lambda: None)
        await made.update(snapshot("server"), DefaultHooks())
        first = await polled(made, SERVER)
        held = identity.format(fingerprint=authority.fingerprint)
        renewed = await polled(made, SERVER, first.version, held)
        assert set(renewed.responses) == {"sds/identity.json", "sds/trust.json"}
        assert renewed.base == renewed.version == first.version

    asyncio.run(scenario())


def test_settled_means_that_every_connected_workload_acknowledged() -> None:
    async def scenario() -> None:
        now = 0.0
        made = Subscriptions(
            CertificateAuthority(CertificateAuthority.create(datetime.now(UTC))), lambda: None, lambda: now
        )
        await made.update(snapshot("server", "client"), DefaultHooks())
        first, second = await polled(made, SERVER), await polled(made, CLIENT)
        assert not made.is_settled()
        made.acknowledge(SERVER, first.version, "")
        assert not made.is_settled()
        made.acknowledge(CLIENT, second.version, "refused")
        assert made.is_settled()
        assert [problem["message"] for problem in made.problems()] == ["refused"]
        await made.update(snapshot("server", "client", weight=2), DefaultHooks())
        assert not made.is_settled()
        now = 11.0  # No subscriber is connected after such a silence.
        assert made.is_settled()

    asyncio.run(scenario())


def test_a_problem_is_reported_once_per_object() -> None:
    def mistaken(uid: str) -> ClusterSnapshot:
        metadata = {"namespace": "shop", "name": "mistaken", "uid": uid}
        split = {"metadata": metadata, "spec": {"service": "absent", "backends": []}}
        return snapshot("server").replacing("trafficsplits", [split])

    async def scenario() -> None:
        problems: list[Mapping[str, str]] = []
        made = Subscriptions(
            CertificateAuthority(CertificateAuthority.create(datetime.now(UTC))),
            lambda: None,
            on_problem=problems.append,
        )
        # The last replaces the one before it, whose deletion is never observed.
        for uid in ("first", "first", "second"):
            await made.update(mistaken(uid), DefaultHooks())
            await polled(made, SERVER)
        assert [(one["name"], one["uid"]) for one in problems] == [
            ("mistaken", "first"),
            ("mistaken", "second"),
        ]
        assert len({one["message"] for one in problems}) == 1

    asyncio.run(scenario())


def test_a_deleted_workload_is_unsubscribed() -> None:
    async def scenario() -> None:
        made = subscriptions()
        await made.update(snapshot("server"), DefaultHooks())
        await polled(made, SERVER)
        await made.update(snapshot(), DefaultHooks())
        assert made.subscribers == {}
        assert made.is_settled()

    asyncio.run(scenario())


class FaultyHooks(DefaultHooks):
    def configuration(self, configuration: Configuration, snapshot: Any, workload: Workload) -> Configuration:
        return replace(configuration, clusters=())


def test_a_fault_changes_configurations() -> None:
    async def scenario() -> None:
        made = subscriptions()
        await made.update(snapshot("server"), DefaultHooks())
        first = await polled(made, SERVER)
        await made.update(snapshot("server"), FaultyHooks())
        second = await polled(made, SERVER, first.version, first.identity)
        assert set(second.responses) == {"cds.json"}
        assert json.loads(second.responses["cds.json"])["resources"] == []

    asyncio.run(scenario())
