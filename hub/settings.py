"""Where this installation keeps its things: defaults, then ``hub.toml``, then ``HUB_*`` in the environment."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NAME = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
_TABLES = ("addresses", "secrets", "api_keys")
_BUDGETS = Path(__file__).resolve().with_name("journey") / "budgets.yaml"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ConfigError(Exception):
    """This installation is set up wrongly.  ``code`` is of the catalogue; ``name`` is the setting, never its value."""

    def __init__(self, code: str, name: str, **where: str) -> None:
        super().__init__(f"{code}: {name}")
        self.code, self.name = code, name
        self.where = {"name": name, **where}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the hub must know before it reads anything else.

    ``addresses`` and ``secrets`` are the values behind ``${NAME}`` in the partners' files; ``test_mode`` marks an
    installation that talks to simulators only.  ``api_keys`` maps the SHA-256 of a key (hex) to the partner who holds
    it, or to ``operator``; a partner may hold several.  ``trusted_hosts`` are the names that the web server answers to
    besides its own, ``proxies`` how many proxies stand in front of it.  ``adapters`` are further folders that bring
    adapters, partners, maps and schedules, laid out as the home folder is.  ``budgets`` is the file of the five-minute
    clock.  Secrets are kept out of ``repr``.

    ``database_url`` is the URL of a PostgreSQL database (``postgresql://user@host/name``); without one the ledger is a
    SQLite file in ``var``.  ``broker_url`` names the RabbitMQ of a Celery fleet (``amqp://user@host/vhost``, several
    with ``;`` between them).

    When the door closes: ``intake_free`` and ``reserve_free`` are percent of a file system, below which nothing new,
    and nothing at all, is taken; ``disks`` are folders besides ``var`` whose file systems count (a database server's
    data on this machine, say); ``backlog`` is how many messages may be open before nothing new is taken.

    At the doors: ``calls_per_second`` and ``calls_per_day`` are what one caller may make of each process that serves,
    0 any number; a partner's ``limits`` go before them.  ``refused_per_minute`` is how often a minute each process
    answers keys and signatures of nobody from one address with 401 before it says 429, 0 any number.
    ``client_cert_header`` names the header in which the proxy that ends TLS says which certificate the caller has
    shown; it is believed from ``proxy_addresses`` alone.
    ``sftp_port`` is where partners bring and fetch files by SFTP (none where it is 0), at ``host``; ``sftp_key`` is the
    file of the hub's own key there, made where there is none, which also signs what acknowledges a file.

    ``retention`` is how many whole months is kept what is done: exchanges with their bytes, files that were read, and
    the photos of pilgrims whose request has ended.

    ``loopback_callbacks`` lets callers name addresses on this machine for their webhooks, without TLS; it holds
    together with ``test_mode`` only.  ``callback_ca`` is the authority that their certificates are of, where it is not
    a public one.
    """

    home: Path
    var: Path
    host: str
    port: int
    keys: Path
    rules: Path
    business_clock: Path | None
    test_mode: bool
    addresses: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    trusted_hosts: tuple[str, ...] = ()
    proxies: int = 0
    adapters: tuple[Path, ...] = ()
    budgets: Path = _BUDGETS
    disks: tuple[Path, ...] = ()
    intake_free: int = 5
    reserve_free: int = 1
    backlog: int = 250_000
    retention: int = 13
    loopback_callbacks: bool = False
    callback_ca: Path | None = None
    calls_per_second: int = 200
    calls_per_day: int = 0
    refused_per_minute: int = 300
    client_cert_header: str = ""
    proxy_addresses: tuple[str, ...] = ("127.0.0.1", "::1")
    sftp_port: int = 0
    sftp_key: Path = Path("sftp_host_key")
    database_url: str = field(default="", repr=False)
    broker_url: str = field(default="", repr=False)

    @property
    def store(self) -> Path | str:
        """Where the ledger is: the URL of a PostgreSQL database, or the file of the embedded default."""
        return self.database_url or self.var / "hub.db"

    def expand(self, text: str) -> str:
        """*text* with every ``${NAME}`` replaced.  Raises :class:`ConfigError` naming the first that is not set."""

        def value(match: re.Match[str]) -> str:
            name = match[1]
            found = self.addresses.get(name, self.secrets.get(name))
            if found is None:
                raise ConfigError("setting_missing", name)
            return found

        return _NAME.sub(value, text)


def file_named(path: Path | None, env: Mapping[str, str]) -> Path | None:
    """The settings file that *path* or the environment names; None where neither does."""
    return Path(env["HUB_SETTINGS"]) if path is None and env.get("HUB_SETTINGS") else path


def load(path: Path | None = None, env: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this installation.

    *path* names the settings file, or ``HUB_SETTINGS`` does; without either, ``hub.toml`` of the home folder is read
    where there is one.  Relative paths of the file are relative to the file, those of the environment to the working
    directory.  Raises :class:`ConfigError` for a setting nobody knows or a value that does not fit.
    """
    path = file_named(path, env)
    home = Path(env.get("HUB_HOME") or Path(__file__).resolve().parent.parent).resolve()
    given = _file(path, required=True) if path else _file(home / "hub.toml", required=False)
    tables = {name: _texts(name, given.pop(name, {})) for name in _TABLES}
    for prefix, name in (("HUB_ADDRESS_", "addresses"), ("HUB_SECRET_", "secrets")):
        tables[name] |= {key.removeprefix(prefix): text for key, text in env.items() if key.startswith(prefix)}
    if not all(_SHA256.fullmatch(key) for key in tables["api_keys"]):
        raise ConfigError("api_key_not_hashed", "api_keys")
    folder = (path or home / "hub.toml").resolve().parent

    def text(name: str, default: str) -> str:
        from_file = given.pop(name, None)
        if from_file is not None and not isinstance(from_file, str):
            raise ConfigError("setting_invalid", name)
        return env.get(f"HUB_{name.upper()}") or from_file or default

    def place(name: str, variable: str, default: Path) -> Path:
        from_file = text(name, "")
        if variable in env:
            return Path(env[variable]).resolve()
        return (folder / from_file).resolve() if from_file else default

    def number(name: str, default: int) -> int:
        return _number(name, env.get(f"HUB_{name.upper()}") or given.pop(name, default), 1_000_000_000)

    var = place("var", "HUB_VAR", home / "var")
    clock = place("business_clock", "HUB_CLOCK", Path())
    callback_ca = place("callback_ca", "HUB_CALLBACK_CA", Path())
    settings = Settings(
        home=home,
        var=var,
        host=text("host", "127.0.0.1"),
        port=_number("port", env.get("HUB_PORT") or given.pop("port", 8080), 65535),
        keys=place("keys", "HUB_KEYS", var / "keys.json"),
        rules=place("rules", "HUB_RULES", home / "hub" / "journey" / "rules.yaml"),
        business_clock=None if clock == Path() else clock,
        test_mode=_flag("test_mode", env.get("HUB_TEST_MODE") or given.pop("test_mode", False)),
        addresses=tables["addresses"],
        secrets=tables["secrets"],
        api_keys=tables["api_keys"],
        trusted_hosts=tuple(text("trusted_hosts", "").split()),
        proxies=_number("proxies", env.get("HUB_PROXIES") or given.pop("proxies", 0), 9),
        adapters=_folders("adapters", folder, given.pop("adapters", []), env.get("HUB_ADAPTERS")),
        budgets=place("budgets", "HUB_BUDGETS", _BUDGETS),
        disks=_folders("disks", folder, given.pop("disks", []), env.get("HUB_DISKS")),
        intake_free=_number("intake_free", env.get("HUB_INTAKE_FREE") or given.pop("intake_free", 5), 99),
        reserve_free=_number("reserve_free", env.get("HUB_RESERVE_FREE") or given.pop("reserve_free", 1), 99),
        backlog=_number("backlog", env.get("HUB_BACKLOG") or given.pop("backlog", 250_000), 1_000_000_000),
        retention=_number("retention", env.get("HUB_RETENTION") or given.pop("retention", 13), 1_200),
        loopback_callbacks=_flag(
            "loopback_callbacks", env.get("HUB_LOOPBACK_CALLBACKS") or given.pop("loopback_callbacks", False)
        ),
        callback_ca=None if callback_ca == Path() else callback_ca,
        calls_per_second=number("calls_per_second", 200),
        calls_per_day=number("calls_per_day", 0),
        refused_per_minute=number("refused_per_minute", 300),
        client_cert_header=_header(text("client_cert_header", "")),
        proxy_addresses=tuple(text("proxy_addresses", "127.0.0.1 ::1").split()),
        sftp_port=_number("sftp_port", env.get("HUB_SFTP_PORT") or given.pop("sftp_port", 0), 65535),
        sftp_key=place("sftp_key", "HUB_SFTP_KEY", var / "sftp_host_key"),
        database_url=_database(text("database_url", "")),
        broker_url=_broker(text("broker_url", "")),
    )
    if settings.client_cert_header and not settings.proxies:
        # With nobody in front, whoever calls would write it.
        raise ConfigError("setting_invalid", "client_cert_header")
    if settings.reserve_free > settings.intake_free:
        raise ConfigError("setting_invalid", "reserve_free")
    for name in ("port", "test_mode", "proxies", "adapters", "disks", "intake_free", "reserve_free", "backlog",
                 "calls_per_second", "calls_per_day", "refused_per_minute",
                 "loopback_callbacks", "sftp_port"):  # fmt: skip
        given.pop(name, None)
    for name in given:
        raise ConfigError("setting_unknown", name)
    return settings


def _file(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if required:
            raise ConfigError("setting_file_missing", path.name) from None
        return {}
    except ValueError as error:
        # The parser says where in words only, and its other words may quote a secret.
        at = re.search(r"at line ([0-9]+)", str(error))
        raise ConfigError("setting_file_unreadable", path.name, **({"line": at[1]} if at else {})) from None


def _texts(name: str, table: Any) -> dict[str, str]:
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise ConfigError("setting_invalid", name)
    return dict(table)


def _folders(name: str, beside: Path, listed: Any, named: str | None) -> tuple[Path, ...]:
    """The folders that setting *name* names: a list in the file, or a path list in the environment."""
    if named is not None:
        return tuple(Path(one).resolve() for one in named.split(os.pathsep) if one)
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise ConfigError("setting_invalid", name)
    return tuple((beside / one).resolve() for one in listed)


def _header(name: str) -> str:
    # A caller could write X_Client_Cert, which is the same to WSGI: the server takes no such name, nor do we.
    if name and not re.fullmatch(r"[A-Za-z0-9-]{1,60}", name):
        raise ConfigError("setting_invalid", "client_cert_header")
    return name


def _database(url: str) -> str:
    # The URL may hold a password: nothing of it is said.
    if url and not url.startswith(("postgresql://", "postgres://")):
        raise ConfigError("setting_invalid", "database_url")
    return url


def _broker(url: str) -> str:
    if url and not all(one.startswith(("amqp://", "amqps://")) for one in url.split(";")):
        raise ConfigError("setting_invalid", "broker_url")
    return url


def _number(name: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not str(value).isascii() or not str(value).isdigit() or not 0 <= int(value) <= most:
        raise ConfigError("setting_invalid", name)
    return int(value)


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value not in ("0", "1", "true", "false"):
        raise ConfigError("setting_invalid", name)
    return value in ("1", "true")
