"""Lists the jobs into a ledger nobody else uses, each as stored where naming would put it: what files are named by."""

from datetime import datetime

from syncer.core.model import Fault, Page, StoredFile
from syncer.core.naming import Naming, path_for
from syncer.core.ports import Inventory, Source


async def list_expected(source: Source, scratch: Inventory, naming: Naming, at: datetime) -> None:
    """A place that several jobs have in common is noted as a fault of the first: it proves none of them.

    Raises KeyRefused and ListingFailed; what was listed until then stays.
    """

    homeless: set[str] = set()

    async def keep(page: Page) -> frozenset[str]:
        known = homeless | {entry.id for entry in await scratch.find([job.id for job in page.jobs])}
        fresh = [job for job in page.jobs if job.id not in known]
        paths = {job.id: path_for(naming, job.id, job.name, job.created_at, "") for job in fresh}
        taken = await scratch.adopt([(job.id, job.name, StoredFile(paths[job.id], 0, "", None, at)) for job in fresh])
        homeless.update(without := paths.keys() - set(taken))
        shared = await scratch.owned([paths[job_id] for job_id in without])
        await scratch.note([(entry, Fault.CHANGED) for entry in shared.values()], at)
        return frozenset(job.id for job in fresh)

    await source.list_jobs(keep)
