"""A local server that stands for the publishers of data sets and weights."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pooch
import pytest


@dataclass
class Site:
    """What the server sends, and what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    status: int = 200
    ranges: bool = True
    cuts: list[int | None] = field(default_factory=list)  # bytes sent before hanging up
    asked: list[str | None] = field(default_factory=list)  # the ranges
    names: list[str] = field(default_factory=list)
    url: str = ""


def _handler(site):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted, name = self.headers["Range"], self.path.rpartition("/")[2]
            site.asked.append(wanted)
            site.names.append(name)
            if site.status != 200 or name not in site.files:
                self.send_error(site.status if site.status != 200 else 404)
                return
            content = site.files[name]
            start = 0
            if wanted and site.ranges:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
            body = content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: site.cuts.pop(0)] if site.cuts else body)

        def log_message(self, *args):
            pass

    return Handler


@pytest.fixture
def site(monkeypatch):
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    yield site
    logger.setLevel(level)
    server.shutdown()
    server.server_close()
    thread.join()
