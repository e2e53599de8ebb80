"""Tokens for SASL/OAUTHBEARER, from an OAuth 2.0 token endpoint by the client-credentials grant.

::

    TokenUnavailable        there is no token now
     └── TokenRefused       the endpoint will not give one to this client
"""

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote_plus, urlsplit

import httpx
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError
from pydantic import BaseModel, Field, SecretStr, ValidationError

from adapters.http_errors import words_of
from adapters.secrets import FieldInvalid, SecretUnreadable, exactly_one, read_secret

#: Most characters of the endpoint's own words in an error message.
_MAX_REPEATED: Final = 100
#: Part of a token's life after which it is renewed (ratio).
_RENEW_AT: Final = 0.8
#: What a token lives that does not say how long (seconds).
_UNTOLD_LIFETIME: Final = 60.0

_CLIENT_ERRORS: Final = range(400, 500)
_TOO_MANY_REQUESTS: Final = 429


class TokenUnavailable(KafkaError):  # type: ignore[misc] # aiokafka has no types
    """There is no token now; to aiokafka a broker that cannot be reached, so it tries again."""


class TokenRefused(TokenUnavailable):
    """The endpoint will not give a token to this client, however often it is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """Who we are to an OAuth 2.0 token endpoint, for the mechanism OAUTHBEARER.

    ``token_url``: https, or http on this machine. ``client_secret`` or ``client_secret_file``: one of the two.
    ``scope``: what to ask for, several separated by blanks. ``ca_file``: what the endpoint's certificate is checked
    against (unset: the system's). ``timeout_seconds`` bounds a whole request, ``max_body_bytes`` its answer.
    """

    token_url: str | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    client_secret_file: Path | None = None
    scope: str | None = None
    ca_file: Path | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    max_body_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024

    def __post_init__(self) -> None:
        """Raise :class:`FieldInvalid` for an address that a secret must not be sent to."""
        if self.token_url is not None and "@" in self.token_url:
            raise FieldInvalid("token_url", "holds an @: credentials go into client_id and client_secret")
        if self.token_url is not None and not _is_safe(self.token_url):
            raise FieldInvalid("token_url", f"{self.token_url!r} is not https, nor http on this machine")

    @property
    def is_set(self) -> bool:
        """Whether anything of it was set that says who we are."""
        return any((self.token_url, self.client_id, self.client_secret, self.client_secret_file, self.scope))

    def check_complete(self) -> None:
        """Raise :class:`FieldInvalid` where something is missing."""
        for field in ("token_url", "client_id"):
            if not getattr(self, field):
                raise FieldInvalid(field, "is unset, and mechanism OAUTHBEARER needs it")
        exactly_one("client_secret", self.client_secret, self.client_secret_file, because="mechanism OAUTHBEARER")


class ClientCredentialsTokens(AbstractTokenProvider):  # type: ignore[misc] # aiokafka has no types
    """Gets tokens, and keeps each until shortly before it expires. ``clock`` gives seconds from any beginning."""

    def __init__(self, client: OAuthClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        client.check_complete()
        self._client = client
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = SecretStr("")
        self._renew_at = self._expires_at = float("-inf")

    async def token(self) -> str:
        """A token that is valid. Raises :class:`TokenUnavailable`."""
        async with self._lock:
            if self._clock() >= self._renew_at:
                try:
                    await self._renew()
                except TokenUnavailable:
                    if self._clock() >= self._expires_at:
                        raise
            return self._token.get_secret_value()

    async def _renew(self) -> None:
        asked_at = self._clock()
        answer = await _request_token(self._client)
        self._token = answer.access_token
        self._renew_at = asked_at + answer.expires_in * _RENEW_AT
        self._expires_at = asked_at + answer.expires_in


class _TokenAnswer(BaseModel):
    access_token: Annotated[SecretStr, Field(min_length=1)]
    expires_in: Annotated[float, Field(gt=0)] = _UNTOLD_LIFETIME


class _Problem(BaseModel):
    error: Annotated[str, Field(pattern=r"^[\x20-\x7e]*$")] = ""


async def _request_token(client: OAuthClient) -> _TokenAnswer:
    try:
        secret = read_secret("client_secret", client.client_secret, client.client_secret_file)
    except SecretUnreadable as error:
        raise TokenUnavailable(str(error)) from None
    # Encoded before they are joined, as RFC 6749 section 2.3.1 has it.
    auth = httpx.BasicAuth(quote_plus(client.client_id or ""), quote_plus(secret))
    form = {"grant_type": "client_credentials", **({"scope": client.scope} if client.scope else {})}
    url = client.token_url or ""
    try:
        async with asyncio.timeout(client.timeout_seconds):
            status, body = await _post(url, form, auth, client)
    except TimeoutError:
        raise TokenUnavailable(f"token endpoint {url}: no answer within {client.timeout_seconds:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        # Without its cause: httpx's frames hold the headers, and with them the secret.
        raise TokenUnavailable(f"token endpoint {url}: {words_of(error)}") from None
    if status != httpx.codes.OK:
        refused = status in _CLIENT_ERRORS and status != _TOO_MANY_REQUESTS
        raise (TokenRefused if refused else TokenUnavailable)(
            f"token endpoint {url}: answered {status} {_error_code(body, secret)}".rstrip()
        )
    return _understood(body, url)


async def _post(url: str, form: dict[str, str], auth: httpx.BasicAuth, client: OAuthClient) -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=client.ca_file)
    # A compressed answer could unpack to any size before the cap sees it.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with (
        httpx.AsyncClient(verify=context, follow_redirects=False, trust_env=False) as session,
        session.stream("POST", url, data=form, auth=auth, headers=headers, timeout=client.timeout_seconds) as response,
    ):
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > client.max_body_bytes:
                raise TokenUnavailable(f"token endpoint {url}: answered with over {client.max_body_bytes} bytes")
        return response.status_code, bytes(body)


def _understood(body: bytes, url: str) -> _TokenAnswer:
    try:
        answer = _TokenAnswer.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "body"
        raise TokenUnavailable(f"token endpoint {url}: {field}: {first['msg'][:_MAX_REPEATED]}") from None
    token = answer.access_token.get_secret_value()
    if not token.isascii() or not token.isprintable():
        raise TokenUnavailable(f"token endpoint {url}: access_token: holds what Kafka cannot be sent")
    return answer


def _error_code(body: bytes, secret: str) -> str:
    """The endpoint's word for what is wrong; its description is left out, as it may repeat the request."""
    try:
        return _Problem.model_validate_json(body).error.replace(secret, "***")[:_MAX_REPEATED]
    except ValidationError:
        return ""


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if "@" in parts.netloc or not host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
