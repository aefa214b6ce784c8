"""A small reverse proxy that shows a server below a prefix and has nothing elsewhere."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOP = {"transfer-encoding", "connection", "content-length", "keep-alive"}


class Handler(BaseHTTPRequestHandler):
    port = 0
    prefix = ""
    strips = False
    refused: list[str]

    def log_message(self, *_) -> None:
        return None

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        if path != self.prefix and not path.startswith(self.prefix + "/"):
            self.refused.append(self.path)
            self.send_error(404)
            return
        asked = (self.path[len(self.prefix) :] or "/") if self.strips else self.path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            connection.request(self.command, asked, body or None, dict(self.headers))
            found = connection.getresponse()
            data = found.read()
        finally:
            connection.close()
        self.send_response(found.status)
        for name, value in found.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for


@contextmanager
def proxy(port: int, prefix: str, *, strips: bool) -> Iterator[tuple[str, list[str]]]:
    """A proxy before a port: its address with the prefix, and the paths that were asked for beside the prefix."""
    refused: list[str] = []
    handler = type("Handler", (Handler,), {"port": port, "prefix": prefix, "strips": strips, "refused": refused})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{prefix}", refused
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
