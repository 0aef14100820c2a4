"""The three ways in, and what each says of a file: by the API, by SFTP, and through a watched folder."""

import asyncio
import csv
import hashlib
import io
import json
import os
import threading
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import asyncssh
from werkzeug.datastructures import FileStorage

from hub.channels import FileManifest
from hub.channels.files import MANIFEST
from hub.exchange.engine import Engine
from hub.mapping import workbook
from tests.attacks.files_made import Attack
from tests.web.conftest import key_of


def manifest_of(attack: Attack, body: bytes) -> bytes | None:
    """What lies beside the file: true but for what the attack changes."""
    if attack.manifest is None or isinstance(attack.manifest, bytes):
        return attack.manifest
    true = FileManifest(attack.name, None, None, None, hashlib.sha256(body).hexdigest(), "2026-12-01", len(body))
    return json.dumps(asdict(true) | attack.manifest).encode()


class Door:
    """One way in.  :meth:`give` tells the codes that came of a file, and how many rows were accepted."""

    def __init__(self, engine: Engine, files: Path) -> None:
        self.engine, self.files = engine, files

    def folder(self, partner: str) -> Path:
        return self.files / partner / "from_partner"

    def take(self, partner: str) -> tuple[set[str], int]:
        """Have the hub collect what lies there, and look what it says of it."""
        before = {one["id"] for one in self.engine.uploads.page(partner, None, 500)}
        reasons = self.folder(partner) / "refused"
        known = set(reasons.glob("*.reason.json")) if reasons.is_dir() else set()
        collected = self.engine.collect(self.engine.register.partners[partner])
        self.engine.take_uploads()
        codes = {collected.code} if collected.code else set()
        for path in set(reasons.glob("*.reason.json")) - known:
            said = json.loads(path.read_bytes())
            assert said["en"] and said["ar"] and said["who"]
            codes.add(said["code"])
        accepted = 0
        for one in self.engine.uploads.page(partner, None, 500):
            if one["id"] not in before:
                found, rows = self.row(partner, one)
                codes |= found
                accepted += rows
        return codes, accepted

    def row(self, partner: str, one: dict[str, Any]) -> tuple[set[str], int]:
        codes = {one["code"]} if one["code"] else set()
        if one["outcome"]:
            _, body = self.engine.uploads.outcome(partner, UUID(one["id"]))
            codes |= {row["Code"] for row in table(body) if row["Code"]}
        return codes, one["rows"]["accepted"]

    def forget(self, partner: str) -> None:
        """Nothing of an attack is there when the next begins."""
        for place in (self.folder(partner), self.folder(partner) / "claimed"):
            for path in place.iterdir() if place.is_dir() else ():
                if not path.is_dir() or path.is_symlink():
                    path.unlink()


def table(body: bytes) -> list[dict[str, str]]:
    if body.startswith(b"PK"):

        def fail(code: str, **_: Any) -> Exception:
            return AssertionError(code)

        (_, heading), *rest = workbook.rows(body, fail)
        return [dict(zip(heading, row, strict=True)) for _, row in rest]
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")))


class ByApi(Door):
    def __init__(self, engine: Engine, files: Path, client: Any) -> None:
        super().__init__(engine, files)
        self.client = client

    def give(self, attack: Attack, body: bytes) -> tuple[set[str], int]:
        headers = {"Authorization": f"Bearer {key_of(attack.partner)}", "Idempotency-Key": str(uuid4())}
        place, beside = f"/v1/files?operation={attack.operation}", manifest_of(attack, body)
        if beside is None:
            sent = self.client.post(place, data=body, headers=headers | {"X-File-Name": self._quoted(attack.name)})
        else:
            form = {"file": FileStorage(io.BytesIO(body), attack.name), "manifest": beside.decode("utf-8", "replace")}
            sent = self.client.post(place, data=form, headers=headers)
        assert sent.status_code < 500, sent.json
        if sent.status_code != 202:
            return {sent.json["code"]}, 0
        self.engine.take_uploads()
        one = self.client.get(sent.headers["Location"], headers=headers).json
        assert self.client.get("/health").status_code == 200
        return self.row(attack.partner, one)

    @staticmethod
    def _quoted(name: str) -> str:
        return quote(os.fsencode(name), safe="")


class ByFolder(Door):
    def give(self, attack: Attack, body: bytes) -> tuple[set[str], int]:
        place, beside = self.folder(attack.partner), manifest_of(attack, body)
        if "/" in attack.name or "\0" in attack.name or attack.name == ".." or len(attack.name) > 255:
            return {"file_name_wrong"}, 0  # no folder can hold it
        if beside is not None:
            (place / (attack.name + MANIFEST)).write_bytes(beside)
        (place / attack.name).write_bytes(body)
        return self.take(attack.partner)


class BySftp(Door):
    """One connection a partner, by asyncssh's client: OpenSSH's is shown in ``tests/web/test_sftp.py``."""

    def __init__(self, engine: Engine, files: Path, port: int, key: Any, host_key: str) -> None:
        super().__init__(engine, files)
        self.port, self.key = port, key
        self.known = asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {host_key}\n")
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.open: dict[str, asyncssh.SFTPClient] = {}

    def do(self, coming: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coming, self.loop).result(60)

    async def client(self, partner: str) -> asyncssh.SFTPClient:
        if partner not in self.open:
            connection = await asyncssh.connect(
                "127.0.0.1", self.port, username=partner, client_keys=[self.key], known_hosts=self.known, config=None
            )
            # Names go over as bytes, whatever they are.
            self.open[partner] = await connection.start_sftp_client(path_encoding=None)
        return self.open[partner]

    async def put(self, partner: str, name: str, body: bytes) -> None:
        client = await self.client(partner)
        async with client.open(b"/in/" + os.fsencode(name), "wb", encoding=None) as file:
            for start in range(0, len(body), 1 << 18):
                await file.write(body[start : start + (1 << 18)])

    async def there(self, partner: str) -> list[bytes]:
        return list(await (await self.client(partner)).listdir(b"/"))

    def give(self, attack: Attack, body: bytes) -> tuple[set[str], int]:
        beside = manifest_of(attack, body)
        try:
            if beside is not None:
                self.do(self.put(attack.partner, attack.name + MANIFEST, beside))
            self.do(self.put(attack.partner, attack.name, body))
        except asyncssh.SFTPError as refused:
            codes = {refused.reason.partition(":")[0] or "refused"}
        else:
            return self.take(attack.partner)
        finally:
            assert set(self.do(self.there(attack.partner))) >= {b"in", b"out", b"refused"}
        return codes, 0

    def close(self) -> None:
        async def closed() -> None:
            for client in self.open.values():
                client.exit()
                await client.wait_closed()

        self.do(closed())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
