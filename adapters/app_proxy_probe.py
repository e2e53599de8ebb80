"""Asks an app proxy something harmless, to see whether calls to it would work."""

import json
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from uuid import uuid4

import httpx

from handlers.app_proxy import TOKEN_HEADER
from handlers.proxy_address import proxy_base_url

_MAX_BODY_BYTES = 64 * 1024
#: What the proxy calls an endpoint that it does not have.
_NOT_FOUND = "agent_read_not-found"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeAnswer:
    """What the proxy answered: ``status``, whether it ``knows_us``, and its clock if it tells."""

    status: int
    knows_us: bool
    clock: datetime | None


async def probe(address: str, token: str, *, ca_file: Path | None, seconds: float) -> ProbeAnswer:
    """Ask the proxy to remove an endpoint that nobody has, which changes nothing.

    Raises :class:`httpx.HTTPError`, and ``OSError`` for a ``ca_file`` that cannot be used.
    """
    context = (
        httpx.create_ssl_context(trust_env=False)
        if ca_file is None
        else ssl.create_default_context(cafile=str(ca_file))
    )
    headers = {TOKEN_HEADER: token, "Accept": "application/json", "Accept-Encoding": "identity"}
    url = f"{proxy_base_url(address)}/v2/endpoints/{uuid4()}"
    async with (
        httpx.AsyncClient(verify=context, follow_redirects=False, trust_env=False) as client,
        client.stream("DELETE", url, headers=headers, timeout=seconds) as response,
    ):
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                break
        is_its_own = response.status_code == httpx.codes.NOT_FOUND and _error_code(bytes(body)) == _NOT_FOUND
        return ProbeAnswer(
            status=response.status_code,
            knows_us=response.is_success or is_its_own,
            clock=_moment(response.headers.get("date", "")),
        )


def _error_code(body: bytes) -> object:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed.get("error_code") if isinstance(parsed, dict) else None


def _moment(date: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
