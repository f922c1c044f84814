"""A web server in this process that answers every question in one way."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

Answering = Callable[..., str]  # (code, body=b"", account="") -> the server's address


@contextmanager
def answering() -> Iterator[Answering]:
    """Give what starts servers; with an account, its Authorization header turns 401 into 200."""
    servers: list[HTTPServer] = []

    def start(code: int, body: bytes = b"", account: str = "") -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                allowed = bool(account) and self.headers.get("Authorization") == account
                self.send_response(200 if code == 401 and allowed else code)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    try:
        yield start
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
