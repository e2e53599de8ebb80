"""``routekeeper audit``: whether what is recorded can be trusted."""

import typer

from service.cli.audit_verify import verify
from service.cli.options import examples

app = typer.Typer(no_args_is_help=True, help="Verify what is recorded.")

app.command(
    epilog=examples("routekeeper audit verify", "routekeeper audit verify --state /var/tmp/audit --json > report.json")
)(verify)
