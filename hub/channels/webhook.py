"""Webhooks: an event is posted to an address that its subscriber gave, and any 2xx says that it was heard."""

import dataclasses
from datetime import UTC, datetime

from hub.channels.http import Http
from hub.channels.outcome import Answered, AuthFailed, ConfigError, Failure, Outgoing, Target, Unavailable
from hub.security import signing


class WebhookChannel:
    """The endpoint is the whole address, and *target*'s guard stands before it; an event's name ends with its id.

    Nothing of an answer but its status is looked at, and none of it is given back: who answers may be somebody whom the
    subscriber could not ask themselves.  Whatever is not heard may be told again, for the event's id says that it is
    the same.
    """

    def __init__(self) -> None:
        self._http = Http()

    def send(self, target: Target, out: Outgoing) -> Answered | Failure:
        if target.guard is None or target.secret is None or out.name is None:
            return ConfigError("internal", "a webhook without a guard, a secret or a name")
        code = target.guard.against(target.endpoint)
        if code is not None:
            return Unavailable(code, "the address may not be called")
        event = out.name.rpartition(".")[2]
        signature = signing.sign_with_all(
            (target.secret, *target.more_secrets), out.body, datetime.now(UTC), event
        )  # fmt: skip
        headers = {"Content-Type": "application/json", "Connection": "close", signing.HEADER: signature}
        said = self._http.call(target, "POST", target.endpoint, headers, out.body, out.deadline)
        if isinstance(said, Answered):
            if 200 <= said.status < 300:
                return dataclasses.replace(said, body=b"")
            code = "callback_failing" if said.status >= 500 else "callback_refuses"
            return Unavailable(code, f"status {said.status}", said.status)
        if isinstance(said, AuthFailed | ConfigError):
            # What a partner of ours must mend holds its work; a subscriber's doors are the subscriber's own affair.
            code = {"partner_redirects": "callback_redirects", "partner_refuses_us": "callback_refuses"}.get(said.code)
            return Unavailable(code or said.code, said.why)
        return said

    def close(self) -> None:
        self._http.close()
