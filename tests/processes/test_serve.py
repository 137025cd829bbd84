"""`lockgate serve` as a whole: it opens only if it may, survives accidents, and leaves nothing."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lockgate.processes.serving import Serving, recorded, running
from lockgate.store.engine import open_store
from lockgate.store.keys import Keys
from lockgate.testing.server import Served, served

MANIFEST = """\
version: 1
models:
  echo: {kind: function, call: "parts:echo"}
services:
  echo: {kind: predict, targets: [echo]}
"""
PARTS = """\
import asyncio


async def echo(value, wait=0.0):
    await asyncio.sleep(wait)
    return {"said": value}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A manifest with one function."""
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "lockgate.yaml").write_text(MANIFEST)
    return tmp_path


def serve(project: Path, *words: str, stderr: Any = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start `lockgate serve` on the project."""
    path = str(project / "lockgate.yaml")
    command = [sys.executable, "-m", "lockgate", "serve", "--manifest", path, *words]
    return subprocess.Popen(command, stderr=stderr, stdout=subprocess.DEVNULL, text=True)


def refused(project: Path, *words: str) -> tuple[int, str]:
    """Start a server that must not come up; give its exit code and what it said."""
    process = serve(project, *words)
    _, said = process.communicate(timeout=40)
    return process.returncode, said


def call(server: Served, value: str, wait: float = 0.0) -> tuple[int, Any]:
    """Call the service."""
    place = urlsplit(server.url)
    line = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    body = json.dumps({"value": value, "wait": wait})
    headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    try:
        line.request("POST", "/v1/services/echo/predict", body, headers)
        response = line.getresponse()
        return response.status, json.load(response)
    finally:
        line.close()


def gone(pid: int) -> bool:
    """Tell whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(true: Callable[[], object], seconds: float = 40.0) -> None:
    """Poll until *true*, within bounds."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


@contextmanager
def another(project: Path, *words: str) -> Generator[tuple[subprocess.Popen[str], Serving]]:
    """A server with options of its own, until the block ends."""
    with (project / "another.log").open("w") as log:
        process = serve(project, "--port", "0", *words, stderr=log)
        try:
            wait_until(lambda: process.poll() is not None or (running(project) or _NOT).ready)
            serving = running(project)
            assert serving is not None, (project / "another.log").read_text()
            yield process, serving
        finally:
            process.terminate()
            process.wait(40)


_NOT = Serving(pid=0, url="", run_dir="", started=0.0)


def test_each_killed_child_has_a_successor_and_calls_go_on(project: Path) -> None:
    """Kill -9 of worker, steward and runner: `run.json` names new ones, and calls are answered."""
    with served(project, MANIFEST) as server:
        assert call(server, "before") == (200, {"said": "before"})
        before = dict(server.children)
        assert set(before) == {"worker 0", "steward", "runner echo-0"}
        for name in before:
            assert server.send(name, signal.SIGKILL)
        wait_until(lambda: _all_new(server, before))
        wait_until(lambda: _answers(server))
    said = (project / "serve.log").read_text()
    for name in before:
        assert f"{name} was killed (SIGKILL); restarting now (1st time)" in said


def _all_new(server: Served, before: dict[str, int]) -> bool:
    now = server.children
    return now.keys() == before.keys() and all(now[name] != before[name] for name in now)


def _answers(server: Served) -> bool:
    try:
        return call(server, "after")[0] == 200
    except OSError:
        return False


def test_connections_wait_while_the_only_worker_is_replaced(project: Path) -> None:
    """A killed worker's queue is the server's: who connects meanwhile is answered by the next."""
    with served(project, MANIFEST) as server:
        place = urlsplit(server.url)
        os.kill(server.children["worker 0"], signal.SIGSTOP)
        with socket.create_connection((place.hostname, place.port), timeout=40) as line:
            line.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n")
            assert server.send("worker 0", signal.SIGKILL)
            assert line.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_killed_supervisor_leaves_no_process(project: Path) -> None:
    """Kill -9 of the supervisor: every child ends by itself, and the next server tidies up."""
    with served(project, MANIFEST) as server:
        pids = list(server.children.values())
        left = recorded(project)
        server.process.kill()
        server.process.wait()
        wait_until(lambda: all(gone(pid) for pid in pids))
        assert left is not None
        assert running(project) is None
    with served(project, MANIFEST) as server:
        assert call(server, "again")[0] == 200
        assert not Path(left.run_dir).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_calls_in_flight_are_finished_before_it_ends(project: Path, number: int) -> None:
    """SIGTERM and Ctrl-C: a slow call gets its answer, then everything is gone, exit 0."""
    with served(project, MANIFEST) as server:
        answers: list[tuple[int, Any]] = []
        caller = threading.Thread(target=lambda: answers.append(call(server, "slow", 1.5)))
        caller.start()
        wait_until(lambda: _in_flight(server))
        children, serving = dict(server.children), running(project)
        server.process.send_signal(number)
        caller.join(30)
        assert answers == [(200, {"said": "slow"})]
        assert server.process.wait(30) == 0
        assert all(gone(pid) for pid in children.values())
        assert serving is not None
        assert not Path(serving.run_dir).exists()
        assert recorded(project) is None
    assert "draining" in (project / "serve.log").read_text()


def _in_flight(server: Served) -> bool:
    """Say whether the worker has taken the connection of the slow call from the queue."""
    fds = Path(f"/proc/{server.children['worker 0']}/fd")
    port = f"{urlsplit(server.url).port:04X}"
    inodes = {
        fields[9]
        for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[1].endswith(f":{port}") and fields[3] == "01"
    }
    links = {str(fd.readlink()) for fd in fds.iterdir() if fd.is_symlink()}
    return any(f"socket:[{inode}]" in links for inode in inodes)


def test_two_workers_share_the_door(project: Path) -> None:
    """With `--workers 2` both are there, and calls are answered when either is killed."""
    with another(project, "--workers", "2") as (_, serving):
        store = open_store(f"sqlite:///{project / '.lockgate' / 'lockgate.db'}")
        key = Keys(store).create("tests").secret_text
        process = subprocess.Popen(["true"])
        process.wait()
        server = Served(project, serving.url, key, process, store)  # type: ignore[arg-type]
        assert {"worker 0", "worker 1"} <= server.children.keys()
        os.kill(server.children["worker 0"], signal.SIGSTOP)
        wait_until(lambda: _answers(server))
        os.kill(server.children["worker 0"], signal.SIGKILL)
        wait_until(lambda: _answers(server))
        store.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_does_not_wait_for_models_that_load(project: Path, workers: str) -> None:
    """While a runner is still loading, an interrupted server ends at once and leaves no process."""
    (project / "parts.py").write_text(PARTS + "\n\nimport time\n\ntime.sleep(600)\n")
    process = serve(project, "--port", "0", "--workers", workers)
    wait_until(lambda: len((running(project) or _NOT).children) == 2 + int(workers))
    serving = running(project)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5.0)
    assert process.returncode == 0
    assert serving is not None
    assert all(gone(pid) for pid in serving.children.values())


def test_a_taken_port_is_explained(project: Path) -> None:
    """The message names the port, who has it, and the setting; exit 1."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = refused(project, "--port", str(port))
    assert code == 1
    assert f"port {port} on 127.0.0.1 is taken by process {os.getpid()} (" in said
    assert "serve.port" in said
    assert "--port" in said


def test_other_machines_are_not_let_in_without_a_key(project: Path) -> None:
    """A non-loopback address is refused, with rule, setting and command, until a key exists."""
    code, said = refused(project, "--host", "0.0.0.0", "--port", "0")
    assert code == 4
    assert "serve.host" in said
    assert "lockgate key create --tenant" in said
    store = open_store(f"sqlite:///{project / '.lockgate' / 'lockgate.db'}")
    minted = Keys(store).create("tests")
    with another(project, "--host", "0.0.0.0") as (_, serving):
        assert serving.url.startswith("http://127.0.0.1:")
    Keys(store).revoke(minted.public_id)
    store.close()
    assert refused(project, "--host", "0.0.0.0", "--port", "0")[0] == 4


def test_one_folder_has_one_server(project: Path) -> None:
    """A second server of the same folder is told where the first one is; exit 1."""
    with another(project) as (first, serving):
        code, said = refused(project, "--port", "0")
        assert code == 1
        assert f"process {first.pid} at {serving.url}" in said
        assert first.poll() is None
        assert running(project) == serving


def test_a_wrong_manifest_is_said_before_anything_starts(project: Path) -> None:
    """Findings go to stderr with exit 2; no store is made."""
    (project / "lockgate.yaml").write_text(MANIFEST.replace("predict", "predit"))
    code, said = refused(project)
    assert code == 2
    assert "predit" in said
    assert not (project / ".lockgate").exists()


def test_a_store_out_of_reach_is_exit_five(project: Path) -> None:
    """A database that cannot be reached is named, and nothing is started."""
    url = "store: postgresql://nobody@127.0.0.1:1/none\n"
    (project / "lockgate.yaml").write_text(MANIFEST + url)
    code, said = refused(project)
    assert code == 5
    assert "postgresql://nobody@127.0.0.1:1/none" in said


def test_it_says_where_it_is_and_how_to_get_a_first_key(project: Path) -> None:
    """The greeting has the URL of each service, a curl line, and the command for a key."""
    with another(project) as (_, serving):
        pass
    said = (project / "another.log").read_text()
    assert f"POST {serving.url}/v1/services/echo/predict" in said
    assert f"curl {serving.url}/" in said
    assert "lockgate key create --tenant me" in said
    assert said.index("runner echo-0 is ready") < said.index("Lockgate serves 1 service on")


def test_an_idle_server_writes_nothing_and_hardly_works(project: Path) -> None:
    """Nobody calls: nothing is written to the disk, and all processes use < 1 % of a core."""
    with served(project, MANIFEST.replace("models:", "serve: {workers: 2}\nmodels:")) as server:
        pids = [server.process.pid, *server.children.values()]
        wait_until(lambda: _quiet(pids))
        before = _contents(project)
        written, used = [_written(pid) for pid in pids], sum(map(_used_ns, pids))
        time.sleep(3.0)  # the time that is looked at, not a wait for something
        assert sum(map(_used_ns, pids)) - used < 30_000_000
        assert [_written(pid) for pid in pids] == written
        assert _contents(project) == before


def _quiet(pids: list[int]) -> bool:
    written = [_written(pid) for pid in pids]
    time.sleep(0.5)
    return written == [_written(pid) for pid in pids]


def _used_ns(pid: int) -> int:
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads)


def _written(pid: int) -> str:
    return Path(f"/proc/{pid}/io").read_text().partition("write_bytes: ")[2].split()[0]


def _contents(project: Path) -> dict[str, int]:
    state = project / ".lockgate"
    return {str(path): path.stat().st_mtime_ns for path in state.rglob("*") if path.is_file()}
