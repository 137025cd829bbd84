"""`lockgate doctor`: every fault has a line of its own, with what mends it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lockgate.cli.doctor import NO, doctor
from lockgate.cli.examination import Check, Ground, Level, Line, examined, surveyed
from lockgate.processes import serving
from lockgate.store.engine import open_store
from lockgate.store.keys import Keys
from lockgate.store.migrate import migrate

MANIFEST = """\
version: 1
serve: {port: 0}
models:
  rule: {kind: function, call: "parts:rule"}
services:
  rule: {kind: predict, targets: [rule]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in order: a manifest, its function, a store with a key."""
    (tmp_path / "parts.py").write_text("def rule(value):\n    return value\n")
    (tmp_path / "lockgate.yaml").write_text(MANIFEST)
    store = open_store(f"sqlite:///{tmp_path / '.lockgate' / 'lockgate.db'}")
    migrate(store)
    Keys(store).create("tests")
    store.close()
    return tmp_path


class Room(NamedTuple):
    """What is left on a disk."""

    free: int


class Doctor:
    """Runs `doctor --json` and keeps what it says."""

    def __init__(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.code = doctor(manifest=project / "lockgate.yaml", as_json=True)
        self.lines = [Line(**line) for line in json.loads(capsys.readouterr().out)]

    def faults(self) -> dict[str, Line]:
        """Give what is not ok, by the check's name."""
        return {line.check: line for line in self.lines if line.level != Level.OK}


def edit(project: Path, old: str, new: str) -> None:
    """Change the manifest."""
    path = project / "lockgate.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_project_in_order_passes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With nothing wrong every line is ok, and the exit code is 0."""
    before = sorted(path for path in project.rglob("*") if ".doctor" not in path.name)
    it = Doctor(project, capsys)
    assert it.faults() == {}
    assert it.code == 0
    assert {line.check for line in it.lines} >= {"python", "sqlite", "store", "keys", "port"}
    after = {path for path in project.rglob("*") if "__pycache__" not in path.parts}
    assert after - {
        Path(f"{project}/.lockgate/lockgate.db-{end}") for end in ("wal", "shm")
    } <= set(before)


def test_a_project_that_never_ran_is_told_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No store and no key yet: warnings with the commands, no failure, nothing made."""
    (tmp_path / "parts.py").write_text("def rule(value):\n    return value\n")
    (tmp_path / "lockgate.yaml").write_text(MANIFEST)
    it = Doctor(tmp_path, capsys)
    assert it.code == 0
    faults = it.faults()
    assert set(faults) == {"store", "keys"}
    assert "lockgate serve" in faults["store"].mend
    assert faults["keys"].mend == "lockgate key create --tenant NAME"
    assert not (tmp_path / ".lockgate").exists()


def test_every_finding_in_the_manifest_has_a_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong manifest fails with places; the machine is still looked at."""
    edit(project, "kind: predict", "kind: predit, dedline: 3s")
    it = Doctor(project, capsys)
    wrong = [line for line in it.lines if line.check == "manifest"]
    assert it.code == NO
    assert [line.level for line in wrong] == [Level.FAIL, Level.FAIL]
    assert all("lockgate.yaml:6:" in line.said for line in wrong)
    assert "python" in {line.check for line in it.lines}


def test_a_missing_project_is_no_crash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a manifest the line says how to get one."""
    it = Doctor(tmp_path / "nowhere", capsys)
    assert it.code == NO
    assert "lockgate init" in it.faults()["manifest"].mend


def test_a_store_that_cannot_be_reached_hides_nothing_else(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Store, keys and journal each say so; port and models are still looked at."""
    edit(project, "version: 1", "version: 1\nstore: postgresql://nobody@127.0.0.1:1/none")
    it = Doctor(project, capsys)
    assert it.code == NO
    assert {"store", "keys", "journal"} <= set(it.faults())
    assert {"port", "models", "exposure"} <= {line.check for line in it.lines}


def test_a_taken_port_names_who_has_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The port's line names the process that listens there."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        edit(project, "port: 0", f"port: {other.getsockname()[1]}")
        it = Doctor(project, capsys)
    assert it.code == NO
    assert f"process {os.getpid()} (" in it.faults()["port"].said
    assert it.faults()["port"].mend.startswith("lockgate serve --port ")


def test_our_own_server_on_the_port_is_fine(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `run.json` says is taken for ours as long as its process lives."""
    ours = serving.Serving(pid=os.getpid(), url="http://127.0.0.1:1", run_dir="-", started=0.0)
    serving.write(project, ours)
    it = Doctor(project, capsys)
    assert it.faults() == {}
    assert any("http://127.0.0.1:1" in line.said for line in it.lines if line.check == "port")


def test_an_open_door_without_a_key_fails(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Listening for other machines needs a key; with one there is still a warning."""
    edit(project, "port: 0", "port: 0, host: 0.0.0.0")
    it = Doctor(project, capsys)
    assert it.faults()["exposure"].level == Level.WARN
    (project / ".lockgate" / "lockgate.db").unlink()
    it = Doctor(project, capsys)
    assert it.faults()["exposure"].level == Level.FAIL
    assert it.code == NO


def test_secrets_are_looked_for_and_never_shown(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing secret fails with its reference; one that is there is not printed."""
    model = "  far: {kind: openai, url: 'http://far/v1', model: m, key: {env: FAR_KEY}}\n"
    edit(project, "services:", model + "services:")
    edit(project, "targets: [rule]", "targets: [rule, far]")
    monkeypatch.delenv("FAR_KEY", raising=False)
    it = Doctor(project, capsys)
    assert it.code == NO
    assert it.faults()["secrets"].mend == "export FAR_KEY=…"
    monkeypatch.setenv("FAR_KEY", "hush-hush")
    it = Doctor(project, capsys)
    assert "secrets" not in it.faults()
    assert not any("hush-hush" in line.said for line in it.lines)


def test_a_model_without_a_digest_is_pointed_out(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model file that could be swapped unnoticed is a warning; a wrong digest a failure."""
    (project / "m.gguf").write_bytes(b"GGUF")
    edit(project, "services:", "  big: {kind: llama, file: m.gguf}\nservices:")
    edit(project, "targets: [rule]", "targets: [rule, big]")
    assert "models.big.sha256" in Doctor(project, capsys).faults()["models"].mend
    edit(project, "m.gguf}", f"m.gguf, sha256: {'0' * 64}}}")
    it = Doctor(project, capsys)
    assert it.code == NO
    assert "LG1108" in it.faults()["manifest"].said


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.EROFS, "mount it writable"), (errno.EACCES, "chown")]
)
def test_a_folder_that_cannot_be_written_to(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    advice: str,
) -> None:
    """What helps depends on why: on a read-only mount another owner does not."""

    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    fault = Doctor(project, capsys).faults()["state folder"]
    assert os.strerror(number) in fault.said
    assert advice in fault.mend


def test_little_room_is_said_in_megabytes(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A size below a gigabyte is not rounded to nothing."""

    def room(_: Path) -> Room:
        return Room(12_300_000)

    monkeypatch.setattr(shutil, "disk_usage", room)
    assert "only 12 MB free" in Doctor(project, capsys).faults()["disk"].said


def test_a_journal_that_piles_up_is_a_warning(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Many calls that the ledger does not have yet are pointed out."""
    folder = project / ".lockgate" / "journal"
    folder.mkdir()
    with (folder / "worker-0-0123456789abcdef.seg").open("wb") as segment:
        segment.truncate(100_000_000)
    assert "100.0 MB" in Doctor(project, capsys).faults()["journal"].said


def test_people_get_the_same_with_an_arrow(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The printed form has one line for each check and a mend below each fault."""
    edit(project, "port: 0", "port: 0, host: 0.0.0.0")
    doctor(manifest=project / "lockgate.yaml")
    out = capsys.readouterr().out
    assert "warn  exposure" in out
    assert "→ put a TLS proxy in front" in out
    assert out.rstrip().endswith("1 warn, 0 fail")


def test_a_check_that_breaks_or_hangs_is_a_line_too(project: Path) -> None:
    """Neither an unexpected error nor a frozen database stops the examination."""
    import threading

    def broken(_: Ground) -> Iterator[Line]:
        yield Line("x", Level.OK, "so far")
        raise RuntimeError("oops")

    def frozen(_: Ground) -> Iterator[Line]:
        threading.Event().wait()
        yield Line("x", Level.OK, "never")

    ground = surveyed(project / "lockgate.yaml", None, os.environ)
    assert "RuntimeError: oops" in examined(Check("x", broken), ground)[0].said
    assert examined(Check("x", frozen), ground, patience=0.1)[0].level is Level.FAIL
