"""Takes a changed file of proxy targets into use while a worker runs."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from adapters.app_proxy import HttpxClientPool
from handlers.deployment_repository import ScalingGroupProxyTarget
from service.proxy_targets import ProxyTargets, proxy_targets_of, trust_targets
from service.settings import Settings, SettingsInvalid

log = logging.getLogger(__name__)


class TargetsReload:
    """Reads the targets again when called; ``reloaded`` is told the groups whose targets changed."""

    def __init__(
        self,
        settings: Settings,
        targets: ProxyTargets,
        pool: HttpxClientPool,
        reloaded: Callable[[Collection[str]], None],
    ) -> None:
        self._settings = settings
        self._targets = targets
        self._pool = pool
        self._reloaded = reloaded

    def __call__(self) -> None:
        """Use what the file says now; if it cannot be used, say so and keep what there was."""
        try:
            fresh = proxy_targets_of(self._settings)
            trust_targets(self._pool, fresh)
        except SettingsInvalid as error:
            log.error("Proxy targets are not reloaded, the old ones stay: %s", error)  # noqa: TRY400 - says all there is
            return
        changes = _difference(self._targets, fresh)
        self._targets.replace(fresh)
        said = [f"{kind} {', '.join(groups)}" for kind, groups in changes.items() if groups]
        log.info("Proxy targets are reloaded: %s", "; ".join(said) or "nothing has changed")
        self._reloaded([group for groups in changes.values() for group in groups])


def _difference(
    before: Mapping[str, ScalingGroupProxyTarget], after: Mapping[str, ScalingGroupProxyTarget]
) -> Mapping[str, Sequence[str]]:
    return {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(group for group in before.keys() & after.keys() if before[group] != after[group]),
    }
