"""What the store must do on every database that it supports.

Derive a test class from `StorePromises` and give it a fixture `store_url` with the URL of an empty
database:

    class TestMyDatabase(StorePromises):
        @pytest.fixture
        def store_url(self): ...
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import msgspec
import pytest
from sqlalchemy import text

from lockgate.core.entry import Entry
from lockgate.core.errors import StoreError, Unauthenticated
from lockgate.core.exchange import Attempt, Decision, Note, Verdict
from lockgate.core.payload import Usage
from lockgate.store import tables
from lockgate.store.engine import Store, open_store
from lockgate.store.generation import Generation
from lockgate.store.ingest import Ingest
from lockgate.store.journal import Journal
from lockgate.store.keys import Keyring, Keys
from lockgate.store.ledger import Ledger, Place
from lockgate.store.migrate import current, migrate, newest

PATIENCE_S = 20.0
"""How long something that must happen may take before a test fails."""
T0 = 1_700_000_000_000_000_000


def an_entry(number: int = 0, **changes: object) -> Entry:
    """Build a finished call that nothing is special about, but for its number and *changes*."""
    usage = Usage(input_tokens=10, output_tokens=20)
    entry = Entry(
        id=f"call-{number:06d}",
        service="assistant",
        surface="chat",
        release="sha256:abc",
        key_id="k1",
        tenant="acme",
        received_at=T0 + number,
        seconds=0.25,
        first_output=0.125,
        outcome="answered",
        status=200,
        code="",
        ended="complete",
        rung="",
        target="small",
        confidence=0.75,
        cost=37_500,
        input_tokens=10,
        output_tokens=20,
        attempts=(Attempt(target="small", result="accepted", seconds=0.2, cost=5, usage=usage),),
        verdicts=(Verdict(by="secrets", decision=Decision.MEND, reason="a key", side="in"),),
        trail=(Note("admit", "ok", "", 0.001), Note("cascade", "accepted", "small")),
    )
    return msgspec.structs.replace(entry, **changes)


def written(directory: Path, entries: list[Entry]) -> None:
    """Write *entries* as a worker does that then ends."""
    journal = Journal(directory, "worker")
    for entry in entries:
        journal.record(entry)
    journal.close()


def ingested(store: Store, directory: Path) -> list[str]:
    """Take everything in *directory* into the store; returns what was reported."""
    told: list[str] = []
    ingest = Ingest(store, directory, report=told.append)
    while ingest.step() or ingest.behind:
        pass
    return told


def random_text(length: int) -> str:
    """Give a text that does not compress, of letters that take four bytes each."""
    seeded = Random(length)  # noqa: S311 — not for secrets
    return "".join(chr(0x10000 + letter) for letter in seeded.randbytes(length))


def in_parallel(count: int, work: Callable[[int], object]) -> None:
    """Run *work* on *count* threads that begin together; raises what the first of them raised."""
    start = threading.Barrier(count)

    def begin(number: int) -> None:
        start.wait(PATIENCE_S)
        work(number)

    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(begin, number) for number in range(count)]:
            done.result()


async def eventually(happened: Callable[[], bool]) -> None:
    """Wait until *happened* says so, without holding up the loop."""
    until = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        await asyncio.sleep(0.01)


class StorePromises:
    """The suite."""

    @pytest.fixture
    def store(self, store_url: str) -> Generator[Store]:
        """Give a store with the newest tables."""
        store = open_store(store_url)
        migrate(store)
        yield store
        store.close()

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Give a folder for the journal."""
        return tmp_path / "journal"

    def test_migrations_lead_to_the_tables_in_the_code(self, store: Store) -> None:
        """A database brought up by migrations has exactly the tables that the code works with."""
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        with store.read() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, tables.metadata) == []
        assert current(store) == newest()

    def test_many_may_migrate_at_once(self, store_url: str) -> None:
        """Processes that start together make one set of tables, and none of them fails."""

        def migrated(_: int) -> None:
            store = open_store(store_url)
            migrate(store)
            store.close()

        in_parallel(8, migrated)
        assert Generation(open_store(store_url)).read() == 1

    def test_a_newer_database_is_left_alone(self, store: Store) -> None:
        """An older Lockgate says what to do rather than work on tables it does not know."""
        with store.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(StoreError, match="upgrade Lockgate"):
            migrate(store)

    def test_a_failed_write_leaves_nothing(self, store: Store) -> None:
        """A transaction happens as a whole or not at all."""
        row = {"name": "s", "offset": 1, "damaged": 0}

        def fail_half_way() -> None:
            with store.write() as connection:
                connection.execute(tables.segments.insert().values(row))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_half_way()
        with store.read() as connection:
            assert connection.execute(tables.segments.select()).all() == []

    def test_errors_are_translated(self, store: Store) -> None:
        """Whatever the driver raises arrives as a StoreError that names the database."""
        with pytest.raises(StoreError, match=store.shown.split("://")[0]), store.read() as line:
            line.execute(text("SELECT * FROM nowhere"))
        with pytest.raises(StoreError):
            store.query("SELECT * FROM nowhere")

    def test_a_key_works_until_it_is_revoked(self, store: Store) -> None:
        """A new key identifies its holder, a revoked one nobody."""
        keys, keyring = Keys(store), Keyring(store)
        minted = keys.create("acme", "for tests", frozenset({"assistant"}))
        keyring.refresh()
        caller = keyring(minted.secret_text)
        assert (caller.key_id, caller.tenant) == (minted.public_id, "acme")
        assert caller.services == {"assistant"}
        assert keys.revoke(minted.public_id)
        assert not keys.revoke(minted.public_id)
        keyring.refresh()
        with pytest.raises(Unauthenticated):
            keyring(minted.secret_text)

    def test_keys_are_listed_without_secrets(self, store: Store) -> None:
        """What is kept of a key does not give the key away."""
        keys = Keys(store)
        first = keys.create("acme", "one")
        second = keys.create("beta", "two", frozenset({"a", "b"}), T0)
        listed = keys.list()
        assert [key.public_id for key in listed] == [first.public_id, second.public_id]
        assert (listed[1].services, listed[1].expires_at) == ({"a", "b"}, T0)
        rows = store.query("SELECT * FROM keys")
        for minted in (first, second):
            secret = minted.secret_text.rpartition("-")[2].encode()
            assert all(secret not in str(value).encode() for row in rows for value in row)

    def test_key_changes_raise_the_generation(self, store: Store) -> None:
        """Making and revoking a key is news; failing to revoke one is not."""
        generation, keys = Generation(store), Keys(store)
        first = generation.read()
        minted = keys.create("acme")
        assert generation.read() == first + 1
        keys.revoke("nobody")
        assert generation.read() == first + 1
        keys.revoke(minted.public_id)
        generation.bump()
        assert generation.read() == first + 3

    @pytest.mark.anyio
    async def test_watchers_hear_of_every_change(self, store: Store) -> None:
        """Who watches is told the first number, and every later state; also after a failure."""
        generation = Generation(store)
        heard: list[int] = []

        def changed(number: int) -> None:
            heard.append(number)
            if len(heard) == 1:
                raise StoreError("not now")

        watching = asyncio.create_task(generation.watch(changed))
        await eventually(lambda: heard == [1, 1])
        for number in (2, 3):
            await asyncio.to_thread(generation.bump)
            await eventually(lambda number=number: heard[-1] == number)
        assert heard == [1, 1, 2, 3]
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching

    def test_calls_come_out_as_they_went_in(self, store: Store, folder: Path) -> None:
        """Every field of a call survives the journal and the ledger."""
        plain = an_entry(1)
        bare = an_entry(
            2, first_output=None, confidence=None, attempts=(), verdicts=(), trail=(), cost=0
        )
        odd = an_entry(3, service="naïve ☃ 𝄞", code="'; DROP TABLE calls; --", rung='"\\%s')
        written(folder, [plain, bare, odd])
        assert ingested(store, folder) == []
        ledger = Ledger(store)
        assert [ledger.call(entry.id) for entry in (plain, bare, odd)] == [plain, bare, odd]
        assert ledger.call("nobody") is None

    def test_no_value_stops_the_ingest(self, store: Store, folder: Path) -> None:
        """A call with values that no database takes is recorded all the same, and the next too."""
        hostile = an_entry(
            1,
            service="a\0b",
            code="\ud800",
            cost=1 << 70,
            input_tokens=(1 << 64) - 1,
            trail=(Note("admit", "ok", "\0\ud800" * 200_000),),
        )
        inward = an_entry(
            2,
            service=random_text(300_000),
            cost=(1 << 64) - 1,
            confidence=float("nan"),
            first_output=1e400,
        )
        long = an_entry(3, service=random_text(100_000))
        written(folder, [hostile, inward, long, an_entry(4)])
        ingested(store, folder)
        assert Ledger(store).count() == 4
        kept = Ledger(store).call(hostile.id)
        assert kept is not None
        assert (kept.cost, kept.trail[0].event) == ((1 << 63) - 1, "trimmed")

    def test_what_is_in_the_ledger_is_not_taken_again(self, store: Store, folder: Path) -> None:
        """A segment that comes back, from a backup say, adds nothing."""
        journal = Journal(folder, "worker")
        journal.record(an_entry(1))
        ingested(store, folder)
        with store.write() as connection:
            connection.execute(tables.segments.delete())
        journal.record(an_entry(2))
        journal.close()
        assert "1 calls" in ingested(store, folder)[0]
        assert Ledger(store).count() == 2
        assert list(folder.iterdir()) == []

    def test_pages_hold_every_call_once(self, store: Store, folder: Path) -> None:
        """Paging shows all calls, newest first, also those that came in the same instant."""
        entries = [an_entry(number, received_at=T0 + number // 3) for number in range(20)]
        written(folder, entries)
        ingested(store, folder)
        seen: list[Entry] = []
        before: Place | None = None
        for _ in range(20):
            page = Ledger(store).calls(limit=5, before=before)
            seen += page.calls
            if (before := page.following) is None:
                break
        assert seen == sorted(entries, key=lambda e: (e.received_at, e.id), reverse=True)

    def test_calls_are_filtered(self, store: Store, folder: Path) -> None:
        """Only what was asked for is listed."""
        entries = [
            an_entry(1, service="router"),
            an_entry(2, outcome="failed"),
            an_entry(3, service="router", outcome="failed"),
        ]
        written(folder, entries)
        ingested(store, folder)
        ledger = Ledger(store)
        assert list(ledger.calls(service="router").calls) == [entries[2], entries[0]]
        assert list(ledger.calls(outcome="failed").calls) == [entries[2], entries[1]]
        assert list(ledger.calls(service="router", outcome="failed").calls) == [entries[2]]
        assert list(ledger.calls(since_ns=T0 + 2).calls) == [entries[2], entries[1]]
        assert ledger.calls(since_ns=T0 + 4).following is None

    def test_totals_are_the_sums_of_the_calls(self, store: Store, folder: Path) -> None:
        """Counts, money and tokens add up exactly, by service."""
        assert Ledger(store).totals() == ()
        calls = [
            an_entry(n, cost=10**15 + n, outcome="failed" if n % 3 else "answered")
            for n in range(9)
        ]
        written(folder, [*calls, an_entry(20, service="router")])
        ingested(store, folder)
        assistant, router = Ledger(store).totals()
        assert (assistant.service, assistant.calls) == ("assistant", 9)
        assert assistant.outcomes == {"answered": 3, "failed": 6}
        assert assistant.cost == 9 * 10**15 + 36
        assert (router.calls, router.input_tokens, router.output_tokens) == (1, 10, 20)
        assert [total.service for total in Ledger(store).totals(since_ns=T0 + 20)] == ["router"]

    @pytest.mark.anyio
    async def test_ping_reads(self, store: Store) -> None:
        """A ping passes while the database can be read; if not, it says no more than that."""
        ledger = Ledger(store, ping_s=PATIENCE_S)
        await asyncio.gather(*(ledger.ping() for _ in range(5)))
        with store.write() as connection:
            connection.execute(text("DROP TABLE generation"))
        with pytest.raises(StoreError, match="cannot be read") as told:
            await ledger.ping()
        assert store.shown not in str(told.value)

    @pytest.mark.timeout(180)
    def test_two_hundred_at_once(self, store: Store, folder: Path) -> None:
        """Writers and readers by the hundred: nobody is told "locked", and no write is lost."""
        written(folder, [an_entry(number) for number in range(500)])

        def work(number: int) -> None:
            own = open_store(store.url)
            try:
                for _ in range(2):
                    if number % 2:
                        Keys(own).create(f"tenant-{number}")
                    else:
                        Ledger(own).calls(limit=5)
                        Keyring(own).refresh()
                if number == 0:
                    ingested(own, folder)
            finally:
                own.close()

        in_parallel(200, work)
        assert len(Keys(store).list()) == 200
        assert Generation(store).read() == 201
        assert Ledger(store).count() == 500
