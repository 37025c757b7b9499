"""The program on a terminal: one to talk with, which is its controlling one, so that Ctrl-C is a signal; and one that only shows."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from harness import TIMEOUT, binary

CTRL_C, CTRL_D = b"\x03", b"\x04"
_CODES = re.compile(r"\x1b\[[0-9;]*m")


def at_a_terminal(home, arguments, env, err_only=False, columns=80):
    """(what the terminal of that width gets, exit code, stdout when that is a pipe) of a command with its output, or with its
    errors alone, on a terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = home.spawn(*arguments, env=env, stderr=slave, **({} if err_only else {"stdout": slave}))
    os.close(slave)
    seen = b""
    while select.select([master], [], [], TIMEOUT)[0]:
        try:
            data = os.read(master, 65536)
        except OSError:  # EIO: nobody holds the other end any more
            break
        if not data:
            break
        seen += data
    os.close(master)
    out, _ = process.communicate(timeout=TIMEOUT)
    return seen.decode("utf-8", "replace"), process.returncode, (out or b"").decode()


class Terminal:
    def __init__(self, home, *args, env=None, columns=100):
        self.env = dict(home.env)
        self.env.update(env or {})
        self.env = {name: value for name, value in self.env.items() if value is not None}
        self.args, self.raw, self.code, self._seen = args, b"", None, 0
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(home.base / "tmp")
                os.execve(binary(), ["dbx-agents", *map(str, args)], self.env)
            finally:
                os._exit(127)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.before = termios.tcgetattr(self.master)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)

    @property
    def text(self):
        """The screen's whole history, without colours and with plain line ends."""
        return _CODES.sub("", self.raw.decode("utf-8", "replace")).replace("\r\n", "\n")

    def _read(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise AssertionError(f"nothing more came in {TIMEOUT} s: dbx-agents {' '.join(map(str, self.args))}\n{self.text}")
        if not select.select([self.master], [], [], left)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: the program's end of the terminal is closed
            data = b""
        self.raw += data
        return bool(data)

    def expect(self, words):
        """Waits until `words` stand on the screen, after what was expected before."""
        deadline = time.monotonic() + TIMEOUT
        while (at := self.text.find(words, self._seen)) < 0:
            if not self._read(deadline):
                raise AssertionError(f"it ended without {words!r}\n{self.text}")
        self._seen = at + len(words)
        return self

    def send(self, line=""):
        os.write(self.master, line if isinstance(line, bytes) else line.encode() + b"\n")
        return self

    def answer(self, prompt, line=""):
        return self.expect(prompt).send(line)

    def end(self):
        """The exit code; the terminal is as it was."""
        deadline = time.monotonic() + TIMEOUT
        while self._read(deadline):
            pass
        self.after = termios.tcgetattr(self.master)
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code
