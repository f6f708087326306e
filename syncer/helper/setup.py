"""What a helper is told before its first errand."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setup:
    """Plain values only. The API key is not among them: a helper speaks to the storage alone."""

    destination: str  # an absolute path
    min_free: int | None
    naming: str  # the template
    workers: int
    max_file_size: int | None
    connect_timeout: float
    read_timeout: float
    total_timeout: float | None
    ca_bundle: str | None
    proxy: str | None
    log_level: int
