"""Ask what a bill comes to, with a password:  python zeep_password.py WSDL USER SECRET BILL"""

import sys

import zeep
from zeep.wsse.username import UsernameToken

wsdl, user, secret, bill = sys.argv[1:]
client = zeep.Client(wsdl, wsse=UsernameToken(user, secret, use_digest=True))
answer = client.service.AskBill(BillNumber=bill)
print(answer["BillNumber"], answer["Status"], answer["AmountDue"], answer["Currency"], answer["ExpiresAt"])
