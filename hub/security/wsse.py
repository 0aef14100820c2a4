"""WS-Security 1.1 of what partners tell over SOAP: who sent an envelope, and which of its elements that vouches for.

Two ways: a UsernameToken whose digest is made of a secret both share (it says who calls, and TLS keeps the rest), or an
X.509 signature over Body and Timestamp.  Of a signed envelope only what the signature covers is given back to be read,
and the certificate is the partner's own that we keep, never the one that the message brings.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from hub.canonical.errors import HubError
from hub.security import xml

WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
PROFILE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0"
DIGEST = f"{PROFILE}#PasswordDigest"
BASE64 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
_DS = "http://www.w3.org/2000/09/xmldsig#"
#: The one canonical form, for the signed parts and for the signature itself.
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_METHODS = frozenset({
    SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512,
    SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384, SignatureMethod.ECDSA_SHA512,
})  # fmt: skip
_DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
#: Parts that one signature may cover: Body, Timestamp, tokens and addressing headers.
_MOST_PARTS = 10
_FEWEST_BITS = 2048


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a partner vouches for: the ``body`` element as it may be read, and ``once``, which names this message."""

    body: Any
    once: str


def vouched(
    envelope: Any,
    name: str,
    secrets: Iterable[str],
    certificates: Sequence[x509.Certificate],
    now: datetime,
    within: int = 300,
) -> Vouched:
    """Check who sent *envelope*, and give what may be read of it.

    A partner with *certificates* signs, and a password alone is not enough.  Another shows that it is *name* and knows
    one of *secrets*.  Of both, two are live while one is being changed.  *within* is how far, in
    seconds, the message's time may lie from wall time *now*, either way; ``once`` must be kept for twice as long.
    Raises ``signature_soap_missing``, ``signature_soap_wrong`` or ``signature_stale``.
    """
    security = _security(envelope)
    if certificates:
        return _signed(envelope, security, certificates, now, within)
    nonce = _token(security, name, secrets, now, within)
    return Vouched(_one(envelope, "Body"), f"nonce:{nonce}")


def token(name: str, secret: str, at: datetime) -> str:
    """The ``Security`` header of *name* at wall time *at*, with a fresh nonce, as XML text."""
    nonce, created = os.urandom(16), at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f'<wsse:Security xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}"><wsse:UsernameToken>'
        f'<wsse:Username>{name}</wsse:Username><wsse:Password Type="{DIGEST}">{_digest(nonce, created, secret)}'
        f'</wsse:Password><wsse:Nonce EncodingType="{BASE64}">{base64.b64encode(nonce).decode()}</wsse:Nonce>'
        f"<wsu:Created>{created}</wsu:Created></wsse:UsernameToken></wsse:Security>"
    )


def certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """The certificates in the PEM file *path*.  Raises ``certificate_unreadable``, also for a key that is too weak."""
    try:
        found = tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError):
        raise HubError("certificate_unreadable") from None
    for one in found:
        key = one.public_key()
        strong = isinstance(key, rsa.RSAPublicKey) and key.key_size >= _FEWEST_BITS
        if not strong and not isinstance(key, ec.EllipticCurvePublicKey):
            raise HubError("certificate_unreadable")
    return found


def _security(envelope: Any) -> Any:
    header = envelope.find(f"{{{_space(envelope)}}}Header")
    found = [] if header is None else header.findall(f"{{{WSSE}}}Security")
    if not any(
        one.find(tag) is not None for one in found for tag in (f"{{{WSSE}}}UsernameToken", f"{{{_DS}}}Signature")
    ):
        raise HubError("signature_soap_missing")
    # With two of them it would be anybody's choice which one counts.
    if len(found) > 1:
        raise HubError("signature_soap_wrong")
    return found[0]


# ---------------------------------------------------------------------------------------------- UsernameToken


def _token(security: Any, name: str, secrets: Iterable[str], now: datetime, within: int) -> str:
    tokens = security.findall(f"{{{WSSE}}}UsernameToken")
    if len(tokens) != 1:
        raise HubError("signature_soap_wrong")
    said, given, nonce, created = (
        _one(tokens[0], part, namespace)
        for part, namespace in (("Username", WSSE), ("Password", WSSE), ("Nonce", WSSE), ("Created", WSU))
    )
    try:
        raw = base64.b64decode(nonce.text or "", validate=True)
    except (binascii.Error, ValueError):
        raise HubError("signature_soap_wrong") from None
    if given.get("Type") != DIGEST or not 16 <= len(raw) <= 64:
        raise HubError("signature_soap_wrong")
    right, shown = False, (given.text or "").strip().encode()
    # All are compared, so that the time taken does not tell which secret is in use.
    for secret in secrets:
        right |= hmac.compare_digest(_digest(raw, created.text or "", secret).encode(), shown)
    if not right or not hmac.compare_digest((said.text or "").encode(), name.encode()):
        raise HubError("signature_soap_wrong")
    _fresh(created, now, within)
    return raw.hex()


def _digest(nonce: bytes, created: str, secret: str) -> str:
    # The profile has no other digest than SHA-1; what counts here is that the secret is long and the nonce new.
    made = hashlib.sha1(nonce + created.encode("utf-8") + secret.encode("utf-8"), usedforsecurity=False)
    return base64.b64encode(made.digest()).decode()


# ---------------------------------------------------------------------------------------------- X.509 signature


def _signed(
    envelope: Any, security: Any, certificates: Iterable[x509.Certificate], now: datetime, within: int
) -> Vouched:
    signatures = list(envelope.iter(f"{{{_DS}}}Signature"))
    if not signatures:
        raise HubError("signature_soap_wrong")
    if len(signatures) > 1 or signatures[0].getparent() is not security:
        raise HubError("signature_soap_wrong")
    parts = _parts(envelope, signatures[0])
    body, stamp = _one(envelope, "Body"), _one(security, "Timestamp", WSU)
    covered = _covered(envelope, certificates, now)
    if covered is None or len(covered) != len(parts):
        raise HubError("signature_soap_wrong")
    read = {}
    for part, data in zip(parts, covered, strict=True):
        read[part] = xml.parse(data)
        # The same name and place: what was signed is what stands there, and not something of that id elsewhere.
        if read[part].tag != part.tag:
            raise HubError("signature_soap_wrong")
    if body not in read or stamp not in read:
        raise HubError("signature_soap_wrong")
    _fresh(_one(read[stamp], "Created", WSU), now, within)
    expires = read[stamp].find(f"{{{WSU}}}Expires")
    if expires is not None and _moment(expires) <= now:
        raise HubError("signature_stale")
    # Not of the signature's value: some algorithms have several values for one message, each as good.
    info = etree.tostring(signatures[0].find(f"{{{_DS}}}SignedInfo"), method="c14n", exclusive=True)
    return Vouched(read[body], f"signed:{hashlib.sha256(info).hexdigest()}")


def _parts(envelope: Any, signature: Any) -> list[Any]:
    """The elements that *signature* says it covers, in its order, after a look at how it says so."""
    info = _one(signature, "SignedInfo", _DS)
    references = info.findall(f"{{{_DS}}}Reference")
    forms = [_one(info, "CanonicalizationMethod", _DS)]
    for reference in references:
        transforms = reference.findall(f"{{{_DS}}}Transforms/{{{_DS}}}Transform")
        if len(transforms) != 1:
            raise HubError("signature_soap_wrong")
        forms += transforms
    # One canonical form and nothing else: every other transform is a way to sign less than is shown.
    if any(form.get("Algorithm") != _EXCLUSIVE for form in forms):
        raise HubError("signature_soap_wrong")
    if any(etree.QName(inner).namespace != _EXCLUSIVE for form in forms for inner in form):
        raise HubError("signature_soap_wrong")
    if not 1 <= len(references) <= _MOST_PARTS:
        raise HubError("signature_soap_wrong")
    named: dict[str, list[Any]] = {}
    for element in envelope.iter():
        for attribute, value in element.attrib.items():
            if etree.QName(attribute).localname.lower() == "id":
                named.setdefault(value, []).append(element)
    parts = []
    for reference in references:
        uri = reference.get("URI") or ""
        found = named.get(uri[1:], []) if uri.startswith("#") else []
        # Two elements of one id, and the one that is checked need not be the one that is read.
        if len(found) != 1 or found[0] in parts:
            raise HubError("signature_soap_wrong")
        parts.append(found[0])
    return parts


def _covered(envelope: Any, certificates: Iterable[x509.Certificate], now: datetime) -> list[bytes] | None:
    """The bytes that the signature covers, part by part; None where no certificate of *certificates* made it."""
    allowed = SignatureConfiguration(
        expect_references=True, signature_methods=_METHODS, digest_algorithms=_DIGESTS, verification_time=now
    )
    for one in certificates:
        try:
            found: Any = XMLVerifier().verify(envelope, x509_cert=one, parser=xml.hardened(), expect_config=allowed)
        except (SignXMLException, etree.LxmlError, ValueError, TypeError, LookupError, NotImplementedError):
            continue  # by another of its certificates, or by nobody's
        return [part.signed_data for part in found]
    return None


# ---------------------------------------------------------------------------------------------- small things


def _space(envelope: Any) -> str:
    return etree.QName(envelope).namespace or ""


def _one(within: Any, name: str, namespace: str | None = None) -> Any:
    found = within.findall(f"{{{_space(within) if namespace is None else namespace}}}{name}")
    if len(found) != 1:
        raise HubError("signature_soap_wrong")
    return found[0]


def _moment(element: Any) -> datetime:
    try:
        moment = datetime.fromisoformat((element.text or "").strip())
    except ValueError:
        raise HubError("signature_soap_wrong") from None
    if moment.tzinfo is None:
        raise HubError("signature_soap_wrong")
    return moment


def _fresh(created: Any, now: datetime, within: int) -> None:
    if abs((now - _moment(created)).total_seconds()) > within:
        raise HubError("signature_stale")
