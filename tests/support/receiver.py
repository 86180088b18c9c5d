"""A partner's receiver of webhooks, which answers as it is told to."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

Answer = tuple[int, dict[str, str]]


@dataclass
class Receiver:
    """What it was sent, and what it answers; `answers` first, then `always`."""

    answers: list[Answer] = field(default_factory=list)
    always: Answer = (204, {})
    refuses: int = -1
    """The number of an event that it answers with 400."""
    got: list[tuple[float, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""
    held: threading.Event = field(default_factory=threading.Event)
    """While it is not set, no answer is given."""

    def __post_init__(self) -> None:
        self.held.set()

    def verified(self, secret: str) -> list[dict[str, Any]]:
        """What was sent, each with a good signature by this secret. Raises WebhookVerificationError."""
        return [Webhook(secret).verify(body, headers) for _, headers, body in self.got]

    def ids(self) -> list[str]:
        """The id of each post, in order."""
        return [headers["webhook-id"] for _, headers, _ in self.got]

    def numbers(self) -> list[int]:
        """The `n` of each post's facts."""
        return [json.loads(body)["data"]["n"] for _, _, body in self.got]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """One that runs on a free port of this machine."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.got.append((time.monotonic(), {k.lower(): v for k, v in self.headers.items()}, body))
            made.held.wait(60)
            status, headers = made.answers.pop(0) if made.answers else made.always
            if json.loads(body)["data"].get("n") == made.refuses:
                status = 400
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/in"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        made.held.set()
        server.shutdown()
        server.server_close()
