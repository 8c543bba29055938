"""The web board as a person meets it, in a real browser: signing in, finding the ill machine, its trend, its alarm."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.board.conftest import Serving, Visitor, VisitorFactory
from tests.e2e.board.world import MACHINES, World

pytestmark = [pytest.mark.integration, pytest.mark.browser]


class TestSigningIn:
    def test_without_a_session_every_page_leads_to_the_door_and_then_to_where_one_wanted(
        self, visitor: Visitor, world: World
    ) -> None:
        page = visitor.page()
        page.goto(f"{visitor.url}/board/equipment?equipment={world.machines[3]}")
        expect(page).to_have_url(re.compile("/board/sign-in"))
        page.get_by_label("Key").fill(world.keys["read"])
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("M-04")
        assert visitor.complaints == []

    def test_a_wrong_key_is_refused_in_words(self, visitor: Visitor, world: World) -> None:
        page = visitor.page()
        page.goto(f"{visitor.url}/")
        page.get_by_label("Key").fill(world.keys["read"][:-1] + "x")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("wrong, revoked or expired")

    def test_a_link_signs_in_once(self, browsers: VisitorFactory, world: World) -> None:
        with world.link(world.keys["read"]) as word:
            for expected in ("**/board/fleet", "**/board/sign-in"):
                visitor = browsers()
                page = visitor.page()
                page.goto(f"{visitor.url}/board/sign-in#once={word}")
                page.wait_for_url(expected)
            expect(page.get_by_role("alert")).to_contain_text("used already")

    def test_after_signing_out_the_cookie_is_worth_nothing(self, visitor: Visitor, world: World) -> None:
        page = visitor.sign_in(world.keys["read"])
        cookies = visitor.context.cookies()
        assert [(c["httpOnly"], c["sameSite"], c["path"]) for c in cookies] == [(True, "Strict", "/board")]
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/board/sign-in")
        visitor.context.add_cookies(cookies)  # type: ignore[arg-type]
        page.goto(f"{visitor.url}/board/fleet")
        expect(page).to_have_url(re.compile("/board/sign-in"))


class TestFromTheFleetToTheTrend:
    def test_the_worst_machine_comes_first_with_its_reason(self, visitor: Visitor, world: World) -> None:
        page = visitor.see(visitor.enter(world.keys["read"]), "fleet")
        first = page.locator("[data-panel=machines] tbody tr").first
        expect(first).to_contain_text("M-07")
        expect(first).to_contain_text("58")
        expect(first).to_contain_text("value 0 of part 0 rises")
        assert page.locator("[data-panel=machines] tbody tr").count() == MACHINES
        assert visitor.complaints == []

    def test_two_clicks_from_the_fleet_to_the_trend(self, visitor: Visitor, world: World) -> None:
        page = visitor.see(visitor.enter(world.keys["read"]), "fleet")
        page.locator("[data-panel=machines]").get_by_role("link", name="M-07").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("M-07")
        page.locator("[data-panel=reasons]").get_by_role("link", name="Part 0").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Part 0")
        expect(page.locator("[data-panel=trend] .chart canvas").first).to_be_visible()
        page.locator("[data-panel=trend] .as-table summary").click()
        expect(page.locator("[data-panel=trend] .as-table tbody tr").first).to_be_visible()
        assert visitor.complaints == []

    def test_an_address_says_what_is_seen(self, visitor: Visitor, world: World) -> None:
        page = visitor.enter(world.keys["read"])
        visitor.see(page, f"component?equipment={world.machines[6]}&component=part0&point={world.point}")
        page.get_by_role("button", name="7 d").click()
        expect(page).to_have_url(re.compile("range=7d"))
        address = page.url
        page.locator("[data-panel=trend] .chart").focus()
        page.keyboard.press("+")
        expect(page).to_have_url(re.compile("from=.*to="))
        page.go_back()
        expect(page).to_have_url(address)
        expect(page.get_by_role("button", name="7 d")).to_have_attribute("aria-pressed", "true")
        assert visitor.complaints == []

    def test_the_keyboard_reads_a_chart(self, visitor: Visitor, world: World) -> None:
        page = visitor.enter(world.keys["read"])
        visitor.see(page, f"component?equipment={world.machines[6]}&component=part0&point={world.point}&range=7d")
        page.locator("[data-panel=trend] .chart").focus()
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#polite")).to_contain_text(re.compile(r"Value \d+"))


class TestAlarms:
    def test_a_fault_appears_within_two_seconds_of_its_alarm_without_a_reload(
        self, visitor: Visitor, world: World
    ) -> None:
        page = visitor.see(visitor.enter(world.keys["read"]), "fleet")
        expect(page.locator("#live")).to_have_attribute("data-state", re.compile("live|stale"))
        page.evaluate("window.untouched = true")
        told = world.alarm(world.machines[11], "Fan of part 0 runs hot")
        page.locator("[data-panel=alarms]").get_by_text("Fan of part 0 runs hot").wait_for()
        seen = time.time() - told
        expect(page.locator("#toasts")).to_contain_text("Fan of part 0 runs hot")
        assert page.evaluate("window.untouched")
        assert seen < 2.0
        row = page.locator("[data-panel=alarms] tbody tr", has_text="Fan of part 0")
        expect(row).to_contain_text("Urgent")
        expect(row).to_contain_text("Cool it")
        assert visitor.complaints == []

    def test_who_may_acknowledges_from_the_page_and_everybody_else_sees_it(
        self, browsers: VisitorFactory, world: World
    ) -> None:
        machine = world.machines[12]
        world.alarm(machine, "Seal of part 0 leaks")
        mine, other = browsers(), browsers()
        page = mine.see(mine.enter(world.keys["all"]), f"equipment?equipment={machine}")
        watching = other.see(other.enter(world.keys["read"]), f"equipment?equipment={machine}")
        row = watching.locator("[data-panel=alarms] tbody tr", has_text="Seal of part 0")
        expect(row.get_by_role("button")).to_have_count(0)
        page.get_by_role("button", name="Acknowledge: Seal of part 0 leaks").click()
        page.get_by_label("Comment").fill("on my way")
        page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
        expect(row).to_contain_text("Acknowledged")
        ((state, by, reason),) = world.execute(
            "SELECT a.state, j.actor, j.reason FROM servitize.alarm a "
            "JOIN servitize.alarm_journal j ON j.alarm_id = a.id WHERE a.equipment_id = %s AND j.event = 'acknowledge'",
            [machine],
        )
        assert (state, reason) == ("acknowledged", "on my way")
        assert by == f"api-key:{world.keys['all'].split('_')[1]}"
        assert mine.complaints == other.complaints == []

    def test_shelving_wants_a_reason(self, visitor: Visitor, world: World) -> None:
        machine = world.machines[13]
        world.alarm(machine, "Belt of part 0 slips")
        page = visitor.see(visitor.enter(world.keys["all"]), "alarm-list")
        alarm = page.locator(".alarm", has_text="Belt of part 0 slips")
        alarm.locator("summary").click()
        expect(alarm).to_contain_text("It stops by itself.")
        alarm.get_by_role("button", name="Shelve").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Shelve").click()
        expect(dialog).to_be_visible()
        dialog.get_by_label("Reason").fill("belt is ordered")
        dialog.get_by_role("button", name="Shelve").click()
        expect(alarm).to_contain_text("Shelved")
        expect(alarm).to_contain_text("belt is ordered")
        assert visitor.complaints == []

    def test_what_the_service_refuses_is_said(self, visitor: Visitor, world: World) -> None:
        machine = world.machines[14]
        world.alarm(machine, "Door of part 0 open")
        page = visitor.see(visitor.enter(world.keys["all"]), f"equipment?equipment={machine}")
        page.get_by_role("button", name="Acknowledge: Door of part 0 open").click()
        ((alarm,),) = world.execute("SELECT id FROM servitize.alarm WHERE equipment_id = %s", [machine])
        somebody_else = {"authorization": f"Bearer {world.keys['all']}"}
        visitor.context.request.post(f"{visitor.url}/v1/alarms/{alarm}/acknowledge", headers=somebody_else)
        page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
        expect(page.get_by_role("alert")).to_contain_text("does not allow acknowledge")


class TestOthers:
    @pytest.mark.isolation
    def test_another_tenant_s_link_is_refused(self, visitor: Visitor, world: World) -> None:
        page = visitor.enter(world.keys["all"])
        answer = page.goto(f"{visitor.url}/board/equipment?equipment={world.theirs}")
        assert answer is not None
        assert answer.status == 404
        expect(page.get_by_role("main")).to_contain_text("not yours to see")
        data = page.evaluate("u => fetch(u).then(r => r.status)", f"/board/data/equipment?equipment={world.theirs}")
        assert data == 404

    @pytest.mark.isolation
    def test_no_page_shows_a_word_of_theirs(self, visitor: Visitor, world: World) -> None:
        world.alarm(world.theirs, "Their secret trouble")
        page = visitor.enter(world.keys["all"])
        for path in ("fleet", "alarm-list?which=all", "alarms", "operations"):
            visitor.see(page, path)
            assert "X-1" not in _text(page)
            assert "Their secret trouble" not in _text(page)


def _text(page: Page) -> str:
    return page.locator("body").inner_text()


class TestTheLine:
    def test_it_says_when_the_line_is_cut_and_goes_on_where_it_was(
        self, visitor: Visitor, world: World, serving: Serving
    ) -> None:
        page = visitor.see(visitor.enter(world.keys["read"]), "fleet")
        live = page.locator("#live")
        expect(live).to_have_attribute("data-state", re.compile("live|stale"))
        serving.stop()
        expect(live).to_have_attribute("data-state", "lost")
        expect(live).to_contain_text("Connection lost")
        world.alarm(world.machines[15], "While nobody listened")
        serving.start()
        expect(live).not_to_have_attribute("data-state", "lost", timeout=20_000)
        expect(page.locator("[data-panel=alarms]")).to_contain_text("While nobody listened")
        expect(page.locator("#toasts")).to_contain_text("While nobody listened")

    def test_where_too_many_listen_it_asks_instead_and_says_so(self, browsers: VisitorFactory, world: World) -> None:
        visitor = browsers()
        visitor.context.route("**/board/stream*", lambda route: route.fulfill(status=429, body="{}"))
        page = visitor.enter(world.keys["read"])
        visitor.see(page, "fleet")
        world.alarm(world.machines[16], "Heard by asking")
        expect(page.locator("#live")).to_contain_text("asks now and then", timeout=30_000)
        expect(page.locator("[data-panel=alarms]")).to_contain_text("Heard by asking", timeout=30_000)

    def test_it_says_how_old_the_data_are(self, visitor: Visitor, world: World) -> None:
        world.execute("UPDATE servitize.latest_reading SET received_at = now() - interval '20 minutes'")
        page = visitor.see(visitor.enter(world.keys["read"]), "fleet")
        expect(page.locator("#live")).to_have_attribute("data-state", "stale")
        expect(page.locator("#live")).to_contain_text("data 20 min old")
        world.tell()
        expect(page.locator("#live")).to_have_attribute("data-state", "live")
        expect(page.locator("#live")).to_contain_text(re.compile(r"Live · data \d s old"))


class TestLanguages:
    def test_a_chinese_browser_gets_chinese_and_may_choose_english(
        self, browsers: VisitorFactory, world: World
    ) -> None:
        visitor = browsers(locale="zh-CN")
        page = visitor.page()
        page.goto(f"{visitor.url}/board/sign-in")
        page.get_by_label("密钥").fill(world.keys["read"])
        page.get_by_role("button", name="登录").click()
        page.wait_for_url("**/board/fleet")
        expect(page.get_by_role("heading", level=1)).to_have_text("机群")
        expect(page.locator("[data-panel=machines] tbody tr").first).to_be_visible()
        page.get_by_label("语言").select_option("en")
        expect(page.get_by_role("heading", level=1)).to_have_text("Fleet")
        assert visitor.complaints == []

    def test_the_reader_s_theme_is_kept(self, browsers: VisitorFactory, world: World) -> None:
        visitor = browsers(color_scheme="light")
        page = visitor.see(visitor.enter(world.keys["read"]), "fleet")
        page.get_by_label("Theme").select_option("dark")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.reload()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark == "rgb(11, 12, 15)"
