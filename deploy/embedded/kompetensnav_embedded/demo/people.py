"""Employers and learners of the story: they read their mail, follow the link, and answer on the page."""

import asyncio
import email
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.message import Message
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import local
from time import sleep
from urllib.parse import urlencode, urlsplit

LINK = re.compile(r"https?://\S+/answer/\S+")
ASKS = re.compile(r"svara senast|answer by")
LEARNERS = ("elev.", "student.")
WORKERS = 6


class Form(HTMLParser):
    """The questions on a page: the names of its radio buttons."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects each question once."""
        found = dict(attrs)
        name = found.get("name")
        if tag == "input" and found.get("type") == "radio" and name and name not in self.questions:
            self.questions.append(name)


ALERTS = "@operations.kompetensnav>"
"""How the Message-ID of an alert ends: the console writes to operators, on a busy machine here too."""


@dataclass
class People:
    """Everyone who gets mail. `one_in`: so many learners say no to their first offer; 0 = none."""

    folder: Path
    one_in: int
    read_to: int = 0
    pages: int = 0
    yes: int = 0
    no: int = 0
    received: set[str] = field(default_factory=set)
    """Message-IDs: a mail that was being sent when its sender was killed comes twice, and is one message."""
    _heard: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    _have_declined: set[str] = field(default_factory=set)
    _crowd: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(WORKERS))
    _kept: local = field(default_factory=local)

    async def answer_new(self) -> int:
        """Reads what has come since last time and answers it; returns how many messages were read."""
        new = []
        while (path := self.folder / f"{self.read_to + 1:06}.eml").exists():
            self.read_to += 1
            new.append(path)
        if new:
            await asyncio.to_thread(lambda: list(self._crowd.map(self._open, new)))
        return len(new)

    @property
    def messages(self) -> dict[str, list[str]]:
        """Learner (the mailbox's name) -> subjects of what came, the first one first; each message once."""
        return {
            who: [subject for _, subject in sorted(messages.values())]
            for who, messages in sorted(self._heard.items())
        }

    def _open(self, path: Path) -> None:
        """Opens the link of a message that asks for an answer; what only tells is left unopened."""
        message = email.message_from_bytes(
            path.read_bytes()
        )  # the old policy: the new one parses much more slowly
        part = message.get_payload(0) if message.is_multipart() else message
        assert isinstance(part, Message)
        text = part.get_payload(decode=True)
        link = LINK.search(text.decode() if isinstance(text, bytes) else "")
        subject = str(make_header(decode_header(str(message["Subject"]))))
        address = str(message["To"])
        if not str(message["Message-ID"]).endswith(ALERTS):
            self.received.add(str(message["Message-ID"]))
        if address.startswith(LEARNERS):
            messages = self._heard.setdefault(address.partition("@")[0], {})
            messages.setdefault(str(message["Message-ID"]), (path.name, subject))
        if not link or not ASKS.search(subject):
            return
        form = Form()
        form.feed(self._ask("GET", link[0]))
        self.pages += 1
        if form.questions:
            said = self._decide(address)
            self._ask("POST", link[0], urlencode(dict.fromkeys(form.questions, said)))
            self.yes += len(form.questions) * (said == "yes")
            self.no += len(form.questions) * (said == "no")

    def _ask(self, method: str, url: str, body: str | None = None) -> str:
        """A page; a person tries again when it does not answer."""
        where = urlsplit(url)
        headers = {"content-type": "application/x-www-form-urlencoded"} if body else {}
        for _ in range(60):
            if not hasattr(self._kept, "connection"):
                self._kept.connection = HTTPConnection(where.netloc, timeout=30)
            try:
                self._kept.connection.request(method, where.path, body, headers)
                answered = self._kept.connection.getresponse()
                page: str = answered.read().decode()
                if answered.status < 500:
                    return page
            except (OSError, HTTPException):
                del self._kept.connection
            sleep(0.5)
        raise RuntimeError("the pages behind the links do not answer")

    def _decide(self, address: str) -> str:
        """One learner in so many says no, once; who does depends on the address alone."""
        if not self.one_in or not address.startswith(LEARNERS) or address in self._have_declined:
            return "yes"
        if int(hashlib.sha256(address.encode()).hexdigest(), 16) % self.one_in:
            return "yes"
        self._have_declined.add(address)
        return "no"
