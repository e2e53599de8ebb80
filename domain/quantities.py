"""The kinds of numbers that limits are, each with what it may be; checked where settings are read."""

from typing import Annotated

from pydantic import Field

#: How many of something.
Count = Annotated[int, Field(ge=1)]
#: A size in memory or on a wire (bytes); more than the largest that a Kafka setting can be is a mistake.
Bytes = Annotated[int, Field(ge=1, le=2**31 - 1)]
#: A time that has to pass, up to a day (seconds).
Seconds = Annotated[float, Field(gt=0, le=86_400)]
#: A time that may be none, up to a day (seconds).
SecondsOrNone = Annotated[float, Field(ge=0, le=86_400)]
#: A part of the whole (ratio).
Share = Annotated[float, Field(ge=0, le=1)]
