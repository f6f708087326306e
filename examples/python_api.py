"""Use syncer from Python: one pass, with an observer that tells of each file as it arrives.

VIDEO_DB_API_KEY=sk-... python examples/python_api.py ~/Videos/videodb
"""

import asyncio
import sys

import syncer
from syncer.core.events import EntryLost, FileStored


class Teller:
    """An observer: `notify` is called on the event loop's thread and must return at once."""

    def notify(self, event: syncer.Event) -> None:
        match event:
            case FileStored(path=path, size=size):
                print(f"{size:>12,} bytes  {path}")
            case EntryLost(name=name):
                print(f"lost: {name}")


async def main(folder: str) -> int:
    settings = syncer.load_settings({"dest": folder})
    report = await syncer.sync(settings, observer=Teller())
    print(f"{report.jobs.stored} of {report.listing.jobs} jobs are stored; balanced: {report.balanced}")
    return report.exit_code


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(sys.argv[1])))
    except syncer.SyncerError as error:
        sys.exit(str(error))
