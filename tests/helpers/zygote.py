"""The `syncer` command without its second of start: forked from a process that has loaded the program already."""

import json
import subprocess
import sys
from contextlib import contextmanager

SERVER = """
import json, os, sys
import syncer.bootstrap, syncer.cli.run
from syncer.cli import main
for line in sys.stdin:
    said = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.environ.clear()
        os.environ.update(said["environ"])
        os.chdir(said["cwd"])
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        told = os.open(said["told"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(told, 1)
        os.dup2(told, 2)
        sys.argv = ["syncer", *said["argv"]]
        try:
            main()
        except SystemExit as error:
            os._exit(error.code or 0)
        os._exit(99)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Zygote:
    """Runs commands one after the other; what they said is in `told`."""

    def __init__(self, process, told):
        self._process = process
        self.told = told

    def run(self, here, *argv):
        """The exit code, below 0 where a signal ended it: the command as `Site.command` runs it."""
        said = {
            "argv": [str(word) for word in argv],
            "environ": here.environ(),
            "cwd": str(here.folder),
            "told": str(self.told),
        }
        self._process.stdin.write(json.dumps(said) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def zygote(told):
    """A process to fork commands from; their words go to the file `told`."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Zygote(process, told)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
