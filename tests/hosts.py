"""A host on the loopback interface, for downloads, that fails in the ways that hosts do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread


@dataclass
class Host:
    """Where it listens, and from which byte on each request wanted the file."""

    name: str
    asked: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Of the one file that it has."""
        return f"http://{self.name}/file.tar.gz"


@contextmanager
def serving(content: bytes, breaks_off: int | None = None, ranges: bool = True, status: int = 200) -> Iterator[Host]:
    """Serves one file.

    Args:
        content: of the file.
        breaks_off: after how many bytes each answer does, though it promises all.
        ranges: whether it knows them, or always sends the whole file.
        status: any but 200 refuses.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            host.asked.append(start)
            if status != 200:
                self.send_error(status)
                return
            partial = ranges and start > 0
            rest = content[start:] if partial else content
            self.send_response(206 if partial else 200)
            if partial:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[:breaks_off])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    host = Host(f"127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
