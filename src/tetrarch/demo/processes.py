"""The demo's child processes: start, kill, restart, stop. Their output goes to log files."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tetrarch.errors import OperatorError

STOP_WAIT_S = 5.0


class DemoProcessDied(OperatorError):
    """A process of the demo ended by itself."""

    code = "demo_process_died"
    exit_code = 70
    mend = "read the named log file"


@dataclass(slots=True)
class Child:
    """One command that may run several times, one at a time."""

    name: str
    arguments: tuple[str, ...]
    log_path: Path
    module: str = "tetrarch"
    process: asyncio.subprocess.Process | None = None
    killed: bool = field(default=False)  # on purpose, by the plan or a key

    @property
    def is_alive(self) -> bool:
        """Whether it runs now."""
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Run ``python -m MODULE ...``; what it prints is appended to the log file."""
        self.killed = False
        with self.log_path.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.module,
                *self.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    async def kill(self) -> None:
        """SIGKILL: no chance to tidy up, as when power fails."""
        if self.process is not None and self.is_alive:
            self.killed = True
            self.process.kill()
            await self.process.wait()

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after a while."""
        if self.process is None or not self.is_alive:
            return
        self.killed = True
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_WAIT_S):
                await self.process.wait()
                return
        await self.kill()

    async def finish(self) -> None:
        """Wait until it ends by itself.

        Raises:
            DemoProcessDied: with an exit code other than 0.
        """
        if self.process is not None and await self.process.wait() != 0:
            self.check()

    def check(self) -> None:
        """Raise when it ended although nobody asked for it."""
        if self.process is not None and not self.is_alive and not self.killed:
            raise DemoProcessDied(
                "run demo",
                process=self.name,
                exit_code=self.process.returncode,
                log=self.log_path,
                last_line=_last_line(self.log_path),
            )


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else ""


def free_ports(count: int) -> list[int]:
    """``count`` distinct free TCP ports on the loopback interface."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
