"""What `syncer doctor` is made of: a look at the key, the API, the storage, the destination and the ledger."""

import asyncio
from pathlib import Path

from syncer.bootstrap import api_client, storage_fetcher
from syncer.config import Settings, resolve_key
from syncer.core.doctor import Finding, FolderFacts, LedgerFacts, Level, judge_folder, judge_ledger
from syncer.core.errors import UsageError
from syncer.core.model import Binding
from syncer.core.mounts import Mount, parse_mounts
from syncer.destination.examine import examine as examine_folder
from syncer.ledger import open_ledger
from syncer.ledger.examine import examine as examine_ledger
from syncer.reporting.log import quieten_libraries
from syncer.reporting.observers import Observers
from syncer.runner.checkup import check_api
from syncer.runner.clock import SystemClock
from syncer.videodb.examine import Examiner
from syncer.videodb.links import form_of


async def doctor(settings: Settings) -> list[Finding]:
    """What is well and what is not: key, API and storage, destination, ledger. Only a trial folder is written to."""
    quieten_libraries()
    found = await _look_at_the_api(settings)
    mounts = await asyncio.to_thread(_mounts)
    ledger = await asyncio.to_thread(examine_ledger, settings.ledger_location, mounts)
    found += await _look_at_the_folder(settings, ledger, mounts)
    return found + judge_ledger(ledger)


async def _look_at_the_folder(settings: Settings, ledger: LedgerFacts, mounts: tuple[Mount, ...]) -> list[Finding]:
    if ledger.error:
        text = "Not looked at: which one is the right one, only the ledger can tell."
        return [Finding("destination", Level.WARN, text, "Mend the ledger first, see below.")]
    binding = await _binding(settings, ledger)
    dest = settings.dest or (binding.location if binding else None)
    if dest is None:
        return [Finding("destination", Level.WARN, "None is given, so none was looked at.", "Name the folder.")]

    def look() -> FolderFacts:
        root = Path(dest).expanduser()
        if binding is None:
            return examine_folder(root, None, None, mounts)
        return examine_folder(root, binding.ledger_id, binding.destination_id, mounts)

    return judge_folder(await asyncio.to_thread(look))


async def _binding(settings: Settings, ledger: LedgerFacts) -> Binding | None:
    """Which destination the ledger knows, where it can be read as it is."""
    if not ledger.exists or ledger.error or ledger.revision != ledger.head:
        return None
    opened = await open_ledger(settings.ledger_location, read_only=True)
    try:
        return await opened.binding()
    finally:
        await opened.close()


async def _look_at_the_api(settings: Settings) -> list[Finding]:
    clock = SystemClock()
    try:
        key = await asyncio.to_thread(resolve_key, settings)
    except UsageError as error:
        return [Finding("key", Level.FAIL, error.message, error.hint)]
    async with api_client(settings, key, clock, Observers([])) as client, storage_fetcher(settings, clock) as fetcher:
        return await check_api(Examiner(client, clock).examine, fetcher, clock, form_of)


def _mounts() -> tuple[Mount, ...]:
    try:
        return parse_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ()
