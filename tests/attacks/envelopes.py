"""Envelopes as a caller would make them, and as an attacker would: written by hand, with nothing of the hub's."""

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from lxml import etree

SOAP = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
TYPES = {"1.1": "text/xml; charset=utf-8", "1.2": "application/soap+xml; charset=utf-8"}
_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
WSSE, WSU = f"{_OASIS}-wssecurity-secext-1.0.xsd", f"{_OASIS}-wssecurity-utility-1.0.xsd"
DIGEST = f"{_OASIS}-username-token-profile-1.0#PasswordDigest"
BASE64 = f"{_OASIS}-soap-message-security-1.0#Base64Binary"
X509 = f"{_OASIS}-x509-token-profile-1.0#X509v3"
DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
RSA_SHA256, RSA_SHA1 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", f"{DS}rsa-sha1"
HMAC_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
SHA256, SHA1 = "http://www.w3.org/2001/04/xmlenc#sha256", f"{DS}sha1"
_HASHES: dict[str, Any] = {SHA256: hashlib.sha256, SHA1: hashlib.sha1}


@dataclass(frozen=True)
class Identity:
    """A key and a certificate of its own making."""

    key: Any
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def files(self, folder: Path, name: str) -> tuple[Path, Path]:
        """The key and the certificate as files."""
        (folder / f"{name}.key").write_bytes(self.key_pem)
        (folder / f"{name}.pem").write_bytes(self.pem)
        return folder / f"{name}.key", folder / f"{name}.pem"


@cache
def identity(name: str, bits: int = 2048, days: int = 365) -> Identity:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.now(UTC) + timedelta(days=days)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(end - timedelta(days=730)).not_valid_after(end)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    return Identity(key, made)


def bare(body: bytes, version: str = "1.1") -> Any:
    """An envelope around *body*, with an empty Security header, as a tree."""
    space = SOAP[version]
    return etree.fromstring(
        f'<soap:Envelope xmlns:soap="{space}" xmlns:wsu="{WSU}"><soap:Header>'
        f'<wsse:Security xmlns:wsse="{WSSE}"/></soap:Header><soap:Body/></soap:Envelope>'.replace(
            "<soap:Body/>", f"<soap:Body>{body.decode('utf-8')}</soap:Body>"
        ).encode()
    )


def security(envelope: Any) -> Any:
    return next(envelope.iter(f"{{{WSSE}}}Security"))


def body_of(envelope: Any) -> Any:
    return envelope[-1]


def with_token(envelope: Any, name: str, secret: str, at: datetime | None = None, nonce: bytes | None = None) -> bytes:
    """*envelope* with a UsernameToken, as bytes."""
    nonce = os.urandom(16) if nonce is None else nonce
    created = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    proof = base64.b64encode(hashlib.sha1(nonce + created.encode() + secret.encode()).digest()).decode()
    token = etree.SubElement(security(envelope), f"{{{WSSE}}}UsernameToken")
    etree.SubElement(token, f"{{{WSSE}}}Username").text = name
    etree.SubElement(token, f"{{{WSSE}}}Password", Type=DIGEST).text = proof
    etree.SubElement(token, f"{{{WSSE}}}Nonce", EncodingType=BASE64).text = base64.b64encode(nonce).decode()
    etree.SubElement(token, f"{{{WSU}}}Created").text = created
    return etree.tostring(envelope)


def stamped(envelope: Any, at: datetime | None = None) -> Any:
    """*envelope* with a Timestamp, and with ids on it and on the Body."""
    at = at or datetime.now(UTC)
    stamp = etree.SubElement(security(envelope), f"{{{WSU}}}Timestamp")
    stamp.set(f"{{{WSU}}}Id", "stamp")
    etree.SubElement(stamp, f"{{{WSU}}}Created").text = at.isoformat().replace("+00:00", "Z")
    etree.SubElement(stamp, f"{{{WSU}}}Expires").text = (at + timedelta(minutes=5)).isoformat().replace("+00:00", "Z")
    body_of(envelope).set(f"{{{WSU}}}Id", "body")
    return envelope


def canonical(element: Any, exclusive: bool = True) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=exclusive, with_comments=False)


def sign(
    envelope: Any,
    who: Identity,
    covers: Sequence[str] = ("body", "stamp"),
    *,
    method: str = RSA_SHA256,
    digest: str = SHA256,
    transforms: Sequence[str] = (EXCLUSIVE,),
    form: str = EXCLUSIVE,
    inside: str = "",
    key_info: str | None = None,
    secret: bytes | None = None,
    uri: Callable[[str], str] = lambda name: f"#{name}",
) -> Any:
    """Sign the elements of *envelope* that *covers* names by id, as the standard says, or not quite.

    *inside* is put into each Transform; with *secret* the signature is an HMAC.
    """
    references = []
    for name in covers:
        (target,) = envelope.xpath("//*[@wsu:Id=$name]", namespaces={"wsu": WSU}, name=name)
        value = base64.b64encode(_HASHES[digest](canonical(target)).digest()).decode()
        steps = "".join(f'<ds:Transform Algorithm="{step}">{inside}</ds:Transform>' for step in transforms)
        references.append(
            f'<ds:Reference URI="{uri(name)}">' + (f"<ds:Transforms>{steps}</ds:Transforms>" if steps else "")
            + f'<ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue>{value}</ds:DigestValue></ds:Reference>'
        )  # fmt: skip
    raw = base64.b64encode(who.certificate.public_bytes(serialization.Encoding.DER)).decode()
    if key_info is None:
        key_info = f"<ds:X509Data><ds:X509Certificate>{raw}</ds:X509Certificate></ds:X509Data>"
    signature = etree.fromstring(
        f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{form}"/>'
        f'<ds:SignatureMethod Algorithm="{method}"/>{"".join(references)}</ds:SignedInfo>'
        f"<ds:SignatureValue/>{f'<ds:KeyInfo>{key_info}</ds:KeyInfo>' if key_info else ''}</ds:Signature>"
    )
    info = canonical(signature[0], exclusive=form == EXCLUSIVE)
    if secret is not None:
        value = hmac.new(secret, info, "sha256").digest()
    else:
        value = who.key.sign(info, padding.PKCS1v15(), hashes.SHA1() if method == RSA_SHA1 else hashes.SHA256())
    signature[1].text = base64.b64encode(value).decode()
    security(envelope).append(signature)
    return envelope


def signed(body: bytes, who: Identity, version: str = "1.1", at: datetime | None = None, **how: Any) -> bytes:
    """*body* in an envelope that *who* has signed."""
    return etree.tostring(sign(stamped(bare(body, version), at), who, **how))
