"""What the admin port answers: ``/livez``, ``/readyz`` and ``/metrics``."""

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from service.admin.health import Check, Health, Status

_OK, _UNAVAILABLE = 200, 503


def admin_app(health: Health, metrics: Callable[[], tuple[bytes, str]]) -> Starlette:
    """Make the application; ``metrics`` gives the exposition and its media type."""

    async def livez(_: Request) -> Response:
        dead = health.dead()
        words = f"dead: these tasks have ended: {', '.join(dead)}\n" if dead else "alive\n"
        return PlainTextResponse(words, _UNAVAILABLE if dead else _OK)

    async def readyz(request: Request) -> Response:
        checks = health.checks()
        is_ready = all(check.status is not Status.FAILING for check in checks)
        code = _OK if is_ready else _UNAVAILABLE
        if "application/json" in request.headers.get("accept", ""):
            found = [{"name": c.name, "status": c.status, "words": c.words} for c in checks]
            return JSONResponse({"ready": is_ready, "checks": found}, code)
        return PlainTextResponse(_in_words(checks, is_ready=is_ready), code)

    async def exposition(_: Request) -> Response:
        content, media_type = metrics()
        # As a header, because starlette would add a second charset.
        return Response(content, headers={"content-type": media_type})

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", exposition)])


def _in_words(checks: Sequence[Check], *, is_ready: bool) -> str:
    lines = ["ready" if is_ready else "not ready"]
    return "\n".join([*lines, *(f"{check.name}: {check.words}" for check in checks), ""])
