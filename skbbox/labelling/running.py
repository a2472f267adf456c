"""Runs the server of a session, and opens its page."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from .server import make_app

if TYPE_CHECKING:
    from .output import Export
    from .session import Session

__all__ = ["open_page", "serve", "wait_until_closed"]

#: The only address that is served, which other machines cannot reach.
HOST = "127.0.0.1"
#: Seconds to wait for the server to start and to end.
TIMEOUT = 30.0
#: Seconds after which a closed page that was not opened again ends the session.
GRACE = 3.0


@contextmanager
def serve(session: Session, port: int = 0) -> Iterator[str]:
    """Serve a session in a thread of its own.

    Parameters
    ----------
    session : Session
    port : int, default=0
        0 takes a free one.

    Yields
    ------
    str
        URL of the page, which contains the secret token.

    Raises
    ------
    OSError
        If the port is taken.
    """
    token = secrets.token_urlsafe(24)
    listener = _listen(port)
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(session, token),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
    )
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        _wait_for(server, thread)
        yield f"http://{HOST}:{listener.getsockname()[1]}/{token}/"
    finally:
        session.stop()
        server.should_exit = True
        thread.join(TIMEOUT)
        listener.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":  # Where it would let two servers share a port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno,
            f"port {port} of {HOST} cannot be used ({os.strerror(error.errno or 0)}); pass "
            "another one, or 0 for a free one.",
        ) from error
    return listener


def _wait_for(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + TIMEOUT
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise OSError("The server of the page did not start.")
        time.sleep(0.01)


def open_page(url: str) -> None:
    """Open a page in the browser of the user, if there is one."""
    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(url)


def wait_until_closed(session: Session, export: Export, *, ends_with_page: bool) -> None:
    """Wait until the user has finished, and keep the export up to date.

    Parameters
    ----------
    session : Session
    export : Export
    ends_with_page : bool
        Whether closing the last window also ends the session.
    """
    while not session.finished.wait(0.2):
        session.report_problem(export.update())
        closed = session.last_closed
        if ends_with_page and closed is not None and time.monotonic() - closed > GRACE:
            return
