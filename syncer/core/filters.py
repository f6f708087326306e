"""The user's own choice of jobs: by name and by time. What it leaves out is counted, never forgotten."""

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from syncer.core.model import Job


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Admits a job that matches some `include` (or there is none), no `exclude`, and was created in time.

    Globs know `*`, `?` and `[…]` and ignore case. `since` is inclusive and `until` exclusive, both UTC. A job
    without a time of creation is never left out for its time: a filter must not lose what it cannot judge.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def admits(self, job: Job) -> bool:
        if (self.include or self.exclude) and not self._admits_name((job.name or "").casefold()):
            return False
        if job.created_at is None:
            return True
        too_old = self.since is not None and job.created_at < self.since
        too_new = self.until is not None and job.created_at >= self.until
        return not (too_old or too_new)

    def _admits_name(self, name: str) -> bool:
        if self.include and not any(fnmatchcase(name, glob.casefold()) for glob in self.include):
            return False
        return not any(fnmatchcase(name, glob.casefold()) for glob in self.exclude)
