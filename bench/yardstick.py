"""All measurements in one run: a table, and ``bench/results.json``. See ``bench/README.md`` for what the rows mean.

``python -m bench.yardstick [--quick | --long]``: quick leaves out all but the ratios, long adds 100,000
deployments and a backlog of a million records.
"""

import argparse
import asyncio
import json
import tempfile
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.backlog import drain_backlog
from bench.fleet import fleet_rates
from bench.floor import floor_rate
from bench.intake import intake_rate
from bench.latency import latencies
from bench.load import new_ids, replica_commands
from bench.made_up_log import write_log
from bench.many_routes import seconds_for_routes
from bench.rebuild import rebuild_rates
from bench.reconcile import reconcile_rates
from bench.replay_bench import in_a_process, read_and_decode, replay_all
from bench.saturation import saturation
from bench.scale import cost_with
from bench.stock import stock_rate
from bench.surroundings import Surroundings, surroundings
from service.garbage import look_for_garbage_seldom

RESULTS: Final = Path(__file__).parent / "results.json"

_RUNS, _COMMANDS, _STOCK_COMMANDS, _DEPLOYMENTS, _EVENTS = 5, 20_000, 200, 1_000, 30_000
_RATES: Final = (50, 200, 1_000)
_FLEET_COMMANDS: Final = 10_000
_LIMITS, _CALLS_EACH = (2, 16), 150

#: By whether it may take long: deployments, and records that wait (counts).
_SCALE: Final = {False: (1_000, 10_000), True: (1_000, 10_000, 100_000)}
_BACKLOG: Final = {False: (100_000,), True: (100_000, 1_000_000)}


async def throughput(site: Surroundings, runs: int = _RUNS) -> dict[str, float]:
    """Commands a second of everything that is compared, medians of interleaved runs."""
    topics = await site.new_topics()
    ids = new_ids(_DEPLOYMENTS)
    await site.produce(topics.commands, replica_commands(ids, _COMMANDS))
    competitors: Mapping[str, Callable[[], Awaitable[float]]] = {
        "floor": lambda: floor_rate(site, topics.commands, _COMMANDS),
        "intake": lambda: intake_rate(site, topics, ids, _COMMANDS),
        "intake and projections": lambda: intake_rate(site, topics, ids, _COMMANDS, views=True),
        "intake, SQLite": lambda: intake_rate(site, topics, ids, _COMMANDS, postgres=False),
        "intake and projections, SQLite": lambda: intake_rate(site, topics, ids, _COMMANDS, postgres=False, views=True),
        "stock": lambda: stock_rate(site, topics.commands, ids, _STOCK_COMMANDS),
    }
    rates: dict[str, list[float]] = {name: [] for name in competitors}
    for _ in range(runs):
        for name, measure in competitors.items():
            rates[name].append(await measure())
    return {name: round(median(some)) for name, some in rates.items()}


def replay(runs: int = _RUNS) -> dict[str, float]:
    """Events a second of reading and decoding the log, and of folding all views from it."""
    works = {"read and decode": read_and_decode, "full replay": replay_all}
    rates: dict[str, list[float]] = {name: [] for name in works}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events.db"
        write_log(file, _EVENTS)
        for _ in range(runs):
            for name, work in works.items():
                rates[name].append(in_a_process(work, file)[0])
    return {name: round(median(some)) for name, some in rates.items()}


def ratios(rates: Mapping[str, float], replayed: Mapping[str, float]) -> dict[str, float]:
    """What the goals are about."""
    floor = rates["floor"]
    return {
        "intake": round(rates["intake"] / floor, 3),
        "intake_and_projections": round(rates["intake and projections"] / floor, 3),
        "vs_stock": round(rates["intake and projections"] / rates["stock"], 1),
        "replay": round(replayed["full replay"] / replayed["read and decode"], 3),
    }


async def reconciling(site: Surroundings, sizes: Sequence[int], runs: int = _RUNS) -> dict[str, dict[str, float]]:
    """Deployments a second by how many there are and by operation, medians of interleaved runs."""
    found: dict[int, list[Mapping[str, float]]] = {size: [] for size in sizes}
    for _ in range(runs):
        for size, some in found.items():
            some.append(await reconcile_rates(site, size))
    return {
        f"{size:,}": {name: round(median(rates[name] for rates in some)) for name in some[0]}
        for size, some in found.items()
    }


async def scaling(site: Surroundings, sizes: Sequence[int]) -> dict[str, dict[str, float]]:
    """What a worker costs by how many deployments there are, in all."""
    return {f"{size:,}": await cost_with(site, size) for size in sizes}


async def measure(*, quick: bool, long: bool) -> dict[str, Any]:
    """Measure everything that is asked for."""
    results: dict[str, Any] = {}
    async with surroundings() as site:
        rates = await throughput(site)
        results["commands_per_second"] = rates
        results["events_per_second"] = replayed = await asyncio.to_thread(replay)
        results["ratios"] = ratios(rates, replayed)
        if quick:
            return results
        rates |= await fleet_rates(site, _RUNS, _FLEET_COMMANDS)
        replayed |= await rebuild_rates(site, _EVENTS, _RUNS)
        results["latency_ms"] = {str(rate): await latencies(site, rate) for rate in _RATES}
        results["reconciled_per_second"] = await reconciling(site, (1, 100, 1_000))
        results["reconciled_per_second"] |= await reconciling(site, (10_000,), runs=1)
        results["calls_under_way_to_limit"] = {
            str(limit): await saturation(site, limit, _CALLS_EACH * limit) for limit in _LIMITS
        }
        results["backlog"] = {f"{size:,}": await drain_backlog(site, size) for size in _BACKLOG[long]}
        results["scale"] = await scaling(site, _SCALE[long])
        results["seconds_for_routes"] = {
            f"{routes:,}": await seconds_for_routes(site, routes) for routes in (1_000, 10_000)
        }
    return results


def show(results: Mapping[str, Any]) -> None:
    """Print the results as tables, each the way round that has fewer columns."""
    console = Console()
    for title, values in results.items():
        rows = {name: value if isinstance(value, dict) else {"": value} for name, value in values.items()}
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        if len(columns) > len(rows):
            rows, columns = {c: {name: row[c] for name, row in rows.items() if c in row} for c in columns}, list(rows)
        table = Table(title, *columns)
        for name, row in rows.items():
            table.add_row(name, *(f"{row[each]:,g}" if each in row else "" for each in columns))
        console.print(table)


def main() -> None:
    """Measure, write the results down, and show them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the ratios only")
    parser.add_argument("--long", action="store_true", help="larger sizes too, for some minutes more")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    # As a worker does; the competitors gain by it as well.
    look_for_garbage_seldom()
    results = asyncio.run(measure(quick=options.quick, long=options.long))
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    show(results)


if __name__ == "__main__":
    main()
