"""``routekeeper audit``: whether the log is whole and unaltered, and proofs of it for others."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.signatures import KeyUnusable, SigningKey
from domain.audit.bundle import BundleHeader
from domain.audit.tree_head import TreeHead, head_line
from service.bootstrap import utc_now
from service.cli.audit_bundle import verify_bundle
from service.cli.audit_export import export_bundle
from service.cli.audit_prove import prove, verify_proof
from service.cli.audit_tree import reading_tree, told
from service.cli.audit_verify import verify
from service.cli.errors import NotExported
from service.cli.moments import LogPoint, check_order, log_point, reversed_span, shown
from service.cli.options import Output, examples
from service.cli.output import Answer, Column, OutputFormat, give, note, table
from service.cli.reading import deployment_id, reading_log
from service.settings import Settings, load_settings
from service.stores import stores_of
from service.tree import tree_keeper

_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)

app = typer.Typer(no_args_is_help=True, help="Prove that the log is whole and unaltered, to others too.")
app.command(
    epilog=examples(
        "routekeeper audit verify",
        "routekeeper audit verify --heads heads.jsonl --public-key audit.pub",
        "routekeeper audit verify --state /var/tmp/audit --json > report.json",
    )
)(verify)
app.command("verify-bundle", epilog=examples("routekeeper audit verify-bundle llama.jsonl --public-key audit.pub"))(
    verify_bundle
)
app.command(
    epilog=examples(
        "routekeeper audit prove --event 4711 > event.json",
        "routekeeper audit prove --from-size 1000 --to-size 2000 > growth.json",
    )
)(prove)
app.command("verify-proof", epilog=examples("routekeeper audit verify-proof event.json --heads heads.jsonl"))(
    verify_proof
)


@app.command(epilog=examples("routekeeper audit heads", "routekeeper audit heads --now --out heads.jsonl"))
def heads(
    *,
    now: Annotated[bool, typer.Option("--now", metavar="", help="First write a head of the log as it is now.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, metavar="FILE", help="Write all of them to this file, as JSON Lines."),
    ] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show tree heads: how many events the log had, the root of its Merkle tree, and when.

    Keep them where nobody who can change the log can change them: 'audit verify --heads' holds the log against them.
    """
    settings = load_settings()
    if now:
        _write_head(settings)
    with reading_tree(settings) as tree:
        found = list(tree_keeper(settings, tree).heads())
    if out is not None:
        try:
            out.write_text("".join(head_line(head) + "\n" for head in found), encoding="utf-8")
        except OSError as error:
            raise NotExported(f"--out {out} cannot be written: {error.strerror}") from None
        note(f"{len(found)} heads written to {out}")
        return
    columns: Sequence[Column[TreeHead]] = (
        Column(header="TIME (UTC)", cell=lambda head: shown(head.at)),
        Column(header="EVENTS", cell=lambda head: str(head.size), right=True),
        Column(header="POSITION", cell=lambda head: str(head.position), right=True),
        Column(header="SIGNED", cell=lambda head: "yes" if head.signature else "no"),
        Column(header="ROOT", cell=lambda head: head.root),
    )
    empty = "There are none yet: a worker writes them, or 'routekeeper audit heads --now'."
    give(Answer(found, lambda width: table(found, columns, width=width, empty=empty)), output)


@app.command(
    epilog=examples(
        "routekeeper audit export --deployment llama llama.jsonl", "routekeeper audit export --all --from 7d all.jsonl"
    )
)
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="Where the bundle goes.")],
    *,
    deployment: Annotated[
        str | None, typer.Option("--deployment", "-d", metavar="DEPLOYMENT", help="Events of this deployment.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", "-a", metavar="", help="All events.")] = False,
    since: Annotated[
        LogPoint | None,
        typer.Option("--from", metavar="TIME|POSITION", parser=log_point, help="Not before this time or position."),
    ] = None,
    until: Annotated[
        LogPoint | None,
        typer.Option("--to", metavar="TIME|POSITION", parser=log_point, help="Not after this time or position."),
    ] = None,
) -> None:
    """Write events with the last tree head and the proofs that they are in the log, for 'audit verify-bundle'.

    What came after the last head is not in it: 'audit heads --now' writes another one.
    """
    if (deployment is None) == (not everything):
        raise typer.BadParameter("give either --deployment or --all", param_hint="--deployment")
    check_order(since, until)
    settings = load_settings()
    wanted = None if deployment is None else deployment_id(settings, deployment)
    with reading_tree(settings) as tree:
        head = tree.last_head()
        if head is None:
            raise NotExported("there is no tree head yet: a worker writes them, or 'routekeeper audit heads --now'")
        first, last = asyncio.run(_range(settings, since, until))
        last = head.position if last is None else min(last, head.position)
        header = BundleHeader(head=head, deployment=wanted, from_position=first, to_position=last)
        with told("Exporting") as progress:
            events = export_bundle(tree, header, file, lambda position: progress(position, header.to_position))
    note(f"{events} events up to position {header.to_position} written to {file}")


@app.command(epilog=examples("routekeeper audit key > audit.pub"))
def key() -> None:
    """Print the public key by which others check the signatures of tree heads."""
    file = load_settings().audit.signing_key_file
    if file is None:
        raise KeyUnusable("tree heads are not signed: ROUTEKEEPER_AUDIT__SIGNING_KEY_FILE is unset")
    typer.echo(SigningKey.from_file(file).public_pem, nl=False)


def _write_head(settings: Settings) -> None:
    stores = stores_of(settings)
    with reading_log(settings):
        pass  # says what is wrong where there is no log; none is made only for a head
    stores.open_log().close()
    with closing(stores.open_tree()) as tree:
        keeper = tree_keeper(settings, tree)
        while keeper.step():
            pass
        keeper.write_head(utc_now())


async def _range(settings: Settings, since: LogPoint | None, until: LogPoint | None) -> tuple[int, int | None]:
    """The first and the last position that are meant (``None``: to the end).

    Raises ``typer.BadParameter`` where the last comes before the first.
    """
    first, last = 1, None
    with reading_log(settings) as log:
        if since is not None and since.moment is not None:
            # Before the earliest moment that can be told there is no other to ask about, and no event.
            if since.moment > _EARLIEST:
                first = 1 + await log.position_at(since.moment - since.moment.resolution)
        elif since is not None:
            first = max(1, since.position or 1)
        if until is not None:
            last = until.position if until.moment is None else await log.position_at(until.moment)
    # Between two moments, and only there, nothing may have happened.
    is_mixed = since is not None and until is not None and (since.moment is None) != (until.moment is None)
    if since is not None and until is not None and is_mixed and last is not None and last < first:
        raise reversed_span(since, until)
    return first, last
