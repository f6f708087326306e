"""The benchmarks' own list is one that VideoDB could give; the rest of them needs programs that tests do without."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from syncer.videodb.wire import parse_page

ROOT = Path(__file__).parents[2]
MAKE = """
import sys
from pathlib import Path
from tests.benchmarks import corpus
corpus.make_list(Path(sys.argv[1]), [f"http://127.0.0.1:1/S/file-{n}.mp4" for n in range(12)])
"""


def test_pages_are_read_as_jobs_with_living_links(tmp_path):
    listed = tmp_path / "list"
    subprocess.run([sys.executable, "-c", MAKE, str(listed)], cwd=ROOT, check=True, timeout=60)
    words = [sys.executable, "-m", "tests.benchmarks.lister", str(listed)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/download"
            pages = [httpx.get(url, params={"page_index": index, "count": 5}).content for index in range(4)]
        finally:
            server.kill()
    now = datetime.now(UTC)
    read = [parse_page(json.loads(page), index, now) for index, page in enumerate(pages)]
    assert [len(page.jobs) for page in read] == [5, 5, 2, 0]
    assert not any(page.malformed for page in read)
    links = [job.link for page in read for job in page.jobs]
    assert all(not link.estimated and link.expires_at > now + timedelta(hours=23) for link in links)
    assert len({job.id for page in read for job in page.jobs}) == 12


def test_the_command_tells_what_it_can_do():
    words = [sys.executable, "-m", "tests.benchmarks", "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert {"--only", "--rounds", "--scale", "--million", "--write"} <= set(done.stdout.split())
