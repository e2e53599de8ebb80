"""What may be repeated of an HTTP client's errors."""

from typing import Final

import httpx

#: Most characters of httpx's own words.
_MAX_REPEATED: Final = 200


def words_of(error: Exception) -> str:
    """What went wrong, without what the other side said: it may have repeated a token that we sent."""
    # Such errors quote what broke the protocol.
    if isinstance(error, httpx.ProtocolError | httpx.DecodingError):
        return f"{type(error).__name__}: the answer is not HTTP, or not whole"
    return " ".join(f"{type(error).__name__} {error}".split())[:_MAX_REPEATED]
