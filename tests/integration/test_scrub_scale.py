"""Reading back an archive of many files takes no more memory than one of few (I11)."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from helpers.site import jobs

FEW, MANY = 500, 30_000


def fill(here, count):
    """A destination of `count` small files, all of them in its manifest."""
    (here.dest / ".syncer").mkdir(parents=True)
    marker = {"version": 1, "id": "dest", "ledger_id": "lost", "created_at": "2026-11-05T12:00:00Z"}
    (here.dest / ".syncer/destination.json").write_text(json.dumps(marker))
    with (here.dest / ".syncer/manifest.jsonl").open("w") as manifest:
        for number in range(count):
            path = here.dest / f"2026/{number // 1000:03}/Film [job-{number:06}].mp4"
            if number % 1000 == 0:
                path.parent.mkdir(parents=True)
            content = f"{number:0100}".encode()
            path.write_bytes(content)
            said = {"id": f"job-{number:06}", "name": "Film", "path": path.relative_to(here.dest).as_posix()}
            more = {"size": len(content), "etag": None, "stored_at": "2026-11-05T12:00:00Z"}
            more["sha256"] = hashlib.sha256(content).hexdigest()
            manifest.write(json.dumps(said | more) + "\n")


def peak(here, *argv, code=0):
    """The command's peak of memory in MiB, and what it said."""
    with subprocess.Popen(
        [sys.executable, "-m", "syncer", *map(str, argv)], env=here.environ(), stdout=subprocess.PIPE
    ) as process:
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == code
    return usage.ru_maxrss / 1024, said


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_memory_does_not_grow_with_the_archive(site):
    peaks = {}
    for count in (FEW, MANY):
        here = site(jobs(0))
        fill(here, count)
        adopting, said = peak(here, "adopt", here.dest, "--json")
        assert json.loads(said)["adopted"] == count
        verifying, said = peak(here, "verify", "--json")
        assert json.loads(said)["files"] == count
        (here.dest / "2026").rename(here.dest / "elsewhere")
        moving, said = peak(here, "verify", "--json")
        assert json.loads(said)["moved"] == count
        peaks[count] = (adopting, verifying, moving)
    for few, many in zip(peaks[FEW], peaks[MANY], strict=True):
        assert many - few < 32, peaks  # the ids of the manifest, at a hundred bytes each, among it
