"""Options that several commands of ``routekeeper audit`` have in common."""

from pathlib import Path
from typing import Annotated

import typer

from adapters.signatures import PublicKey

HeadsFile = Annotated[
    Path | None,
    typer.Option("--heads", dir_okay=False, metavar="FILE", help="Tree heads that were kept elsewhere: JSON Lines."),
]
PublicKeyFile = Annotated[
    Path | None,
    typer.Option("--public-key", dir_okay=False, metavar="FILE", help="Heads must be signed with this key's pair."),
]


def public_key(file: Path | None) -> PublicKey | None:
    """Read the key if there is one. Raises :class:`~adapters.signatures.KeyUnusable`."""
    return None if file is None else PublicKey.from_file(file)
