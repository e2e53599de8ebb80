"""The parts that Routekeeper brings itself where none are named: their addresses, for whoever comes next.

A file in the data folder says which embedded parts are up, so that a worker that is started again, or a command line
in another terminal, finds them.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

#: The name of the file in the data folder.
_FILE = "embedded.json"


class EmbeddedProxy(BaseModel):
    """A reference proxy for the scaling groups ``groups``; the token is one that only protects a demonstration."""

    model_config = ConfigDict(frozen=True)

    address: str
    token: str = Field(repr=False)
    groups: tuple[str, ...]


class EmbeddedParts(BaseModel):
    """What is up: a broker with its ``incarnation``, in process ``broker_pid``, and perhaps a proxy.

    A broker that is not supervised is ended by the last worker that used it.
    """

    model_config = ConfigDict(frozen=True)

    broker_address: str
    broker_incarnation: str
    broker_pid: int
    is_supervised: bool
    proxy: EmbeddedProxy | None = None

    def is_alive(self) -> bool:
        """Whether the broker's process still runs, and no other has come to its number since."""
        processes = Path("/proc")
        if not processes.is_dir():
            return _exists(self.broker_pid)
        try:
            command = (processes / str(self.broker_pid) / "cmdline").read_bytes()
        except OSError:
            return False
        return self.broker_incarnation.encode() in command


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def find_embedded(data_dir: Path) -> EmbeddedParts | None:
    """The embedded parts that are up, if any."""
    try:
        parts = EmbeddedParts.model_validate_json((data_dir / _FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return parts if parts.is_alive() else None


def announce_embedded(data_dir: Path, parts: EmbeddedParts) -> None:
    """Write down what is up, in one step, so that nobody reads half of it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    draft = data_dir / f"{_FILE}.{os.getpid()}"
    draft.touch(mode=0o600)
    draft.write_text(parts.model_dump_json(indent=2))
    draft.replace(data_dir / _FILE)


def withdraw_embedded(data_dir: Path) -> None:
    """Nothing is up any more."""
    (data_dir / _FILE).unlink(missing_ok=True)
