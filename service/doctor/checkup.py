"""Everything that is checked, one after the other."""

import asyncio
from collections.abc import Sequence

from service.doctor.database import check_stores
from service.doctor.finding import Finding, Patience, failed, guarded, ok
from service.doctor.kafka import check_kafka
from service.doctor.prometheus import check_prometheus
from service.doctor.proxies import check_proxies
from service.effective_settings import effective_settings
from service.settings import SettingsInvalid, load_settings
from service.settings_sources import Origin


async def check_up(patience: Patience) -> Sequence[Finding]:
    """Check the settings, and with them all that they name. Nothing is changed anywhere."""
    try:
        settings = load_settings()
    except SettingsInvalid as error:
        return [
            failed("settings", line, "correct or unset it; docs/settings.md has all of them")
            for line in str(error).splitlines()
        ]
    chosen = sum(each.origin is not Origin.DEFAULT for each in effective_settings(settings))
    groups = await asyncio.gather(
        guarded("database", check_stores(settings, patience)),
        guarded("kafka", check_kafka(settings, patience)),
        guarded("proxy targets", check_proxies(settings, patience)),
        guarded("prometheus", check_prometheus(settings, patience)),
    )
    return [
        ok("settings", f"{chosen} set, the others at their defaults"),
        *(each for group in groups for each in group),
    ]
