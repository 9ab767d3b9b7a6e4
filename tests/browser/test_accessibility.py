"""WCAG 2.2 AA, as far as a machine can tell, on every view of the widget."""

from importlib.resources import files
from typing import Any

import pytest

from memory.tenancy import Role
from tests.browser.conftest import QUESTION, Chat, OpenDesk

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "resultTypes": ["violations"],
}


async def violations(chat: Chat) -> list[Any]:
    """What axe finds in the frame; the shop around it is not ours."""
    frame = chat.page.frames[-1]
    if not await frame.evaluate("'axe' in window"):
        await frame.evaluate(AXE)
    found = await frame.evaluate("(rules) => axe.run(document, rules)", RULES)
    return [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found["violations"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_view_has_no_violation(desk: OpenDesk, theme: str) -> None:
    one = await desk(settings={"theme": theme})
    chat = await one.tab()
    found = {"launcher": await violations(chat)}
    await chat.open()
    found["greeting"] = await violations(chat)
    await chat.say(QUESTION)
    await chat.wait_for(".message.bot.complete .sources")
    await chat.find("summary").first.click()
    found["answer"] = await violations(chat)
    await chat.find("[aria-haspopup=menu]").click()
    found["menu"] = await violations(chat)
    await chat.find("[role=menuitem]").first.click()
    await chat.wait_for(".message.system")
    agent = await one.product.staff(one.tenant, Role.AGENT)
    queue = await one.product.http.get("/api/v1/handoffs", headers=agent)
    await one.product.http.post(
        f"/api/v1/handoffs/{queue.json()['items'][0]['id']}/messages", json={"message": "Hello!"}, headers=agent
    )
    await chat.wait_for(".message.agent")
    found["person"] = await violations(chat)
    for label in ("Past conversations", "My tickets"):
        await chat.find("[aria-haspopup=menu]").click()
        await (
            chat.find(
                "[role=menuitem]",
            )
            .filter(has_text=label)
            .click()
        )
        await chat.wait_for(".sheet .list")
        found[label] = await violations(chat)
    one.wire.fail()
    await chat.find("[aria-label='Back']").click()
    await chat.wait_for(".banner")
    found["offline"] = await violations(chat)
    assert found == {view: [] for view in found}
