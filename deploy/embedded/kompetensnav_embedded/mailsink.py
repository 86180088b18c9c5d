"""A mail server that delivers nothing: it keeps every message in a folder, and shows them on a page.

python -m kompetensnav_embedded.mailsink --folder DIR --smtp-port N --page-port N
"""

import argparse
import email
import email.policy
import html
import itertools
import threading
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

SHOWN = 200


class Keep:
    """Writes each message as NNNNNN.eml; whole, or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        newest = max((int(path.stem) for path in folder.glob("*.eml")), default=0)
        self._numbers = itertools.count(newest + 1)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Called by aiosmtpd for each message."""
        number = next(self._numbers)
        part = self._folder / f"{number:06}.part"
        part.write_bytes(envelope.content)
        part.rename(part.with_suffix(".eml"))
        return "250 kept"


def read(path: Path) -> EmailMessage:
    """A kept message."""
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


class Page(BaseHTTPRequestHandler):
    """The kept messages, the newest first; one message at /NNNNNN."""

    folder: Path

    def do_GET(self) -> None:
        """Answers with the list or one message."""
        name = self.path.strip("/")
        if not name:
            self._send(200, self._list())
        elif name.isdigit() and (path := self.folder / f"{int(name):06}.eml").exists():
            self._send(200, self._one(path))
        else:
            self._send(404, "<h1>No such message</h1>")

    def _list(self) -> str:
        paths = sorted(self.folder.glob("*.eml"), reverse=True)
        rows = []
        for path in paths[:SHOWN]:
            message = read(path)
            rows.append(
                f"<tr><td><a href='/{path.stem}'>{path.stem}</a></td>"
                f"<td>{html.escape(str(message['To']))}</td>"
                f"<td lang='{html.escape(str(message['Content-Language']))}'>"
                f"{html.escape(str(message['Subject']))}</td></tr>"
            )
        body = "".join(rows)
        return (
            f"<h1>Mail sink</h1><p>{len(paths)} messages kept; the newest {min(SHOWN, len(paths))} are shown."
            " Nothing is delivered.</p>"
            "<table><thead><tr><th>Number</th><th>To</th><th>Subject</th></tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )

    def _one(self, path: Path) -> str:
        message = read(path)
        part = message.get_body(("plain",))
        text = html.escape(part.get_content() if part else "")
        for word in text.split():
            if word.startswith(("http://", "https://")):
                text = text.replace(word, f"<a href='{word}'>{word}</a>", 1)
        heads = "".join(
            f"<dt>{name}</dt><dd>{html.escape(str(message[name]))}</dd>"
            for name in ("From", "To", "Date", "Subject")
        )
        above = f"<p><a href='/'>All messages</a></p><h1>Message {path.stem}</h1>"
        return f"{above}<dl>{heads}</dl><pre>{text}</pre>"

    def _send(self, status: int, main: str) -> None:
        body = _FRAME.replace("MAIN", main).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the addresses are personal."""


_FRAME = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Mail sink</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4rem .75rem .4rem 0;border-bottom:1px solid #8886}
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem}
dd{margin:0} pre{white-space:pre-wrap;font:inherit}
</style></head><body><main>MAIN</main></body></html>"""


def main() -> None:
    """Runs until ended."""
    options = argparse.ArgumentParser()
    options.add_argument("--folder", type=Path, required=True)
    options.add_argument("--smtp-port", type=int, required=True)
    options.add_argument("--page-port", type=int, required=True)
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    Page.folder = given.folder
    controller = Controller(Keep(given.folder), hostname="127.0.0.1", port=given.smtp_port)
    controller.start()
    server = ThreadingHTTPServer(("127.0.0.1", given.page_port), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
