"""What an address says of whose it is: of the open Internet, where somebody else's URL may lead, or nearer to us.

The list is our own.  ``ipaddress`` says of 64:ff9b::7f00:1 and of 2002:7f00:1:: that they are global in Python 3.11,
and both are 127.0.0.1 to whoever translates them.
Source: the IANA registries of special-purpose IPv4 and IPv6 addresses (RFC 6890, as kept by IANA).
"""

import ipaddress

_DENIED_V4 = tuple(map(ipaddress.IPv4Network, (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "168.63.129.16/32",  # a public number behind which a cloud answers its own guests only
)))  # fmt: skip
#: Only 2000::/3 is given out at all; these parts of it are somebody's tunnel, translation, example or experiment.
#: 64:ff9b::/96 and its like lie outside, and are named so that whoever reads this finds them.
_GIVEN_V6 = ipaddress.IPv6Network("2000::/3")
_DENIED_V6 = tuple(map(ipaddress.IPv6Network, (
    "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
    "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)))  # fmt: skip


def public(address: str) -> bool:
    """Whether *address*, as a resolver gives it, is one that anybody may be asked to call.

    What is no address is none: neither are short and octal forms of IPv4, nor one with a zone.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in net for net in _DENIED_V4)
    if found.scope_id is not None or found not in _GIVEN_V6:
        return False
    return not any(found in net for net in _DENIED_V6)


def loopback(address: str) -> bool:
    """Whether *address* is this machine itself."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def network(address: str) -> str:
    """Who calls from *address*: of IPv6 the first 64 bits, for whoever has one such address has all of them."""
    if address.count(":") == 1 or "]:" in address:
        address = address.rpartition(":")[0]  # some proxies write the port behind it
    try:
        found = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
