"""``routekeeper rejected``: the Kafka records that were refused, and why."""

from typing import Annotated

import typer

from projections.querying import DEFAULT_LIMIT
from projections.rejected_records import REJECTED_RECORDS_VIEW, find_rejected_records
from service.cli.options import Interval, Limit, Output, Since, Watch
from service.cli.output import Answer, OutputFormat, limited
from service.cli.reading import on_deleted, reading_views
from service.cli.tables import rejected_table
from service.cli.watch import show
from service.settings import load_settings


def rejected(
    *,
    topic: Annotated[str | None, typer.Option(metavar="TOPIC", help="Only from this topic.")] = None,
    code: Annotated[
        str | None, typer.Option(metavar="CODE", help="Only for this reason, such as invalid-json.")
    ] = None,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="Only from this CloudEvents source.")] = None,
    record_id: Annotated[str | None, typer.Option("--id", metavar="ID", help="Only with this CloudEvents id.")] = None,
    since: Since = None,
    limit: Limit = DEFAULT_LIMIT,
    output: Output = OutputFormat.TABLE,
    watch: Watch = False,
    interval: Interval = 1.0,
) -> None:
    """Show records that were refused, newest first: where they stand in Kafka, and what was wrong with them."""
    settings = load_settings()

    def ask() -> Answer:
        with reading_views(settings) as connection:
            rows = find_rejected_records(
                connection, topic=topic, code=code, source=source, record_id=record_id, since=since, limit=limit
            )
            deleted = on_deleted(connection, REJECTED_RECORDS_VIEW, since)
        return Answer(rows, lambda width: rejected_table(rows, width), limited(len(rows), limit) or deleted)

    show(ask, output, watch=watch, interval=interval)
