"""What schemathesis is told of a hub under fuzz: ids that are there, bodies that mean something, and how a bank signs.

It runs in schemathesis' own process (``SCHEMATHESIS_HOOKS``) and counts what was called and how that was answered.
"""

import atexit
import hashlib
import hmac
import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from requests import PreparedRequest
from requests.auth import AuthBase

_TOLD: dict[str, Any] = json.loads(Path(os.environ["HUB_FUZZ"]).read_text("utf-8"))
_chance = random.Random(_TOLD["seed"])
_counted: Counter[str] = Counter()


class Signed(AuthBase):
    """Signs as a bank does."""

    def __call__(self, prepared: PreparedRequest) -> PreparedRequest:
        body = prepared.body or b""
        body = body.encode() if isinstance(body, str) else body
        stamp, nonce = str(int(time.time())), f"{_chance.getrandbits(128):032x}"
        told = hmac.new(_TOLD["secret"].encode(), f"{stamp}.{nonce}.".encode() + body, hashlib.sha256).hexdigest()
        prepared.headers["X-Hub-Signature"] = f"t={stamp},n={nonce},v1={told}"
        return prepared


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Every other call that is meant to be right is about something that is there."""
    right = case.meta is None or case.meta.generation.mode.is_positive
    place = case.operation.path
    if right and _chance.random() < 0.5:
        if place.startswith("/v1/partners/") and _TOLD["signs"]:
            case.path_parameters = dict(_TOLD["partner"])
            kwargs["auth"] = Signed()
            if _chance.random() < 0.5:
                case.body = _TOLD["notice"]
        known = _TOLD["ids"].get(place.split("/")[2] if place.startswith("/v1/") else "")
        if known and "id" in (case.path_parameters or {}):
            case.path_parameters = {**case.path_parameters, "id": _chance.choice(known)}
        if place == "/v1/groups" and case.method == "POST" and _chance.random() < 0.5:
            case.body = {**_TOLD["group"], "group_no": f"F-{_chance.getrandbits(40)}"}
        if place == "/v1/groups/{id}/pilgrims" and _chance.random() < 0.5:
            case.body = {"pilgrims": _TOLD["group"]["members"]}


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    _counted[f"{case.method} {case.operation.path} {response.status_code}"] += 1


@atexit.register
def _tell() -> None:
    Path(os.environ["HUB_FUZZ"]).with_suffix(".counted").write_text(json.dumps(_counted))
