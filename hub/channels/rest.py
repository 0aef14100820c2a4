"""REST: one operation is one path; the body goes out and the answer comes back as bytes."""

from datetime import UTC, datetime

from hub.channels.http import Http
from hub.channels.outcome import Answered, ConfigError, Failure, Outgoing, Target
from hub.security import signing


class RestChannel:
    """Wire: ``rest: {method, path, signed}``.  The key goes as ``Idempotency-Key``; a secret signs the body."""

    def __init__(self) -> None:
        self._http = Http()

    def send(self, target: Target, out: Outgoing) -> Answered | Failure:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if out.key is not None:
            headers["Idempotency-Key"] = out.key
        if target.secret is not None:
            headers[signing.HEADER] = signing.sign(target.secret, out.body, datetime.now(UTC))
        elif target.wire.get("signed"):
            return ConfigError("secret_missing", "the operation is signed and the partner has no secret")
        url = target.endpoint.rstrip("/") + str(target.wire.get("path", ""))
        return self._http.call(target, str(target.wire.get("method", "POST")), url, headers, out.body, out.deadline)

    def close(self) -> None:
        self._http.close()
