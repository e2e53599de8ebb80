"""A worker in a process of its own, which is started again whenever it ends unasked."""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from adapters.child_process import die_with_parent
from domain.errors import RoutekeeperError
from service.settings import Settings

#: A worker that ends this often in a row, each time within as many seconds, is not started again.
_MOST_EARLY_ENDS = 5
_EARLY_SECONDS = 5.0
_PAUSE_SECONDS = 0.3


class WorkerKeepsEnding(RoutekeeperError):
    """The worker ends as soon as it is started."""


class WorkerProcess:
    """Keeps one worker process up; ``tell`` is given a sentence whenever one ends unasked.

    ``environment`` is what the worker gets beyond the variables of this process.
    """

    def __init__(
        self,
        settings: Settings,
        log_file: Path,
        tell: Callable[[str], None],
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        # Nobody else is there to follow the log.
        own = {"ROUTEKEEPER_DATA_DIR": str(settings.data_dir.absolute()), "ROUTEKEEPER_FOLLOW_LOG": "true"}
        self._environment = {**os.environ, **(environment or {}), **own}
        self._log_file = log_file
        self._tell = tell
        self._stop_seconds = settings.stop_grace_seconds * 2
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the worker that is up."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def kill(self) -> None:
        """End the worker at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()

    async def run(self) -> None:
        """Keep a worker up until cancelled, then let it finish. Raises :class:`WorkerKeepsEnding`."""
        loop = asyncio.get_running_loop()
        early_ends = 0
        try:
            while early_ends < _MOST_EARLY_ENDS:
                started = loop.time()
                self._process = await self._start()
                code = await self._process.wait()
                early_ends = early_ends + 1 if loop.time() - started < _EARLY_SECONDS and code > 0 else 0
                self._tell(f"The worker ended ({_how_it_ended(code)}); another one takes over.")
                await asyncio.sleep(_PAUSE_SECONDS)
            last_words = "\n".join(deque(self._log_file.read_text(errors="replace").splitlines(), maxlen=5))
            raise WorkerKeepsEnding(f"the worker ended {early_ends} times right after its start:\n{last_words}")
        finally:
            await asyncio.shield(self._end())

    async def _start(self) -> asyncio.subprocess.Process:
        with self._log_file.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "service",
                "worker",
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal goes to the whole group: the worker ends when it is told to, not before.
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )

    async def _end(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(self._stop_seconds):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def _how_it_ended(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
