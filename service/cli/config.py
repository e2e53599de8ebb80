"""``routekeeper config``: the settings in force."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from service.cli.options import Output
from service.cli.output import Answer, Column, OutputFormat, give, table
from service.effective_settings import EffectiveSetting, Value, effective_settings
from service.settings import load_settings
from service.settings_sources import Origin


def config(
    *,
    only_set: Annotated[bool, typer.Option("--set", metavar="", help="Only what is not left at its default.")] = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show the settings in force, each with its unit, its default, and where it came from.

    Secrets are masked. Settings come from environment variables ROUTEKEEPER_…, from files of these names in the folder
    ROUTEKEEPER_SECRETS_DIR, and from lines NAME=VALUE of the file ROUTEKEEPER_ENV_FILE; the first of these wins.
    """
    settings = effective_settings(load_settings())
    shown = [each for each in settings if not only_set or each.origin is not Origin.DEFAULT]
    data = [asdict(each) for each in shown]
    give(
        Answer(data, lambda width: table(shown, _COLUMNS, width=width, empty="Everything is left at its default.")),
        output,
    )


def _value(value: Value) -> str:
    return "unset" if value is None else str(value)


def _in_force(setting: EffectiveSetting) -> Text:
    is_set = setting.origin is not Origin.DEFAULT
    return Text(_value(setting.value), style="bold" if is_set else "dim" if setting.value is None else "")


_COLUMNS = (
    Column[EffectiveSetting](header="NAME", cell=lambda each: each.name, least=20),
    Column[EffectiveSetting](header="VALUE", cell=_in_force, least=10),
    Column[EffectiveSetting](header="UNIT", cell=lambda each: each.unit, from_width=80),
    Column[EffectiveSetting](header="DEFAULT", cell=lambda each: _value(each.default), from_width=100),
    Column[EffectiveSetting](header="FROM", cell=lambda each: each.origin.value),
)
