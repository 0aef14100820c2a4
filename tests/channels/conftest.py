import datetime as dt
import ipaddress
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hub.channels import Channel, Outgoing, Target, open_channel
from hub.chaos.faults import FaultyPartner

CONTRACT = Path(__file__).with_name("contract")
TRACK = {"wsdl": "parcels.wsdl", "service": "Parcels", "port": "Track11", "operation": "Track"}


def target(endpoint: str, channel: str = "rest", **more: Any) -> Target:
    given: dict[str, Any] = {"timeout": 5.0, "concurrency": 4, "contract": CONTRACT}
    given["wire"] = TRACK if channel == "soap" else {"method": "POST", "path": "/bookings"}
    return Target("hotel", channel, endpoint, **{**given, **more})


def out(body: bytes = b'{"room": 7}', *, within: float = 20.0, **more: Any) -> Outgoing:
    given = dict.fromkeys(("key", "name", "sequence", "count", "total"))
    return Outgoing(body, deadline=time.monotonic() + within, **{**given, **more})


@pytest.fixture
def partner() -> Iterator[FaultyPartner]:
    with FaultyPartner() as made:
        yield made


@pytest.fixture
def rest() -> Iterator[Channel]:
    channel = open_channel("rest")
    yield channel
    channel.close()


@pytest.fixture
def soap() -> Iterator[Channel]:
    channel = open_channel("soap")
    yield channel
    channel.close()


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        made = self._builder(self.name, self.key, 30).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.file.write_bytes(made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=60))
        return builder.not_valid_after(now + dt.timedelta(days=days))

    def issue(self, host: str, days: int = 30) -> Path:
        """Key and certificate of *host* in one file; expired where *days* is negative."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            named: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            named = x509.DNSName(host)
        builder = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), key, days)
        builder = builder.add_extension(x509.SubjectAlternativeName([named]), critical=False)
        file = self.folder / f"{host} {days}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        return file

    def server(self, host: str = "127.0.0.1", days: int = 30) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.issue(host, days))
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Callable[..., Authority]:
    return lambda name="Test authority": Authority(tmp_path, name)
