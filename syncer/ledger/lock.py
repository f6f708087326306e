"""One pass a ledger: a lock that the kernel frees when its holder dies, however it dies."""

from pathlib import Path

from filelock import FileLock, Timeout

from syncer.core.errors import LedgerError, LedgerHeld


class PassLock:
    """The lock beside an SQLite ledger. On a database server there is no file, and leases take its place."""

    def __init__(self, path: Path | None) -> None:
        self._lock = FileLock(path, mode=0o600, thread_local=False) if path else None

    @property
    def exclusive(self) -> bool:
        """Whether holding it proves that every other pass is over."""
        return self._lock is not None

    def acquire(self, *, patience: float = 0) -> None:
        """Raises LedgerHeld if someone, this process included, holds it for longer than `patience` seconds."""
        if self._lock is None:
            return
        if self._lock.is_locked:
            raise held()
        try:
            self._lock.acquire(timeout=patience)
        except Timeout:
            raise held() from None
        except OSError as error:
            raise LedgerError(
                f"The lock beside the ledger cannot be used: {error.strerror}.", hint="Check the folder's permissions."
            ) from None

    def release(self) -> None:
        """Let go; without effect where nothing is held."""
        if self._lock is not None:
            self._lock.release()


def held() -> LedgerHeld:
    """The error that names the way out."""
    return LedgerHeld(
        "Another syncer works on this ledger right now.",
        hint="Wait until it has ended, or give this one its own ledger with --ledger or --profile.",
    )
