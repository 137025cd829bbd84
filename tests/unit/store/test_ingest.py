"""Ingest: every call exactly once, whatever is interrupted."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from lockgate.core.errors import StoreError
from lockgate.store.engine import Store, open_store
from lockgate.store.ingest import CHUNK, Ingest
from lockgate.store.journal import LARGEST_FRAME, Journal, frame
from lockgate.store.ledger import Ledger
from lockgate.store.migrate import migrate
from lockgate.store.segments import Folder
from lockgate.testing.conformance.store import an_entry, ingested, written


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a database file with the newest tables and nothing in them."""
    path = tmp_path_factory.mktemp("empty") / "lockgate.db"
    store = open_store(f"sqlite:///{path}")
    migrate(store)
    store.query("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    return path


@pytest.fixture
def store(empty: Path, tmp_path: Path) -> Generator[Store]:
    """Give a store of its own to each test."""
    store = _copy(empty, tmp_path)
    yield store
    store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder for the journal."""
    return tmp_path / "journal"


def _copy(empty: Path, place: Path) -> Store:
    place.mkdir(exist_ok=True)
    shutil.copy(empty, place / "lockgate.db")
    return open_store(f"sqlite:///{place}/lockgate.db")


def test_a_segment_goes_when_it_is_done_and_its_writer_gone(store: Store, folder: Path) -> None:
    """While the writer lives its segment stays; afterwards it leaves nothing behind."""
    journal = Journal(folder, "worker")
    ingest = Ingest(store, folder)
    assert ingest.step() == 0
    journal.record(an_entry(1))
    assert (ingest.step(), ingest.step()) == (1, 0)
    assert journal.path.exists()
    journal.record(an_entry(2))
    journal.close()
    assert ingest.step() == 1
    assert not journal.path.exists()
    assert Ledger(store).count() == 2


def test_a_worker_that_served_nothing_leaves_nothing(store: Store, folder: Path) -> None:
    """An empty segment is removed without a word to the database."""
    Journal(folder, "worker").close()
    assert ingested(store, folder) == []
    assert list(folder.iterdir()) == []
    assert store.query("SELECT * FROM segments") == []


def test_nothing_new_is_no_work_for_the_database(store: Store, folder: Path) -> None:
    """An idle ingest neither reads nor writes the database."""
    journal = Journal(folder, "worker")
    journal.record(an_entry(1))
    ingest = Ingest(store, folder)
    ingest.step()
    statements: list[str] = []

    def noted(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(store.engine, "before_cursor_execute", noted)
    for _ in range(50):
        assert ingest.step() == 0
    assert statements == []
    journal.record(an_entry(2))
    ingest.step()
    assert statements != []
    journal.close()


def test_no_folder_is_no_trouble(store: Store, folder: Path) -> None:
    """Before the first worker starts there is nothing to do."""
    assert Ingest(store, folder).step() == 0


def test_much_is_taken_in_stretches(store: Store, folder: Path) -> None:
    """A segment larger than a stretch takes several steps, and nothing is passed over."""
    one = len(frame(an_entry(0)))
    count = CHUNK * 2 // one
    written(folder, [an_entry(number) for number in range(count)])
    ingest = Ingest(store, folder)
    assert 0 < ingest.step() < count
    assert ingest.behind
    while ingest.step():
        pass
    assert not ingest.behind
    assert Ledger(store).count() == count


def test_strangers_are_reported_once_and_left_alone(store: Store, folder: Path) -> None:
    """What is no segment is named once, and neither read nor removed."""
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "old.seg").write_bytes(frame(an_entry(7)))
    (folder / "w-0123456789abcdef.seg").mkdir()
    told: list[str] = []
    ingest = Ingest(store, folder, report=told.append)
    for _ in range(3):
        assert ingest.step() == 0
    assert len(told) == 3
    assert len(list(folder.iterdir())) == 3


def test_a_damaged_segment_is_kept_aside(store: Store, folder: Path) -> None:
    """Its whole frames are in the ledger; the file stays for whoever wants to look into it."""
    folder.mkdir()
    segment = folder / "worker-0123456789abcdef.seg"
    garbage = b"\xff" * (CHUNK + LARGEST_FRAME)
    segment.write_bytes(frame(an_entry(1)) + garbage + frame(an_entry(2)) + b"torn")
    told = ingested(store, folder)
    assert Ledger(store).count() == 2
    assert len(told) == 1
    assert "4 bytes of an unfinished record" in told[0]
    assert [path.name for path in folder.iterdir()] == [segment.name + ".damaged"]
    assert ingested(store, folder) == []


def test_damage_is_remembered_over_a_restart(store: Store, folder: Path) -> None:
    """A steward that starts anew still knows that a segment it half read is damaged."""
    journal = Journal(folder, "worker")
    journal.record(an_entry(1))
    with journal.path.open("ab") as file:
        file.write(b"garbage!" * 4 + frame(an_entry(2)))
    ingested(store, folder)
    journal.close()
    assert "1 damaged stretches" in ingested(store, folder)[0]


def test_an_unreadable_segment_does_not_stop_the_others(store: Store, folder: Path) -> None:
    """What cannot be opened is reported once; the rest is taken."""

    class Stubborn(Folder):
        def read(self, name: str, offset: int, limit: int) -> bytes:
            if name.startswith("bad"):
                raise PermissionError(13, "Permission denied")
            return super().read(name, offset, limit)

    for name in ("bad", "good"):
        journal = Journal(folder, name)
        journal.record(an_entry(len(name)))
        journal.close()
    told: list[str] = []
    ingest = Ingest(store, Stubborn(folder), report=told.append)
    ingest.step()
    ingest.step()
    assert Ledger(store).count() == 1
    assert ["Permission denied" in line for line in told] == [True]


def test_without_a_database_nothing_is_lost(store: Store, folder: Path) -> None:
    """A step fails while the database is away, and a later one makes up for it."""
    written(folder, [an_entry(number) for number in range(5)])
    assert store.path is not None
    hidden = store.path.rename(store.path.with_suffix(".away"))
    ingest = Ingest(store, folder)
    with pytest.raises(StoreError, match="no database"):
        ingest.step()
    hidden.rename(store.path)
    assert ingest.step() == 5
    assert list(folder.iterdir()) == []


def test_a_waiting_reader_does_not_stop_the_ingest(store: Store, folder: Path) -> None:
    """Someone who reads for long neither blocks nor sees what comes in meanwhile."""
    written(folder, [an_entry(1)])
    reader = sqlite3.connect(str(store.path), isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM calls").fetchone() == (0,)
    ingested(store, folder)
    assert reader.execute("SELECT count(*) FROM calls").fetchone() == (0,)
    reader.close()
    assert Ledger(store).count() == 1


class Crash(Exception):
    """The process dies here."""


class Effects:
    """Counts effects, and dies before or after one of them."""

    def __init__(self, fatal: int) -> None:
        self.count = 0
        self._fatal = fatal

    def happen(self) -> None:
        """Mark a moment at which the process might die."""
        self.count += 1
        if self.count == self._fatal:
            raise Crash

    def on(self, store: Store) -> None:
        """Count what is done to a database."""

        def moment(*_: object) -> None:
            self.happen()

        for name in ("begin", "before_cursor_execute", "after_cursor_execute", "commit"):
            event.listen(store.engine, name, moment)


class FatalStore(Store):
    """A store that also counts the moment after a commit."""

    def __init__(self, url: str, effects: Effects) -> None:
        super().__init__(url)
        self._effects = effects

    @contextmanager
    def write(self, *, durable: bool = False) -> Generator[Connection]:
        with super().write(durable=durable) as connection:
            yield connection
        self._effects.happen()


class FatalFolder(Folder):
    """A folder that counts what is done to its files."""

    def __init__(self, path: Path, effects: Effects) -> None:
        super().__init__(path)
        self._effects = effects

    def read(self, name: str, offset: int, limit: int) -> bytes:
        self._effects.happen()
        return super().read(name, offset, limit)

    def remove(self, name: str) -> None:
        self._effects.happen()
        super().remove(name)
        self._effects.happen()

    def set_aside(self, name: str) -> Path:
        self._effects.happen()
        kept = super().set_aside(name)
        self._effects.happen()
        return kept


def _scene(folder: Path) -> Journal:
    """Lay out a done segment, a damaged one, and one whose writer lives."""
    written(folder, [an_entry(number) for number in range(4)])
    (folder / "worker-0123456789abcdef.seg").write_bytes(frame(an_entry(10)) + b"damage" * 3)
    journal = Journal(folder, "alive")
    journal.record(an_entry(20))
    return journal


def _run_until_death(store: Store, folder: Path, fatal: int) -> bool:
    """Ingest until the *fatal*-th effect; say whether it came to that."""
    effects = Effects(fatal)
    doomed = FatalStore(store.url, effects)
    effects.on(doomed)
    ingest = Ingest(doomed, FatalFolder(folder, effects), report=lambda _: None)
    try:
        while ingest.step() or ingest.behind:
            pass
    except Crash:
        return True
    finally:
        doomed.close()
    return False


def test_death_at_any_moment_loses_and_doubles_nothing(empty: Path, tmp_path: Path) -> None:
    """Whichever effect is the last before a crash, the next start makes the ledger complete."""
    for fatal in range(1, 200):
        store, folder = _copy(empty, tmp_path / str(fatal)), tmp_path / str(fatal) / "journal"
        journal = _scene(folder)
        died = _run_until_death(store, folder, fatal)
        journal.record(an_entry(21))
        _run_until_death(store, folder, fatal + 3)
        journal.close()
        ingested(store, folder)
        ids = store.query("SELECT id FROM calls ORDER BY id")
        assert [row[0] for row in ids] == [an_entry(n).id for n in (0, 1, 2, 3, 10, 20, 21)]
        assert [path.suffix for path in folder.iterdir()] == [".damaged"]
        store.close()
        if not died:
            break
    else:
        pytest.fail("the sweep never came to its end")
    assert fatal > 20


def test_a_segment_goes_only_after_the_disk_has_its_calls(store: Store, folder: Path) -> None:
    """A power cut between the ledger and the deletion finds the calls in one of the two."""
    done: list[str] = []

    class Noted(Store):
        @contextmanager
        def write(self, *, durable: bool = False) -> Generator[Connection]:
            with super().write(durable=durable) as connection:
                yield connection
            done.append("on disk" if durable else "committed")

    class NotedFolder(Folder):
        def remove(self, name: str) -> None:
            done.append("removed")
            super().remove(name)

    written(folder, [an_entry(1)])
    noted = Noted(store.url)
    Ingest(noted, NotedFolder(folder)).step()
    assert done == ["committed", "on disk", "removed"]
    noted.close()


def test_a_glance_tells_whether_there_is_anything_to_take(store: Store, folder: Path) -> None:
    """Quiet is a journal whose segments are those of the last step, and no longer than then."""
    ingest = Ingest(store, folder)
    assert not ingest.quiet
    ingest.step()
    assert ingest.quiet
    journal = Journal(folder, "worker")
    assert not ingest.quiet
    ingest.step()
    assert ingest.quiet
    journal.record(an_entry(0))
    assert not ingest.quiet
    ingest.step()
    with journal.path.open("ab") as file:
        file.write(b"half")
    ingest.step()
    os.truncate(journal.path, journal.path.stat().st_size - 4)
    assert ingest.quiet
    journal.record(an_entry(1))
    assert not ingest.quiet
    assert ingest.step() == 1
    journal.close()
