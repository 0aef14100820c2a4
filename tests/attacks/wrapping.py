"""Ways to take a signature that is good and hang it on something else: each a function from identities to an envelope.

``theirs`` is the partner whose certificate the hub keeps, ``mine`` the attacker's.  The body that the attacker wants
read is ``FORGED``; the partner has signed ``SIGNED``.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from cryptography.hazmat.primitives import serialization
from lxml import etree

from tests.attacks import envelopes
from tests.attacks.envelopes import DS, EXCLUSIVE, WSU, Identity, bare, body_of, security, sign, stamped

XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_ID = f"{{{WSU}}}Id"

Attack = Callable[[bytes, bytes, Identity, Identity, str], bytes]
WAYS: dict[str, Attack] = {}


def way(make: Attack) -> Attack:
    WAYS[make.__name__] = make
    return make


def good(signed: bytes, theirs: Identity, version: str) -> Any:
    return sign(stamped(bare(signed, version)), theirs)


def forged_body(envelope: Any, forged: bytes, id_: str | None) -> Any:
    """A new Body with *forged* in the place of the envelope's; the old one is given back."""
    old = body_of(envelope)
    new = etree.Element(old.tag, nsmap=old.nsmap)
    new.append(etree.fromstring(forged))
    if id_:
        new.set(_ID, id_)
    envelope.replace(old, new)
    return old


@way
def changed_body(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    body_of(envelope).replace(body_of(envelope)[0], etree.fromstring(forged))
    return etree.tostring(envelope)


@way
def body_moved_into_a_header(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    etree.SubElement(envelope[0], "Wrapper").append(forged_body(envelope, forged, None))
    return etree.tostring(envelope)


@way
def body_moved_and_another_id(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    etree.SubElement(envelope[0], "Wrapper").append(forged_body(envelope, forged, "other"))
    return etree.tostring(envelope)


@way
def body_moved_and_the_same_id(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    etree.SubElement(envelope[0], "Wrapper").append(forged_body(envelope, forged, "body"))
    return etree.tostring(envelope)


@way
def body_moved_into_the_security_header(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    security(envelope).append(forged_body(envelope, forged, None))
    return etree.tostring(envelope)


@way
def body_moved_into_the_signature(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    old = forged_body(envelope, forged, None)
    etree.SubElement(next(envelope.iter(f"{{{DS}}}Signature")), f"{{{DS}}}Object").append(old)
    return etree.tostring(envelope)


@way
def body_moved_below_the_forged_one(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    old = forged_body(envelope, forged, None)
    body_of(envelope)[0].append(old)
    return etree.tostring(envelope)


@way
def two_bodies_forged_first(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    envelope.append(forged_body(envelope, forged, None))
    return etree.tostring(envelope)


@way
def two_bodies_forged_last(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    new = deepcopy(body_of(envelope))
    new.attrib.pop(_ID)
    new.replace(new[0], etree.fromstring(forged))
    envelope.append(new)
    return etree.tostring(envelope)


@way
def two_elements_in_the_body(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    body_of(envelope).append(etree.fromstring(forged))
    return etree.tostring(envelope)


@way
def id_twice_by_another_attribute(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    old = forged_body(envelope, forged, None)
    body_of(envelope).set("Id", "body")
    etree.SubElement(envelope[0], "Wrapper").append(old)
    return etree.tostring(envelope)


@way
def id_twice_by_xml_id(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    old = forged_body(envelope, forged, None)
    body_of(envelope).set("{http://www.w3.org/XML/1998/namespace}id", "body")
    etree.SubElement(envelope[0], "Wrapper").append(old)
    return etree.tostring(envelope)


@way
def only_the_timestamp_is_signed(signed, forged, theirs, mine, version):
    return etree.tostring(sign(stamped(bare(forged, version)), theirs, ("stamp",)))


@way
def only_the_body_is_signed(signed, forged, theirs, mine, version):
    return etree.tostring(sign(stamped(bare(forged, version)), theirs, ("body",)))


@way
def only_a_header_is_signed(signed, forged, theirs, mine, version):
    envelope = stamped(bare(forged, version))
    etree.SubElement(envelope[0], "{urn:x}Note").set(_ID, "note")
    return etree.tostring(sign(envelope, theirs, ("note",)))


@way
def the_payload_is_signed_and_not_the_body(signed, forged, theirs, mine, version):
    envelope = stamped(bare(signed, version))
    body_of(envelope).attrib.pop(_ID)
    body_of(envelope)[0].set(_ID, "body")
    return etree.tostring(sign(envelope, theirs))


@way
def no_reference(signed, forged, theirs, mine, version):
    return etree.tostring(sign(stamped(bare(forged, version)), theirs, ()))


@way
def a_reference_without_uri(signed, forged, theirs, mine, version):
    return etree.tostring(sign(stamped(bare(forged, version)), theirs, uri=lambda name: ""))


@way
def a_reference_to_a_file(signed, forged, theirs, mine, version):
    return etree.tostring(sign(stamped(bare(forged, version)), theirs, uri=lambda name: "file:///etc/hostname"))


@way
def a_reference_by_xpointer(signed, forged, theirs, mine, version):
    return etree.tostring(sign(stamped(bare(signed, version)), theirs, uri=lambda name: f"#xpointer(id('{name}'))"))


@way
def the_same_reference_twice(signed, forged, theirs, mine, version):
    return etree.tostring(sign(stamped(bare(signed, version)), theirs, ("stamp", "stamp")))


@way
def digest_by_sha1(signed, forged, theirs, mine, version):
    return etree.tostring(sign(stamped(bare(signed, version)), theirs, digest=envelopes.SHA1))


@way
def signature_by_sha1(signed, forged, theirs, mine, version):
    return etree.tostring(sign(stamped(bare(signed, version)), theirs, method=envelopes.RSA_SHA1))


@way
def hmac_keyed_with_the_certificate(signed, forged, theirs, mine, version):
    envelope = stamped(bare(forged, version))
    return etree.tostring(sign(envelope, theirs, method=envelopes.HMAC_SHA256, secret=theirs.pem, key_info=""))


@way
def hmac_keyed_with_the_public_key(signed, forged, theirs, mine, version):
    key = theirs.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    envelope = stamped(bare(forged, version))
    return etree.tostring(sign(envelope, theirs, method=envelopes.HMAC_SHA256, secret=key))


@way
def transform_by_xslt(signed, forged, theirs, mine, version):
    sheet = '<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0"/>'
    envelope = stamped(bare(forged, version))
    return etree.tostring(sign(envelope, theirs, transforms=(XSLT,), inside=sheet))


@way
def transform_by_xpath(signed, forged, theirs, mine, version):
    inside = f'<ds:XPath xmlns:ds="{DS}">not(ancestor-or-self::*)</ds:XPath>'
    return etree.tostring(sign(stamped(bare(forged, version)), theirs, transforms=(XPATH,), inside=inside))


@way
def transform_that_takes_the_signature_out(signed, forged, theirs, mine, version):
    steps = (f"{DS}enveloped-signature", EXCLUSIVE)
    return etree.tostring(sign(stamped(bare(signed, version)), theirs, transforms=steps))


@way
def transform_from_base64(signed, forged, theirs, mine, version):
    return etree.tostring(sign(stamped(bare(signed, version)), theirs, transforms=(f"{DS}base64",)))


@way
def no_transform(signed, forged, theirs, mine, version):
    return etree.tostring(sign(stamped(bare(signed, version)), theirs, transforms=()))


@way
def another_canonical_form(signed, forged, theirs, mine, version):
    form = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    return etree.tostring(sign(stamped(bare(signed, version)), theirs, form=form))


@way
def signed_by_a_stranger(signed, forged, theirs, mine, version):
    return etree.tostring(sign(stamped(bare(forged, version)), mine))


@way
def signed_by_a_stranger_who_shows_their_certificate(signed, forged, theirs, mine, version):
    envelope = sign(stamped(bare(forged, version)), mine)
    shown = sign(stamped(bare(signed, version)), theirs)
    security(envelope)[-1].replace(security(envelope)[-1][2], deepcopy(security(shown)[-1][2]))
    return etree.tostring(envelope)


@way
def signed_by_a_stranger_with_a_bare_key(signed, forged, theirs, mine, version):
    def number(value: int) -> str:
        return envelopes.base64.b64encode(value.to_bytes((value.bit_length() + 7) // 8)).decode()

    public = mine.key.public_key().public_numbers()
    value = f"<ds:Modulus>{number(public.n)}</ds:Modulus><ds:Exponent>{number(public.e)}</ds:Exponent>"
    told = f"<ds:KeyValue><ds:RSAKeyValue>{value}</ds:RSAKeyValue></ds:KeyValue>"
    return etree.tostring(sign(stamped(bare(forged, version)), mine, key_info=told))


@way
def signature_outside_the_security_header(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    envelope[0].append(security(envelope)[-1])
    # something that looks like a signature is left behind
    etree.SubElement(security(envelope), f"{{{DS}}}Signature")
    return etree.tostring(envelope)


@way
def two_signatures(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    security(envelope).append(deepcopy(security(envelope)[-1]))
    return etree.tostring(envelope)


@way
def two_security_headers(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    envelope[0].append(deepcopy(security(envelope)))
    return etree.tostring(envelope)


@way
def two_timestamps(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    stamp = deepcopy(security(envelope)[0])
    stamp.attrib.pop(_ID)
    security(envelope).insert(0, stamp)
    return etree.tostring(envelope)


@way
def the_value_is_left_out(signed, forged, theirs, mine, version):
    envelope = good(signed, theirs, version)
    next(envelope.iter(f"{{{DS}}}SignatureValue")).text = ""
    return etree.tostring(envelope)


@way
def the_signature_is_empty(signed, forged, theirs, mine, version):
    envelope = stamped(bare(forged, version))
    etree.SubElement(security(envelope), f"{{{DS}}}Signature")
    return etree.tostring(envelope)


@way
def a_password_instead(signed, forged, theirs, mine, version):
    return envelopes.with_token(bare(forged, version), "bill_desk_asir", "")
