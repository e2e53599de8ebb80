"""What an app proxy's answer other than success means, and how much of it is repeated."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, SecretStr, ValidationError

from handlers.app_proxy_errors import (
    AnswerNotUnderstood,
    AppProxyError,
    ProxyBusy,
    ProxyFailed,
    ProxyRedirected,
    RequestRejected,
)

_BUSY = frozenset({408, 425, 429, 503})

#: Most characters of the proxy's own words in an error message.
_MAX_REPEATED = 200


def _text_or_nothing(value: object) -> str:
    return value if isinstance(value, str) else ""


_Words = Annotated[str, BeforeValidator(_text_or_nothing)]


class _Problem(BaseModel):
    """The proxy's error body; ``data`` is left out because it repeats the request."""

    title: _Words = ""
    error_code: _Words = ""
    msg: _Words = ""


def failed_answer(status_code: int, content: bytes, operation: str, token: SecretStr) -> AppProxyError:
    """Make the error for an answer; ``operation`` says what was asked of whom, and ``token`` is never repeated."""
    problem = _problem_in(content)
    error_code = _repeatable(problem.error_code, token)
    words = _repeatable(" ".join(filter(None, (problem.error_code, problem.title, problem.msg))), token)
    message = f"{operation}: answered {status_code} {words or f'({len(content)} bytes)'}"
    match status_code // 100:
        case 3:
            return ProxyRedirected(message, status_code=status_code, error_code=error_code)
        case 4 | 5 if status_code in _BUSY:
            return ProxyBusy(message, status_code=status_code, error_code=error_code)
        case 4:
            return RequestRejected(message, status_code=status_code, error_code=error_code)
        case 5:
            return ProxyFailed(message, status_code=status_code, error_code=error_code)
        case _:
            return AnswerNotUnderstood(message)


def _problem_in(content: bytes) -> _Problem:
    try:
        return _Problem.model_validate_json(content)
    except ValidationError:
        return _Problem()


def _repeatable(text: str, token: SecretStr) -> str:
    """Make the proxy's words safe to repeat: no token, one line, bounded. Redacted first: a cut token is one too."""
    redacted = text.replace(token.get_secret_value(), "***")
    return "".join(c if c.isprintable() else " " for c in redacted)[:_MAX_REPEATED]
