"""A partner: one row of ``adapters/<family>/partners.yaml``, or one added live, with where and how to reach it."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from cryptography.x509 import Certificate
from marshmallow import ValidationError, fields

from hub.canonical.entities import STATE
from hub.canonical.errors import HubError
from hub.channels import Target
from hub.channels.files import folder_of
from hub.partners.documents import Document, Duration, Fault, Names, Strict, Words, check, did_you_mean, listed, text
from hub.partners.manifest import ADDRESSES, NAME, ROLES, Adapter, Operation
from hub.partners.overlay import Mode, Overlaid
from hub.security import wsse
from hub.settings import ConfigError, Settings

#: The SHA-256 of a certificate (DER), in hex.
CERTIFICATE = r"[0-9a-f]{64}"
#: What the ids of twins (:mod:`hub.partners.sandbox`) and of listeners (:mod:`hub.partners.webhooks`) begin with.
TWIN, LISTENER = RESERVED = ("test_", "hook_")
_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
_SSH_KEY = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)"
    r" [A-Za-z0-9+/]{40,2000}={0,2}( [ -~]{0,200})?"
)
#: What a row says by the name of a setting.
_NAMED = ("endpoint", "folders", "secret", "ca", "cert", "signers")
#: The keys of ``serves:``: the last words of what ``to:`` may say.
SERVED = tuple(address.rpartition(".")[2] for address in ADDRESSES)
#: Where a partner in test mode is reached instead of at its own address: the simulators' door, and their folders.
SIMULATED_URL, SIMULATED_ROOT = "${SIMULATED_URL}", "${SIMULATED_ROOT}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the partner can take: calls at once, calls a second, seconds for one whole call.

    Both are those of all workers together, unless the partner counts by the machine that calls (``per_worker``).
    ``calls_per_second`` and ``calls_per_day`` are what we take of the partner at our doors, where it is not what the
    settings say; 0 takes any number.
    """

    concurrency: int = 4
    per_worker: bool = False
    per_second: int = 50
    timeout: float = 30.0
    calls_per_second: int | None = None
    calls_per_day: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTerms:
    """An agent's terms: ``country`` (ISO alpha-3), the mission and the Umrah company its groups belong to, how many
    pilgrims a season, and the order of day, month and year (``DMY``, ``MDY``) in the dates of its files.

    One that is ``suspended`` files nobody new; what it has filed goes on, and it reads and decides as before."""

    country: str
    mission: str
    company: str
    quota: int | None = None
    date_order: str | None = None
    suspended: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Partner:
    """A counterparty.  Addresses and secrets are names (``${NAME}``) until the target or the secret is asked for.

    One that is not ``enabled`` is known and checked, and nothing is sent to it or collected from it.  In ``mode`` test
    everything is done, and sent to the partner's simulated address: the real one is not touched.  ``counts``
    (``strict``, ``warn``) says what becomes of counts and sums in its files that are not true, where it is not what the
    map says.  ``added`` tells that no file has the partner.  ``ssh_keys`` are the public keys with which it may come to
    the SFTP door, each as one line of OpenSSH's.
    """

    id: str
    name: Mapping[str, str]
    role: str
    adapters: tuple[Adapter, ...]
    zone: str
    contact: Mapping[str, str]
    limits: Limits
    serves: Mapping[str, tuple[str, ...]]
    agent: AgentTerms | None
    endpoint: str | None
    folders: str | None
    signed_with: str | None
    ca: str | None
    cert: str | None
    path: str
    line: int
    _settings: Settings = field(repr=False)
    signers: str | None = None
    counts: str | None = None
    enabled: bool = True
    mode: Mode = "live"
    added: bool = False
    certificates: tuple[str, ...] = ()
    ssh_keys: tuple[str, ...] = ()

    @property
    def calls_as(self) -> str:
        """The role in which this partner calls us: a body that serves missions is a ``mission``."""
        return "mission" if self.role == "body" and "mission" in self.serves else self.role

    @property
    def address(self) -> str | None:
        """The endpoint in force: the partner's own, or in test mode its simulated one."""
        if self.mode == "live" or self.endpoint is None:
            return self.endpoint
        calls = any(op.channel in ("soap", "rest") for op in self.operations.values())
        return f"{SIMULATED_URL if calls else SIMULATED_ROOT}/{self.id}"

    @property
    def _drop(self) -> str | None:
        """Where files pass, as ``address``."""
        return (self.folders or self.endpoint) if self.mode == "live" else f"{SIMULATED_ROOT}/{self.id}"

    @property
    def _certificates(self) -> tuple[str | None, str | None]:
        # The simulators' door is on this machine, and speaks no TLS.
        return (self.ca, self.cert) if self.mode == "live" else (None, None)

    def switched(self, over: Overlaid) -> "Partner":
        """This partner as *over* leaves it."""
        enabled = self.enabled if over.enabled is None else over.enabled
        agent = self.agent
        if agent is not None and over.suspended is not None:
            agent = replace(agent, suspended=over.suspended)
        return replace(
            self,
            enabled=enabled,
            mode=over.mode or self.mode,
            agent=agent,
            certificates=self.certificates if over.certificates is None else over.certificates,
        )

    def within(self, settings: Settings) -> "Partner":
        """This partner where other addresses and secrets hold."""
        return replace(self, _settings=settings)

    @property
    def adapter(self) -> Adapter:
        """The adapter that this partner is reached by first."""
        return self.adapters[0]

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """All that can pass between this partner and the hub, by name."""
        return {op.name: op for adapter in self.adapters for op in adapter.operations.values()}

    @cached_property
    def confirms(self) -> frozenset[str]:
        """The names of the operations by which this partner confirms what it was sent before."""
        return frozenset(op.expects.operation for op in self.operations.values() if op.expects)

    @cached_property
    def _doors(self) -> Mapping[tuple[str, str], Operation]:
        return {
            (op.wire["method"], op.wire["path"]): op
            for op in self.operations.values()
            if op.channel == "rest" and op.direction == "in"
        }

    def called_at(self, method: str, path: str) -> Operation | None:
        """The operation that this partner calls the hub for at *path* (as in its manifest: ``/notices``)."""
        return self._doors.get((method, path))

    def sent_as(self, file_name: str) -> Operation | None:
        """The operation that a file so named is of."""
        for op in self.operations.values():
            if op.channel == "files" and op.direction == "in" and op.claims(file_name, self.id):
                return op
        return None

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """The names of the settings that this partner's addresses and secrets come from."""
        drops = self.folders or any(op.channel == "files" for op in self.operations.values())
        given = (self.address, self._drop if drops else None, self.signed_with, self.signers, *self._certificates)
        return tuple(dict.fromkeys(name for text in given if text for name in _VARIABLE.findall(text)))

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of :attr:`needs` that this installation does not set; until then the partner is not configured."""
        return tuple(name for name in self.needs if not self._is_set(name))

    def _is_set(self, name: str) -> bool:
        return name in self._settings.addresses or name in self._settings.secrets

    def must_act(self, code: str) -> str:
        """Who must act on what this partner sent and *code* refuses: the catalogue's *agent* is whoever sent it."""
        who = HubError(code).who
        return "partner" if who == "agent" and self.role == "body" else who

    def secret(self) -> str | None:
        """What this partner and the hub sign with.  Raises :class:`ConfigError` naming a setting that is missing."""
        return None if self.signed_with is None else self._settings.expand(self.signed_with)

    def secrets(self) -> tuple[str, ...]:
        """Those with which this partner may have signed: what ``${NAME}`` is and, while it is being changed, what
        ``${NAME_BEFORE}`` was.  Raises as :meth:`secret` does."""
        if self.signed_with is None:
            return ()
        given = self._settings.expand(self.signed_with)
        before = self._settings.secrets.get(f"{self.signed_with[2:-1]}_BEFORE")
        return (given,) if before is None else (given, before)

    def pinned(self) -> tuple[Certificate, ...]:
        """The certificates that this partner signs with, read anew each time: a file changes while the hub runs.

        Raises :class:`ConfigError` naming a setting that is missing, HubError ``certificate_unreadable``.
        """
        path = self._file(self.signers)
        return () if path is None else wsse.certificates(path)

    @property
    def certificate_files(self) -> Mapping[str, Path]:
        """Where the certificates lie by which this partner and the hub know each other: ``ca``, whom the hub trusts to
        say that it is the partner; ``cert``, which the hub shows; ``signers``, which the partner signs with.

        Raises :class:`ConfigError` naming a setting that is missing.
        """
        ca, cert = self._certificates
        found = {"ca": self._file(ca), "cert": self._file(cert), "signers": self._file(self.signers)}
        return {name: path for name, path in found.items() if path is not None}

    @cached_property
    def _targets(self) -> dict[str, Target]:
        return {}

    def folder(self, side: Literal["to_partner", "from_partner"]) -> Path:
        """Where files to or from this partner lie.  Raises :class:`ConfigError` naming a missing setting."""
        given = self._drop
        if given is None:
            raise ConfigError("endpoint_missing", self.id)
        return folder_of(self._settings.expand(given)) / side

    def target(self, operation: Operation) -> Target:
        """Where and how to send *operation* to this partner.  Raises :class:`ConfigError` naming a missing setting."""
        found = self._targets.get(operation.name)
        if found is None:
            found = self._targets[operation.name] = self._target(operation)
        return found

    def _target(self, operation: Operation) -> Target:
        if operation.channel == "files":
            endpoint = str(self.folder("to_partner"))
        elif self.address is None:
            raise ConfigError("endpoint_missing", self.id)
        else:
            endpoint = self._settings.expand(self.address)
        ca, cert = self._certificates
        return Target(
            partner=self.id,
            channel=operation.channel,
            endpoint=endpoint,
            timeout=self.limits.timeout,
            concurrency=self.limits.concurrency,
            wire=operation.wire,
            contract=operation.folder,
            secret=self.secret(),
            ca=self._file(ca),
            cert=self._file(cert),
            not_done=operation.not_done,
            driver=operation.driver,
        )

    def _file(self, named: str | None) -> Path | None:
        return None if named is None else self._settings.home / self._settings.expand(named)


# ---------------------------------------------------------------------------------------------- the grammar


def _positive(number: int) -> None:
    if number < 1:
        raise ValidationError("must be 1 or more")


def _not_negative(number: int) -> None:
    if number < 0:
        raise ValidationError("must be 0 or more")


def _fingerprints(found: tuple[str, ...]) -> None:
    if not all(re.fullmatch(CERTIFICATE, one) for one in found):
        raise ValidationError("'certificates' are SHA-256 of certificates, 64 small hex digits each")


class _Limits(Strict):
    concurrency = fields.Integer(validate=_positive)
    per_worker = fields.Boolean()
    per_second = fields.Integer(validate=_positive)
    timeout = Duration()
    calls_per_second = fields.Integer(validate=_not_negative)
    calls_per_day = fields.Integer(validate=_not_negative)


class _Contact(Strict):
    desk = text(required=True)
    phone = text(required=True, pattern=r"\+[0-9][0-9 ]{5,20}")
    hours = text()
    email = text()


class _Agent(Strict):
    country = text(required=True, pattern=STATE)
    mission = text(required=True)
    company = text(required=True)
    quota = fields.Integer(validate=_positive)
    date_order = text(one_of=("DMY", "MDY"))
    suspended = fields.Boolean()


class _Keys(fields.Field[tuple[str, ...]]):
    """Public keys of SSH: a list of them, or one text with ``;`` between them."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kw: Any) -> tuple[str, ...]:
        given = value.split(";") if isinstance(value, str) else value
        if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
            raise ValidationError("must be a list of public keys")
        keys = tuple(one.strip() for one in given if one.strip())
        if not all(_SSH_KEY.fullmatch(one) for one in keys):
            raise ValidationError("must be public keys as OpenSSH writes them: 'ssh-ed25519 AAAA…'")
        return keys


class _Row(Strict):
    id = text(required=True, pattern=NAME)
    adapter = Words(required=True)
    name = fields.Nested(Names, required=True)
    role = text(one_of=ROLES)
    serves = fields.Dict(keys=text(one_of=SERVED), values=Words())
    # Written as names: an address or a secret that stands in the file itself would travel with every copy of it.
    endpoint = text(pattern=r"\$\{[A-Z][A-Z0-9_]*\}(/[A-Za-z0-9._/-]*)?")
    # Where a partner that is reached by another protocol leaves and finds its files.
    folders = text(pattern=r"\$\{[A-Z][A-Z0-9_]*\}(/[A-Za-z0-9._/-]*)?")
    secret = text(pattern=r"\$\{[A-Z][A-Z0-9_]*\}")
    ca = text(pattern=r"\$\{[A-Z][A-Z0-9_]*\}")
    cert = text(pattern=r"\$\{[A-Z][A-Z0-9_]*\}")
    # By which the partner is known where it calls us with a certificate of its own.
    certificates = Words(validate=_fingerprints)
    # A file of the certificates that this partner signs its SOAP calls with.
    signers = text(pattern=r"\$\{[A-Z][A-Z0-9_]*\}")
    zone = text(required=True, pattern=NAME)
    contact = fields.Nested(_Contact, required=True)
    limits = fields.Nested(_Limits)
    counts = text(one_of=("strict", "warn"))
    agent = fields.Nested(_Agent)
    enabled = fields.Boolean()
    mode = text(one_of=("live", "test"))
    ssh_keys = _Keys()


def rows(
    document: Document,
    adapters: Mapping[str, Adapter],
    settings: Settings,
    faults: list[Fault],
    *,
    drafts: Collection[str] = (),
    added: bool = False,
) -> list[Partner]:
    """The partners of *document*; each row's faults are added to *faults*, and a faulty row is left out."""
    if not isinstance(document.data, list):
        faults.append(document.fault([], "must be a list of partners, each with its id"))
        return []
    found = []
    for index, given in enumerate(document.data):
        for place, said in _variables(given, (index,)):
            faults.append(document.fault(place, said))
        data = check(_Row(), document, (index,), given, faults)
        if data is None:
            continue
        if any(name in drafts for name in data["adapter"]):
            if data.get("enabled", True):
                said = "its adapter is a draft: take 'draft: true' out of the manifest, or say 'enabled: false' here"
                faults.append(document.fault((index, "adapter"), said))
            continue
        unknown = [name for name in data["adapter"] if name not in adapters]
        for name in unknown:
            faults.append(document.fault((index, "adapter"), f"no adapter '{name}'{did_you_mean(name, adapters)}"))
        if unknown:
            continue
        partner = Partner(
            id=data["id"],
            name=data["name"],
            role=data.get("role", "body"),
            adapters=tuple(adapters[name] for name in data["adapter"]),
            zone=data["zone"],
            contact=data["contact"],
            limits=Limits(**data.get("limits", {})),
            serves=data.get("serves", {}),
            agent=AgentTerms(**data["agent"]) if "agent" in data else None,
            endpoint=data.get("endpoint"),
            folders=data.get("folders"),
            signed_with=data.get("secret"),
            ca=data.get("ca"),
            cert=data.get("cert"),
            signers=data.get("signers"),
            counts=data.get("counts"),
            path=document.path,
            line=document.lines[(index,)],
            _settings=settings,
            enabled=data.get("enabled", True),
            mode=data.get("mode", "live"),
            added=added,
            certificates=data.get("certificates", ()),
            ssh_keys=data.get("ssh_keys", ()),
        )
        for said in _disagreements(partner):
            faults.append(document.fault((index,), f"{partner.id}: {said}"))
        found.append(partner)
    return found


def _disagreements(partner: Partner) -> list[str]:
    said = []
    if partner.id.startswith(RESERVED):
        said.append(f"its id may not begin with {listed(RESERVED)}: twins and listeners are called so")
    operations = [op for adapter in partner.adapters for op in adapter.operations.values()]
    for name in {op.name for op in operations if [o.name for o in operations].count(op.name) > 1}:
        said.append(f"two of its adapters have an operation '{name}'")
    if partner.endpoint is None and any(op.channel != "api" for op in operations):
        said.append("needs 'endpoint: ${NAME}'")
    channels = {op.channel for op in operations}
    if "files" in channels and channels & {"soap", "rest"} and partner.folders is None:
        said.append("is reached by files too, so it needs 'folders: ${NAME}'")
    signs = {op.wire["signed"] for op in operations if op.wire.get("signed")}
    if partner.signed_with is None and signs - ({"wsse"} if partner.signers else set()):
        said.append("needs 'secret: ${NAME}', for its adapter signs")
    if (partner.agent is not None) != (partner.role == "agent"):
        said.append("'role: agent' and 'agent:' go together")
    return said


def _variables(given: Any, place: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], str]]:
    """Every ``${NAME}`` where none may stand."""
    if isinstance(given, str):
        if "${" not in given or (len(place) == 2 and place[1] in _NAMED):
            return []
        return [(place, f"'${{…}}' may stand in {', '.join(_NAMED[:-1])} and {_NAMED[-1]} only")]
    items = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, list) else ()
    return [found for key, value in items for found in _variables(value, (*place, key))]
