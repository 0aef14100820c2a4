"""Files: exchanges that came or went as one, with how far each was taken.  Their bytes are not shown here."""

from typing import Any

from hub.store.reading import STATES
from hub.web.access import allow, hub, identity, scope
from hub.web.api.lists import TALKING, listed, there
from hub.web.api.shapes import Changing, File, paged, state
from hub.web.openapi import Blueprint

blueprint = Blueprint("files", __name__, url_prefix="/v1", description="The caller's files, in both directions.")


class FilesAsked(Changing):
    state = state(STATES)


@blueprint.get("/files")
@allow(*TALKING)
@blueprint.asks(FilesAsked)
@blueprint.gives(paged("Files", "files", File))
def files(asked: dict[str, Any]) -> dict[str, Any]:
    """The caller's files, in the order in which they came or were made."""
    return listed("files", hub().views.files, asked)


@blueprint.get("/files/<id>")
@allow(*TALKING)
@blueprint.gives(File)
def file(id: str) -> dict[str, Any]:
    """One file: what it was taken as, and how far."""
    return there(hub().views.file(scope(), identity(id)))
