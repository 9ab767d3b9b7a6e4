"""Makes whatever in an answer could reach an outside address plain text: nothing is fetched and nothing can be clicked
but links to the hosts that the tenant names.

An address in an answer stands in a passage of this turn, and who wrote the passage nobody here knows. So pictures, HTML,
reference links and every address that is not `https` on a listed host become code, which a renderer shows as it is. What
is code already stays. The text is Markdown, for readers of any kind, also those that let HTML through and link bare
addresses.
"""

import re
from collections.abc import Collection
from html import unescape
from urllib.parse import urlsplit

_CODE_ITSELF = r"""(?P<code>
    ^[ ]{0,3}(?P<fence>`{3,}|~{3,})[^\n]*\n .*? (?:^[ ]{0,3}(?P=fence)[`~]*[ \t]*$ | \Z)
    | (?<!`)(?P<ticks>`+)(?!`) (?:(?!\n\s*\n).)+? (?<!`)(?P=ticks)(?!`) )"""
_HOW = re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE
_LIVE = re.compile(
    rf"""{_CODE_ITSELF}
    | (?P<tick> `+ )
    | (?P<picture> !(?=\[) )
    | (?P<definition> ^[ ]{{0,3}}\[[^\]\n]+\](?=:) )
    | \](?P<target> \( [ ]* <?(?P<to>[^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)>? [^()\n]* \)? )
    | (?P<html> <(?=[a-z/!?])[^<>\n]*>? )
    | (?P<bare> (?: \b[a-z][a-z0-9+.-]{{1,20}}://(?=[^\s/]) | (?<![\w:/])//(?=[\w-]+\.[a-z]) | \bwww\.
                | \b(?:mailto|javascript|vbscript|tel|sms|file|data):(?=\S) )
                [^\s<>`]*[^\s<>`.,;:!?'")\]*_] )
    """,
    _HOW,
)
_ENTITY = re.compile(rf"{_CODE_ITSELF} | &(?:\#\d{{1,7}}|\#x[0-9a-f]{{1,6}}|[a-z][a-z0-9]{{1,31}});", _HOW)
DEEPEST = 8
"""Times that an entity within an entity is looked into."""
_UNSEEN = re.compile("[\u200b\u2060-\u2064\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]")


def inert(text: str, hosts: Collection[str]) -> str:
    """The text with every link left out that does not lead to one of these hosts."""

    def replace(found: re.Match[str]) -> str:
        whole = found[0]
        if found["code"] is not None:
            return whole
        if found["tick"] is not None:
            return "'"  # or it would open code with the next one, and let out what stands in ours
        if found["picture"] is not None:
            return ""
        if found["definition"] is not None:
            return f"{whole} "
        if found["target"] is not None:
            return whole if is_known(found["to"], hosts) else f"] {_code(found['target'][1:].rstrip(')'))}"
        if found["html"] is not None:
            return whole if is_known(whole[1:-1], hosts) else _code(whole)
        return whole if is_known(whole, hosts) else _code(whole)

    return _LIVE.sub(replace, _plain(text))


def _plain(text: str) -> str:
    """The text with `&#58;` and the like as the letters that a renderer makes of them, also where they are nested."""
    for _ in range(DEEPEST):
        decoded = _ENTITY.sub(lambda found: found["code"] or unescape(found[0]), text)
        if decoded == text:
            return text
        text = decoded
    return text.replace("&", "+")  # nobody writes so but to hide something


def is_known(target: str, hosts: Collection[str]) -> bool:
    """Whether a target is an address on one of these hosts, however it would be read."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    plain = target.isascii() and target.isprintable() and not set("\\ @&<>`") & set(target.partition("?")[0])
    return plain and parts.scheme == "https" and parts.netloc.lower() in hosts


def seen(text: str) -> str:
    """The text without letters that nobody sees: they could carry words past every reader but a machine."""
    return _UNSEEN.sub("", text)


def _code(text: str) -> str:
    bare = text.replace("`", "'").strip()
    return f"`{bare}`" if bare else ""
