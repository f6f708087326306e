"""HTTP to the storage: bytes under a link, handed to a sink. Knows nothing of jobs, names or the ledger."""

from syncer.transfer.fetcher import HttpFetcher
from syncer.transfer.throttle import Throttle

__all__ = ["HttpFetcher", "Throttle"]
