"""The security log's own ways: what is written when, and what a reader of it finds or forgives."""

import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from kompetensnav_chassis import security
from kompetensnav_chassis.security import Chain, Watch, breaks, ends, note


async def exports(request):
    note("export")
    if request.query_params:
        raise RuntimeError("after the commit")
    return PlainTextResponse("all of it")


def watched(chain):
    app = Starlette(routes=[Route("/export", exports)])
    app.add_middleware(Watch, chain=chain)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://x")


def acts(path):
    return [(line["act"], line.get("status")) for line in map(json.loads, path.read_text().splitlines())]


async def test_what_was_done_is_written_though_its_answer_failed(tmp_path):
    path = tmp_path / "log"
    async with watched(Chain("x", path)) as client:
        assert (await client.get("/export")).status_code == 200
        assert (await client.get("/export?fail=1")).status_code == 500
        assert (await client.get("/nowhere")).status_code == 404
    assert acts(path) == [("begins", None), ("export", 200), ("export", 500)]


@pytest.mark.parametrize("subject", ["a\u2028b", "\ud800", "å", "x" * 200, 'a"b\\c'])
def test_whoever_it_was_the_line_is_one_and_fits(tmp_path, subject):
    path = tmp_path / "log"
    Chain("x", path).write("refused", subject=subject)
    lines = path.read_text().split("\n")
    assert breaks(lines) == []
    assert json.loads(lines[1])["subject"] == subject


def test_starts_one_after_the_other_and_beside_each_other_fit(tmp_path):
    path = tmp_path / "log"
    first, second = Chain("x", path), Chain("x", path)
    for chain in (first, second, first, second):
        chain.write("refused")
    Chain("x", path).write("refused")
    lines = path.read_text().split("\n")
    assert breaks(lines) == []
    assert sorted(number for number, _ in ends(lines).values()) == [2, 3, 3]
    assert breaks(lines[3:]) == [], "begun anew in the middle of two"


def test_standard_output_of_several_starts_fits_whatever_stands_before_a_line(capsys):
    for _ in range(2):
        chain = Chain("x", None)
        chain.write("refused")
    print("Started")
    chain.write("refused")
    lines = capsys.readouterr().out.split("\n")
    assert breaks(f"registry-1  | {line}" for line in lines) == []
    assert breaks(line for line in lines if '"number": 2' not in line) != []


def test_a_file_that_has_grown_is_begun_anew_and_both_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(security, "LARGEST", 3000)
    path = tmp_path / "log"
    chain = Chain("x", path)
    for _ in range(12):
        chain.write("refused")
    old, new = (tmp_path / "log.1").read_text().split("\n"), path.read_text().split("\n")
    assert breaks(old) == breaks(new) == []
    assert path.stat().st_size < 3500


def test_what_cannot_be_written_or_read_keeps_nobody_from_working(tmp_path):
    Chain("x", tmp_path / "there/is/no/such/folder").write("refused")
    odd = ['{"log": "security", "number": "²", "chain": "x"}', '{"log": "security"', "\ud800", "[]", "1"]
    assert len(breaks(odd)) == 2
