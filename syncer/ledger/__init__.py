"""The ledger: what is known of every job and what was done about it, in a database that outlives any pass."""

from syncer.ledger.passes import PassRecord
from syncer.ledger.repository import SqlLedger, open_ledger
from syncer.ledger.schema import Revisions, revisions, upgrade

__all__ = ["PassRecord", "Revisions", "SqlLedger", "open_ledger", "revisions", "upgrade"]
