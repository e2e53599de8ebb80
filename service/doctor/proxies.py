"""Checks of the app proxies, one by one."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx

from adapters.app_proxy_probe import ProbeAnswer, probe
from adapters.http_errors import words_of
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.proxy_address import proxy_base_url
from service.doctor.finding import Finding, Patience, failed, judged_clock, ok, skipped, within
from service.proxy_targets import proxy_targets_of
from service.settings import Settings, SettingsInvalid

_TARGETS = "proxy targets"
_UNAUTHORIZED = frozenset({401, 403})


async def check_proxies(settings: Settings, patience: Patience) -> Sequence[Finding]:
    """Whether each target's address resolves, lets us connect, answers, and accepts the token."""
    try:
        targets = await asyncio.to_thread(proxy_targets_of, settings)
    except SettingsInvalid as error:
        return [failed(_TARGETS, str(error), "correct the file")]
    if not targets:
        return [skipped(_TARGETS, "no app proxy is named by ROUTEKEEPER_PROXY_TARGETS_FILE")]
    checks = (_check(group, target, settings, patience) for group, target in sorted(targets.items()))
    return [finding for findings in await asyncio.gather(*checks) for finding in findings]


async def _check(
    group: str, target: ScalingGroupProxyTarget, settings: Settings, patience: Patience
) -> Sequence[Finding]:
    check, url = f"proxy of {group}", proxy_base_url(target.addr)
    see = "see that the proxy runs and that the network lets us through"
    return await within(patience, check, f"{url}: {see}", lambda: _asked(check, url, target, settings, patience))


async def _asked(
    check: str, url: str, target: ScalingGroupProxyTarget, settings: Settings, patience: Patience
) -> Sequence[Finding]:
    parts = urlsplit(url)
    try:
        await asyncio.get_running_loop().getaddrinfo(parts.hostname, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no host is called so"
        return [failed(check, f"{parts.hostname} does not resolve: {why}", "correct the address, or DNS")]
    try:
        answer = await probe(
            target.addr,
            target.api_token,
            ca_file=target.ca_file or settings.proxy.ca_file,
            seconds=patience.check_seconds,
        )
    except (httpx.HTTPError, OSError) as error:
        return [_unreachable(check, url, error)]
    findings = [_judged(check, url, answer)]
    if answer.clock is not None:
        ahead = (datetime.now(UTC) - answer.clock).total_seconds()
        findings.append(judged_clock(f"clock against {check}", ahead, patience, f"that of {url}"))
    return findings


def _unreachable(check: str, url: str, error: Exception) -> Finding:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            found = f"{url}: its certificate is not accepted: {cause.verify_message}"
            return failed(check, found, "name the proxy's CA by ca_file, or renew the certificate")
        cause = cause.__cause__ or cause.__context__
    return failed(check, f"{url}: {words_of(error)}", "see that the proxy runs and that the address is right")


def _judged(check: str, url: str, answer: ProbeAnswer) -> Finding:
    if answer.knows_us:
        return ok(check, f"{url} answers, and accepts the token")
    if answer.status in _UNAUTHORIZED:
        return failed(
            check, f"{url} answers {answer.status}: it does not accept the token", "correct the target's token"
        )
    found = f"{url} answers {answer.status}, which an app proxy would not to this question"
    return failed(check, found, "see that the address, with its path, is that of an app proxy")
