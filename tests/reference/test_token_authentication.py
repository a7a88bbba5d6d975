from __future__ import annotations

import asyncio

from fake_api_server import FakeApiServer

from smi_reference_mesh.control_plane.token_authentication import TokenAuthenticator
from smi_reference_mesh.kube.objects import Workload


def test_a_token_authenticates_the_pod_in_its_review() -> None:
    async def scenario() -> None:
        fake = FakeApiServer()
        fake.pods_by_token["good"] = ("shop", "server-1")
        async with fake.running() as api:
            authenticator = TokenAuthenticator(api)
            assert await authenticator.workload("good") == Workload("shop", "server-1")
            assert await authenticator.workload("bad") is None
        assert fake.reviews[0]["spec"] == {"token": "good", "audiences": ["smi-reference"]}

    asyncio.run(scenario())


def test_a_token_is_reviewed_once_a_minute() -> None:
    async def scenario() -> None:
        fake = FakeApiServer()
        fake.pods_by_token["good"] = ("shop", "server-1")
        now = 0.0
        async with fake.running() as api:
            authenticator = TokenAuthenticator(api, lambda: now)
            for _ in range(3):
                await authenticator.workload("good")
            assert len(fake.reviews) == 1
            now = 61.0
            del fake.pods_by_token["good"]
            assert await authenticator.workload("good") is None

    asyncio.run(scenario())
