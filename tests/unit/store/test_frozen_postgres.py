"""A Postgres that stands still stops nobody, and nothing is lost when it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest

from lockgate.core.errors import StoreError, Unauthenticated
from lockgate.store.address import Address
from lockgate.store.engine import Store, open_store
from lockgate.store.generation import Generation
from lockgate.store.ingest import Ingest
from lockgate.store.journal import Journal
from lockgate.store.keys import Keyring, Keys
from lockgate.store.ledger import Ledger
from lockgate.store.migrate import migrate
from lockgate.testing.conformance.store import an_entry, eventually
from lockgate.testing.postgres import Postgres

pytest_plugins = ("lockgate.testing.postgres_fixtures",)
pytestmark = pytest.mark.anyio


@pytest.fixture
def store(postgres_url: str) -> Generator[Store]:
    """Give a store on a real Postgres."""
    store = open_store(postgres_url)
    migrate(store)
    yield store
    store.close()


async def test_calls_go_on_while_postgres_stands_still(
    postgres_server: Postgres, store: Store, tmp_path: Path
) -> None:
    """Keys are checked, calls recorded, the loop runs, readiness says no; later all is there."""
    minted = Keys(store).create("acme")
    keyring, generation, ledger = Keyring(store), Generation(store), Ledger(store, ping_s=0.2)
    heard: list[int] = []
    watching = asyncio.create_task(
        generation.watch(lambda number: (keyring.refresh(), heard.append(number)))
    )
    await eventually(lambda: heard == [2])
    journal, ingest = Journal(tmp_path, "worker"), Ingest(store, tmp_path)
    journal.record(an_entry(0))
    await asyncio.to_thread(ingest.step)

    postgres_server.freeze()
    try:
        journal.record(an_entry(1))
        step = asyncio.create_task(asyncio.to_thread(ingest.step))
        for number in range(2, 100):
            journal.record(an_entry(number))
            assert keyring(minted.secret_text).tenant == "acme"
            await asyncio.sleep(0)
        for _ in range(3):
            with pytest.raises(StoreError, match="did not answer within"):
                await ledger.ping()
        bumping = asyncio.create_task(asyncio.to_thread(generation.bump))
        assert not step.done()
        assert heard == [2]
    finally:
        postgres_server.thaw()

    await step
    await bumping
    await ledger_answers(ledger)
    await eventually(lambda: heard == [2, 3])
    journal.close()
    while await asyncio.to_thread(ingest.step):
        pass
    assert await asyncio.to_thread(ledger.count) == 100
    assert not journal.path.exists()
    watching.cancel()


async def ledger_answers(ledger: Ledger) -> None:
    """Wait until a ping passes again."""
    for _ in range(100):
        try:
            await ledger.ping()
        except StoreError:
            continue
        return
    pytest.fail("the ledger never answered again")


async def test_watchers_survive_a_restart() -> None:
    """Who watches hears of what changed while Postgres was down."""
    with Postgres() as server:
        store = open_store(server.new_database())
        migrate(store)
        keyring, heard = Keyring(store), list[int]()
        generation = Generation(store)

        def changed(number: int) -> None:
            keyring.refresh()
            heard.append(number)

        watching = asyncio.create_task(generation.watch(changed))
        await eventually(lambda: heard == [1])
        await asyncio.to_thread(server.stop)
        with pytest.raises(StoreError):
            await Ledger(store).ping()
        await asyncio.to_thread(server.start)
        store.close()
        minted = await asyncio.to_thread(Keys(store).create, "acme")
        await eventually(lambda: heard == [1, 2])
        assert keyring(minted.secret_text).tenant == "acme"
        with pytest.raises(Unauthenticated):
            keyring("lg-nobody")
        watching.cancel()
        store.close()


async def test_ingest_goes_on_after_a_crash_of_postgres(tmp_path: Path) -> None:
    """A server that crashes and comes back has every call once."""
    with Postgres() as server:
        store = open_store(server.new_database())
        migrate(store)
        journal, ingest = Journal(tmp_path, "worker"), Ingest(store, tmp_path)
        for number in range(10):
            journal.record(an_entry(number))
            await asyncio.to_thread(ingest.step)
        await asyncio.to_thread(server.crash)
        journal.record(an_entry(10))
        with pytest.raises(StoreError):
            ingest.step()
        await asyncio.to_thread(server.start)
        assert ingest.step() == 1
        assert Ledger(store).count() == 11
        journal.close()
        store.close()


async def test_a_server_that_was_never_there(tmp_path: Path) -> None:
    """A ping does not say where nobody answers, for strangers may read it; its cause does."""
    address = Address(f"postgresql:///gate?host={tmp_path}")
    with pytest.raises(StoreError, match="the database cannot be read") as raised:
        await Ledger(Store(address.url)).ping()
    assert "gate" in str(raised.value.__cause__)
