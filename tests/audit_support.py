"""An auditor at the command line, of one data folder with a history in it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner, Result

from service.cli.app import app
from tests.chronicle import Chronicle
from tests.cli_support import live_through


class Auditor:
    """Runs commands on the log of one data folder, with a signing key."""

    def __init__(self, folder: Path) -> None:
        self.log_file = folder / "events.db"
        self.heads = folder / "heads.jsonl"
        self.key = folder / "audit.pub"
        self.bundle = folder / "bundle.jsonl"

    def run(self, *arguments: object) -> Result:
        return CliRunner().invoke(app, ["audit", *map(str, arguments)], env={"COLUMNS": "200"})

    def done(self, *arguments: object) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def change(self, statement: str) -> None:
        with closing(sqlite3.connect(self.log_file)) as connection, connection:
            connection.execute(statement)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.bundle.read_text().splitlines()]

    def rewrite(self, lines: list[dict[str, Any]]) -> None:
        self.bundle.write_text("".join(json.dumps(line) + "\n" for line in lines))


def auditor_with_a_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Auditor:
    """A history with a signed head that is kept elsewhere."""
    key = Ed25519PrivateKey.generate()
    (tmp_path / "audit.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    monkeypatch.setenv("ROUTEKEEPER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ROUTEKEEPER_AUDIT__SIGNING_KEY_FILE", str(tmp_path / "audit.pem"))
    with closing(Chronicle(tmp_path)) as chronicle:
        live_through(chronicle)
    auditor = Auditor(tmp_path)
    auditor.done("heads", "--now", "--out", auditor.heads)
    auditor.key.write_text(auditor.done("key"))
    return auditor
