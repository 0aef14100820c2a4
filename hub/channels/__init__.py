"""Protocol code: SOAP, REST and files.  Bytes out and in, deadlines, and what a failure means; no canonical field."""

from hub.channels.files import FileManifest, FilesChannel
from hub.channels.guard import Guard
from hub.channels.inbox import Arrived, Inbox
from hub.channels.outcome import (
    Answered,
    AuthFailed,
    Channel,
    ConfigError,
    Failure,
    OutcomeUnknown,
    Outgoing,
    Target,
    Throttled,
    Unavailable,
)
from hub.channels.rest import RestChannel
from hub.channels.webhook import WebhookChannel

__all__ = [
    "Answered",
    "Arrived",
    "AuthFailed",
    "Channel",
    "ConfigError",
    "Failure",
    "FileManifest",
    "Guard",
    "Inbox",
    "OutcomeUnknown",
    "Outgoing",
    "Target",
    "Throttled",
    "Unavailable",
    "open_channel",
]


def open_channel(channel: str) -> Channel:
    """The channel named *channel*: ``rest``, ``soap``, ``files`` or ``webhook``.  Keep it: it holds the connections."""
    if channel == "rest":
        return RestChannel()
    if channel == "files":
        return FilesChannel()
    if channel == "webhook":
        return WebhookChannel()
    if channel == "soap":
        # zeep takes a third of a second to import, which a command that speaks no SOAP should not wait for.
        from hub.channels.soap import SoapChannel

        return SoapChannel()
    raise ValueError(f"no channel is called {channel!r}")
