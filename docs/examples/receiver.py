"""Hears the hub's webhooks: verifies each, says 204, and does the work afterwards.  Standard library only.

Usage: receiver.py PORT SECRET-FILE FOLDER   (the last event is kept in FOLDER, as event.json and signature.txt)
"""

import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

PORT, SECRETS, FOLDER = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
seen = set()  # in earnest: a table with a unique key


def verified(header, body):
    """Whether whoever shares one of our secrets sent *body*, within the last 300 seconds."""
    parts = [part.partition("=")[::2] for part in (header or "").split(",")]
    said = dict(parts)
    if not {"t", "n", "v1"} <= said.keys() or not said["t"].isdigit() or abs(time.time() - int(said["t"])) > 300:
        return False
    signed = f"{said['t']}.{said['n']}.".encode() + body
    for secret in SECRETS.read_text().split():  # two while one is being changed
        ours = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        if any(hmac.compare_digest(ours, value) for name, value in parts if name == "v1"):
            return True
    return False


class Door(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signature = self.headers.get("X-Hub-Signature")
        good = verified(signature, body)
        self.send_response(204 if good else 401)
        self.end_headers()
        event = json.loads(body) if good else {"id": None}
        if good and event["id"] not in seen:  # the same event may come again
            seen.add(event["id"])
            (FOLDER / "event.json").write_bytes(body)
            (FOLDER / "signature.txt").write_text(signature)
            print(event["type"], event["request_no"] or event["group_no"], event["state"], flush=True)


HTTPServer(("127.0.0.1", PORT), Door).serve_forever()
