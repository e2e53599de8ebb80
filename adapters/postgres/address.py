"""Where a PostgreSQL database is, and how to connect there; shows no password."""

import re
from collections.abc import Mapping

from psycopg import Error
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from domain.errors import RoutekeeperError

_PORTS = re.compile(r"\d+(,\d*)*")

#: What a database address begins with.
_SCHEMES = ("postgresql://", "postgres://")

#: A peer that is gone is noticed within half a minute, on both sides, and not after the two hours of most systems.
_DEFAULTS: Mapping[str, str] = {
    "application_name": "routekeeper",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
_SESSION: dict[str, str] = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}

_FORM = (
    "a PostgreSQL address looks like postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, with special "
    "characters in its parts percent-encoded"
)


class PostgresAddressInvalid(RoutekeeperError):
    """An address cannot be understood; the message does not show it, because a password may be anywhere in it."""


class PostgresAddress:
    """A database and a user, from ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE``.

    The options are libpq's (``sslmode`` and so on), as are the variables and files that give what is left out.
    """

    def __init__(self, url: str) -> None:
        """Raise :class:`PostgresAddressInvalid` for what is no such address."""
        given = _understood(url) if url.startswith(_SCHEMES) else None
        if given is None:
            raise PostgresAddressInvalid(_FORM)
        self._given = given

    @property
    def database(self) -> tuple[str, str, str]:
        """Host, port and name, by which it is told apart from other databases."""
        given = self._given
        host = given.get("host") or given.get("hostaddr") or "localhost"
        return host, given.get("port", "5432"), given.get("dbname") or given.get("user", "")

    def conninfo(self, session: Mapping[str, str] | None = None) -> str:
        """The same as :meth:`parameters`, as one text."""
        return make_conninfo(**self.parameters(session))

    def parameters(self, session: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """What libpq connects with; ``session`` are the server's own settings for the connection.

        Holds the password: for the driver only.
        """
        options = " ".join(f"-c {name}={value}" for name, value in {**_SESSION, **(session or {})}.items())
        options = f"{options} {self._given.get('options', '')}".strip()
        return {**_DEFAULTS, **self._given, "options": options}

    def __str__(self) -> str:
        given = self._given
        host = given.get("host") or given.get("hostaddr") or "localhost"
        port = f":{given['port']}" if "port" in given else ""
        user = f"{given['user']}@" if "user" in given else ""
        return f"{user}{host}{port}/{given.get('dbname', '')}"

    def __repr__(self) -> str:
        return f"PostgresAddress({self})"


def _understood(url: str) -> dict[str, str] | None:
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value not in {None, ""}}
    except Error:
        return None
    # Where a password holds an unescaped @, / or ?, a piece of it ends up in another part, and would be shown with it.
    is_torn = "@" in given.get("host", "") + given.get("dbname", "") or not _PORTS.fullmatch(given.get("port", "5432"))
    return None if is_torn else given
