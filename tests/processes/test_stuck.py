"""What is neither dead nor at work is noticed and replaced, in a real server."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lockgate.store.ledger import Ledger
from lockgate.testing.server import Served, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

MANIFEST = """\
version: 1
models:
  work: {kind: function, call: "parts:work"}
services:
  work: {kind: predict, targets: [work], deadline: 1s}
"""
PARTS = """\
import time


def work(wait=0.0):
    time.sleep(wait)
    return {"waited": wait}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A sync function that takes as long as the caller says."""
    (tmp_path / "parts.py").write_text(PARTS)
    return tmp_path


def call(server: Served, wait: float = 0.0) -> int:
    """Call the service; give the status, 0 if the line was cut."""
    return _status(server, "POST", "/v1/services/work/predict", json.dumps({"wait": wait}))


def _status(server: Served, method: str, path: str, body: str | None = None) -> int:
    place = urlsplit(server.url)
    line = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    try:
        line.request(method, path, body, headers)
        return line.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        line.close()


def wait_until(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Poll until *true*, within bounds."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_runner_whose_threads_are_all_lost_is_replaced(project: Path) -> None:
    """Four calls that never return: not ready, then a new runner, and calls are answered again."""
    with served(project, MANIFEST) as server:
        for lost in range(4):
            assert call(server) == 200, f"{lost} threads are lost, and there are others"
            assert call(server, 3600.0) == 504
        assert _status(server, "GET", "/readyz") == 503
        wait_until(lambda: call(server) == 200, 15.0)
        assert _status(server, "GET", "/readyz") == 200
    said = (project / "serve.log").read_text()
    assert "runner work-0: 4 calls of work (parts:work) never came back" in said
    assert "runner work-0 ended with exit code 75; restarting now (1st time)" in said


def test_frozen_processes_are_replaced(project: Path) -> None:
    """SIGSTOP of worker, runner and steward: each has a successor, and calls are answered."""
    with served(project, MANIFEST) as server:
        assert call(server) == 200
        wait_until(lambda: Ledger(server.store).count() == 1)  # the steward is at work
        before = dict(server.children)
        for pid in before.values():
            os.kill(pid, signal.SIGSTOP)
        waiting = threading.Thread(target=call, args=(server,))
        waiting.start()
        wait_until(lambda: not set(before.values()) & set(server.children.values()), 90.0)
        wait_until(lambda: call(server) == 200)
        waiting.join()
    said = (project / "serve.log").read_text()
    for name in before:
        assert f"{name} has shown no sign of life for" in said
        assert f"{name} was killed (SIGKILL); restarting" in said


def test_a_model_that_keeps_the_interpreter_to_itself_is_left_alone(project: Path) -> None:
    """Long work that lets no other thread run, as large predictions may, is not taken for death."""
    hog = (
        "import re\n\n\ndef work(wait=0.0):\n"
        "    re.match('(a|a?)+$', 'a' * int(wait) + 'b')\n    return {'waited': wait}\n"
    )
    (project / "parts.py").write_text(hog)
    with served(project, MANIFEST) as server:
        runner = server.children["runner work-0"]
        assert call(server) == 200
        assert call(server, 40.0) == 504
        time.sleep(45.0)  # for what must not happen
        assert server.children["runner work-0"] == runner
