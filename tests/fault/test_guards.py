"""Guards of the bytes that no fault of the storage alone can reach; see tests/mutation."""

from helpers.site import jobs

from syncer.core.model import State
from syncer.ledger import open_ledger
from syncer.sandbox import Cut, Scenario, When


async def test_a_file_of_other_bytes_under_a_reserved_name_is_not_taken_for_ours(site):
    here = site(jobs(1, size=100_000), Scenario("t", storage=(Cut(when=When(first=1)),)), tries="1")
    assert (await here.sync()).exit_code == 6
    ledger = await open_ledger(here.ledger, read_only=True)
    (entry,) = [one async for one in ledger.entries([State.PENDING])]
    await ledger.close()
    reserved = here.dest / entry.path
    reserved.parent.mkdir(parents=True, exist_ok=True)
    reserved.write_bytes(bytes(100_000))
    report = await here.sync()
    assert (report.exit_code, report.transfer.recovered) == (0, 0)
    assert reserved.read_bytes() == bytes(100_000)
    stored = (await here.entries("stored"))["job-000"].stored
    assert stored.path != entry.path
    assert (here.dest / stored.path).read_bytes() == here.sandbox.content("job-000").read(0, 100_000)
