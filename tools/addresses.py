"""Which addresses a tenant may have us call: hosts of the public internet, and nothing that only we can reach.

The tables follow IANA's registries of special-purpose addresses, and add two hosts that are public by their number and
a cloud's own by their use. An address that carries another one within it (v4-mapped, 6to4, NAT64, Teredo) is refused as
it stands, whatever it carries.
"""

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NOT_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, and the unspecified address
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and a cloud's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's agent on each of its machines
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
NOT_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocols of the IETF, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3ffe::/16",
        "3fff::/20",
    )
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PRIVATE_NAMES = (".localhost", ".local", ".localdomain", ".internal", ".intranet", ".lan", ".home.arpa")


def is_public(address: Address) -> bool:
    """Whether it is a single host on the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_V4)
    return (
        address.scope_id is None and address in PUBLIC_V6 and not any(address in network for network in NOT_PUBLIC_V6)
    )


def literal(host: str) -> Address | None:
    """The address that a host is written as, in its one usual form; None for a name.

    Raises ValueError for a host that some would read as a number (127.1, 0x7f.1, 2130706433) and some as a name.
    """
    if ":" in host:
        return ipaddress.IPv6Address(host)
    if _NUMBER.fullmatch(host.rsplit(".", 1)[-1]):
        return ipaddress.IPv4Address(host)
    return None


def is_public_name(host: str) -> bool:
    """Whether it is written as a name of the public DNS; what it resolves to is another question."""
    labels = host.split(".")
    return (
        len(host) <= 253
        and len(labels) > 1
        and all(_LABEL.fullmatch(label) for label in labels)
        and not host.endswith(_PRIVATE_NAMES)
    )
