"""A real SMB share: Samba on loopback, mounted in user space by smbnetfs.

It is what a NAS is to a backup: no hard links, no room told, names without case, no renaming of what is open.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.mounted import require_mounts, unmount
from helpers.site import CREATED, Site, jobs

from syncer.core.events import BytesArrived
from syncer.sandbox.faults import When
from syncer.sandbox.faults_wire import Cut, Slow
from syncer.sandbox.model import Rules, SandboxJob
from syncer.sandbox.scenarios import HEALTHY, Scenario

pytestmark = pytest.mark.needs("mounts", "samba")

SMBD = """
[global]
server role = standalone server
interfaces = {address}/8
bind interfaces only = yes
smb ports = 445
disable netbios = yes
map to guest = Bad User
load printers = no
printcap name = /dev/null
log file = {state}/log
private dir = {state}
lock directory = {state}
state directory = {state}
cache directory = {state}
pid directory = {state}
ncalrpc dir = {state}/ncalrpc
[share]
path = {folder}
guest ok = yes
read only = no
force user = root
"""


class Nas:
    """A Samba server of one share, and the mount of it."""

    def __init__(self, base):
        self.base = base
        self.address = f"127.77.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
        for name in ("share", "state", "mount", "home/.smb"):
            (base / name).mkdir(parents=True)
        config = SMBD.format(address=self.address, state=base / "state", folder=base / "share")
        (base / "smbd.conf").write_text(config)
        (base / "home/.smb/smb.conf").write_text("[global]\nclient min protocol = SMB2\n")
        (base / "home/.smb/smbnetfs.conf").touch(mode=0o600)
        self._server = self._mount = None

    @property
    def folder(self):
        return self.base / "mount" / self.address / "share"

    def on(self):
        self._server = self._begin("smbd", "--foreground", "--no-process-group", "-s", self.base / "smbd.conf")

    def off(self):
        """Pull its plug."""
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()

    def mount(self):
        """Returns once the share can be listed."""
        self._mount = self._begin("smbnetfs", "-f", self.base / "mount")
        end = time.monotonic() + 60
        while not (self.base / "mount").is_mount() or not self._answers():
            assert time.monotonic() < end, "the share could not be mounted"
            time.sleep(0.1)

    def leave(self):
        unmount(self.base / "mount")
        if self._mount is not None:
            self._mount.terminate()
            self._mount.wait()

    def _answers(self):
        try:
            (self.folder / "probe").touch()
            (self.folder / "probe").unlink()
        except OSError:
            return False
        return True

    def _begin(self, *command):
        with (self.base / f"{command[0]}.out").open("ab") as out:
            return subprocess.Popen(
                command,
                env={**os.environ, "HOME": str(self.base / "home")},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )


@dataclass
class Share(Site):
    """A site whose destination is a folder on the share."""

    place: Path = Path()

    @property
    def dest(self):
        return self.place / "videos"


@pytest.fixture
def nas(tmp_path):
    require_mounts()
    for program in ("smbd", "smbnetfs"):
        assert shutil.which(program), f"install {program}, as .ci/run does"
    made = Nas(tmp_path / "nas")
    made.on()
    try:
        made.mount()
        yield made
    finally:
        made.leave()
        made.off()


def on_share(site, nas, held, scenario=HEALTHY):
    here = site(held, scenario)
    return Share(here.folder, here.sandbox, {"workers": "2"}, nas.folder)


@pytest.mark.timeout(300)
async def test_a_share_is_filled_and_filled_again(site, nas):
    """Cuts and resumes, names that differ in case alone, names that Windows refuses.

    Of the times of files nothing is said: smbnetfs sets them anew some time after a file was closed.
    """
    held = [
        *jobs(3, size=1_500_000),
        SandboxJob("UPPER", "Film.mp4", size=1000, created_at=CREATED),
        SandboxJob("upper", "FILM.mp4", size=1001, created_at=CREATED),
        SandboxJob("odd", 'a "name" of: CON?*| .', size=1002, created_at=CREATED),
    ]
    here = on_share(site, nas, held, Scenario("cut", "", Rules(), (), (Cut(when=When(first=1)),)))
    report = await here.sync()
    assert report.exit_code == 0, report
    assert report.transfer.resumed >= 3
    await here.check_whole()
    here.sandbox.add(SandboxJob("late", "Late.mp4", size=1000, created_at=CREATED))
    again = await here.sync()
    assert (again.exit_code, again.transfer.fetched) == (0, 1)
    await here.check_whole()


@pytest.mark.timeout(300)
async def test_a_nas_that_is_switched_off_in_mid_pass(site, nas):
    paced = Scenario("paced", "", Rules(), (), (Slow(rate=2_000_000),))
    here = on_share(site, nas, jobs(2, size=6_000_000), paced)

    class SwitchOff:
        done = False

        def notify(self, event):
            if isinstance(event, BytesArrived) and not self.done:
                self.done = True
                nas.off()

    report = await here.sync(SwitchOff())
    assert report.exit_code == 5, report
    assert str(here.dest) in report.reason
    nas.leave()
    nas.on()
    nas.mount()
    here.sandbox.set_scenario(HEALTHY)
    healed = await here.sync()
    assert healed.exit_code == 0, healed
    await here.check_whole()
