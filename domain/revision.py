"""What a deployment runs: image, model, runtime variant and health check."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from domain.message import Message, Name, Seconds


class HealthCheck(Message):
    """How the proxy asks a replica whether it is well (the names and defaults are the app proxy's own)."""

    path: Annotated[str, Field(min_length=1, max_length=2000, pattern="^/")] = "/health"
    interval_seconds: Seconds = 10.0
    max_retries: Annotated[int, Field(ge=0, le=1000)] = 10
    max_wait_seconds: Seconds = 15.0
    expected_status_code: Annotated[int, Field(ge=100, le=599)] = 200
    initial_delay_seconds: Seconds = 60.0


class Revision(Message):
    """One version of what is served; two revisions are the same when every field is."""

    revision_id: UUID
    image: Name
    model: Name
    runtime_variant: Name = "custom"
    health_check: HealthCheck | None = None
