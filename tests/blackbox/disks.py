"""Disks that refuse: a full one below a folder, and a server that modes of files bind although root runs it."""
import ctypes
import os
import resource
import subprocess

import server
from server import Server

DAC_OVERRIDE, DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24


def small_disk(path):
    """A file system of 64 KiB there. False: none may be mounted here."""
    os.makedirs(path, 0o700, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "none", path], capture_output=True)
    return done.returncode == 0


def fill(path):
    """Takes all that is left; the file that holds it."""
    name = os.path.join(path, "ballast")
    with open(name, "wb", buffering=0) as out:
        size = 4096
        while size:
            try:
                out.write(b"x" * size)
            except OSError:
                size //= 2
    return name


class Full:
    """A full disk below a folder: a file system of 64 KiB, or where that may not be mounted a limit of file sizes."""

    def __init__(self, lab):
        self.lab, self.mounted = lab, small_disk(lab.directory)

    def fill(self, server):
        if self.mounted:
            self.ballast = fill(self.lab.directory)
        else:
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (16, resource.RLIM_INFINITY))

    def heal(self, server):
        if self.mounted:
            os.unlink(self.ballast)
        else:
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

    def close(self):
        if self.mounted:
            subprocess.run(["umount", self.lab.directory], check=True)


def weakened():
    """In the child: root without the right to ignore modes of files."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (DAC_OVERRIDE, DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


class Weak(Server):
    """A server that modes of files bind, whoever runs the tests."""

    def __init__(self, *args, **more):
        popen, server.subprocess.Popen = subprocess.Popen, lambda *a, **k: popen(*a, preexec_fn=weakened, **k)
        try:
            super().__init__(*args, **more)
        finally:
            server.subprocess.Popen = popen
