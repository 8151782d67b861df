"""Makes the pictures of the README: `make screenshots`.

Starts the service in a copy of its own with the demo data, on free ports, and photographs its pages in headless
Chromium: in English for README.md (John's mailings), in Russian for README.ru.md (Anna's).
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from mailservice.cli.seed import PASSWORD
from tests.runtime import installation

IMAGES = Path(__file__).parent / "img"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
WIDTH = 1340
SCALE = 1.5
LARGEST = 200_000  # octets


@dataclass(frozen=True)
class Series:
    """The pictures in one language: whose pages, and which mailing's last attempt the report shows."""

    language: str
    email: str
    mailing: str


ENGLISH = Series("en", "john@example.org", "Catalogue of maps and charts")
RUSSIAN = Series("ru", "anna@example.org", "Скидка на Эфиопию")


def main() -> None:
    if not CHROMIUM:
        sys.exit("There is no Chromium on this machine: install Debian's “chromium” or set CHROMIUM to its path.")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        installation.copy_project(Path(folder))
        ports = installation.ports()
        run = installation.Run(Path(folder), **ports)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            run.wait_until_it_runs()
            pages, inbox = (f"http://127.0.0.1:{ports[name]}" for name in ("WEB_PORT", "INBOX_WEB_PORT"))
            _wait_for_letters(browser, inbox, at_least=40)
            _photograph(browser, RUSSIAN, pages, inbox)
            _send_something_english(browser, pages)
            _wait_for_letters(browser, inbox, at_least=120)
            _photograph(browser, ENGLISH, pages, inbox)
        finally:
            browser.close()
            run.close()


def _photograph(browser: Browser, series: Series, pages: str, inbox: str) -> None:
    page = _signed_in(browser, series, pages, color_scheme="light")
    page.goto("/mailings")
    _keep(page, f"mailings.{series.language}.png", height=700)
    page.goto(inbox)
    _keep(page, f"inbox.{series.language}.png", height=520)

    page = _signed_in(browser, series, pages, color_scheme="dark")
    page.goto("/mailings")
    page.get_by_role("link", name=series.mailing).first.click()
    page.locator("main a[href^='/attempts/']").first.click()
    page.goto(page.url.partition("/deliveries")[0])
    _keep(page, f"attempt.{series.language}.png", height=580)


def _signed_in(browser: Browser, series: Series, pages: str, **look: Any) -> Page:
    context = browser.new_context(
        base_url=pages,
        locale=series.language,
        device_scale_factor=SCALE,
        viewport={"width": WIDTH, "height": 900},
        **look,
    )
    page = context.new_page()
    page.goto("/sign-in")
    page.locator("[name=email]").fill(series.email)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=password]").press("Enter")
    expect(page.get_by_text(series.email)).to_be_visible()
    return page


def _send_something_english(browser: Browser, pages: str) -> None:
    """The demonstration's own mailing is in Russian."""
    now = datetime.now(UTC)
    page = _signed_in(browser, ENGLISH, pages)
    page.goto("/mailings/new")
    page.locator("[name=title]").fill("Sunday reading list, an extra copy")
    page.locator("[name=message_id]").select_option(label="Your Sunday reading list")
    page.locator("[name=start_date]").fill(now.strftime("%Y-%m-%d"))
    page.locator("[name=start_time]").fill(now.strftime("%H:%M"))
    page.locator("[name=time_zone]").fill("UTC")
    page.locator("[name=title]").press("Enter")
    page.get_by_role("button", name="Start the mailing").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()


def _wait_for_letters(browser: Browser, inbox: str, *, at_least: int) -> None:
    page = browser.new_page()
    for _ in range(160):  # a start can be undone for half a minute
        if page.request.get(f"{inbox}/api/v1/messages?limit=0").json()["total"] >= at_least:
            return
        page.wait_for_timeout(500)
    sys.exit(f"Fewer than {at_least} letters arrived within 80 s.")


def _keep(page: Page, name: str, *, height: int) -> None:
    """Cuts the page at `height` pixels of its style sheet."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # 256 colours make a third of the size; of Pillow's methods this one alone keeps rare colours, those of the states.
    picture = shot.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    picture.save(IMAGES / name, optimize=True)
    size = (IMAGES / name).stat().st_size
    print(f"docs/img/{name}  {size // 1000} kB")
    if size > LARGEST:
        sys.exit(f"{name} has more than {LARGEST // 1000} kB.")


if __name__ == "__main__":
    main()
