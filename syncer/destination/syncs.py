"""Group commit of a folder: whoever waits for its fsync at the same time shares one."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from syncer.destination.system import sync_folder


@dataclass(slots=True)
class _Folder:
    """One folder's fsyncs, counted. Only changed under the lock of `SharedSyncs`."""

    users: int = 0
    begun: int = 0
    ended: int = 0
    failed: dict[int, OSError] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        return self.begun > self.ended


class SharedSyncs:
    """fsyncs of folders, for many threads at once.

    Each caller is answered by an fsync that began after its call, and so covers the names it had made (I2). Where that
    fsync failed, it fails for everyone it was to answer: the kernel tells a failure once, and may take what was
    lost for written from then on.
    """

    def __init__(self, sync: Callable[[int], None] = sync_folder) -> None:
        self._call = sync
        self._changed = threading.Condition()
        self._folders: dict[int, _Folder] = {}

    def sync(self, fd: int) -> None:
        """Returns once the open folder is on disk; users of one handle share in it. Blocking. Raises OSError."""
        with self._changed:
            folder = self._folders.setdefault(fd, _Folder())
            folder.users += 1
        try:
            self._sync(folder, fd)
        finally:
            with self._changed:
                folder.users -= 1
                if not folder.users:
                    del self._folders[fd]

    def _sync(self, folder: _Folder, fd: int) -> None:
        with self._changed:
            mine = folder.begun + 1  # the first to begin from now on
            self._changed.wait_for(lambda: folder.ended >= mine or not folder.is_running)
            if folder.ended >= mine:
                if (error := folder.failed.get(mine)) is not None:
                    raise OSError(error.errno, error.strerror) from error
                return
            folder.begun += 1
        failure: OSError | None = None
        try:
            self._call(fd)
        except OSError as error:
            failure = error
            raise
        finally:
            with self._changed:
                folder.ended += 1
                if failure is not None:
                    folder.failed[folder.ended] = failure
                self._changed.notify_all()
