"""A UsernameToken's password digest with Python alone:  python password_digest.py SECRET NONCE_IN_BASE64 CREATED"""

import base64
import hashlib
import sys


def digest(secret: str, nonce: str, created: str) -> str:
    made = base64.b64decode(nonce) + created.encode("ascii") + secret.encode("utf-8")
    return base64.b64encode(hashlib.sha1(made, usedforsecurity=False).digest()).decode("ascii")


if __name__ == "__main__":
    print(digest(*sys.argv[1:]))
