"""What addresses among the settings must look like. No message holds one: there may be a password in it."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr

from adapters.postgres.address import PostgresAddress, PostgresAddressInvalid
from adapters.prometheus import usable_address

_SERVER: Final = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.%]+\]):(?P<port>[0-9]{1,5})")
_PORTS: Final = range(1, 65_536)


def _database_address(url: SecretStr) -> SecretStr:
    try:
        PostgresAddress(url.get_secret_value())
    except PostgresAddressInvalid as error:
        raise ValueError(str(error)) from None
    return url


def _servers(servers: str) -> str:
    for number, server in enumerate(servers.split(","), start=1):
        found = _SERVER.fullmatch(server.strip())
        if found is None or int(found["port"]) not in _PORTS:
            raise ValueError(f"has to be HOST:PORT, several separated by commas, and number {number} is not")
    return servers


#: A database, ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``.
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_address)]
#: Where Prometheus is: http(s), without credentials.
PrometheusUrl = Annotated[str, AfterValidator(usable_address)]
#: Kafka's brokers: ``HOST:PORT``, several separated by commas.
Servers = Annotated[str, AfterValidator(_servers)]


def is_one_database(url: SecretStr, another: SecretStr) -> bool:
    """Whether two addresses name the same database, whoever the users are. Raises ``ValueError``, without them."""
    try:
        return PostgresAddress(url.get_secret_value()).database == PostgresAddress(another.get_secret_value()).database
    except PostgresAddressInvalid as error:
        raise ValueError(str(error)) from None
