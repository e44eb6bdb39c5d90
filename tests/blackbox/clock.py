"""The time of day of a server under test, which jumps when a test says so (clock_shim.c is preloaded).

with Clock() as clock: Server(config, env=clock.env(binary), binary=binary); clock.jump(-86400); clock.now()
"""
import mmap
import os
import re
import shutil
import struct
import subprocess
import tempfile
import time

import server

HERE = os.path.dirname(os.path.abspath(__file__))


class Clock:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="ccp-clock-")
        self.file, self.library = os.path.join(self.folder, "ahead"), os.path.join(self.folder, "clock.so")
        with open(self.file, "wb") as out:
            out.write(bytes(4096))
        with open(self.file, "r+b") as page:
            self.page = mmap.mmap(page.fileno(), 4096)
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-Wall", "-o", self.library,
                        os.path.join(HERE, "clock_shim.c")], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.page.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def ahead(self):
        return struct.unpack_from("q", self.page)[0]

    def set(self, seconds):
        """How far the server's clock is before the real one."""
        struct.pack_into("q", self.page, 0, int(seconds))

    def jump(self, seconds):
        self.set(self.ahead + seconds)

    def now(self):
        """What the server believes."""
        return time.time() + self.ahead

    def env(self, binary=None):
        """A sanitizer's library must stay the first one of the process."""
        listing = subprocess.run(["ldd", os.path.abspath(binary or server.BINARY)], capture_output=True, text=True)
        sanitizers = re.findall(r"=> (\S*/lib(?:asan|tsan)\.so\S*)", listing.stdout)
        return {"LD_PRELOAD": " ".join(sanitizers + [self.library]), "CLOCK_FILE": self.file}
