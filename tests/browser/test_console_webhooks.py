"""The console's view of webhooks: an endpoint from its address to its end, in front of a receiver on a real socket."""

import re
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import expect

from tests.browser.console_desk import Hire
from tests.browser.test_console import violations
from tests.conftest import Cluster
from tests.product import Product, running, settings_for
from tests.receiver import Receiver, answer, receiving


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product(postgres: Cluster, seeded: str, receiver: Receiver) -> AsyncIterator[Product]:
    """On a database of its own: no other process sends what is sent here, or refuses to."""
    settings = settings_for(postgres.clone(seeded), OUTBOUND_ALLOWED_HOSTS=f"127.0.0.1:{receiver.port}")
    async with running(settings) as started:
        yield started


async def test_an_endpoint_is_added_tried_mended_and_removed(hire: Hire, receiver: Receiver) -> None:
    receiver.reply = lambda got: answer(500)
    ada = await (await hire()).begin("#/webhooks")
    await expect(ada.find(".list .empty").locator("visible=true")).to_contain_text("No system is told of anything yet.")
    await ada.find(".list").get_by_role("link", name="Add an endpoint").click()
    form = ada.find(".detail form").locator("visible=true")
    await form.get_by_label("Address", exact=True).fill("https://10.0.0.1/in")
    await form.get_by_label("What is sent").select_option("some")
    await form.get_by_role("button", name="Add the endpoint").click()
    await expect(form.get_by_role("alert")).to_have_text("Choose at least one event.")
    await form.get_by_label("ticket.created").check()
    await form.get_by_role("button", name="Add the endpoint").click()
    await expect(form.get_by_role("alert")).to_contain_text("public")
    assert await violations(ada) == []
    await form.get_by_label("Address", exact=True).fill(receiver.url)
    await form.get_by_label("Name", exact=True).fill("<b>CRM</b>")
    await form.get_by_role("button", name="Add the endpoint").dblclick()

    detail = ada.find(".detail").locator("visible=true")
    await expect(detail.locator("h2").first).to_have_text("<b>CRM</b>")
    await expect(ada.find(".list .rows a").locator("visible=true")).to_have_count(1)
    secret = await detail.get_by_label("Secret", exact=True).input_value()
    assert re.fullmatch(r"whsec_\S{30,}", secret)
    await expect(detail.get_by_label("Secret", exact=True)).to_be_visible()
    await ada.shot("webhook")
    await ada.button("I have kept it").click()
    await expect(detail.get_by_label("Secret", exact=True)).to_have_count(0)

    await ada.button("Send a test").click()
    [got] = await receiver.wait_for(1)
    assert got.verified(secret)["type"] == "webhook.test"
    delivery = detail.locator(".delivery")
    await ada.look_again()
    await expect(delivery).to_contain_text("500")
    await expect(detail.locator(".head .badge")).to_have_text("1 failure in a row")
    receiver.reply = lambda got: answer(200)
    await ada.button("Send now").click()
    await receiver.wait_for(2)
    await ada.look_again()
    await expect(delivery.locator(".badge")).to_have_text("Delivered")
    await delivery.locator("summary").click()
    await expect(delivery.locator("pre")).to_contain_text('"type": "webhook.test"')

    await ada.button("New secret…").click()
    await ada.button("Make it").click()
    assert await detail.get_by_label("Secret", exact=True).input_value() != secret
    await ada.button("Turn off…").click()
    await ada.button("Turn it off").click()
    await expect(detail.locator(".head .badge")).to_have_text("Off")
    await ada.button("Turn on").click()
    await expect(detail.locator(".head .badge")).to_have_text("On")
    await ada.button("Remove…").click()
    await ada.button("Remove it").click()
    await expect(ada.find(".list .empty").locator("visible=true")).to_contain_text("No system is told of anything yet.")
    assert await ada.product.rows(ada.tenant, "select 1 from webhook_endpoints") == []
    assert ada.ran == []
