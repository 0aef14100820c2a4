"""Ask what a bill comes to, signed by a certificate:  python zeep_signed.py WSDL KEY CERTIFICATE BILL

Needs zeep and xmlsec.  zeep signs a Timestamp where there is one, and by SHA-1 unless it is told better.
"""

import sys
from datetime import UTC, datetime, timedelta

import xmlsec
import zeep
from zeep.wsse import utils
from zeep.wsse.signature import BinarySignature


class Signed(BinarySignature):
    def apply(self, envelope, headers):
        now = datetime.now(UTC)
        created, expires = (at.strftime("%Y-%m-%dT%H:%M:%SZ") for at in (now, now + timedelta(minutes=5)))
        stamp = utils.WSU.Timestamp(utils.WSU.Created(created), utils.WSU.Expires(expires))
        utils.get_security_header(envelope).append(stamp)
        return super().apply(envelope, headers)

    def verify(self, envelope):
        return envelope  # the hub's answers are not signed: TLS says whose they are


wsdl, key, certificate, bill = sys.argv[1:]
strong = {"signature_method": xmlsec.Transform.RSA_SHA256, "digest_method": xmlsec.Transform.SHA256}
client = zeep.Client(wsdl, wsse=Signed(key, certificate, **strong))
answer = client.service.AskBill(BillNumber=bill)
print(answer["BillNumber"], answer["Status"], answer["AmountDue"], answer["Currency"], answer["ExpiresAt"])
