"""The web application of a session.

A request needs the token in its path and the host name of this machine; pages run only the script
of the package.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import (
    FileResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from ..exceptions import AnnotationError, ImageError
from .table import Label

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .session import Session

__all__ = ["make_app"]

#: Files of the page, and their types.
PAGE = {
    "": ("label.html", "text/html; charset=utf-8"),
    "label.css": ("label.css", "text/css; charset=utf-8"),
    "label.js": ("label.js", "text/javascript; charset=utf-8"),
    "view.js": ("view.js", "text/javascript; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
#: Names of this machine, which other sites cannot use for themselves.
HOSTS = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
#: Longest body of a request, in bytes.
MAX_BODY = 16_384
#: Seconds between two looks for changes, and between two signs of life.
INTERVAL, HEARTBEAT = 0.2, 5.0


class Guard:
    """Middleware that refuses requests without the token or from another site.

    Parameters
    ----------
    app : ASGI application
    token : str
        The first part of all paths; the application does not see it.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] += [
                    (name.encode(), value.encode())
                    for name, value in HEADERS.items()
                    if name.encode() not in given
                ]
            await send(message)

        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0]
        origin = headers.get(b"origin", b"").decode("latin-1")
        token, slash, path = scope["path"].removeprefix("/").partition("/")
        if host not in HOSTS or (origin and origin.rsplit(":", 1)[0] not in _list_origins()):
            refused = Response("This page is only for this machine.", 403)
            await refused(scope, receive, send_with_headers)
        elif not secrets.compare_digest(token.encode(), self.token.encode()):
            refused = Response("Use the address that skbbox label has printed.", 404)
            await refused(scope, receive, send_with_headers)
        elif not slash:  # Names on the page are relative to the folder of the token.
            moved = RedirectResponse(f"/{self.token}/")
            await moved(scope, receive, send_with_headers)
        else:
            inner = {**scope, "path": f"/{path}", "raw_path": f"/{path}".encode()}
            await self.app(inner, receive, send_with_headers)


def _list_origins() -> list[str]:
    return [f"http://{host}" for host in HOSTS]


def make_app(session: Session, token: str) -> ASGIApp:
    """The application of a session.

    Parameters
    ----------
    session : Session
    token : str
        Must be in the path of each request.
    """
    handlers: dict[str, Callable[[Session, dict[str, Any]], dict[str, Any]]] = {
        "next": _get_next,
        "save": _save,
        "undo": _undo,
        "open": _open,
        "finish": _finish,
    }
    routes = [
        Route(f"/{name}", partial(_send_page, file, kind)) for name, (file, kind) in PAGE.items()
    ]
    routes += [
        Route(f"/{name}", partial(_answer, session, handler), methods=["POST"])
        for name, handler in handlers.items()
    ]
    routes += [
        Route("/picture/{number:int}", partial(_send_picture, session)),
        Route("/events/{window}", partial(_send_events, session)),
    ]
    return Guard(Starlette(routes=routes), token)


async def _send_page(file: str, kind: str, request: Request) -> Response:
    content = (files(__package__) / "page" / file).read_bytes()
    return Response(content, headers={"content-type": kind})


async def _answer(
    session: Session,
    handler: Callable[[Session, dict[str, Any]], dict[str, Any]],
    request: Request,
) -> Response:
    """Answer a request in JSON; errors are answered as JSON, too."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            return _refuse(413, f"A request has at most {MAX_BODY} bytes.")
    try:
        values = json.loads(body)
        if not isinstance(values, dict):
            raise ValueError("expected an object")
    except ValueError as error:
        return _refuse(400, f"The request is not JSON: {error}.")
    try:
        return JSONResponse(await run_in_threadpool(handler, session, values))
    except (AnnotationError, ImageError) as error:
        return _refuse(422, str(error))
    except TimeoutError as error:
        return _refuse(507, f"Another program keeps the file locked: {error}")
    except OSError as error:
        return _refuse(507, f"{session.table.path} cannot be written: {error.strerror or error}.")


def _refuse(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


async def _send_picture(session: Session, request: Request) -> Response:
    number = request.path_params["number"]
    if number >= len(session.images):
        return _refuse(404, f"There are {len(session.images)} images. Received: {number}.")
    try:
        path = await run_in_threadpool(session.pictures.get, number)
    except ImageError as error:
        return _refuse(422, str(error))
    except OSError as error:
        return _refuse(507, f"The picture cannot be stored: {error.strerror or error}.")
    return FileResponse(path, headers={"cache-control": "private, max-age=3600"})


async def _send_events(session: Session, request: Request) -> Response:
    """Send what windows show whenever it changes, until the window is closed."""

    async def stream() -> AsyncIterator[str]:
        window = request.path_params["window"]
        session.open_window(window)
        revision, waited = -1, 0.0
        try:
            while not session.finished.is_set():
                if session.revision != revision:
                    revision = session.revision
                    state = await run_in_threadpool(session.describe)
                    yield f"data: {json.dumps(state)}\n\n"
                elif waited >= HEARTBEAT:
                    waited = 0.0
                    yield ": still here\n\n"
                await asyncio.sleep(INTERVAL)
                waited += INTERVAL
            yield "event: finished\ndata: {}\n\n"
        finally:
            session.close_window(window)

    return StreamingResponse(stream(), media_type="text/event-stream")


def _get_next(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    skip = values.get("skip")
    return session.get_next(_get_window(values), skip=None if skip is None else _as_number(skip))


def _save(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    number, version = _as_number(values.get("image")), _as_number(values.get("version"))
    return session.save(_get_window(values), number, version, _as_label(values.get("label")))


def _undo(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    return session.undo(_get_window(values))


def _open(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    return session.reopen(_get_window(values), _as_number(values.get("image")))


def _finish(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    session.finished.set()
    return {"finished": True}


def _get_window(values: dict[str, Any]) -> str:
    window = values.get("window")
    if not isinstance(window, str) or not window or len(window) > 64:
        raise AnnotationError(f"window must be a short text. Received: {window!r}.")
    return window


def _as_number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise AnnotationError(f"expected a number of 0 or more. Received: {value!r}.")
    return value


def _as_label(value: Any) -> Label | None:
    """The label of a request; the table checks its values."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise AnnotationError(f"label must be an object or null. Received: {value!r}.")
    name, box = value.get("class_name"), value.get("box")
    is_list = isinstance(box, list) and all(type(edge) in (int, float) for edge in box)
    if not (name is None or isinstance(name, str)) or not (box is None or is_list):
        raise AnnotationError(
            "label must have a text class_name and a list of four numbers box, or null for both. "
            f"Received: {value!r}."
        )
    return Label(name, box if box is None else tuple(box))
