"""The demo's server: the real `lockgate serve`, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path

from lockgate.demo.project import DemoUnavailable
from lockgate.processes.serve import LIFELINE
from lockgate.processes.serving import running

START_S = 60.0


class Server:
    """Runs `lockgate serve` on *manifest*; what it says goes to *say*, line by line.

    Its stdin is a pipe from this process, its lifeline: it ends as well if this process is killed.
    """

    def __init__(self, manifest: Path, port: int, say: Callable[[str], None]) -> None:
        self._manifest = manifest
        self._port = port
        self._say = say
        self._process: Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._said: list[str] = []

    async def start(self) -> str:
        """Start it; give its URL once it takes calls.

        Raises:
            DemoUnavailable: It ended, or was not ready within a minute; with its own words.
        """
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "lockgate",
            "serve",
            "--manifest",
            str(self._manifest),
            "--port",
            str(self._port),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, LIFELINE: "stdin"},
            start_new_session=True,  # Ctrl-C is for the demo, which then ends the server in order
        )
        self._listener = asyncio.create_task(self._listen(self._process))
        for _ in range(int(START_S / 0.05)):
            serving = running(self._manifest.parent)
            if serving is not None and serving.ready and serving.pid == self._process.pid:
                return serving.url
            if self._process.returncode is not None:
                break
            await asyncio.sleep(0.05)
        await self.stop()  # hear it out first
        raise DemoUnavailable("the server did not start:\n" + "\n".join(self._said[-20:]))

    async def wait(self) -> None:
        """Wait until the server ends by itself."""
        assert self._process is not None
        await self._process.wait()

    async def stop(self) -> None:
        """Have it drain and end, if it was started; cancelled meanwhile, have it end at once."""
        if self._process is None:
            return
        self._terminate(self._process)
        try:
            await self._process.wait()
        except asyncio.CancelledError:
            self._terminate(self._process)  # told a second time it does not wait for calls
            await self._process.wait()
            raise
        if self._listener is not None:
            await self._listener

    def _terminate(self, process: Process) -> None:
        if process.returncode is None:
            process.terminate()

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            text = line.decode("utf-8", "replace").rstrip()
            self._said.append(text)
            self._say(text)
