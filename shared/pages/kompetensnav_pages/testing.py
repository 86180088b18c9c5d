"""Somebody before a browser (Debian's Chromium), who has only a keyboard; and axe, which reads along."""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from kompetensnav_chassis.testing import eventually

AXE = Path(__file__).parents[1] / "assets/node_modules/axe-core/axe.min.js"
WIDTHS = (360, 1280)
SCHEMES = ("light", "dark")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's; `make tools` installs it."""
    program = shutil.which("chromium")
    assert program, "chromium is not installed: run `make tools`"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def reading(
    browser: Browser,
    home: str,
    *,
    width: int = 1280,
    language: str = "sv-SE",
    scheme: Any = "light",
    scripts: bool = True,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator["Reader"]:
    """A reader at a service's address; their pages must be free of complaints at the end."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, locale=language, color_scheme=scheme,
        java_script_enabled=scripts, extra_http_headers=dict(headers or {}),
    )  # fmt: skip
    reader = Reader(await context.new_page(), home)
    try:
        yield reader
    finally:
        await context.close()  # a page that is left open follows the stack for ever
    assert reader.complaints == []


class Reader:
    """Somebody who reads and acts."""

    def __init__(self, page: Page, home: str) -> None:
        """`home` is the address that paths are of."""
        self.page, self.home = page, home
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    async def open(self, path: str = "/") -> None:
        """A page of the service, or a whole address."""
        await self.page.goto(path if path.startswith("http") else self.home + path)

    async def to(self, selector: str) -> None:
        """Tabs until the focus is there."""
        for _ in range(400):
            if await self.page.evaluate("s => document.activeElement?.matches(s) ?? false", selector):
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"no way to {selector} by keyboard on {self.page.url}")

    async def press(self, selector: str, key: str = "Enter") -> None:
        """Goes there and presses a key; waits for what comes of it."""
        await self.to(selector)
        await self.page.keyboard.press(key)
        await self.page.wait_for_load_state()

    async def write(self, selector: str, text: str) -> None:
        """Goes there and writes, in place of what stands there."""
        await self.to(selector)
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.type(text)

    async def follow(self, selector: str) -> None:
        """Presses a link or a button that leads to another page."""
        await self.to(selector)
        async with self.page.expect_navigation():
            await self.page.keyboard.press("Enter")

    async def sees(self, text: str) -> None:
        """The page says so, at the latest in a while."""

        async def look() -> bool:
            return text in await self.page.inner_text("main")

        try:
            await eventually(look, 30)
        except AssertionError:
            shown = await self.page.inner_text("main")
            raise AssertionError(f"{self.page.url} does not say {text!r}: {shown[:600]}") from None

    async def fits(self) -> None:
        """Nothing makes the page itself wider than the window."""
        wide = await self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{self.page.url} is {wide} px too wide"

    async def is_accessible(self, where: str = "") -> None:
        """Axe finds nothing on the page as it stands, in either colour scheme, and it fits its window."""
        await self.page.evaluate(AXE.read_text())
        for scheme in SCHEMES:
            await self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await self.page.evaluate("Promise.all(document.getAnimations().map(a => a.finished))")
            await self.fits()
            found = await self.page.evaluate("axe.run({resultTypes: ['violations']})")
            wrong = [
                (v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"][:200])
                for v in found["violations"]
            ]
            assert wrong == [], f"{where or self.page.url}, {scheme}"
