"""How to read a list that moves while it is read: which page to ask for next, and when the end is proven.

VideoDB pages by `page_index` and `count` alone: no total, no cursor, no stated order, a page cap of the
server's own. Three things go wrong with that, and each has its answer here:

- A short page may be the end or the server's cap. So the walk goes on until a page is empty or proves itself
  to be the tail, and the next page is asked for at the position that the bytes so far really reached.
- A job created meanwhile pushes entries down: they come twice (harmless: ids are told apart), and the new one
  may lie above, unseen. So the head is looked at again, and again from end to end where more was pushed down
  than a look at the head explains.
- A job deleted meanwhile pulls entries up, across the seam between two pages, unseen. So each page overlaps the
  one before it, and a seam without known entries makes the walk start over.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

MAX_COUNT = 5000
"""The API's own ceiling on `count`."""

MIN_OVERLAPPED = 17
"""Shorter pages than this overlap only where that costs little: a deletion meanwhile may then go unnoticed."""

MAX_STALE = 25
"""Pages in a row without anything new before the walk ends whatever else it sees: a server that never ends."""

MAX_REPEATS = 10
"""The same page under so many indices in a row is how a server ends that shows its last page for ever. Growth by just
one page between two requests looks the same, but not so often."""

MAX_ROUNDS = 5
"""Looks over the list, the first included."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What to ask the API for."""

    index: int  # page_index, from 0
    count: int  # entries


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a listing stands between two requests. Its size does not depend on the list's."""

    limit: int = MAX_COUNT  # the most entries the server is known to give
    index: int = 0
    base: int = 0  # the index of the server's first page
    count: int = MAX_COUNT
    head: str | None = None  # the first id of the first page
    full: bool = False  # the first page held as much as was asked for
    frontier: int = 0  # position behind the last entry read in this round
    reach: int = 0  # the furthest frontier of this round
    anchor: str | None = None  # the last id at the frontier
    stale: int = 0  # pages in a row that led nowhere
    first: str | None = None  # the first id of the page before
    repeats: int = 0  # pages in a row that were the page before once more
    own_pages: bool = False  # the server pays no heed to `count`
    round: int = 1
    thorough: bool = True  # this round goes to the end, not only to the first page without news
    found: int = 0  # fresh ids in this round
    pushed: int = 0  # entries met again that no overlap explains: as many were created above
    gap: bool = False  # a seam without the entries that should have stood on both sides
    unsure: bool = False  # the end was taken for granted, not seen
    stuck: bool = False  # the server shows its first page under every index
    moving: bool = False  # later rounds found what the first had not
    extent: int = 0  # the highest index of the first round
    done: bool = False
    complete: bool = False

    @property
    def position(self) -> int:
        """Where the coming page begins, counted in entries."""
        return (self.index - self.base) * self.count

    @property
    def overlap(self) -> int:
        """How many entries of the coming page should be known already."""
        return 0 if self.own_pages else max(0, self.frontier - self.position)


def start(count: int = MAX_COUNT) -> Walk:
    """A walk that asks for up to `count` entries a page."""
    count = max(1, min(count, MAX_COUNT))
    return Walk(limit=count, count=count)


def request(walk: Walk) -> PageRequest:
    """The next page to ask for."""
    return PageRequest(walk.index, walk.count)


def absorb(walk: Walk, ids: Sequence[str | None], fresh: frozenset[str]) -> Walk:
    """The walk after a page that held `ids`, None for what had no readable id; `fresh` are new in this listing."""
    if not ids:
        # A server that counts its pages from 1 may show nothing under 0.
        counts_from_one = walk.index == 0 and walk.round == 1
        if counts_from_one:
            return replace(walk, index=1, base=1)
        # Where even the overlap is gone, entries behind it may have slipped up into what was read.
        slipped = walk.overlap > 0
        return _end_round(replace(walk, gap=walk.gap or slipped), proven=True)
    walk = _learn(walk, ids)
    last = next((i for i in reversed(ids) if i is not None), None)
    again = sum(1 for i in ids if i is not None and i not in fresh)
    # To come upon another id is to get on only where nobody has been in this round: else two pages could take turns.
    is_further = walk.position + len(ids) > walk.reach
    moved = bool(fresh) or (walk.round > 1 and is_further and last not in (None, walk.anchor))
    seen = replace(
        walk,
        frontier=max(walk.position + len(ids), walk.frontier if walk.position == 0 else 0),
        reach=max(walk.reach, walk.position + len(ids)),
        anchor=last if moved else walk.anchor,
        stale=0 if moved else walk.stale + 1,
        first=ids[0],
        repeats=0 if moved or ids[0] != walk.first else walk.repeats + 1,
        found=walk.found + len(fresh),
        pushed=walk.pushed + (max(0, again - walk.overlap) if walk.round == 1 and walk.frontier else 0),
        gap=walk.gap or _is_gap(walk, ids, fresh),
        extent=walk.index if walk.round == 1 else walk.extent,
    )
    if _is_tail(walk, ids, fresh):
        return _end_round(seen, proven=True)
    if seen.repeats >= MAX_REPEATS:
        stuck = ids[0] == walk.head
        return _end_round(replace(seen, stuck=walk.stuck or stuck), proven=not stuck)
    if _leads_nowhere(walk, seen, fresh):
        return _end_round(seen, proven=False)
    return _step(seen)


def _learn(walk: Walk, ids: Sequence[str | None]) -> Walk:
    """What the page tells of the server's ways: its page cap, its first index, whether it heeds `count`."""
    if len(ids) > walk.count:
        walk = replace(walk, own_pages=True)
    if walk.round > 1:
        return walk
    if walk.frontier == 0:
        return replace(walk, head=ids[0], limit=min(walk.limit, len(ids)), full=len(ids) >= walk.count)
    same_page = walk.index == 1 and walk.head is not None and ids[0] == walk.head
    return replace(walk, base=1) if same_page else walk


def _is_gap(walk: Walk, ids: Sequence[str | None], fresh: frozenset[str]) -> bool:
    """Whether entries may have slipped up through the seam between the page before and this one."""
    if walk.overlap == 0:
        return False
    if walk.round == 1:
        return next((i for i in ids if i is not None), None) in fresh
    return walk.thorough and walk.anchor not in ids


def _is_tail(walk: Walk, ids: Sequence[str | None], fresh: frozenset[str]) -> bool:
    """Whether the page is just the overlap that was asked for and then nothing: the list ends where it was left."""
    return not fresh and 0 < walk.overlap == len(ids) < walk.count and ids[-1] == walk.anchor


def _leads_nowhere(before: Walk, seen: Walk, fresh: frozenset[str]) -> bool:
    """Whether going on is in vain. Pages full of known entries alone are no end: they may have been pushed down."""
    if fresh:
        return False
    if not before.thorough or seen.stale >= MAX_STALE:
        return True
    return before.round > 1 and before.index > before.extent + MAX_STALE


def _step(walk: Walk) -> Walk:
    """On to the next index, with a count that lets the page begin within what is known already."""
    index = walk.index + 1
    if walk.own_pages:
        return replace(walk, index=index, count=walk.limit)
    steps = index - walk.base
    count = min(walk.limit, (walk.frontier - 1) // steps)
    if walk.frontier - steps * count > count // 4:  # the overlap would be most of the page
        if (near := _near(walk)) is not None:
            return near
        count = min(walk.limit, walk.frontier // steps)
    if walk.frontier - steps * count < count:
        return replace(walk, index=index, count=count)
    if walk.frontier < walk.limit:
        return replace(walk, index=index, count=walk.limit, own_pages=True)
    return _jump(walk)


def _near(walk: Walk) -> Walk | None:
    """To the page, whatever its index, that begins a little before the frontier and brings the most beyond it.

    None where pages are so few entries long that the overlap would cost more than it is worth.
    """
    if walk.limit < MIN_OVERLAPPED or walk.frontier < walk.limit:
        return None
    lengths = range(walk.limit // 2, walk.limit + 1)
    count = max(lengths, key=lambda n: (n - walk.frontier % n if walk.frontier % n else 0, n))
    return replace(walk, index=walk.frontier // count + walk.base, count=count)


def _jump(walk: Walk) -> Walk:
    """To the page that begins closest before the frontier, whatever its index.

    Needed where pages are few entries long and the index is high: then no count puts the next index there.
    """
    count = min(
        range(max(2, walk.limit // 2), walk.limit + 1),
        key=lambda n: ((walk.frontier % n or n), -n),
        default=1,
    )
    return replace(walk, index=walk.frontier // count + walk.base, count=count)


def _end_round(walk: Walk, *, proven: bool) -> Walk:
    """The end of one look: done, or from the head once more, to the end where something is unexplained."""
    gap = walk.gap and not walk.own_pages
    if walk.round == 1:
        settled, unexplained, moving = False, 0, False
        unsure = not proven
        thorough = gap or (unsure and walk.own_pages and not walk.stuck)
    else:
        # A server that goes its own way shows pages again for reasons of its own; only news count there.
        repeats = walk.stuck or walk.own_pages
        unexplained = 0 if walk.thorough or repeats else max(0, walk.pushed - walk.found)
        unsure = walk.unsure and not (walk.thorough and proven)
        moving = walk.moving or walk.found > 0 or (walk.pushed > 0 and not repeats)
        thorough = gap or unexplained > 0 or (unsure and (moving or walk.own_pages) and not walk.stuck)
        settled = walk.found == 0 and not thorough
    if settled or walk.round >= MAX_ROUNDS:
        whole = not (walk.stuck and walk.full)  # what lies behind a full page that comes for ever is not known
        return replace(walk, done=True, complete=whole and (settled or not (gap or unsure)))
    return replace(
        walk,
        index=walk.base,
        count=max(1, walk.limit - 1) if gap else walk.limit,  # more than that in answer: `count` is not heeded
        frontier=0,
        reach=0,
        anchor=None,
        stale=0,
        first=None,
        repeats=0,
        found=0,
        pushed=walk.pushed if walk.round == 1 else unexplained,
        gap=False,
        unsure=unsure,
        moving=moving,
        round=walk.round + 1,
        thorough=thorough,
    )
