"""The same work, done in the open or left to processes that nobody waits for. Usage: hidden_work.py MODE"""

import os
import signal
import subprocess
import sys
import time

STEPS = 600_000


def burn(steps: int = STEPS) -> int:
    x = 1
    for i in range(steps):
        x = (x * 31 + i) & 0xFFFF
    return x


def in_child(wait: bool) -> None:
    """Work in a child that answers through a pipe, so that the parent knows its end without waiting for it."""
    end, start = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(start, str(burn()).encode())
        os._exit(0)
    os.close(start)
    print(os.read(end, 99).decode(), flush=True)
    if wait:
        os.waitpid(pid, 0)
    else:
        os._exit(0)


def double_fork() -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            in_child(wait=False)
        os._exit(0)
    os.wait()


def left_behind() -> None:
    """A daemon that goes on after its command has ended, and says nothing."""
    quiet = subprocess.DEVNULL
    subprocess.Popen([sys.executable, "-S", "-E", __file__, "waited"], stdout=quiet, start_new_session=True)
    os._exit(0)


def many_short() -> None:
    """Twenty children whose end is ignored, five at a time: only what is left of the last of them is waited for."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(20):
        if os.fork() == 0:
            burn(STEPS // 20)
            os._exit(0)
        time.sleep(0.001)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    print("done")


def ignored() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    end, start = os.pipe()
    if os.fork() == 0:
        os.write(start, str(burn()).encode())
        os._exit(0)
    os.close(start)
    print(os.read(end, 99).decode(), flush=True)
    # until the kernel has forgotten it
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break


MODES = {
    "waited": lambda: in_child(wait=True), "unwaited": lambda: in_child(wait=False), "double": double_fork,
    "ignored": ignored, "left": left_behind, "short": many_short, "server": lambda: time.sleep(600),
}  # fmt: skip

if __name__ == "__main__":
    if sys.argv[1] == "leaves-server":
        subprocess.Popen([sys.executable, "-S", "-E", __file__, "server"], start_new_session=True)
    else:
        MODES[sys.argv[1]]()
