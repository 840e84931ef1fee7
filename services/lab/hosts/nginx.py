"""nginx on a lab host: its package, its service, and the page server that it really is.

What systemd and the package manager know of it is read from the host's own files, as on a real
host; so it is the same after a restart of the lab, and there is no second truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.lab.hosts.connection import Connection
from services.lab.hosts.filesystem import HostFiles
from services.lab.hosts.pages import DEFAULT_PAGE, PageServer
from services.lab.hosts.shell.programs.table import NGINX
from services.lab.hosts.shell.programs.web import PID
from services.lab.hosts.trouble import Trouble
from services.lab.loopback import LoopbackPort
from services.problem import Problem

_CONFIGURATION = "/etc/nginx/nginx.conf"
_UNIT = "/usr/lib/systemd/system/nginx.service"
_WANTED = "/etc/systemd/system/multi-user.target.wants/nginx.service"
_PID_FILE = "/run/nginx.pid"
_LOG = "/var/log/nginx/access.log"

_ERROR_LOG = "/var/log/nginx/error.log"

_PATIENCE_S = 10.0
"""How long a command waits for the event loop to start or stop the server."""


class Nginx:
    """One host's nginx.

    `reconcile` and `close` belong to the lab's event loop. Everything else is for commands, which
    run in threads: called in the loop's own thread, `start` and `stop` would wait for themselves.
    """

    def __init__(
        self,
        files: HostFiles,
        port: LoopbackPort,
        loop: asyncio.AbstractEventLoop,
        *,
        apt: bool,
        down: Callable[[], bool],
        trouble: Callable[[], Trouble],
        now: Callable[[], float],
    ) -> None:
        """`down` is a fault that keeps it from running whatever is asked; `trouble` others.

        `now` is the host's clock, in Unix seconds.
        """
        self._files = files
        self._port = port
        self._loop = loop
        self._down = down
        self._root = "/var/www/html" if apt else "/usr/share/nginx/html"
        self._page = f"{self._root}/{'index.nginx-debian.html' if apt else 'index.html'}"
        self._pages = PageServer(
            files, self._root, ("index.html", "index.htm", "index.nginx-debian.html"), _LOG, now
        )
        self._trouble = trouble
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._one = asyncio.Lock()

    @property
    def installed(self) -> bool:
        return self._files.exists(NGINX)

    @property
    def running(self) -> bool:
        return self._files.exists(_PID_FILE) and not self._down()

    @property
    def enabled(self) -> bool:
        return self._files.exists(_WANTED)

    def install(self) -> None:
        write, make = self._files.write, self._files.make_dirs
        for folder in ("/etc/nginx/conf.d", "/var/log/nginx", "/usr/lib/systemd/system"):
            make(folder)
        make(self._root)
        if not self._files.exists(_CONFIGURATION):
            write(_CONFIGURATION, self._configuration().encode())
        if not self._files.exists(f"{self._root}/index.html"):
            write(self._page, DEFAULT_PAGE)
        if not self._files.exists(_ERROR_LOG):
            write(_ERROR_LOG, b"", 0o640)
        write(_UNIT, b"[Unit]\nDescription=The nginx HTTP and reverse proxy server\n")
        write(NGINX, b"\x7fELF\0", 0o755)

    def remove(self) -> None:
        """Take away what the package brought; pages that somebody wrote stay."""
        self.enable(False)
        for path in (NGINX, _UNIT, _CONFIGURATION):
            if self._files.exists(path):
                self._files.remove(path)
        if self._files.exists(self._page) and self._files.read(self._page) == DEFAULT_PAGE:
            self._files.remove(self._page)

    def enable(self, on: bool, /) -> None:
        if on == self.enabled:
            return
        if not on:
            self._files.remove(_WANTED)
            return
        self._files.make_dirs(_WANTED.rpartition("/")[0])
        try:
            self._files.symlink(_UNIT, _WANTED)
        except OSError:
            # Windows lets only some users make links; the file says the same.
            self._files.write(_WANTED, b"")

    def complaint(self) -> str:
        try:
            text = self._files.read(_CONFIGURATION).decode("utf-8", "replace")
        except OSError:
            return f'open() "{_CONFIGURATION}" failed (2: No such file or directory)'
        depth, line = 0, 1
        for line, content in enumerate(text.splitlines(), 1):
            code = content.partition("#")[0]
            depth += code.count("{") - code.count("}")
            if depth < 0:
                return f'unexpected "}}" in {_CONFIGURATION}:{line}'
        if depth:
            return f'unexpected end of file, expecting "}}" in {_CONFIGURATION}:{line}'
        return ""

    def start(self) -> bool:
        self._files.make_dirs("/run")
        self._files.write(_PID_FILE, f"{PID}\n".encode())
        if self._in_loop():
            return self.running
        self._files.remove(_PID_FILE)
        return False

    def stop(self) -> None:
        if self._files.exists(_PID_FILE):
            self._files.remove(_PID_FILE)
        self._in_loop()

    async def reconcile(self) -> None:
        """Listen if it should run, else not. Raises `Problem` when the port is taken."""
        async with self._one:
            if self.running == (self._server is not None):
                return
            if self._server is None:
                listening = self._port.listen()
                self._pages.open()
                self._server = await self._loop.create_server(
                    self._connection, sock=listening, backlog=1024
                )
            else:
                self._stop_listening(self._server)
                self._port.hold()

    async def close(self) -> None:
        """Stop listening; the host's files still say that it runs, so that it does next time."""
        if self._server is not None:
            self._stop_listening(self._server)

    def _connection(self) -> Connection:
        return Connection(self._pages, self._trouble, self._connections, self._loop)

    def _stop_listening(self, server: asyncio.Server) -> None:
        """Stop, and drop whoever is connected."""
        server.close()
        self._server = None
        for connection in tuple(self._connections):
            connection.close()
        self._pages.close()

    def _in_loop(self) -> bool:
        """Reconcile, from a command's thread; false when that cannot be done."""
        try:
            asyncio.run_coroutine_threadsafe(self.reconcile(), self._loop).result(_PATIENCE_S)
        except (Problem, TimeoutError):
            return False
        return True

    def _configuration(self) -> str:
        return (
            "user nginx;\nworker_processes auto;\npid /run/nginx.pid;\n\n"
            "events {\n    worker_connections 1024;\n}\n\n"
            f"http {{\n    access_log {_LOG} combined;\n    server {{\n        listen 80;\n"
            f"        root {self._root};\n    }}\n}}\n"
        )
