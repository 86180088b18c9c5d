"""What a stranger may cost: a large body, a slow one, many half-open connections or a file that unpacks to
very much keep nobody else waiting."""

import asyncio
import contextlib
import io
import json
import time
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from openpyxl import Workbook

from kompetensnav_chassis import bounds
from kompetensnav_chassis.identity import open_to_all

pytestmark = pytest.mark.real
CODE = "0586"


async def spoken(url, head, *, chunks=0):
    """The first line and the headers of an answer, which comes while a body in chunks goes on."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        writer.write(head.encode() + b"\r\n")
        piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        answer = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
        with contextlib.suppress(ConnectionError):
            for _ in range(chunks):
                if answer.done():
                    break
                writer.write(piece)
                await writer.drain()
        async with asyncio.timeout(20):
            return (await answer).decode()
    finally:
        writer.close()


def head(url, path, *lines):
    return "".join(
        f"{line}\r\n" for line in (f"POST {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", *lines)
    )


async def test_nobodys_body_is_read_before_their_token(stack):
    url = stack.running["services"]["registry"]
    lines = ("content-type: application/json", "transfer-encoding: chunked")
    answer = await spoken(url, head(url, f"/{CODE}/learners", *lines), chunks=500)
    assert answer.startswith("HTTP/1.1 401"), answer
    assert "connection: close" in answer


async def test_a_body_that_is_too_large_is_refused_by_its_length_or_on_the_way(stack):
    url = stack.running["services"]["registry"]
    token = stack.token("coordinator", municipalities=(CODE,))
    signed = (f"authorization: Bearer {token}", "content-type: application/json")
    for path in (f"/{CODE}/learners", f"/{CODE}/imports/learners"):
        answer = await spoken(url, head(url, path, *signed, "content-length: 40000000"))
        assert answer.startswith("HTTP/1.1 413"), answer
    answer = await spoken(
        url, head(url, f"/{CODE}/learners", *signed, "transfer-encoding: chunked"), chunks=100
    )
    assert answer.startswith("HTTP/1.1 413"), answer
    refused = httpx.post(
        f"{url}/{CODE}/learners", content=b"x" * 64_001, headers={"authorization": f"Bearer {token}"}
    )
    assert refused.status_code == 413
    assert refused.json()["type"] == "urn:kompetensnav:problem:too-large"
    assert "64,000" in refused.json()["detail_en"]


async def test_connections_that_say_nothing_or_half_a_request_are_ended_and_others_are_served(stack):
    url = stack.running["services"]["registry"]
    at = urlsplit(url)
    opened = []
    for n in range(400):
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
        if n % 2:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        opened.append((reader, writer))
    async with httpx.AsyncClient() as client:
        began = time.monotonic()
        assert (await client.get(f"{url}/health/live")).status_code == 200
        assert time.monotonic() - began < 10

    async def ended(reader):
        with contextlib.suppress(ConnectionError):
            await reader.read()

    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(ended(reader) for reader, _ in opened))
    finally:
        for _, writer in opened:
            writer.close()


def book(rows):
    """A file of so many rows of one value, small when packed."""
    made = Workbook(write_only=True)
    sheet = made.create_sheet()
    sheet.append(["ref", "name"])
    for _ in range(rows):
        sheet.append(["a", "b"])
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


async def test_a_file_of_too_many_rows_is_refused_at_once_and_a_large_one_keeps_nobody_waiting(stack):
    url = stack.running["services"]["registry"]
    token = stack.token("coordinator", municipalities=(CODE,))
    headers = {"authorization": f"Bearer {token}", "content-type": "text/csv"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120) as client:
        many = await client.post(f"/{CODE}/imports/employers", content=await asyncio.to_thread(book, 260_000))
        assert many.status_code == 400
        assert "250,000 rows" in many.json()["detail_en"]
        large = asyncio.ensure_future(
            client.post(f"/{CODE}/imports/employers/preview", content=await asyncio.to_thread(book, 40_000))
        )
        waits = []
        while not large.done():
            began = time.monotonic()
            assert (await client.get("/health/live")).status_code == 200
            waits.append(time.monotonic() - began)
        assert large.result().status_code == 200
        assert len(waits) > 10, "the service answered others meanwhile"


async def test_a_body_that_does_not_arrive_is_given_up(monkeypatch):
    monkeypatch.setattr(bounds, "ARRIVES", 0.05)
    monkeypatch.setattr(bounds, "BODY", 1_000)
    service, router = FastAPI(), APIRouter()

    @router.post("/", dependencies=[Depends(open_to_all)])
    async def take() -> None:
        """Nothing."""

    said = []

    async def receive():
        if said:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()

    async def send(message):
        said.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "root_path": "",
             "app": service, "headers": [(b"content-length", b"10")]}  # fmt: skip
    await bounds.Bounds(service, service, [router])(scope, receive, send)
    assert said[0]["status"] == 408
    assert json.loads(said[1]["body"])["detail_sv"] == "Anropet kom inte fram i tid."


async def test_a_body_that_is_cut_off_is_not_taken_for_a_whole_one():
    service, router, taken = FastAPI(), APIRouter(), []

    @router.post("/", dependencies=[Depends(open_to_all)])
    async def take() -> None:
        """Notes that it was called."""
        taken.append(True)

    service.include_router(router)
    coming = [{"type": "http.request", "body": b"x" * 31, "more_body": True}, {"type": "http.disconnect"}]

    async def receive():
        return coming.pop(0)

    async def send(message):
        taken.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "root_path": "",
             "app": service, "headers": [(b"content-length", b"1000")]}  # fmt: skip
    await bounds.Bounds(service, service, [router])(scope, receive, send)
    assert taken == []


@pytest.mark.parametrize("tail", [b"0\r\nX-T: ", b"0\r\n\r\nGET / HTTP/1.1\r\nX-T: "])
async def test_headers_without_end_behind_a_request_end_the_connection(stack, tail):
    """Trailers of a chunked body, and headers of a request that is sent while another is answered."""
    at = urlsplit(stack.running["services"]["registry"])
    _, writer = await asyncio.open_connection(at.hostname, at.port)
    start = "POST /answer/x HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    writer.write(start.encode() + tail)
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 40_000_000:
            writer.write(b"a" * 60_000 + b"\r\nX-T: ")
            sent += 60_008
            await writer.drain()
    writer.close()
    assert sent < 40_000_000
