"""Takes a changed file of proxy targets into use while a worker runs."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from adapters.app_proxy import AppProxyClientPool, TrustedClients
from handlers.deployment_repository import ScalingGroupProxyTarget
from service.proxy_targets import ProxyTargets, proxy_targets_of, read_certificates
from service.settings import Settings, SettingsInvalid

log = logging.getLogger(__name__)


class TargetsReload:
    """Reads the targets again when asked to; ``reloaded`` is told the groups whose targets changed.

    Files are read in a thread, as they may be on a slow disk; there is one reload at a time.
    """

    def __init__(
        self,
        settings: Settings,
        targets: ProxyTargets,
        pool: AppProxyClientPool,
        reloaded: Callable[[Collection[str]], None],
    ) -> None:
        self._settings = settings
        self._targets = targets
        self._pool = pool
        self._reloaded = reloaded
        self._is_asked = self._is_closed = False
        self._reloading: asyncio.Task[None] | None = None

    def request(self) -> None:
        """Begin a reload, or have one more follow the one under way, which may have read what was there before."""
        if self._is_closed:
            return
        self._is_asked = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload_while_asked())

    async def close(self) -> None:
        """Give up what is under way, and begin nothing more."""
        self._is_closed = True
        if self._reloading is not None:
            self._reloading.cancel()
            await asyncio.wait([self._reloading])

    async def reload(self) -> None:
        """Use what the file says now; if it cannot be used, say so and keep what there was."""
        try:
            fresh, certificates = await asyncio.to_thread(self._read)
        except SettingsInvalid as error:
            log.error("Proxy targets are not reloaded, the old ones stay: %s", error)  # noqa: TRY400 - says all there is
            return
        changes = _difference(self._targets, fresh)
        # Both at once: the pool gives way to others only when it has taken over the certificates.
        self._targets.replace(fresh)
        await self._pool.trust(certificates)
        said = [f"{kind} {', '.join(groups)}" for kind, groups in changes.items() if groups]
        log.info("Proxy targets are reloaded: %s", "; ".join(said) or "nothing has changed")
        self._reloaded([group for groups in changes.values() for group in groups])

    async def _reload_while_asked(self) -> None:
        while self._is_asked:
            self._is_asked = False
            await self.reload()

    def _read(self) -> tuple[Mapping[str, ScalingGroupProxyTarget], TrustedClients]:
        fresh = proxy_targets_of(self._settings)
        return fresh, read_certificates(self._pool, fresh)


def _difference(
    before: Mapping[str, ScalingGroupProxyTarget], after: Mapping[str, ScalingGroupProxyTarget]
) -> Mapping[str, Sequence[str]]:
    return {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(group for group in before.keys() & after.keys() if before[group] != after[group]),
    }
