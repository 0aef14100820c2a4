"""X-Hub-Signature with Python alone:  python sign.py SECRET UNIX_SECONDS NONCE FILE"""

import hashlib
import hmac
import sys


def sign(secret: str, seconds: str, nonce: str, body: bytes) -> str:
    signed = f"{seconds}.{nonce}.".encode("ascii") + body
    return f"t={seconds},n={nonce},v1={hmac.new(secret.encode('utf-8'), signed, hashlib.sha256).hexdigest()}"


if __name__ == "__main__":
    secret, seconds, nonce, file = sys.argv[1:]
    with open(file, "rb") as body:
        print(sign(secret, seconds, nonce, body.read()))
