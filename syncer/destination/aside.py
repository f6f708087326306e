"""Takes a published file that is no longer what it should be out of the way: moved, never deleted."""

import errno
from datetime import datetime

from syncer.core.errors import DestinationRefused, NameTaken
from syncer.core.naming import PRIVATE
from syncer.destination.marker import Site
from syncer.destination.publish import Folders, split
from syncer.destination.system import closing, rename_to_free, size_at, sync_folder

ASIDE = "aside"


def set_aside(site: Site, folders: Folders, path: str, at: datetime) -> str | None:
    """Move what lies under `path` to `.syncer/aside/<time>/<path>`, durably; where it is now, None if it was gone.

    It may be damaged, and it may be a user's own edit: nobody but its owner can tell. Raises NameTaken where its folder
    is a link that leads out of the destination, or another file system. Blocking.
    """
    *above, name = split(path)
    stamp = f"{at:%Y%m%dT%H%M%SZ}"
    with site.opened() as here:
        if size_at(path, here.root) is None:
            return None
        for number in range(1000):
            parts = [PRIVATE, ASIDE, stamp if not number else f"{stamp}-{number}", *above]
            with (
                closing(folders.open(above, here.root)) as source,
                closing(folders.open(parts, here.root)) as target,
            ):
                try:
                    rename_to_free((name, source), (name, target))
                except FileExistsError:
                    continue
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    raise NameTaken(f"The folder of {path} is on another file system.") from None
                sync_folder(target)
                sync_folder(source)
                return "/".join([*parts, name])
    raise DestinationRefused(f"{path} cannot be set aside: every name for it is taken.", hint="Empty .syncer/aside.")
