"""Proof from outside: what VideoDB's own SDK asks for, a pass brings home."""

import asyncio

import videodb

from syncer.sandbox.scenarios import HEALTHY


def create(here, name):
    connection = videodb.connect(api_key=here.sandbox.api_key, base_url=here.sandbox.base_url)
    return connection.download(stream_link="https://stream.videodb.io/v/12345", name=name)


async def test_a_job_made_by_the_official_sdk_is_archived(site):
    here = site([], HEALTHY)
    await asyncio.to_thread(create, here, "From the SDK.mp4")
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored) == (0, 1)
    await here.check_whole()
    (name,) = here.files()
    assert "From the SDK [" in name
