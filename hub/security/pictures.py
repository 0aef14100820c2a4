"""Photos that people hand in: made anew from their pixels, so that nothing else of the file comes in with them.

What a camera writes beside a picture says where and when it was taken, and whose camera it was; what an attacker
writes there is read by whoever looks at it next.
"""

import io
import warnings
from dataclasses import dataclass, field

from PIL import Image, ImageOps, UnidentifiedImageError

from hub.canonical.errors import HubError

#: The longest photo in bytes, and the most pixels of one: a few kilobytes can say that they are a wall.
LONGEST, PIXELS = 2_000_000, 40_000_000
#: Pixels of the longer side that are kept, and of the shorter side that a face needs.
KEPT, LEAST = 1_200, 200
_QUALITY = 90
_KINDS = ("JPEG", "PNG")


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo as it is kept: JPEG, upright, without anything beside its pixels; *width* and *height* in pixels."""

    body: bytes = field(repr=False)
    width: int
    height: int


def made_anew(data: bytes) -> Picture:
    """The picture that *data* shows.

    Raises HubError ``photo_too_large`` (bytes or pixels), ``photo_too_small``, ``photo_unreadable`` for what is neither
    JPEG nor PNG, or is broken.
    """
    if len(data) > LONGEST:
        raise HubError("photo_too_large", limit=LONGEST // 1_000_000)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(data), formats=_KINDS) as found:
                width, height = found.size
                if width * height > PIXELS:
                    raise HubError("photo_too_large", limit=LONGEST // 1_000_000)
                if min(width, height) < LEAST:
                    raise HubError("photo_too_small", limit=LEAST)
                upright = ImageOps.exif_transpose(found).convert("RGB")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise HubError("photo_too_large", limit=LONGEST // 1_000_000) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Warning):
        raise HubError("photo_unreadable") from None
    upright.thumbnail((KEPT, KEPT))
    # A picture of its own: what hung on the first one is not saved with it.
    plain = Image.new("RGB", upright.size)
    plain.paste(upright)
    out = io.BytesIO()
    plain.save(out, "JPEG", quality=_QUALITY)
    return Picture(out.getvalue(), *plain.size)
