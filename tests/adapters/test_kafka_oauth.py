"""Tokens for Kafka come from a real token endpoint, are kept, renewed in time, and never shown."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.oauth import ClientCredentialsTokens, OAuthClient, TokenRefused, TokenUnavailable
from adapters.kafka.security import KafkaSecurity
from adapters.kafka.topics import KafkaRefusesUs, Topics, ensure_topics
from adapters.secrets import FieldInvalid
from tests.app_proxy_support import Answer, never_answers, response, says, server_answering, trickles
from tests.sasl_servers import BearerExchange
from tests.secured_kafka import secured_broker

SECRET = "canary-9/+ %"


def granted(token: str = "token-1", **more: object) -> bytes:
    return response("200 OK", json.dumps({"access_token": token, "token_type": "Bearer", **more}).encode())


class TokenEndpoint:
    """Gives a new token for every request that shows who asks."""

    def __init__(self, *, lifetime: float = 100.0) -> None:
        self.forms: list[dict[str, list[str]]] = []
        self.lifetime = lifetime
        self.is_up = True

    async def answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        head, _, body = request.decode().partition("\r\n\r\n")
        self.forms.append(parse_qs(body))
        basic = base64.b64encode(b"routekeeper:canary-9%2F%2B+%25").decode()
        if not self.is_up:
            writer.write(response("503 Service Unavailable", b""))
        elif f"Basic {basic}" in head:
            writer.write(granted(f"token-{len(self.forms)}", expires_in=self.lifetime))
        else:
            writer.write(response("401 Unauthorized", b'{"error": "invalid_client"}'))
        await writer.drain()


def client_of(address: str, **more: object) -> OAuthClient:
    fields: dict[str, object] = {"client_id": "routekeeper", "client_secret": SecretStr(SECRET), **more}
    return OAuthClient(token_url=f"http://{address}/token", **fields)  # type: ignore[arg-type] # fields of the test


@asynccontextmanager
async def tokens(
    answer: Answer, *, clock: Callable[[], float] = lambda: 0.0, **more: object
) -> AsyncIterator[ClientCredentialsTokens]:
    async with server_answering(answer) as address:
        yield ClientCredentialsTokens(client_of(address, **more), clock=clock)


async def test_a_token_is_asked_for_once_by_the_client_credentials_grant() -> None:
    """Connections that are made at the same time share it."""
    endpoint = TokenEndpoint()
    async with tokens(endpoint.answer, scope="kafka read") as provider:
        given = await asyncio.gather(*(provider.token() for _ in range(5)))

    assert given == ["token-1"] * 5
    assert endpoint.forms == [{"grant_type": ["client_credentials"], "scope": ["kafka read"]}]


async def test_a_token_is_renewed_before_it_expires() -> None:
    endpoint, now = TokenEndpoint(lifetime=100), [0.0]
    async with tokens(endpoint.answer, clock=lambda: now[0]) as provider:
        given = []
        for now[0] in (0.0, 79.0, 81.0, 100.0):
            given.append(await provider.token())

    assert given == ["token-1", "token-1", "token-2", "token-2"]


async def test_while_the_endpoint_is_down_a_token_serves_until_it_expires() -> None:
    endpoint, now = TokenEndpoint(lifetime=100), [0.0]
    async with tokens(endpoint.answer, clock=lambda: now[0]) as provider:
        await provider.token()
        endpoint.is_up, now[0] = False, 99.0
        assert await provider.token() == "token-1"
        now[0] = 100.0
        with pytest.raises(TokenUnavailable, match="answered 503"):
            await provider.token()


async def test_a_secret_by_file_may_be_replaced(tmp_path: Path) -> None:
    """It is read for each token anew."""
    file, now = tmp_path / "secret", [0.0]
    file.write_text("old")
    async with tokens(
        TokenEndpoint().answer, clock=lambda: now[0], client_secret=None, client_secret_file=file
    ) as provider:
        with pytest.raises(TokenRefused, match="answered 401 invalid_client"):
            await provider.token()
        file.write_text(f"{SECRET}\n")
        assert await provider.token() == "token-2"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says(response("302 Found", b"", "Location: http://127.0.0.1:1/")), "answered 302"),
        (says(response("200 OK", b"x" * 5000)), "over 4096 bytes"),
        (says(response("200 OK", b"<html>")), "Invalid JSON"),
        (says(response("200 OK", b"{}")), "access_token: Field required"),
        (says(granted("a\x01b")), "access_token: holds what Kafka cannot be sent"),
        (says(response("500 Oops", json.dumps({"error": f"no {SECRET}"}).encode())), r"answered 500 no \*\*\*"),
        (says(b""), "RemoteProtocolError"),
        (never_answers, "no answer within 2 s"),
        (trickles, "no answer within 2 s|over 4096"),
    ],
)
async def test_what_is_no_token_is_an_error_that_shows_no_secret(answer: Answer, said: str) -> None:
    async with tokens(answer, timeout_seconds=2.0, max_body_bytes=4096) as provider:
        with pytest.raises(TokenUnavailable, match=said) as failed:
            await provider.token()

    assert SECRET not in str(failed.value)
    assert failed.value.__cause__ is None


@pytest.mark.parametrize("url", ["http://idp.example/token", "ftp://127.0.0.1/", "https://me:pw@idp.example/", "idp"])
def test_a_secret_is_sent_to_no_address_that_does_not_protect_it(url: str) -> None:
    with pytest.raises(FieldInvalid, match=r"is not https|holds an @"):
        OAuthClient(token_url=url)


async def test_kafka_lets_in_who_shows_a_token_and_nobody_else(tmp_path: Path) -> None:
    endpoint = TokenEndpoint()
    async with server_answering(endpoint.answer) as address:
        security = KafkaSecurity(protocol="SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER", oauth=client_of(address))
        known = {f"token-{number}": "routekeeper" for number in range(1, 20)}
        mechanisms = {"OAUTHBEARER": lambda: BearerExchange(known)}
        async with secured_broker(tmp_path, security, mechanisms=mechanisms) as gate:
            kafka = KafkaConnection(bootstrap_servers=gate.address, security=security)
            await ensure_topics(kafka, Topics())
            assert set(gate.principals) == {"routekeeper"}

            known.clear()
            with pytest.raises(KafkaRefusesUs, match="authentication failed"):
                await ensure_topics(kafka, Topics())
