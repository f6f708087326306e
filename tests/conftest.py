"""Fixtures for every test."""

import os
import signal

import hypothesis
import pytest
from helpers.machine import NEEDS, leave_out
from helpers.site import Site, jobs

from syncer.sandbox.box import Sandbox
from syncer.sandbox.scenarios import HEALTHY
from syncer.sandbox.server import running

hypothesis.settings.register_profile("unhurried", deadline=None)  # a busy machine proves nothing about a property
hypothesis.settings.load_profile("unhurried")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what it puts into the background (POSIX, 2.11), and the commands under test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    leave_out(config, items)


def pytest_terminal_summary(terminalreporter):
    missing = [what for is_there, what in NEEDS.values() if not is_there()]
    if missing and not os.environ.get("CI"):
        terminalreporter.write_line(f"Left out: tests that need {'; '.join(missing)}. .ci/run installs what they need.")


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
