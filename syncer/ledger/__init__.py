"""The ledger: what is known of every job and what was done about it, in a database that outlives any pass."""

from syncer.ledger.passes import PassRecord
from syncer.ledger.repository import SqlLedger, open_ledger

__all__ = ["PassRecord", "SqlLedger", "open_ledger"]
