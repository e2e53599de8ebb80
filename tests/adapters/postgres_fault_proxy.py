"""Stands between a client and PostgreSQL, and cuts their connection at the worst moments."""

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

_COMMIT = b"COMMIT"
#: The message after which the server sends what it has.
_SYNC = b"S\0\0\0\4"


class PostgresFaultProxy:
    """Listens on a port of its own and passes everything on, until it is told otherwise."""

    def __init__(self, url: str) -> None:
        self._upstream = conninfo_to_dict(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._links: list[_Link] = []
        self._lock = Lock()
        self._is_down = False
        self._is_silent = False
        self._on_commit: Callable[[_Link, bytes], None] | None = None
        #: Set once a COMMIT was interfered with.
        self.struck = Event()
        host, port = self._listener.getsockname()
        through = make_url(url).set(host=host, port=port, query={"sslmode": "disable"})
        self.url = through.render_as_string(hide_password=False)
        Thread(target=self._accept, daemon=True).start()

    def lose_next_answer_to_commit(self) -> None:
        """Pass the next COMMIT on, and cut the connection when its answer comes."""
        self._on_commit = _Link.lose_answer

    def lose_next_commit(self) -> None:
        """Cut the connection in place of passing the next COMMIT on."""
        self._on_commit = lambda link, _: link.cut()

    def delay_next_commit(self, until: Event) -> None:
        """Cut the client off at the next COMMIT, and pass it on only when ``until`` is set."""

        def delay(link: _Link, data: bytes) -> None:
            link.cut_client()
            until.wait()
            link.lose_answer(data + _SYNC)
            link.answered.wait()

        self._on_commit = delay

    def go_down(self) -> None:
        """Cut all connections, and refuse further ones."""
        with self._lock:
            self._is_down = True
            links, self._links = self._links, []
        for link in links:
            link.cut()

    def fall_silent(self) -> None:
        """Keep all connections open, and pass nothing on any more."""
        self._is_silent = True

    def come_back(self) -> None:
        """Take connections again."""
        self._is_down = False

    def close(self) -> None:
        """Be gone."""
        self.go_down()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    if self._is_down:
                        client.close()
                        continue
                    link = _Link(client, self._connect())
                    self._links.append(link)
                Thread(target=self._forward, args=(link,), daemon=True).start()
                Thread(target=link.answer, daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = str(self._upstream.get("host") or "localhost"), self._upstream.get("port") or 5432
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        upstream = socket.socket(socket.AF_UNIX)
        upstream.connect(f"{host}/.s.PGSQL.{port}")
        return upstream

    def _forward(self, link: "_Link") -> None:
        with suppress(OSError):
            while data := link.client.recv(65536):
                if self._is_silent:
                    continue
                strike = self._on_commit
                if strike is not None and _COMMIT in data:
                    self._on_commit = None
                    self.struck.set()
                    strike(link, data)
                else:
                    link.server.sendall(data)
        link.cut()


class _Link:
    """A client's connection and the one that stands for it at the server."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self._loses_answers = False
        self.answered = Event()

    def answer(self) -> None:
        with suppress(OSError):
            while data := self.server.recv(65536):
                if self._loses_answers:
                    break
                self.client.sendall(data)
        self.answered.set()
        self.cut()

    def lose_answer(self, data: bytes) -> None:
        self._loses_answers = True
        self.server.sendall(data)

    def cut_client(self) -> None:
        _cut(self.client)

    def cut(self) -> None:
        _cut(self.client)
        _cut(self.server)


def _cut(side: socket.socket) -> None:
    # Only a shutdown wakes a thread that waits for data.
    with suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
    side.close()
