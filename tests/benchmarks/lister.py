"""A server for the list alone, cheap enough not to be what is measured: a page is one stretch of a file.

Run as a process of its own: `python -m tests.benchmarks.lister FILE`. Prints its port, and serves until killed.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks.corpus import ENTRY_BYTES

MOST = 5000
_HEAD, _TAIL = b'{"success":true,"data":{"downloads":[', b"]}}"


class Handler(BaseHTTPRequestHandler):
    """`GET /download?page_index=&count=` over the file that the server holds."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        count = min(MOST, int(query.get("count", ["100"])[0]))
        start = int(query.get("page_index", ["0"])[0]) * count
        fd = self.server.list_fd  # type: ignore[attr-defined]
        page = os.pread(fd, count * ENTRY_BYTES, start * ENTRY_BYTES).rstrip().removesuffix(b",")
        body = _HEAD + page + _TAIL
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: links do not belong into a log."""


class Server(ThreadingHTTPServer):
    """Does not speak of clients that hang up: they do, when they have what they want."""

    def handle_error(self, *_: object) -> None:
        pass


def main() -> None:
    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.list_fd = os.open(Path(sys.argv[1]), os.O_RDONLY)  # type: ignore[attr-defined]
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
