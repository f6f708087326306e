"""Any faults in any order over the real ledger and destination: whatever is visible is whole, and all of it heals."""

import asyncio
import hashlib
import tempfile
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from helpers.site import CREATED, Site
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from syncer.core.model import State
from syncer.sandbox import (
    HEALTHY,
    Changed,
    ChecksumForm,
    Cut,
    Endless,
    ErrorPage,
    Frame,
    Framing,
    Gzip,
    IgnoredRange,
    Longer,
    MultipartRange,
    NoLink,
    PageForm,
    Promise,
    Redirect,
    Refused,
    Reset,
    Rules,
    Sandbox,
    SandboxJob,
    Scenario,
    Stall,
    Status,
    StorageRules,
    Truncated,
    UnknownTotal,
    Unsatisfied,
    ValidatorForm,
    Validators,
    When,
    WholeAsPart,
    WrongChecksum,
    WrongRange,
    running,
)

MEMORY = Path("/dev/shm")

SHAPES = (
    *((Cut, {"share": share}) for share in (0.0, 0.3, 0.9, 1.0)),
    (Reset, {}),
    (Stall, {}),
    *((ErrorPage, {"form": form, "content_type": kind}) for form in PageForm for kind in (None, "video/mp4")),
    *((Frame, {"framing": framing}) for framing in (Framing.CHUNKED, Framing.CLOSE)),
    *((Promise, {"off": off}) for off in (1000, -1000)),
    *((Status, {"status": status, "retry_after": 0}) for status in (403, 404, 429, 500)),
    *((Redirect, told) for told in ({}, {"hops": 7}, {"loop": True})),
    *((WrongRange, told) for told in ({}, {"shift": -50_000}, {"shift": 0, "total": 7})),
    *((Changed, {"size": size}) for size in (None, 50, 70_000)),
    *((kind, {}) for kind in (Longer, Gzip, IgnoredRange, MultipartRange, Truncated, UnknownTotal, Unsatisfied)),
    *((kind, {}) for kind in (Validators, WholeAsPart, WrongChecksum, Refused, Endless)),
)

moments = st.builds(
    When, after=st.integers(0, 2), first=st.none() | st.integers(1, 2), ranged=st.sampled_from([None, None, True])
)
faults = st.builds(lambda shape, when: shape[0](when=when, **shape[1]), st.sampled_from(SHAPES), moments)
# Without any checksum, bytes that change on the disk before the overlap are nobody's to find.
storages = st.builds(
    StorageRules,
    checksum=st.sampled_from([form for form in ChecksumForm if form not in (ChecksumForm.NONE, ChecksumForm.S3_KMS)]),
    validators=st.sampled_from([form for form in ValidatorForm if form is not ValidatorForm.NONE]),
)


@cache
def sha256(path, stamp):
    """Of a file as it is: `stamp` is its size, time and inode."""
    return hashlib.sha256(path.read_bytes()).hexdigest(), stamp


class FaultMachine(RuleBasedStateMachine):
    """A user's machine, an account, and everything that goes wrong between the two."""

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.sandbox = Sandbox([SandboxJob("job-0", "Film 0.mp4", 200_000, created_at=CREATED)])
        self.server = running(self.sandbox)
        self.server.__enter__()
        options = {"tries": "1", "read_timeout": "0.4", "max_file_size": "1M"}
        self.site = Site(Path(self.folder.name), self.sandbox, options)
        self.versions = {}

    def sync(self, **more):
        report = self.runner.run(self.site.sync(**more))
        for job in self.sandbox.store.all():
            self.versions.setdefault(job.id, set()).add((job.version, job.size))
        assert report.exit_code != 0 or report.jobs.pending == 0
        return report

    @rule(size=st.sampled_from([1, 3000, 90_000, 200_000]))
    def make_a_job(self, size):
        number = len(self.sandbox.store)
        if number < 6:
            self.sandbox.add(SandboxJob(f"job-{number}", f"Film {number}.mp4", size, created_at=CREATED))

    @rule(
        struck=st.lists(faults, min_size=1, max_size=3),
        storage=storages,
        linkless=st.sampled_from([False] * 4 + [True]),
    )
    def a_pass_under_faults(self, struck, storage, linkless):
        api = (NoLink(only=frozenset({"job-0"})),) if linkless else ()
        self.sandbox.set_scenario(Scenario("drawn", "", Rules(storage=storage), api, tuple(struck)))
        assert self.sync().exit_code in (0, 6, 7)

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours):
        self.sandbox.advance(timedelta(hours=hours))

    @precondition(lambda self: self.site.dest.exists())
    @rule()
    def the_destination_is_away_for_a_pass(self):
        away = self.site.dest.with_name("away")
        self.site.dest.rename(away)
        try:
            assert self.runner.run(self.site.sync()).exit_code == 5
            assert not self.site.dest.exists()
        finally:
            away.rename(self.site.dest)

    @precondition(lambda self: self.site.partials())
    @rule(where=st.floats(0, 0.999), how=st.sampled_from(["flip", "cut", "grow", "remove"]), which=st.integers(0, 9))
    def a_partial_is_hurt(self, where, how, which):
        partials = self.site.partials()
        partial = partials[which % len(partials)]
        content = bytearray(partial.read_bytes())
        at = int(where * len(content))
        match how:
            case "flip" if content:
                content[at] ^= 1
            case "cut":
                del content[at:]
            case "grow":
                content += bytes(5000)
            case "remove":
                partial.unlink()
                return
        partial.write_bytes(content)

    @invariant()
    def whatever_is_visible_is_whole_and_known(self):
        if not self.site.dest.exists():
            return
        stored = self.runner.run(self.site.entries("stored"))
        assert {entry.stored.path for entry in stored.values()} == set(self.site.files())
        for entry in stored.values():
            path = self.site.dest / entry.stored.path
            found = path.stat()
            digest, _ = sha256(path, (found.st_size, found.st_mtime_ns, found.st_ino))
            assert (found.st_size, digest) == (entry.stored.size, entry.stored.sha256)
            assert digest in self.digests(entry.id)

    def digests(self, job_id):
        job = self.sandbox.store.get(job_id)
        made = (replace(self.sandbox.content(job_id, version), size=size) for version, size in self.versions[job_id])
        return {content.digests().sha256 for content in made} | {
            self.sandbox.content(job_id, job.version).digests().sha256
        }

    def teardown(self):
        try:
            self.sandbox.set_scenario(HEALTHY)
            self.sandbox.advance(timedelta(minutes=2))
            codes = []
            while not codes or (codes[-1] != 0 and len(codes) < 4):
                codes.append(self.sync(read_timeout="60").exit_code)
            assert codes[-1] == 0, codes
            stored = self.runner.run(self.site.entries())
            assert {entry.state for entry in stored.values()} == {State.STORED}
            assert set(stored) == {job.id for job in self.sandbox.store.all()}
            self.whatever_is_visible_is_whole_and_known()
            assert self.site.partials() == []
            assert self.sandbox.token_leaks == 0
        finally:
            self.server.__exit__(None, None, None)
            self.runner.close()
            self.folder.cleanup()


def run(examples, steps):
    run_state_machine_as_test(
        FaultMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate),  # a pass takes too long to shrink by
            print_blob=True,
        ),
    )


def test_any_faults_in_any_order_heal():
    run(6, 8)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_any_faults_in_any_order_heal_for_long():
    run(400, 20)
