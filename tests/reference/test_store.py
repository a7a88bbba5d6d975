from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fake_api_server import FakeApiServer, eventually

from smi_reference_mesh.control_plane.store import ObjectStore, Watched

PODS = Watched("pods", "/api/v1/pods")
SPLITS = Watched("trafficsplits", "/apis/split.smi-spec.io/v1alpha4/trafficsplits")


def pod(name: str, **status: object) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "a", "managedFields": ["x"]}, "status": status}


@asynccontextmanager
async def following(fake: FakeApiServer) -> AsyncIterator[tuple[ObjectStore, list[str]]]:
    changes: list[str] = []
    store = ObjectStore((PODS, SPLITS), changes.append)
    async with fake.running() as api:
        task = asyncio.create_task(store.follow(api))
        try:
            await eventually(lambda: store.synced)
            yield store, changes
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def names(store: ObjectStore) -> list[str]:
    return [thing["metadata"]["name"] for thing in store.of("pods")]


def test_objects_that_exist_appear_and_disappear_in_the_store() -> None:
    async def scenario() -> None:
        fake = FakeApiServer()
        fake.put(PODS.path, pod("b"))
        async with following(fake) as (store, changes):
            assert names(store) == ["b"]
            assert "managedFields" not in store.of("pods")[0]["metadata"]
            fake.put(PODS.path, pod("a"))
            await eventually(lambda: names(store) == ["a", "b"])
            fake.delete(PODS.path, "a", "b")
            await eventually(lambda: names(store) == ["a"])
            assert store.get("pods", "a", "b") is None
            assert "pods" in changes

    asyncio.run(scenario())


def test_a_snapshot_stays_the_same_value_until_an_object_changes() -> None:
    async def scenario() -> None:
        fake = FakeApiServer()
        fake.put(PODS.path, pod("a"))
        async with following(fake) as (store, changes):
            snapshot = store.snapshot()
            changes.clear()
            # Written without a relevant difference.
            fake.put(PODS.path, pod("a"))
            fake.put(SPLITS.path, pod("s"))
            await eventually(lambda: changes)
            assert changes == ["trafficsplits"]
            assert store.snapshot() is not snapshot
            assert store.snapshot().of("pods") is snapshot.of("pods")

    asyncio.run(scenario())


def test_a_watch_that_is_too_old_is_followed_by_a_new_list() -> None:
    async def scenario() -> None:
        fake = FakeApiServer()
        fake.put(PODS.path, pod("a"))
        async with following(fake) as (store, _):
            lists = ("GET", PODS.path, None)
            await eventually(lambda: fake.requests.count(lists) == 2)
            fake.expire(PODS.path)
            await eventually(lambda: fake.requests.count(lists) == 4)
            fake.put(PODS.path, pod("b"))
            await eventually(lambda: names(store) == ["a", "b"])

    asyncio.run(scenario())


def test_a_watch_that_ends_resumes_at_its_version() -> None:
    async def scenario() -> None:
        fake = FakeApiServer()
        fake.put(PODS.path, pod("a"))
        async with following(fake) as (store, _):
            fake.hang_up(PODS.path)
            fake.put(PODS.path, pod("b"))
            await eventually(lambda: names(store) == ["a", "b"])

    asyncio.run(scenario())


def test_an_unserved_api_counts_as_empty() -> None:
    async def scenario() -> None:
        fake = FakeApiServer()
        fake.absent.add(SPLITS.path)
        async with following(fake) as (store, _):
            assert store.of("trafficsplits") == ()
            assert "trafficsplits" not in store.snapshot().objects
            assert store.not_served == {"trafficsplits"}
            fake.absent.clear()
            fake.put(SPLITS.path, pod("s"))
            await eventually(lambda: store.of("trafficsplits"))
            assert store.snapshot().objects["trafficsplits"] == store.of("trafficsplits")
            assert store.not_served == set()
            fake.absent.add(SPLITS.path)
            fake.expire(SPLITS.path)
            await eventually(lambda: "trafficsplits" not in store.snapshot().objects)
            assert store.of("trafficsplits") == ()


def test_an_api_without_objects_is_in_the_snapshot() -> None:
    async def scenario() -> None:
        async with following(FakeApiServer()) as (store, _):
            assert store.snapshot().objects["trafficsplits"] == ()

    asyncio.run(scenario())


def test_a_large_object_comes_through_a_watch() -> None:
    async def scenario() -> None:
        fake = FakeApiServer()
        async with following(fake) as (store, _):
            fake.put(PODS.path, pod("large", text="x" * 1_500_000))
            await eventually(lambda: names(store) == ["large"])

    asyncio.run(scenario())
