"""A server on a socket that speaks as much of Prometheus' HTTP API as instant queries need."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.app_proxy_support import response, server_answering

AT = 1_772_366_400.25


def scalar(value: str) -> dict[str, Any]:
    """The data of a scalar."""
    return {"resultType": "scalar", "result": [AT, value]}


def vector(*elements: tuple[Mapping[str, str], str]) -> dict[str, Any]:
    """The data of a vector of labels with their value."""
    return {"resultType": "vector", "result": [{"metric": labels, "value": [AT, value]} for labels, value in elements]}


def success(data: Mapping[str, Any], *warnings: str) -> bytes:
    """A whole response with data."""
    document = {"status": "success", "data": data, **({"warnings": list(warnings)} if warnings else {})}
    return response("200 OK", json.dumps(document).encode(), "Content-Type: application/json")


def failure(status: str, kind: str, reason: str) -> bytes:
    """A whole response that says what was wrong."""
    document = {"status": "error", "errorType": kind, "error": reason}
    return response(status, json.dumps(document).encode(), "Content-Type: application/json")


@dataclass
class PrometheusServer:
    """Answers queries by what ``answers`` holds for them; ``asked`` is how they came."""

    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    takes_post: bool = True
    address: str = ""

    async def answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        """Serve one request."""
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        parameters = parse_qs(body.decode() if method == "POST" else urlsplit(target).query)
        (query,) = parameters["query"]
        self.asked.append((f"{method} {urlsplit(target).path}", query, headers))
        if method == "POST" and not self.takes_post:
            writer.write(response("405 Method Not Allowed", b"no"))
        else:
            writer.write(self.answers.get(query, failure("400 Bad Request", "bad_data", f"unknown query {query}")))
        await writer.drain()


@asynccontextmanager
async def prometheus_server(**answers: bytes) -> AsyncIterator[PrometheusServer]:
    """Serve until the end of the block."""
    server = PrometheusServer(answers)
    async with server_answering(server.answer) as address:
        server.address = f"http://{address}"
        yield server
