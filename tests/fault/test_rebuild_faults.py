"""Reading back on a disk that ails: one bad file is named and costs the others nothing."""

import json

import pytest
from helpers.inprocess import invoke
from helpers.mounted import ailing
from helpers.site import jobs

pytestmark = pytest.mark.needs("mounts")


def test_a_file_the_disk_does_not_give_is_named_and_left_where_it_is(site, tmp_path):
    with ailing(tmp_path / "ailing") as disk:
        here = site(jobs(3, size=50_000))
        dest = disk.point / "videos"
        assert invoke(here, "run", dest, "--quiet").returncode == 0
        path = next(path for path in dest.rglob("*job-001*"))
        disk.fail("read", "EIO", name=path.name)
        done = invoke(here, "verify", dest, "--requeue", "--json")
        value = json.loads(done.stdout)
        assert (done.returncode, value["faults"], value["requeued"]) == (10, {"unreadable": 1}, 0)
        assert path.exists()
        disk.heal()
        assert invoke(here, "verify", dest).returncode == 0
