"""The ledger looked at from outside a pass, nothing changed."""

from syncer.core.doctor import LedgerFacts
from syncer.core.errors import SyncerError
from syncer.core.mounts import Mount, mount_of
from syncer.ledger.engine import place_of, problems_of
from syncer.ledger.schema import revisions


def examine(location: str, mounts: tuple[Mount, ...]) -> LedgerFacts:
    """The facts of the ledger at a path or URL. Blocking; reads all of it. Trouble is told, not raised."""
    try:
        place = place_of(location)
        path = place.path
        mount = mount_of(str(path), mounts) if path else None
        if path is not None and not path.exists():
            return LedgerFacts(str(place), exists=False, mount=mount)
        found = revisions(location)
        return LedgerFacts(
            str(place),
            exists=True,
            revision=found.current,
            head=found.head,
            problems=tuple(problems_of(place)) if path else (),
            mount=mount,
            shared_mode=path is not None and bool(path.stat().st_mode & 0o077),
        )
    except SyncerError as error:
        return LedgerFacts(location, exists=True, error=str(error))
    except OSError as error:
        return LedgerFacts(location, exists=True, error=f"The ledger cannot be read: {error.strerror}.")
