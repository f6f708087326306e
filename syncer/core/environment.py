"""What programs that syncer begins get to see of its environment."""

from collections.abc import Mapping
from typing import Final

PRIVATE: Final = ("VIDEO_DB_API_KEY", "VIDEODB_API_KEY", "VIDEO_DB_BASE_URL")
"""Variables of syncer's own that do not begin with SYNCER_."""


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without syncer's own variables: among them are the key, and URLs with passwords in them."""
    return {k: v for k, v in environ.items() if k not in PRIVATE and not k.startswith("SYNCER_")}
