"""File a group and wait for its pilgrims' reference numbers: ``first_reference.py HUB_URL KEY GROUP.json``."""

import json
import sys
import time
import uuid
from pathlib import Path

import requests

FINAL = {"REFERENCE_ISSUED", "REFERENCE_REFUSED", "REFUSED_BY_COMPANY", "CANCELLED", "INVOICE_EXPIRED"}
OURS = {"RETURNED", "NEEDS_DATA"}  # it waits for us, to correct it


def main(hub: str, key: str, path: str) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {key}"
    group = json.loads(Path(path).read_text("utf-8"))
    group["group_no"] = f"PY-{uuid.uuid4().hex[:8]}"
    for number, member in enumerate(group["members"]):
        # Other papers than those of a group that was filed before: one person has one live request.
        fresh = f"P{uuid.uuid4().int % 10**6:06}{number}"
        for other in group["members"]:
            if other.get("companion", {}).get("number") == member["document"]["number"]:
                other["companion"]["number"] = fresh
        member["document"]["number"] = fresh
    told = session.post(f"{hub}/v1/groups", json=group, headers={"Idempotency-Key": group["group_no"]}, timeout=30)
    if not told.ok:
        sys.exit(json.dumps(told.json(), ensure_ascii=False, indent=2))
    waiting = [one["id"] for one in told.json()["requests"]]
    while waiting:
        time.sleep(1)
        for request in list(waiting):
            now = session.get(f"{hub}/v1/pilgrims/{request}/timeline", timeout=30).json()
            if now["state"] in FINAL | OURS or now.get("reference_no"):
                print(now["request_no"], now["state"], now.get("reference_no") or "")
                waiting.remove(request)


main(*sys.argv[1:4])
