"""The journal: what is written can be read, whatever happens to the file."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.core.entry import Entry
from lockgate.core.errors import StoreError
from lockgate.store import journal as module
from lockgate.store.journal import LARGEST_FRAME, Journal, frame, read_frames, scan
from lockgate.testing.conformance.store import an_entry

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
entries = st.builds(
    an_entry,
    st.integers(0, 999_999),
    service=texts,
    code=texts,
    target=texts,
    cost=st.integers(0, 2**63 - 1),
    confidence=st.none() | st.floats(0, 1),
    seconds=st.floats(0, 1e6),
)


def placed(written: list[Entry]) -> tuple[bytes, list[tuple[int, Entry]]]:
    """Frame entries one after another; give the bytes and where each entry stands."""
    whole, places = b"", list[tuple[int, Entry]]()
    for entry in written:
        places.append((len(whole), entry))
        whole += frame(entry)
    return whole, places


@given(st.lists(entries, max_size=6))
def test_what_is_framed_is_found(written: list[Entry]) -> None:
    """Every entry comes back as it was, with its offset."""
    whole, places = placed(written)
    found = scan(whole, 0)
    assert (found.frames, found.end, found.damaged) == (places, len(whole), 0)


@given(st.lists(entries, min_size=1, max_size=5), st.data())
def test_a_torn_tail_is_left_for_later(written: list[Entry], draw: st.DataObject) -> None:
    """Reading stops before a frame that is not whole, and goes on with it once it is."""
    whole, places = placed(written)
    cut = draw.draw(st.integers(0, len(whole)))
    first = scan(whole[:cut], 0)
    assert first.damaged == 0
    second = scan(whole[first.end :], first.end)
    assert first.frames + second.frames == places


@given(
    st.lists(entries, min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=8),
)
def test_damage_costs_only_what_it_hits(written: list[Entry], flips: list[tuple[int, int]]) -> None:
    """Flipped bytes never invent a call, and never take more than the frames that they are in."""
    whole, places = placed(written)
    damaged = bytearray(whole)
    for place, mask in flips:
        damaged[place % len(whole)] ^= mask
    found = scan(bytes(damaged), 0)
    ends = [place for place, _ in places[1:]] + [len(whole)]
    unhurt = [
        (place, entry)
        for (place, entry), end in zip(places, ends, strict=True)
        if whole[place:end] == bytes(damaged[place:end])
    ]
    assert found.frames == unhurt
    assert found.end <= len(whole)


@given(st.lists(entries, max_size=3), st.binary(max_size=200), st.lists(entries, max_size=3))
def test_foreign_bytes_are_stepped_over(
    before: list[Entry], garbage: bytes, after: list[Entry]
) -> None:
    """Entries behind foreign bytes are found, and the foreign bytes counted."""
    first, second = placed(before)[0], placed(after)[0]
    found = scan(first + garbage + second, 100)
    assert [entry for _, entry in found.frames] == before + after
    assert found.damaged <= 1
    if after and garbage:
        assert found.damaged == 1


@given(st.binary(max_size=2000))
def test_any_bytes_can_be_scanned(stretch: bytes) -> None:
    """Nothing in a file makes reading fail or go on for ever."""
    found = scan(stretch, 7)
    assert 7 <= found.end <= 7 + len(stretch)


def test_zeros_are_not_calls() -> None:
    """A stretch of zeros, as a power cut leaves it, holds nothing."""
    assert scan(bytes(100_000), 0).frames == []


def test_long_damage_is_passed_over_at_once() -> None:
    """What is further from the end than the largest frame can be is not waited for."""
    found = scan(b"\xff" * (2 * LARGEST_FRAME), 0)
    assert (found.end, found.damaged) == (LARGEST_FRAME, 1)


def test_a_frame_that_is_no_entry_is_counted() -> None:
    """A whole frame with something else in it is damage of its own length."""
    import struct
    import zlib

    alien = struct.pack("<II", 3, zlib.crc32(b"abc")) + b"abc"
    found = scan(alien + frame(an_entry(1)), 0)
    assert ([place for place, _ in found.frames], found.damaged) == ([len(alien)], 1)


def test_records_can_be_read_while_writing(tmp_path: Path) -> None:
    """Each record is in the file when `record` returns, and offsets lead on."""
    journal = Journal(tmp_path / "new" / "journal", "worker")
    journal.record(an_entry(1))
    first, offset = read_frames(journal.path, 0)
    journal.record(an_entry(2))
    second, end = read_frames(journal.path, offset)
    journal.close()
    assert [entry for _, entry in first + second] == [an_entry(1), an_entry(2)]
    assert end == journal.path.stat().st_size


def test_names_never_repeat_and_stay_in_the_folder(tmp_path: Path) -> None:
    """Two journals of one name have files of their own, and a name cannot lead elsewhere."""
    journals = [Journal(tmp_path, "../worker 0") for _ in range(3)]
    assert len({journal.path for journal in journals}) == 3
    assert {journal.path.parent for journal in journals} == {tmp_path}
    for journal in journals:
        journal.close()


def test_a_segment_is_locked_while_its_writer_lives(tmp_path: Path) -> None:
    """The lock tells who looks whether anything more can come."""
    journal = Journal(tmp_path, "worker")
    with journal.path.open("rb") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        journal.close()
        journal.close()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(StoreError):
        journal.record(an_entry(1))


def test_a_segment_tidied_up_before_its_lock_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A steward that removes the new, still unlocked and empty file takes no call with it."""
    hasty: list[Path] = []

    class Race:
        """The real lock, with a steward that is quicker the first time."""

        LOCK_EX = fcntl.LOCK_EX

        @staticmethod
        def flock(fd: int, how: int) -> None:
            if not hasty:
                hasty.extend(tmp_path.iterdir())
                hasty[0].unlink()
            fcntl.flock(fd, how)

    monkeypatch.setattr(module, "fcntl", Race)
    journal = Journal(tmp_path, "worker")
    journal.record(an_entry(1))
    journal.close()
    assert journal.path != hasty[0]
    assert len(read_frames(journal.path, 0)[0]) == 1


def test_a_full_segment_is_left_for_a_new_one(tmp_path: Path) -> None:
    """Rotation loses nothing, and the old segment's lock is given back."""
    journal = Journal(tmp_path, "worker", segment_bytes=1000)
    written = [an_entry(number) for number in range(20)]
    for entry in written:
        journal.record(entry)
    segments = sorted(tmp_path.iterdir(), key=lambda path: read_frames(path, 0)[0][0][1].id)
    found = [entry for path in segments for _, entry in read_frames(path, 0)[0]]
    assert len(segments) > 5
    assert found == written
    with segments[0].open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    journal.close()


def test_without_a_new_segment_the_old_one_goes_on(tmp_path: Path) -> None:
    """A folder that takes no new file costs no call."""
    folder = tmp_path / "journal"
    journal = Journal(folder, "worker", segment_bytes=1)
    journal.record(an_entry(0))
    (folder / journal.path.name).rename(tmp_path / "kept")
    folder.rmdir()
    journal.record(an_entry(1))
    journal.close()
    assert len(read_frames(tmp_path / "kept", 0)[0]) == 2


def test_half_a_record_is_taken_back(tmp_path: Path) -> None:
    """On a full disk the caller is told, and the journal stays readable and goes on after."""
    journal = Journal(tmp_path, "worker")
    journal.record(an_entry(1))
    size = journal.path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
    try:
        with pytest.raises(StoreError, match="20 of"):
            journal.record(an_entry(2))
        assert journal.path.stat().st_size == size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        with pytest.raises(StoreError, match="cannot write"):
            journal.record(an_entry(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    journal.record(an_entry(4))
    journal.close()
    assert [entry.id for _, entry in read_frames(journal.path, 0)[0]] == [
        "call-000001",
        "call-000004",
    ]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """The message names the folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file/journal"):
        Journal(tmp_path / "file" / "journal", "worker")
    with pytest.raises(StoreError, match="nowhere"):
        read_frames(tmp_path / "nowhere", 0)


def test_a_killed_writer_loses_nothing_it_recorded(tmp_path: Path) -> None:
    """What `record` returned from is there after SIGKILL."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover — this process dies
        journal = Journal(tmp_path, "worker")
        for number in range(1_000_000):
            journal.record(an_entry(number))
            os.write(writer, b".")
    os.close(writer)
    said = sum(len(os.read(reader, 1)) for _ in range(50))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reader, 65536):
        said += len(more)
    os.close(reader)
    (segment,) = tmp_path.iterdir()
    found = [entry.id for _, entry in read_frames(segment, 0)[0]]
    assert found[:said] == [an_entry(number).id for number in range(said)]
    assert len(found) - said <= 1
