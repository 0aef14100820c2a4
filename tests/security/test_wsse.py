"""WS-Security: a good message is read as it was signed, and every way to hang its signature elsewhere fails."""

from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from hub.canonical.errors import HubError
from hub.security import wsse
from tests.attacks import envelopes, wrapping

SIGNED, FORGED = b'<Pay xmlns="urn:bank"><Amount>1</Amount></Pay>', b'<Pay xmlns="urn:bank"><Amount>999</Amount></Pay>'
SECRET = "s" * 64


@pytest.fixture(scope="module")
def theirs():
    return envelopes.identity("bank")


@pytest.fixture(scope="module")
def mine():
    return envelopes.identity("attacker")


def read(data, *identities, name="bank", secret=SECRET, now=None):
    certificates = [one.certificate for one in identities]
    secrets = [secret] if isinstance(secret, str) else secret
    return wsse.vouched(etree.fromstring(data), name, secrets, certificates, now or datetime.now(UTC))


def refused(data, *identities, **more):
    with pytest.raises(HubError) as caught:
        read(data, *identities, **more)
    return caught.value.code


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_what_is_signed_is_read(theirs, version):
    body = read(envelopes.signed(SIGNED, theirs, version), theirs).body
    assert body.tag == f"{{{envelopes.SOAP[version]}}}Body"
    assert body.findtext(".//{urn:bank}Amount") == "1"


def test_two_certificates_are_live_while_one_is_changed(theirs, mine):
    new = envelopes.identity("bank, next year")
    for one in (theirs, new):
        assert read(envelopes.signed(SIGNED, one), theirs, new).once.startswith("signed:")
    assert refused(envelopes.signed(SIGNED, mine), theirs, new) == "signature_soap_wrong"


@pytest.mark.parametrize("name", sorted(wrapping.WAYS))
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_signature_is_good_for_what_it_covers_alone(theirs, mine, name, version):
    data = wrapping.WAYS[name](SIGNED, FORGED, theirs, mine, version)
    try:
        body = read(data, theirs).body
    except HubError as error:
        assert error.code in ("signature_soap_wrong", "signature_soap_missing")
    else:
        # What is a matter of the envelope's form is refused before: here only what was signed may come out.
        assert name in ("two_bodies_forged_first", "two_bodies_forged_last") and b"999" not in etree.tostring(body)


def test_there_are_enough_ways():
    assert len(wrapping.WAYS) >= 40


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_of_another_time_is_stale(theirs, minutes):
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    assert refused(envelopes.signed(SIGNED, theirs, at=at), theirs) == "signature_stale"


def test_a_certificate_that_has_run_out_signs_nothing():
    old = envelopes.identity("old", days=-1)
    assert refused(envelopes.signed(SIGNED, old), old) == "signature_soap_wrong"


def test_the_same_message_has_one_name_and_another_has_another(theirs):
    first = envelopes.signed(SIGNED, theirs)
    again = etree.fromstring(first)
    envelopes.security(again)[-1].remove(envelopes.security(again)[-1][2])  # what nobody signed may change
    assert read(first, theirs).once == read(etree.tostring(again), theirs).once
    assert read(first, theirs).once != read(envelopes.signed(SIGNED, theirs), theirs).once


def test_a_password_digest_says_who_calls():
    data = envelopes.with_token(envelopes.bare(SIGNED), "bank", SECRET, nonce=b"n" * 16)
    vouched = read(data)
    assert vouched.once == f"nonce:{(b'n' * 16).hex()}"
    assert vouched.body.findtext(".//{urn:bank}Amount") == "1"


def test_two_secrets_are_live_while_one_is_changed():
    for secret in ("old" * 20, "new" * 20):
        data = envelopes.with_token(envelopes.bare(SIGNED), "bank", secret)
        assert read(data, secret=["old" * 20, "new" * 20]).once.startswith("nonce:")
        assert refused(data, secret=["other" * 20]) == "signature_soap_wrong"


def test_our_own_token_is_taken():
    envelope = envelopes.bare(SIGNED)
    envelope[0].replace(envelope[0][0], etree.fromstring(wsse.token("bank", SECRET, datetime.now(UTC))))
    assert read(etree.tostring(envelope)).once.startswith("nonce:")


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"name": "other"}, "signature_soap_wrong"),
        ({"secret": "x" * 64}, "signature_soap_wrong"),
        ({"nonce": b"short"}, "signature_soap_wrong"),
        ({"at": datetime.now(UTC) - timedelta(minutes=6)}, "signature_stale"),
        ({"at": datetime.now(UTC) + timedelta(minutes=6)}, "signature_stale"),
    ],
)
def test_a_wrong_token_is_refused(how, code):
    data = envelopes.with_token(envelopes.bare(SIGNED), **{"name": "bank", "secret": SECRET, **how})
    assert refused(data) == code


def test_a_password_in_plain_is_refused_even_if_it_is_right():
    data = envelopes.with_token(envelopes.bare(SIGNED), "bank", SECRET)
    plain = data.replace(b"#PasswordDigest", b"#PasswordText")
    assert refused(plain) == "signature_soap_wrong"


def test_nothing_of_either_kind_is_said_to_be_missing(theirs):
    assert refused(etree.tostring(envelopes.bare(SIGNED))) == "signature_soap_missing"
    assert refused(etree.tostring(envelopes.bare(SIGNED)), theirs) == "signature_soap_missing"


def test_a_file_of_certificates_is_read_and_a_weak_key_refused(theirs, tmp_path):
    new = envelopes.identity("bank, next year")
    file = tmp_path / "bank.pem"
    file.write_bytes(theirs.pem + new.pem)
    assert wsse.certificates(file) == (theirs.certificate, new.certificate)
    for content in (b"", b"nonsense", envelopes.identity("weak", 1024).pem):
        file.write_bytes(content)
        with pytest.raises(HubError, match="certificate_unreadable"):
            wsse.certificates(file)
