"""The journal: every finished call, appended to a file of the worker's own by one `write`.

A segment is a row of frames: length (u32, little endian), CRC-32 (u32, little endian) of the
payload, payload (an `Entry` in MessagePack). Its writer holds an exclusive `flock` for as long as
it lives; who gets the lock knows that the writer is gone. What is written survives a kill of the
process at any moment; it does not wait for the disk, so a power cut can cost the last seconds.

Reading: a frame that does not check out is skipped up to the next offset at which a whole frame
does, and counted as one damaged stretch. If none follows, it is the tail: perhaps still being
written, so reading stops before it. A tail cannot be longer than the largest frame, so what lies
further back is damage. Every read therefore ends, and never passes over a frame that checks out.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec

from lockgate.core.entry import Entry
from lockgate.core.errors import StoreError
from lockgate.core.exchange import Note

SUFFIX = ".seg"
SEGMENT_BYTES = 64 * 1024 * 1024
"""Size from which a writer goes on in a new segment."""
MAX_PAYLOAD = 256 * 1024
"""Largest payload of a frame; larger entries are kept without their details."""

_HEADER = struct.Struct("<II")
LARGEST_FRAME = _HEADER.size + MAX_PAYLOAD
_BIGGEST = (1 << 63) - 1
_LONGEST_TEXT = 1000
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


def frame(entry: Entry) -> bytes:
    """Give the frame that keeps *entry*."""
    try:
        payload = _encode(entry)
    except (UnicodeEncodeError, OverflowError):
        entry = _plain(entry)
        payload = _encode(entry)
    if len(payload) > MAX_PAYLOAD:
        payload = _encode(_short(entry, len(payload)))
    return _HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def _short(entry: Entry, size: int) -> Entry:
    """Give *entry* without its details, and with no more of its texts than fits."""
    note = Note("record", "trimmed", f"{size} bytes were too many for the journal")
    texts = {name: getattr(entry, name) for name in entry.__struct_fields__}
    clipped = {name: text[:_LONGEST_TEXT] for name, text in texts.items() if isinstance(text, str)}
    gone: dict[str, tuple[()]] = dict.fromkeys(("attempts", "verdicts", "marks", "laps"), ())
    return msgspec.structs.replace(entry, **clipped, **gone, trail=(note,))


def _plain(entry: Entry) -> Entry:
    """Give *entry* without lone surrogates and without numbers that no database takes."""
    return msgspec.convert(_plain_value(msgspec.to_builtins(entry)), Entry)


def _plain_value(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case bool() | float() | None:
            return value
        case int():
            return max(-_BIGGEST, min(value, _BIGGEST))
        case list() | tuple():
            return [_plain_value(part) for part in cast("Sequence[object]", value)]
        case _:
            parts = cast("Mapping[str, object]", value)
            return {name: _plain_value(part) for name, part in parts.items()}


class Journal:
    """Keeps finished calls in `<directory>/<name>-<random>.seg`; for one thread of one process.

    The random part makes a segment's name unique among nodes and for ever, which is what
    (segment, offset) as the identity of a call rests on.
    """

    def __init__(self, directory: Path, name: str, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Begin a segment.

        Raises:
            StoreError: The folder cannot be written to.
        """
        self._directory = directory
        self._name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
        self._segment_bytes = segment_bytes
        self._size = 0
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd, self.path = _begin(directory, self._name)
        except OSError as error:
            raise StoreError(f"cannot begin a journal in {directory}: {error.strerror}") from error

    def record(self, entry: Entry) -> None:
        """Keep *entry* so that a kill of this process cannot lose it: one `write`, no wait.

        Raises:
            StoreError: It could not be kept; the journal is as it was before.
        """
        if self._size >= self._segment_bytes:
            self._rotate()
        whole = frame(entry)
        try:
            written = os.write(self._fd, whole)
        except OSError as error:
            raise StoreError(f"cannot write the journal {self.path}: {error.strerror}") from error
        if written != len(whole):
            self._repair(written, len(whole))
        self._size += written

    def close(self) -> None:
        """End the segment; the steward may now take it away. Calling it again does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _rotate(self) -> None:
        """Go on in a new segment; if there can be none now, in the old one."""
        with suppress(OSError):
            begun, path = _begin(self._directory, self._name)
            os.close(self._fd)
            self._fd, self.path, self._size = begun, path, 0

    def _repair(self, written: int, wanted: int) -> None:
        """Take half a frame back, so that the next one stands where readers look for it."""
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._size += written  # readers skip the damage; a new segment leaves it behind
            self._rotate()
        raise StoreError(
            f"the journal {self.path} took {written} of {wanted} bytes: is the disk full?"
        )


def _begin(directory: Path, name: str) -> tuple[int, Path]:
    """Create a segment and lock it for as long as its descriptor is open."""
    while True:
        path = directory / f"{name}-{os.urandom(8).hex()}{SUFFIX}"
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _still_there(fd, path):
                return fd, path
        except OSError:
            os.close(fd)
            raise
        os.close(fd)


def _still_there(fd: int, path: Path) -> bool:
    """Say whether *path* is still our file: a steward may have tidied it up before the lock."""
    try:
        return os.fstat(fd).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


class Scan(msgspec.Struct, frozen=True):
    """What a stretch of a segment holds.

    Attributes:
        frames: Offset in the segment and entry of every whole frame, in order.
        end: Offset from which to read on.
        damaged: Stretches that were skipped.
    """

    frames: list[tuple[int, Entry]]
    end: int
    damaged: int


def read_frames(path: Path, offset: int) -> tuple[list[tuple[int, Entry]], int]:
    """Read every whole frame of the segment at *path* from *offset* on.

    Returns:
        The entries with their offsets, and the offset to read on from.

    Raises:
        StoreError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            found = scan(file.read(), offset)
    except OSError as error:
        raise StoreError(f"cannot read the journal {path}: {error.strerror}") from error
    return found.frames, found.end


def scan(stretch: bytes, base: int) -> Scan:
    """Find the frames in *stretch*, which begins at offset *base* of its segment."""
    frames: list[tuple[int, Entry]] = []
    at = damaged = 0
    while at < len(stretch):
        size = _frame_size(stretch, at)
        if size == 0:
            following = _next_frame(stretch, at + 1)
            if following is None:
                break
            at, damaged = following, damaged + 1
            continue
        entry = _entry(stretch, at, size)
        if entry is None:
            damaged += 1
        else:
            frames.append((base + at, entry))
        at += size
    beyond = len(stretch) - LARGEST_FRAME  # what begins before this can no longer become a frame
    if at < beyond:
        at, damaged = beyond, damaged + 1
    return Scan(frames, base + at, damaged)


def _frame_size(stretch: bytes, at: int) -> int:
    """Measure the frame at *at*, header included; 0 if there is no whole one."""
    if at + _HEADER.size > len(stretch):
        return 0
    length, checksum = _HEADER.unpack_from(stretch, at)
    begin, end = at + _HEADER.size, at + _HEADER.size + length
    if not 0 < length <= MAX_PAYLOAD or end > len(stretch):
        return 0
    return end - at if zlib.crc32(memoryview(stretch)[begin:end]) == checksum else 0


def _next_frame(stretch: bytes, at: int) -> int | None:
    for place in range(at, len(stretch) - _HEADER.size):
        if _frame_size(stretch, place):
            return place
    return None


def _entry(stretch: bytes, at: int, size: int) -> Entry | None:
    """Decode a frame that checks out; None if it is not an entry we know."""
    try:
        return _decode(memoryview(stretch)[at + _HEADER.size : at + size])
    except msgspec.DecodeError:
        return None
