"""Reference part: the endpoints that the reference proxy holds."""

import heapq
import os
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, ConfigDict, TypeAdapter


class PortTaken(Exception):
    """The wanted port belongs to another circuit."""


class PortsExhausted(Exception):
    """Every port of the range belongs to a circuit."""


class Circuit(BaseModel):
    """One registered endpoint and the port that it is reached at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint_id: UUID
    service_name: str
    port: int
    url: str
    health_check_enabled: bool
    open_to_public: bool


_CIRCUITS = TypeAdapter(list[Circuit])


class CircuitTable:
    """The circuits by endpoint id, optionally kept in a JSON file so that a killed process finds them again.

    Args:
        host: The worker's host, which endpoint URLs begin with.
        ports: The ports that circuits are given, lowest first.
        state_file: Where the circuits are kept; without it they live as long as this object.

    Raises:
        ValueError: ``state_file`` exists and holds something else.
        OSError: ``state_file`` exists and cannot be read.
    """

    def __init__(self, *, host: str, ports: range, state_file: Path | None = None) -> None:
        self._host = host
        self._ports = ports
        self._state_file = state_file
        self._by_id: dict[UUID, Circuit] = {}
        if state_file is not None and state_file.exists():
            self._by_id = {c.endpoint_id: c for c in _CIRCUITS.validate_json(state_file.read_bytes())}
        self._taken = {circuit.port for circuit in self._by_id.values()}
        self._free = [port for port in ports if port not in self._taken]

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, endpoint_id: UUID) -> Circuit | None:
        return self._by_id.get(endpoint_id)

    def all(self) -> list[Circuit]:
        """Give the circuits in the order of their creation."""
        return list(self._by_id.values())

    def port_for(self, existing_url: str | None) -> int | None:
        """Give the port that ``existing_url`` asks for, or ``None`` if it is not one of this proxy's."""
        prefix = f"http://{self._host}:"
        if existing_url is None or not existing_url.startswith(prefix):
            return None
        port = existing_url.removeprefix(prefix).partition("/")[0]
        return int(port) if port.isdigit() and int(port) in self._ports else None

    def is_taken(self, port: int) -> bool:
        return port in self._taken

    def add(
        self, endpoint_id: UUID, *, service_name: str, open_to_public: bool, health_check: bool, port: int | None
    ) -> Circuit:
        """Make a circuit at ``port``, or at the lowest free one.

        Raises:
            PortTaken: ``port`` belongs to another circuit.
            PortsExhausted: No port is free.
        """
        if port is not None and port in self._taken:
            raise PortTaken
        chosen = self._lowest_free() if port is None else port
        circuit = Circuit(
            endpoint_id=endpoint_id,
            service_name=service_name,
            port=chosen,
            url=f"http://{self._host}:{chosen}/",
            health_check_enabled=health_check,
            open_to_public=open_to_public,
        )
        self._taken.add(chosen)
        self._store(circuit)
        return circuit

    def set_health_check(self, circuit: Circuit, *, enabled: bool) -> Circuit:
        """Change the one thing that a repeated create changes."""
        changed = circuit.model_copy(update={"health_check_enabled": enabled})
        self._store(changed)
        return changed

    def remove(self, endpoint_id: UUID) -> bool:
        """Remove a circuit and say whether there was one."""
        circuit = self._by_id.pop(endpoint_id, None)
        if circuit is None:
            return False
        self._release(circuit.port)
        self._save()
        return True

    def clear(self) -> None:
        """Forget all circuits, as a proxy does that lost its database."""
        for circuit in self._by_id.values():
            self._release(circuit.port)
        self._by_id.clear()
        self._save()

    def _lowest_free(self) -> int:
        while self._free:
            port = heapq.heappop(self._free)
            if port not in self._taken:  # it may have been given away by name since
                return port
        raise PortsExhausted

    def _release(self, port: int) -> None:
        self._taken.discard(port)
        heapq.heappush(self._free, port)

    def _store(self, circuit: Circuit) -> None:
        self._by_id[circuit.endpoint_id] = circuit
        self._save()

    def _save(self) -> None:
        if self._state_file is not None:
            _replace(self._state_file, self._by_id.values())


def _replace(state_file: Path, circuits: Iterable[Circuit]) -> None:
    """Write the whole file beside the old one and put it in its place: a kill leaves the one or the other."""
    beside = state_file.with_name(f"{state_file.name}.new")
    beside.write_bytes(_CIRCUITS.dump_json(list(circuits), indent=1))
    os.replace(beside, state_file)  # noqa: PTH105 - the atomic replacement is the point, said by its own name
