"""Gets a living link for a job whose link died, from the API itself, or says how its claim ends without one."""

from datetime import datetime

from syncer.core import retry
from syncer.core.errors import FetchError, JobGone, LinkRefused, ListingFailed, NoLink, StorageBusy
from syncer.core.events import LinkRenewed
from syncer.core.model import Claim, Follow, Link, Lose, Outcome, RemoteStatus
from syncer.core.text import one_line
from syncer.runner.parts import Counts, Parts, Rules, label_of


class Relinker:
    """Asks the API for a job again; holds no state of its own but the counts."""

    def __init__(self, parts: Parts, rules: Rules, counts: Counts) -> None:
        self._parts = parts
        self._rules = rules
        self._counts = counts

    async def renew(self, claim: Claim, refused: LinkRefused | None) -> Link | Outcome:
        """A link from the API itself, or how the claim ends without one."""
        entry, parts = claim.entry, self._parts
        try:
            job = await parts.source.look_up(entry.id)
        except JobGone:
            if refused is None:
                raise NoLink("VideoDB lists the job but does not know it, and there is no link.") from None
            return await self.give_up(claim, f"{refused.message} VideoDB no longer knows the job.")
        except ListingFailed as error:
            raise StorageBusy(f"No new link could be had: {error.message}") from None
        if job.status is not RemoteStatus.DONE:
            return Follow(job.status, one_line(job.error, 200) or f"VideoDB now says {job.status}.")
        if job.link is None:
            raise NoLink("no link")
        if entry.link is None or job.link.url != entry.link.url:
            self._counts.relinked += 1
            parts.observer.notify(LinkRenewed(entry.id, label_of(claim)))
        return job.link

    async def early(self, claim: Claim, dead: Link) -> Link | Outcome:
        """A link in place of one that is dead by its own word; that one, where the API has no other to give.

        Clocks differ, and only the storage's refusal decides (I7).
        """
        try:
            return await self.renew(claim, refused=None)
        except FetchError:
            return dead

    async def give_up(self, claim: Claim, reason: str) -> Outcome:
        """The link was refused after a relink (I7): lost, unless the user lets the job be made again."""
        if not self._rules.regenerate or not retry.may_regenerate(claim.entry):
            return Lose(reason)
        try:
            await self._parts.source.regenerate(claim.entry.id)
        except (JobGone, ListingFailed) as error:
            return Lose(f"{reason} It could not be made again: {error.message}")
        return Follow(RemoteStatus.PROCESSING, "VideoDB was asked to make it again.", regenerated=True)


def has_died(link: Link, now: datetime) -> bool:
    """By the link's own word; an estimate never decides that."""
    return not link.estimated and link.expires_at is not None and link.expires_at <= now
