"""What a database says, for a line of a log or of an error."""


def reason(error: Exception) -> str:
    """All that was said, on one line."""
    return " ".join(str(error).split())
