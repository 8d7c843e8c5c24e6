"""The HTML page in a real browser: from a number to the second, with nothing asked of any other host."""

from __future__ import annotations

import json
import re
import shutil
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from report_world import PhraseLexicon, World, call, make_archive, make_world

from callscan.report.html import embedded, link
from callscan.rescan.recount import count

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOSTILE = "</script><script>window.hurt=1</script><img src=x onerror=window.hurt=1> =cmd()|' /C calc'!A0 \u2028 {{7*7}}"

COST = {
    "audio_s": 600.0,
    "wall_s": 4.0,
    "stages": {"encode": 2.5, "vad": 1.5, "of_tomorrow": 0.5},
    "windows": 42,
    "places": 50,
    "frames": 1000,
    "padding": 170,
}

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def silent(path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x80" * int(8000 * seconds))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A counted archive beside its recordings, one name of which a web page could stumble over."""
    root = tmp_path_factory.mktemp("page")
    world = make_world(120, seed=5)
    records = []
    for record in world.records:
        path = root / "calls" / f"{record.call_id} #1 été?.wav"
        if record.audio:
            silent(path, record.audio.decoded)
        # The table of some calls has no product.
        given = {name: value for name, value in record.metadata.items() if name != "produit" or len(records) % 3}
        records.append(replace(record, uri=str(path), metadata=MappingProxyType(given)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALLSCAN_CALLER_KEY", "00112233445566778899aabbccddeeff")
        archive = make_archive(root / "archive", records)
        archive.commit("900000-000000", [], fingerprint="", cost=lambda: COST)
        count(archive, PhraseLexicon(), by=("produit",))
    return root / "archive" / "report"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield chromium
        chromium.close()


class Visit:
    """A page that was opened, with everything that it asked for and complained of."""

    def __init__(self, browser: Any, path: Path, address: str = "", **context: Any) -> None:
        context = {"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **context}
        self.page = browser.new_context(**context).new_page()
        self.asked: list[str] = []
        self.trouble: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.trouble.append(message.text) if message.type != "info" else None)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.goto(path.as_uri() + address)
        self.page.wait_for_selector("#main section")


def until(page: Any, condition: str) -> None:
    """Wait for a condition in JavaScript. The driver's own waiting needs eval, which the page's policy refuses."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {condition}")


@needs_browser
def test_what_listening_took(browser: Any, folder: Path) -> None:
    visit = Visit(browser, folder / "report.html")
    text = re.sub(r"\s%", "%", visit.page.locator("#cost").inner_text())
    for shown in ("150\ntimes real time", "42\nwindows decoded", "17%\npadding", "84%\n"):
        assert shown in text
    rows = visit.page.locator("#cost tr").all_inner_texts()
    assert [row.split("\t") for row in rows] == [
        ["encoder", "2.5 s"],
        ["finding speech", "1.5 s"],
        ["of_tomorrow", "0.5 s"],
    ]
    assert visit.trouble == []


@needs_browser
def test_from_a_number_to_the_second(browser: Any, folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    visit = Visit(browser, folder / "report.html")
    page = visit.page
    issue = report["issues"][0]
    row = page.locator(".issues tbody tr").first
    assert issue["label"]["en"] in row.inner_text()
    assert str(issue["calls"]) in row.inner_text()
    row.locator("a").click()
    page.wait_for_selector("#focus")
    expected = re.compile(rf"{issue['hits']} quotes in {issue['calls']} calls")
    assert expected.search(page.locator("#evidence-count").inner_text())
    first = page.locator(".row").first
    shown = first.locator(".time").inner_text()
    first.click()
    page.wait_for_selector("dialog[open] audio")
    button = page.locator("dialog .here .play")
    assert shown in button.inner_text()
    start = float(page.locator("dialog .here").get_attribute("data-start"))
    assert shown == f"{int(start) // 60:02d}:{int(start) % 60:02d}"
    button.click()
    until(page, "document.querySelector('dialog audio').readyState > 0")
    assert page.evaluate("document.querySelector('dialog audio').error") is None
    at = page.evaluate("document.querySelector('dialog audio').currentTime")
    assert start <= at < start + 2
    patterns = {pattern["pattern"] for one in report["issues"] for pattern in one["patterns"]}
    assert page.locator("dialog mark").first.inner_text() in patterns
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog:not([open])", state="attached")
    assert not [url for url in visit.asked if not url.startswith(folder.parent.parent.as_uri())]
    assert {Path(url).suffix.split("#")[0] for url in visit.asked} <= {".html", ".wav"}
    assert visit.trouble == []


@needs_browser
def test_numbers_on_the_page_are_those_of_the_report(browser: Any, folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    page = Visit(browser, folder / "report.html").page
    key = [item.inner_text() for item in page.locator("#coverage .key li").all()]
    names = ("scanned", "no_speech", "degraded", "quarantined", "duplicate", "deferred")
    assert [int(text.split()[0]) for text in key] == [report["coverage"][name] for name in names]
    for row, issue in zip(page.locator(".issues tbody tr").all(), report["issues"], strict=True):
        numbers = [cell.inner_text() for cell in row.locator("td.number").all()]
        assert numbers[1:] == [str(issue["calls"]), str(issue["hits"])]
        assert float(numbers[0]) == pytest.approx(issue["calls_per_100"], abs=0.51)
    page.goto(page.url.split("#")[0] + "#issue=billing")
    page.wait_for_selector("#focus")
    billing = next(issue for issue in report["issues"] if issue["id"] == "billing")
    for cell in billing["by"]["agent"]:
        assert f"{cell['calls']} / {cell['of']}" in page.locator("#focus").inner_text()
    page.locator("#focus a", has_text="agent-2").click()
    page.wait_for_selector(".chip >> nth=1")
    hits = next(cell["hits"] for cell in billing["by"]["agent"] if cell["value"] == "agent-2")
    assert page.locator("#evidence-count").inner_text().startswith(f"{hits} quotes")


@needs_browser
def test_calls_whose_cell_is_empty(browser: Any, folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    issue, hits = next(
        (issue["id"], cell["hits"])
        for issue in report["issues"]
        for cell in issue["by"]["produit"]
        if cell["value"] is None and cell["hits"]
    )
    page = Visit(browser, folder / "report.html", f"#issue={issue}&column=produit").page
    assert page.locator("#evidence-count").inner_text().startswith(f"{hits} quotes")


@needs_browser
def test_keyboard_languages_phone_and_print(browser: Any, folder: Path) -> None:
    visit = Visit(browser, folder / "report.html", "#issue=waiting")
    page = visit.page
    page.locator(".row").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.index") == "2"
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    until(page, "document.activeElement.dataset.index === '2'")
    page.locator("#language").click()
    assert page.evaluate("document.documentElement.lang") == "fr"
    assert "Complétude" in page.locator("#main").inner_text()
    page.locator("#search").fill("VINGT minutes")
    until(page, "location.hash.includes('q=')")
    assert page.locator(".row").count() > 0
    page.locator("#search").fill("zzzz")
    until(page, "!document.querySelector('.row')")
    page.emulate_media(media="print")
    assert not page.locator("#list").count() or not page.locator("#list").is_visible()
    assert page.locator(".printed").is_visible()
    phone = Visit(browser, folder / "report.html", "#issue=waiting", viewport={"width": 360, "height": 740}).page
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    assert visit.trouble == []


@needs_browser
def test_fifty_thousand_hits_stay_usable(browser: Any, folder: Path, tmp_path: Path) -> None:
    """Made from a real page by repeating its hits: what is drawn must not grow with them."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert match
    data = json.loads(match[1])
    hits, held = data["hits"], len(data["hits"]["call"])
    times = 50_000 // held + 1
    for name, column in hits.items():
        if isinstance(column, list) and len(column) == held and name not in ("issues", "speakers", "patterns"):
            hits[name] = (column * times)[:50_000]
    hits["total"] = 50_000
    page_path = tmp_path / "big.html"
    page_path.write_text(text[: match.start(1)] + embedded(data) + text[match.end(1) :], encoding="utf-8")
    visit = Visit(browser, page_path)
    page = visit.page
    page.wait_for_selector(".row")
    assert "50,000" in page.locator("#evidence-count").inner_text()
    assert page.locator(".row").count() < 60
    page.evaluate("const list = document.getElementById('list'); list.scrollTop = list.scrollHeight")
    page.wait_for_selector(".row[data-index='49999']")
    assert page.locator(".row").count() < 60
    page.locator("#search").fill("colis jamais")
    until(page, "!document.getElementById('evidence-count').textContent.includes('50,000')")
    assert page.locator(".row").count() > 0
    assert visit.trouble == []


@needs_browser
def test_hostile_text_is_text(browser: Any, tmp_path: Path) -> None:
    record = call(
        "</title><b>x", [("customer", f"{HOSTILE} colis jamais arrivé \x00\x1b[31m")], queue=HOSTILE, agent="__proto__"
    )
    other = call("plain", [("customer", "colis jamais arrivé")], queue="constructor", agent="toString")
    failed = replace(
        record,
        call_id=HOSTILE,
        uri=f"/x/{HOSTILE}",
        key="",
        status="quarantined",
        reason="unreadable",
        detail=HOSTILE,
        transcript=None,
        audio=None,
    )
    archive = make_archive(tmp_path / "archive", [record, other, failed])
    lexicon = PhraseLexicon(
        {"delivery": ("customer", ("colis jamais arrivé",)), "<i>hurt": ("customer", ("{{7*7}} colis",))}
    )
    count(archive, lexicon)
    visit = Visit(browser, tmp_path / "archive" / "report" / "report.html", "#issue=delivery")
    page = visit.page
    assert page.evaluate("window.hurt") is None
    assert page.locator("#main img, #main b:has-text('x') script, #main script").count() == 0
    assert (
        "onerror=window.hurt=1" in page.locator(".row").all_inner_texts()[0] + page.locator(".row").all_inner_texts()[1]
    )
    page.locator("#coverage summary").click()
    assert HOSTILE.split("\u2028")[0].strip() in page.locator("#coverage").inner_text()
    page.locator(".row").first.click()
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.locator("#focus a", has_text="__proto__").click()
    page.wait_for_selector(".chip >> nth=1")
    assert page.evaluate("window.hurt") is None
    assert visit.trouble == []


@needs_browser
@pytest.mark.parametrize("calls", [0, 1])
def test_little_to_show(browser: Any, tmp_path: Path, calls: int) -> None:
    records = [call("only", [("agent", "bonjour")])][:calls]
    count(make_archive(tmp_path / "archive", records), PhraseLexicon())
    visit = Visit(browser, tmp_path / "archive" / "report" / "report.html")
    assert visit.page.locator(".issues tbody tr").count() == len(PhraseLexicon().issues)
    assert visit.trouble == []


def test_the_policy_allows_its_own_script_and_nothing_else(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("base-uri") == rules.pop("form-action") == "'none'"
    assert rules.pop("media-src") == "'self' file:"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules.pop("script-src"))
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules.pop("style-src"))
    assert rules == {}
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
    assert text.count("<script") == 2


def test_data_cannot_leave_its_block() -> None:
    text = embedded({"quote": HOSTILE, "lone": "\ud800", "html": "<!-- <script>"})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text)["quote"] == HOSTILE
    text.encode("utf-8")


def test_links_to_recordings(tmp_path: Path) -> None:
    folder = tmp_path / "archive" / "report"
    assert link(str(tmp_path / "calls" / "a#b?.wav"), folder) == "../../calls/a%23b%3F.wav"
    assert link((tmp_path / "calls" / "a.wav").as_uri(), folder) == "../../calls/a.wav"
    assert link(str(folder / "sip:+33.wav"), folder) == "./sip%3A%2B33.wav"
    assert link("s3://bucket/a.wav", folder) is None
    assert link("/calls/a.wav", None) is None


def test_a_world_is_large_enough() -> None:
    world: World = make_world(120, seed=5)
    assert sum(len(found) for found in world.planted.values()) > 50
