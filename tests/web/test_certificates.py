"""A partner known by its certificate: through a real proxy that ends TLS, and from nobody else."""

import contextlib
import dataclasses
import hashlib
import http.client
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hub.partners.overlay import Overlaid
from hub.web.app import create_app
from hub.web.server import open_server

HEADER = "X-Client-Cert"


class Authority:
    """An authority of its own, that issues to partners and to the proxy."""

    def __init__(self, folder):
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
        self.file = self._write("ca", self._made("an authority", self._key, authority=True), self._key)

    def issue(self, name, server=False):
        """The file of a certificate and its key, and the certificate's SHA-256."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._made(name, key, server=server)
        return self._write(name, made, key), made.fingerprint(hashes.SHA256()).hex()

    def _made(self, name, key, authority=False, server=False):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if server:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name, certificate, key):
        path = self._folder / f"{name}.pem"
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *form)
        )
        return path


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@contextlib.contextmanager
def proxy(authority, port, form):
    """A proxy that ends TLS, takes certificates of *authority* alone, and says which it was shown.  Gives its port."""

    class Passing(BaseHTTPRequestHandler):
        def do_GET(self):
            shown = self.connection.getpeercert(binary_form=True)
            headers = {k: v for k, v in self.headers.items() if k != HEADER}
            headers |= {"X-Forwarded-For": self.client_address[0], "X-Forwarded-Proto": "https"}
            if shown:
                headers[HEADER] = form(shown)
            to = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            to.request("GET", self.path, headers=headers)
            got = to.getresponse()
            body = got.read()
            self.send_response(got.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    own, _ = authority.issue("localhost", server=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(own)
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = ThreadingHTTPServer(("127.0.0.1", 0), Passing)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def get(port, authority, certificate=None, path="/v1/requests", **headers):
    context = ssl.create_default_context(cafile=authority.file)
    if certificate is not None:
        context.load_cert_chain(certificate)
    wire = http.client.HTTPSConnection("localhost", port, context=context, timeout=20)
    wire.request("GET", path, headers=headers)
    return wire.getresponse().status


@pytest.fixture
def served(engine):
    """The hub on a socket, told that one proxy stands in front of it."""
    engine.settings = dataclasses.replace(engine.settings, port=0, proxies=1, client_cert_header=HEADER)
    opened = open_server(engine)
    thread = threading.Thread(target=opened.run)
    thread.start()
    yield opened.port
    opened.close()
    thread.join(10)


def known_by(engine, *certificates, partner="agent_idn_1"):
    engine.change_partners([Overlaid(id=partner, certificates=certificates)], "tester")


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda der: hashlib.sha256(der).hexdigest(), id="its SHA-256"),
        pytest.param(lambda der: hashlib.sha256(der).hexdigest().upper(), id="in capitals"),
        pytest.param(lambda der: quote(ssl.DER_cert_to_PEM_cert(der)), id="the whole of it, as nginx says it"),
    ],
)
def test_a_partner_is_known_by_what_it_showed_the_proxy(engine, served, authority, form):
    file, sha256 = authority.issue("agent")
    stranger, _ = authority.issue("stranger")
    with proxy(authority, served, form) as port:
        assert get(port, authority, file) == 401
        known_by(engine, sha256)
        assert get(port, authority, file) == 200
        assert get(port, authority, file, "/v1/operations/now") == 403
        assert get(port, authority, stranger) == 401
        assert get(port, authority) == 401
        # What a caller writes itself does not pass the proxy.
        assert get(port, authority, stranger, **{HEADER: sha256}) == 401
        assert get(port, authority, **{HEADER: sha256}) == 401


def test_two_certificates_live_while_one_is_changed_and_one_taken_out_is_refused(engine, served, authority):
    (old, was), (new, now) = authority.issue("old"), authority.issue("new")
    with proxy(authority, served, lambda der: hashlib.sha256(der).hexdigest()) as port:
        known_by(engine, was, now)
        assert (get(port, authority, old), get(port, authority, new)) == (200, 200)
        known_by(engine, now)
        assert (get(port, authority, old), get(port, authority, new)) == (401, 200)
        known_by(engine)
        assert (get(port, authority, old), get(port, authority, new)) == (401, 401)


def test_a_key_and_a_certificate_are_the_same_partners(engine, served, authority):
    file, sha256 = authority.issue("agent")
    known_by(engine, sha256)
    with proxy(authority, served, lambda der: hashlib.sha256(der).hexdigest()) as port:
        assert get(port, authority, file, Authorization="Bearer agent_idn_1" + "k" * 32) == 200
        assert get(port, authority, file, Authorization="Bearer agent_idn_2" + "k" * 32) == 401
        assert get(port, authority, file, Authorization="Bearer nobody" + "k" * 32) == 401


def _from(engine, address, **settings):
    """The status of a call that says a certificate itself, from *address*."""
    engine.settings = dataclasses.replace(engine.settings, **settings)
    client = create_app(engine).test_client()
    return client.get("/v1/requests", headers={HEADER: "a" * 64}, environ_base={"REMOTE_ADDR": address}).status_code


def test_only_the_proxy_is_believed(engine):
    known_by(engine, "a" * 64)
    behind = {"proxies": 1, "client_cert_header": HEADER}
    assert _from(engine, "127.0.0.1", **behind) == 200
    assert _from(engine, "192.0.2.7", **behind) == 401
    assert _from(engine, "192.0.2.7", proxy_addresses=("192.0.2.7",)) == 200
    assert _from(engine, "127.0.0.1") == 401


def test_without_the_setting_the_header_means_nothing(engine):
    known_by(engine, "a" * 64)
    assert _from(engine, "127.0.0.1") == 401


@pytest.mark.parametrize("said", ["", " ", "a" * 63, "a" * 65, "%", "-----BEGIN CERTIFICATE-----", "é"])
def test_what_is_no_certificate_is_nobodys(engine, said):
    engine.settings = dataclasses.replace(engine.settings, proxies=1, client_cert_header=HEADER)
    answer = create_app(engine).test_client().get("/v1/requests", headers={HEADER: said})
    assert (answer.status_code, answer.json["code"]) == (401, "unauthorised")


def test_the_proxy_names_the_port_it_came_from_and_not_the_caller(engine):
    """X-Forwarded-For is for the log: whose word counts is who is connected."""
    known_by(engine, "a" * 64)
    engine.settings = dataclasses.replace(engine.settings, proxies=1, client_cert_header=HEADER)
    headers = {HEADER: "a" * 64, "X-Forwarded-For": "127.0.0.1"}
    client = create_app(engine).test_client()
    assert client.get("/v1/requests", headers=headers, environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 401
