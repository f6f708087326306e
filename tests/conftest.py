"""Fixtures for every test."""

import hypothesis
import pytest
from helpers.site import Site, jobs

from syncer.sandbox.box import Sandbox
from syncer.sandbox.scenarios import HEALTHY
from syncer.sandbox.server import running

hypothesis.settings.register_profile("unhurried", deadline=None)  # a busy machine proves nothing about a property
hypothesis.settings.load_profile("unhurried")


@pytest.fixture
def site(tmp_path):
    """Make a site: `site(jobs, scenario, **options)`. Its sandbox runs until the test ends."""
    started = []

    def make(held=None, scenario=HEALTHY, **options):
        sandbox = Sandbox(jobs() if held is None else held, scenario)
        runner = running(sandbox)
        runner.__enter__()
        started.append(runner)
        folder = tmp_path / f"site-{len(started)}"
        folder.mkdir()
        return Site(folder, sandbox, options)

    yield make
    for runner in started:
        runner.__exit__(None, None, None)
