"""The catalogue page: what a partner can read, in two languages, for people and for programs."""

import json
import re
from html import unescape

import httpx
import jsonschema
import pytest

from kompetensnav_contracts.catalogue import catalogue

pytestmark = pytest.mark.real
PUBLIC = {name: event for name, event in catalogue().items() if event.visibility == "pub"}


@pytest.mark.parametrize(("language", "title"), [("sv", "Publika händelser"), ("en", "Public events")])
async def test_the_page_shows_every_public_event_and_no_other(stack, language, title):
    page = httpx.get(f"{stack.running['services']['registry']}/catalogue?lang={language}")
    assert page.status_code == 200
    assert f"<h1>{title}</h1>" in page.text
    assert "default-src" in page.headers["content-security-policy"]
    shown = re.findall(r'<h2 id="[\w-]+">(.*?)</h2>', page.text)
    assert sorted(shown) == sorted(PUBLIC)
    text = unescape(page.text)
    for name, event in PUBLIC.items():
        for field, about in event.model_fields.items():
            assert f"<code>{field}</code>" in text
            assert about.description in text, f"{name}.{field}"
    assert not [name for name, event in catalogue().items() if event.visibility != "pub" and name in text]


async def test_each_event_has_a_schema_that_its_example_fits(stack):
    url = stack.running["services"]["registry"]
    page = unescape(httpx.get(f"{url}/catalogue").text)
    examples = re.findall(r"<pre tabindex=\"0\"><code>(.*?)</code></pre>", page, re.DOTALL)
    links = re.findall(r'href="(/catalogue/[\w.]+json)"', page)
    assert len(examples) == len(links) == len(PUBLIC)
    for link, example in zip(links, examples, strict=True):
        answered = httpx.get(url + link)
        assert answered.headers["content-type"] == "application/schema+json"
        jsonschema.validate(json.loads(example), answered.json())
    assert httpx.get(f"{url}/catalogue/registry.request.opened.v1.json").status_code == 404
