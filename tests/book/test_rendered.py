"""The built pages as a browser shows them: accessible, whole without a network, light, and usable by keyboard.

These need `make book` and Chromium, so a plain pytest leaves them out; `make rendered` runs them.
"""

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Route, sync_playwright

from book import ROOT
from book.pdf import chromium
from book.texts import toc_pages
from resnet_lib.evidence import ledger

pytestmark = pytest.mark.rendered

BUILT = ROOT / "build" / "book"
SHOTS = ROOT / "build" / "screenshots"
OWN = ("genindex.html", "index.html")  # the first no reader is led to, the second only leads to the first page
PAGES = sorted(
    str(path.relative_to(BUILT))
    for path in BUILT.rglob("*.html")
    if not path.relative_to(BUILT).parts[0].startswith("_") and path.name not in OWN
)
CHAPTERS = [name for name in PAGES if "notebooks/" in name]  # in all languages
MOST_BYTES = 3_000_000  # of a page with all that it loads
WIDTHS = {"phone": 360, "desktop": 1440}
TABLET = 1024  # pixels across, where the theme has a sidebar on the left and none on the right


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=chromium(), args=quiet)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served() -> Iterator[str]:
    """The address of the build on this machine: axe reads style sheets in a way that a file's page may not."""
    handler = functools.partial(Silent, directory=BUILT)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of the width of a desktop, without a network: what asks for one fails and is noted in `page.faults`."""
    with browser.new_context(viewport={"width": WIDTHS["desktop"], "height": 900}) as context:
        page = context.new_page()
        page.faults = []

        def refuse(route: Route) -> None:
            page.faults.append(f"asks for {route.request.url}")
            route.abort()

        page.route(lambda url: url.startswith("http") and "127.0.0.1" not in url, refuse)
        page.on("requestfailed", lambda request: page.faults.append(f"does not get {request.url}"))
        page.on("pageerror", lambda error: page.faults.append(f"script error: {error}"))
        page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
        yield page


def read(page: Page, name: str) -> None:
    """Opens a page from its folder and waits until its mathematics is set."""
    page.goto((BUILT / name).as_uri(), wait_until="load")
    page.wait_for_function("window.MathJax === undefined || !!window.MathJax.startup?.promise")
    page.evaluate("window.MathJax?.startup?.promise")


def test_the_book_is_built() -> None:
    assert len(PAGES) > len(toc_pages(ROOT)), "run `make book` first"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(page: Page, served: str, name: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # so that no colour is seen on its way
    page.goto(f"{served}/{name}", wait_until="load")
    found = Axe().run(page).response["violations"]
    assert not [f"{fault['id']}: {node['html'][:200]}" for fault in found for node in fault["nodes"]]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_without_a_network(page: Page, name: str) -> None:
    read(page, name)
    assert not page.faults
    formulas, drawn = (page.locator(kind).count() for kind in (".math", "mjx-container"))
    assert formulas == drawn


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_light(page: Page, served: str, name: str) -> None:
    loaded: dict[str, int] = {}
    page.on("response", lambda answer: loaded.setdefault(answer.url, len(answer.body())))
    page.goto(f"{served}/{name}", wait_until="networkidle")
    heaviest = sorted(((size, url.removeprefix(served)) for url, size in loaded.items()), reverse=True)[:5]
    assert sum(loaded.values()) < MOST_BYTES, heaviest


@pytest.mark.parametrize("screen", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_the_screen(page: Page, name: str, screen: str) -> None:
    page.set_viewport_size({"width": WIDTHS[screen], "height": 900})
    read(page, name)
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name.removesuffix('.html').replace('/', '-')}-{screen}.png", full_page=True)
    for width in (WIDTHS[screen], TABLET):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


# ---------------------------------------------------------------------------------------------------- pictures, tables

LEAST_TEXT = 11  # pixels, on a phone


@pytest.mark.parametrize("lesson", sorted((BUILT / "teaching").glob("lesson_*.html")), ids=lambda path: path.stem)
def test_no_slide_is_higher_than_a_projector(page: Page, lesson: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(lesson.as_uri(), wait_until="load")
    heights = page.locator("section").evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
    assert [number for number, height in enumerate(heights, start=1) if height > 721] == []


TABLES = ("13_ledger", "14_reading_notes", "17_running_it_again", "18_outgrowing_one_machine")  # chapters without nets


@pytest.mark.parametrize("name", [name for name in CHAPTERS if Path(name).stem not in TABLES])
def test_a_chapter_shows_a_picture_within_two_screens_of_a_phone(page: Page, name: str) -> None:
    page.set_viewport_size({"width": WIDTHS["phone"], "height": 800})
    read(page, name)
    first = page.locator("article .picture").first.bounding_box()
    assert first["y"] < 2 * 800
    folded = page.locator("article details").evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
    assert len([top for top in folded if top < first["y"]]) <= 1


@pytest.mark.parametrize("name", CHAPTERS)
def test_text_in_pictures_can_be_read_on_a_phone(page: Page, name: str) -> None:
    """As large as it is drawn there, within its picture, and whole."""
    page.set_viewport_size({"width": WIDTHS["phone"], "height": 900})
    read(page, name)
    texts = page.evaluate(TEXTS)
    assert not [text for text in texts if text["size"] < LEAST_TEXT]
    assert not [text for text in texts if text["left"] < 0 or text["right"] > WIDTHS["phone"]]


TEXTS = """[...document.querySelectorAll("article .picture")].flatMap((picture) =>
  [...picture.querySelectorAll("text, p, li")].filter((part) => part.getClientRects().length).map((part) => {
    const svg = part.closest(".panels svg, .key svg"), box = part.getBoundingClientRect();
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const own = (one) => parseFloat(getComputedStyle(one).fontSize);
    const size = Math.min(own(part), ...[...part.querySelectorAll("tspan")].map(own)) * scale;
    return { text: part.textContent, size: Math.round(10 * size) / 10, left: box.left, right: box.right };
  }))"""


def test_a_picture_has_the_ground_and_the_ink_of_its_page(page: Page) -> None:
    for scheme, ground, ink in (
        ("light", "rgb(255, 255, 255)", "rgb(34, 40, 50)"),
        ("dark", "rgb(18, 18, 18)", "rgb(206, 214, 221)"),
    ):
        page.emulate_media(color_scheme=scheme)
        read(page, CURVES)
        picture = page.locator(".picture").first
        assert picture.evaluate("part => getComputedStyle(part).backgroundColor") == ground
        assert picture.locator(".panels svg").first.evaluate("part => getComputedStyle(part).fill") == ink


def test_panels_stand_side_by_side_or_stack(page: Page) -> None:
    tops = {}
    for screen, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 900})
        read(page, "notebooks/00_measured.html")
        tops[screen] = {round(svg.bounding_box()["y"]) for svg in page.locator(".picture .panels > div").all()}
    assert len(tops["phone"]) == 2 and len(tops["desktop"]) == 1


def test_no_table_hides_its_first_column_or_that_there_is_more(page: Page) -> None:
    page.set_viewport_size({"width": WIDTHS["phone"], "height": 900})
    read(page, "notebooks/08_cifar10.html")
    box = page.locator("#tab-others-nets .text_html")
    assert "wide" in box.get_attribute("class")
    first = box.locator("tbody td").first
    before = first.bounding_box()["x"]
    box.evaluate("box => box.scrollTo(10_000, 0)")
    page.wait_for_function("document.querySelector('#tab-others-nets .text_html').classList.contains('at-end')")
    assert first.bounding_box()["x"] == pytest.approx(before, abs=1)


@pytest.mark.parametrize("width", WIDTHS.values())
@pytest.mark.parametrize("name", ["tab-literature", "tab-literature-plain"])
def test_every_error_that_others_report_is_seen_without_scrolling(page: Page, name: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    read(page, "notebooks/08_cifar10.html")
    box = page.locator(f"#{name} .text_html")
    assert "wide" not in (box.get_attribute("class") or "").split()
    for cell in box.locator("tbody td:not(:empty)").all():
        place = boxed(cell)
        assert place["width"] > 0
        assert place["x"] + place["width"] <= width


@pytest.mark.parametrize("name", [name for name in CHAPTERS if re.search("/(0[1-9]|12)_", name)])
def test_a_phone_shows_the_errors_of_a_table(page: Page, name: str) -> None:
    page.set_viewport_size({"width": WIDTHS["phone"], "height": 900})
    read(page, name)
    for table in page.locator("article table:has(th:text-matches('^(training|test) error'))").all():
        if not table.is_visible():  # folded
            continue
        begins = table.locator("th:text-matches('^(training|test) error')").first.bounding_box()["x"]  # unscrolled
        assert begins < WIDTHS["phone"] - 60, table.inner_text()[:80]


def test_a_phone_shows_the_verdicts_of_the_ledger(page: Page) -> None:
    page.set_viewport_size({"width": WIDTHS["phone"], "height": 900})
    read(page, "notebooks/13_ledger.html")
    for claim in ("degradation", "overfit-1202"):
        cells = page.locator(f"#claim-{claim} td.verdict").all()
        assert [cell.get_attribute("data-label") for cell in cells] == [profile.label for profile in ledger.scales()]
        run = [cell for cell in cells if "not-yet-run" not in cell.get_attribute("class").split()]
        shown = [cell for cell in cells if cell.is_visible()]
        assert len(shown) == len(run or cells)  # where nothing was run, every scale says so
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= WIDTHS["phone"] for box in map(boxed, shown))


def boxed(part: Locator) -> dict[str, float]:
    """Where a part of a page is."""
    part.scroll_into_view_if_needed()
    return part.bounding_box()


def test_a_page_says_what_it_is(page: Page) -> None:
    read(page, CURVES)
    said = {
        name: page.locator(f"meta[{name}]").get_attribute("content")
        for name in ("property='og:title'", "name='description'")
    }
    assert all(said.values())
    picture = page.locator("meta[property='og:image']").get_attribute("content")
    assert (BUILT / "_static" / picture.rpartition("/")[2]).stat().st_size > 10_000
    assert (BUILT / "notebooks" / page.locator("link[rel*=icon]").first.get_attribute("href")).is_file()


# ------------------------------------------------------------------------------------------------ what can be explored

CURVES = "notebooks/01_degradation.html"
NETS = "notebooks/10_choosing_an_architecture.html"


def values(page: Page) -> list[str]:
    """The numbers in the table below the first curves; a cell with a panel's name is none."""
    cells = page.locator(".explore-curves").first.locator("tbody td").all_inner_texts()
    return [cell for cell in cells if re.fullmatch(r"[\d.]+", cell)]


def test_curves_are_read_and_hidden_by_keyboard(page: Page) -> None:
    read(page, CURVES)
    box = page.locator(".explore-curves").first
    last = values(page)
    box.locator("input[type=range]").focus()
    page.keyboard.press("Home")
    first = values(page)
    assert first != last
    checks = box.locator("input[type=checkbox]")
    checks.first.focus()
    page.keyboard.press("Space")
    assert len(values(page)) < len(first)
    parts = page.locator(".picture.explored").first.locator("[data-net]")
    hidden = parts.evaluate_all("parts => parts.filter(part => part.style.display === 'none').length")
    assert 0 < hidden < parts.count()


def test_curves_are_read_by_hovering(page: Page) -> None:
    read(page, CURVES)
    before = values(page)
    drawing = page.locator(".explored .panels svg").first
    drawing.scroll_into_view_if_needed()
    frame = drawing.bounding_box()
    page.mouse.move(frame["x"] + frame["width"] * 0.3, frame["y"] + frame["height"] * 0.5)
    assert values(page) != before


def test_the_values_shown_are_those_of_the_page(page: Page) -> None:
    read(page, CURVES)
    panels = page.evaluate("JSON.parse(document.querySelector('.explore-curves script').textContent)")
    lasts = [f"{curve['y'][-1]:.2f}" for panel in panels for curve in panel["curves"]]
    assert sorted(values(page)) == sorted(lasts)


TOY = "notebooks/00_measured.html"
LEDGER = "notebooks/13_ledger.html"


def test_the_toy_goes_deeper_and_gets_its_shortcuts_by_keyboard(page: Page) -> None:
    read(page, TOY)
    toy = page.locator(".explore-depth")
    slider, switch, said = toy.get_by_role("slider"), toy.get_by_role("switch"), toy.get_by_role("status")
    states = page.evaluate("JSON.parse(document.querySelector('.explore-depth script').textContent)")
    slider.focus()
    page.keyboard.press("Home")
    for row, press in ((states[0], "ArrowRight"), (states[1][::-1], "ArrowLeft")):
        for state in row:
            assert said.inner_text() == state["said"]
            assert slider.get_attribute("aria-valuetext") == f"{state['layers']} layers"
            drawn = toy.locator("[data-net].chosen").evaluate_all("parts => parts.map(part => part.dataset.net)")
            assert set(drawn) == {state["net"]}
            assert toy.locator("[data-layers]:visible").get_attribute("data-layers") == str(state["layers"])
            assert toy.locator(".shortcut:visible").count() == (2 if row is not states[0] else 0)
            page.keyboard.press(press)
        switch.focus()
        page.keyboard.press("Space")
        slider.focus()


def test_the_state_of_the_toy_stands_in_its_address(page: Page) -> None:
    page.goto(f"{(BUILT / TOY).as_uri()}#32-layers-with-x", wait_until="load")
    toy = page.locator(".explore-depth")
    assert toy.get_by_role("switch").is_checked() and "32 layers with + x" in toy.get_by_role("status").inner_text()
    toy.get_by_role("switch").uncheck()
    assert page.url.endswith("#32-layers-without-x")
    page.evaluate("location.hash = '#20-layers-with-x'")
    page.wait_for_function("document.querySelector('.toy-said').textContent.startsWith('20 layers with + x')")
    page.goto(f"{(BUILT / TOY).as_uri()}#how-far-it-is", wait_until="load")
    assert toy.get_by_role("status").is_visible()


def test_a_block_is_taken_out_by_keyboard_and_put_back(page: Page) -> None:
    read(page, "notebooks/03_residual_formulation.html")
    toy = page.locator(".explore-lesions")
    data = page.evaluate("JSON.parse(document.querySelector('.explore-lesions script').textContent)")
    said = toy.get_by_role("status")
    toy.get_by_label("Net").select_option("plain-56, by a-martyn")
    net = next(net for net in data["nets"] if net["name"] == "plain-56, by a-martyn")
    assert said.inner_text() == net["whole"]
    (number, error), (other, second) = net["stages"][1][1:3]
    for block, measured in ((number, error), (other, second)):
        toy.get_by_role("button", name=f"block {block}", exact=True).focus()
        page.keyboard.press("Space")
        assert said.inner_text() == f"Without block {block}: {measured} wrong. {net['whole']}"
    out = toy.locator("[aria-pressed=true]")
    assert out.all_inner_texts() == [str(other)]  # one at a time: more were not measured this way
    page.keyboard.press("Space")
    assert said.inner_text() == net["whole"] and not out.count()
    stays = [number for stage in net["stages"] for number, error in stage if error is None]
    assert toy.locator("button:disabled").all_inner_texts() == [str(number) for number in stays]


def test_verdicts_are_guessed_by_keyboard_and_then_shown_with_a_score(page: Page) -> None:
    read(page, "notebooks/13_ledger.html")
    quiz = page.locator(".explore-guesses")
    items = quiz.locator("li").all()
    told = quiz.locator("li details p")
    assert not any(one.is_visible() for one in told.all()) and not quiz.get_by_role("status").is_visible()
    verdicts = [item.get_attribute("data-verdict") for item in items]
    for item, verdict in list(zip(items, verdicts, strict=True))[1:]:  # none for the first
        radios = item.get_by_role("radio")
        radios.first.focus()
        page.keyboard.press("Space")
        for _ in range(radios.evaluate_all("all => all.map(one => one.value)").index(verdict)):
            page.keyboard.press("ArrowDown")
    items[1].get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown" if verdicts[1] != "refuted" else "ArrowUp")  # and now the second is wrong
    quiz.get_by_role("button", name="Show the verdicts").focus()
    page.keyboard.press("Enter")
    assert quiz.get_by_role("status").inner_text().startswith(f"{len(items) - 2} of {len(items)} right.")
    assert quiz.locator("summary").all_inner_texts()[:3] == ["No guess", "Wrong", "Right"]
    assert all(one.is_visible() for one in told.all())


def test_the_ledger_is_filtered_and_sorted_by_keyboard(page: Page) -> None:
    read(page, LEDGER)
    table, form = page.locator("table.ledger").first, page.locator("form.explore-form")
    rows = table.locator("tbody tr:visible")
    claims = rows.count()

    def choose(field: str, option: str) -> None:
        select = form.get_by_label(field, exact=True)
        select.focus()
        page.keyboard.press("Home")
        for _ in range(select.locator("option").all_inner_texts().index(option)):
            page.keyboard.press("ArrowDown")
        assert select.evaluate("one => one.selectedOptions[0].text") == option

    choose("verdict", "refuted")
    assert 0 < rows.count() < claims and rows.count() == table.locator("tr:visible:has(td.refuted)").count()
    assert form.get_by_role("status").inner_text() == f"{rows.count()} of {claims} claims"
    shown = rows.count()
    small = ledger.scales()[-1]
    choose("scale", small.label)
    assert 0 < rows.count() <= shown
    assert (
        rows.count() == rows.locator("td.verdict.refuted:visible").count() == rows.locator("td.verdict:visible").count()
    )
    assert table.locator("thead th:visible").all_inner_texts() == ["claim", small.label]
    choose("sorted by", "effect in points")
    points = rows.locator("td.verdict:visible").evaluate_all("all => all.flatMap(one => one.dataset.effect ?? [])")
    assert len(points) > 1 and [*map(float, points)] == sorted(map(float, points), reverse=True)
    choose("verdict", "any")
    choose("chapter", "chapter 4")
    assert set(rows.locator("small a").all_inner_texts()) == {"chapter 4"}
    hidden = table.locator("#claim-degradation")
    assert not hidden.is_visible()
    page.evaluate("location.hash = '#claim-degradation'")  # as a link to it does
    hidden.wait_for(state="visible")
    assert rows.count() == claims


def test_a_claim_has_an_address_that_is_followed_by_keyboard(page: Page) -> None:
    read(page, LEDGER)
    link = page.locator("#claim-degradation").get_by_role("link", name="Link to the claim degradation")
    assert link.inner_text() == "#" and link.is_visible()
    link.focus()
    page.keyboard.press("Enter")
    assert page.url.endswith("#claim-degradation")


def test_on_paper_there_are_no_controls(page: Page) -> None:
    read(page, CURVES)
    picture = page.locator(".picture.explored").first
    key, box = picture.locator(".key"), picture.locator(".explore-curves")
    assert box.is_visible() and not key.is_visible()
    page.emulate_media(media="print")
    assert key.is_visible() and not box.is_visible()
    for name, play, instead in (
        (TOY, ".toy-controls", ".explore-depth table"),
        ("notebooks/03_residual_formulation.html", ".toy-blocks", ".explore-lesions .told"),
    ):
        read(page, name)
        assert page.locator(instead).is_visible() and not page.locator(play).is_visible()


def test_without_scripts_the_picture_and_one_net_are_there(browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto((BUILT / CURVES).as_uri())
        assert page.locator(".picture .panels svg").first.is_visible()
        assert not page.locator(".explore-curves").first.is_visible()
        page.goto((BUILT / NETS).as_uri())
        assert "269,722" in page.locator(".explore-nets").inner_text()  # ResNet-20 A
        page.goto((BUILT / TOY).as_uri())
        toy = page.locator(".explore-depth")
        assert toy.locator("tbody tr").count() == 4 and toy.locator("tbody").is_visible()
        assert toy.locator("[data-layers]:visible").count() == 1
        page.goto((BUILT / "notebooks/03_residual_formulation.html").as_uri())
        assert "27: " in page.locator(".explore-lesions .told").inner_text()
        page.goto((BUILT / "notebooks/13_ledger.html").as_uri())
        first = page.locator(".explore-guesses details").first
        first.locator("summary").click()
        assert first.locator("p").is_visible()


def test_a_net_is_set_by_its_fields(page: Page) -> None:
    read(page, NETS)
    box = page.locator(".explore-nets")
    whole = box.locator("tbody tr").last
    assert "269,722" in whole.inner_text()
    box.get_by_label("layers").select_option("110")
    assert "1,727,962" in whole.inner_text()  # the paper's 1.7M
    box.get_by_label("nets for").select_option(label="ImageNet (Table 1)")
    assert "18" in whole.inner_text()
    box.get_by_label("block").select_option("bottleneck")
    box.get_by_label("shortcut").select_option("B")
    box.get_by_label("image, pixels").select_option("224")
    assert "3,857,973,248" in whole.inner_text()  # ResNet-50, the paper's 3.8 billion


# ----------------------------------------------------------------------------------------------------------- exercises


def test_a_solution_is_hidden_until_it_is_asked_for(page: Page) -> None:
    read(page, CURVES)
    solution = page.locator(".solution").first
    words, button = solution.locator("section"), solution.get_by_role("button")
    assert not words.is_visible() and button.get_attribute("aria-expanded") == "false"
    button.focus()
    page.keyboard.press("Enter")
    assert words.is_visible() and button.get_attribute("aria-expanded") == "true"
    assert not page.locator(".solution section").nth(1).is_visible()


# ------------------------------------------------------------------------------------------------------ finding things


def test_search_finds_without_a_network(page: Page) -> None:
    page.goto((BUILT / "search.html").as_uri() + "?q=bottleneck")
    page.locator("#search-results li").first.wait_for()
    assert not [fault for fault in page.faults if "asks for" in fault]  # a file's page may not read others for excerpts


def test_the_first_press_of_tab_leads_past_the_menus(page: Page) -> None:
    read(page, CURVES)
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.textContent.trim()")
    assert focused == "Skip to main content"


def test_the_first_page_claims_shows_and_leads_on_in_one_screen(page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 960})
    page.goto((BUILT / "index.html").as_uri(), wait_until="load")
    page.wait_for_url("**/00_measured.html")
    page.wait_for_selector("mjx-container")
    for part in ("article h1", "article .panels", ".scoreboard", ".sd-card:has-text('Rely')"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] + box["height"] <= 960, part


# ----------------------------------------------------------------------------------------------------- other languages


def test_a_page_leads_to_itself_in_another_language_and_back(page: Page) -> None:
    for screen in WIDTHS.values():
        page.set_viewport_size({"width": screen, "height": 900})
        page.goto((BUILT / "index.html").as_uri(), wait_until="load")
        page.wait_for_url("**/00_measured.html")
        page.get_by_role("link", name="繁體中文").click()
        page.wait_for_url("**/zh-tw/notebooks/00_measured.html")
        assert page.locator("html").get_attribute("lang") == "zh-TW"
        assert page.locator(".explore-depth").get_by_role("slider").is_visible()  # the script is found from here, too
        page.get_by_role("link", name="English").click()
        page.wait_for_url(lambda url: url.endswith("/00_measured.html") and "zh-tw" not in url)
        assert page.locator("html").get_attribute("lang") == "en"


def test_what_is_not_translated_is_read_aloud_in_english(page: Page) -> None:
    read(page, "zh-tw/notebooks/14_reading_notes.html")
    line = page.locator(".cell_output li").first
    assert line.evaluate("part => part.closest('[lang]').lang") == "en"
    assert {part.get_attribute("lang") for part in line.locator("[lang]").all()} == {"zh-TW"}
    said = line.locator("em [lang]").first
    assert said.evaluate("part => getComputedStyle(part).fontStyle") == "normal"
