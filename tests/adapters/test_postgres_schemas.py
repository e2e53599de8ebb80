"""Schemas are made by whichever process comes first."""

import asyncio
from uuid import uuid4

from adapters.postgres.address import PostgresAddress
from adapters.postgres.schemas import prepare_schema

AT_ONCE = 8


async def test_of_many_who_need_a_schema_at_once_one_creates_it_and_none_fails(postgres_database: str) -> None:
    """As workers do that start together."""
    address = PostgresAddress(postgres_database)

    for _ in range(5):
        name = f"schema_{uuid4().hex}"
        created = await asyncio.gather(
            *(asyncio.to_thread(prepare_schema, address, name) for _ in range(AT_ONCE)), return_exceptions=True
        )

        assert sorted(created, key=str) == [*[False] * (AT_ONCE - 1), True]
