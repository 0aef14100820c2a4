"""Which addresses somebody else's URL may lead to: a table, each row with what it would reach."""

import pytest

from hub.security.addresses import loopback, network, public

_DENIED = """
127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255
169.254.169.254 169.254.0.1 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.31.196.1 192.52.193.1
192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1
239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::1
100::1 2001::1 2001:0:7f00:1::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 2620:4f:8000::1 3fff::1 5f00::1
fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 2606:4700::1%eth0 fec0::1 ff02::1 4000::1
localhost 127.1 0177.0.0.1 2130706433 0x7f000001 127.0.0.1.example 1.2.3 [::1]
"""
_ALLOWED = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 172.15.255.255 172.32.0.1 192.0.1.1 192.167.255.255
192.169.0.1 198.17.255.255 198.20.0.1 223.255.255.255 168.63.129.17 2606:4700::1111 2a00:1450:4001:81b::200e 2001:200::1
2400:cb00::1 2003::1
"""
DENIED, ALLOWED = _DENIED.split(), _ALLOWED.split()


@pytest.mark.parametrize("address", [*DENIED, ""])
def test_what_is_not_of_the_open_internet_is_refused(address):
    assert not public(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_what_is_of_the_open_internet_is_not(address):
    assert public(address)


def test_the_tables_are_long_enough():
    assert len(set(DENIED)) >= 60 and len(set(ALLOWED)) >= 18


@pytest.mark.parametrize(("address", "is_"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False), ("8.8.8.8", False), ("nobody", False),
])  # fmt: skip
def test_loopback_is_told_apart(address, is_):
    assert loopback(address) is is_


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("[2001:db8::1]", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"), ("2001:db8:0:1::1", "2001:db8:0:1::/64"), ("", ""), ("proxy", "proxy"),
        ("198.51.100.7:4711", "198.51.100.7"), ("[2001:db8::1]:80", "2001:db8::/64"),
    ],
)  # fmt: skip
def test_whoever_has_an_address_of_version_6_has_its_whole_network(address, whose):
    assert network(address) == whose
