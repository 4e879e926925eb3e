"""A local server with every bad habit: one path per habit, on a free port of this machine."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = b"label\ttext\n" + b"joy\tun text oarecare\n" * 50


class _Handler(BaseHTTPRequestHandler):
    server: "HostileServer"

    def do_GET(self) -> None:
        habit = self.path.split("/")[1]
        self.server.requests[habit] += 1
        getattr(self, f"_{habit}", self._absent)()

    def _send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", headers.pop("length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _good(self) -> None:
        self._send(BODY)

    def _absent(self) -> None:
        self._send(b"no", 404)

    def _tired(self) -> None:
        first = self.server.requests["tired"] == 1
        self._send(b"later" if first else BODY, 500 if first else 200)

    def _broken(self) -> None:
        self._send(b"never", 500)

    def _cut(self) -> None:
        self._send(BODY[:100], length=str(len(BODY)))

    def _page(self) -> None:
        self._send(b"<html>Please sign in</html>")

    def _other(self) -> None:
        self._send(BODY[::-1])

    def _endless(self) -> None:
        self._send(BODY * 100)

    def _short(self) -> None:
        self._send(BODY, length=str(len(BODY) // 2))

    def _elsewhere(self) -> None:
        self._send(b"", 302, Location="file:///etc/hostname")

    def _abroad(self) -> None:
        self._send(b"", 302, Location="ftp://example.org/file")

    def _near(self) -> None:
        self._send(b"", 302, Location="/good")

    def _slow(self) -> None:
        self.server.stopped.wait(20)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class HostileServer(ThreadingHTTPServer):
    """Counts its requests per habit."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: Counter[str] = Counter()
        self.stopped = threading.Event()

    def url(self, habit: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{habit}"


@contextmanager
def serve() -> Iterator[HostileServer]:
    server = HostileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
