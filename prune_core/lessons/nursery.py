"""The process that kernels are forked from: everything heavy is imported once, and a new kernel is there in a blink.

    python -m prune_core.lessons.nursery FOLDER      (started by ``kernels``, which talks to it by lines of JSON)

A kernel is a fork and lives for one execution, so that nothing is left of it: no name, no registered method, no state
of a random generator. When the pipe to the server closes, however that came about, the nursery and all kernels end,
and FOLDER with their sockets is removed.
Where a process cannot be forked (Windows) or should not be (macOS), a kernel starts anew and pays for the imports.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from typing import Any

FORKS = sys.platform == "linux"
WARM = (
    "numpy", "pandas", "torch", "plotly.graph_objects", "plotly.validators", "plotly.io", "sklearn.datasets", "yaml",
    "prune_core", "prune_core.figures", "prune_core.measuring", "prune_core.comparing", "prune_core.jobs",
    "prune_core.clipping.kernels", "prune_core.lessons.inside", "ipykernel.kernelapp", "ipykernel.ipkernel",
    "ipykernel.zmqshell", "IPython.core.completer", "comm",
)  # fmt: skip
_PR_SET_PDEATHSIG = 1


def warm() -> None:
    """Import and compile what lessons use, once for all kernels: a run and a figure as well."""
    # nobody debugs these kernels, and a debugger is most of what starting one takes
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    for name in WARM:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    import prune_core as pc
    from prune_core import figures
    from prune_core.jobs.worker import warm as warm_runs

    warm_runs()
    with contextlib.suppress(pc.LabError):
        short = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), train=pc.Training(steps=2))
        figures.draw_gradient_norm(figures.gradient_norm_data(pc.run(short, progress=False).history)).to_json()
    gc.collect()
    gc.freeze()  # a collection in a fork would write to all pages and copy them


def main() -> None:
    """Serve until the pipe closes."""
    warm()
    _say(ready=True)
    children: dict[int, str] = {}
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the server, which then closes the pipe
    rest = b""
    try:
        while True:
            ready, _, _ = select.select([0, wake], [], [])
            if wake in ready:
                os.read(wake, 4096)
                _reap(children)
            if 0 in ready:
                read = os.read(0, 65536)
                if not read:
                    return
                *lines, rest = (rest + read).split(b"\n")
                for line in lines:
                    request = json.loads(line)
                    pid = _fork(request, (wake, waker))
                    children[pid] = request["name"]
                    _say(name=request["name"], pid=pid)
    finally:
        for pid in children:
            _end(pid)
        if len(sys.argv) > 1:
            shutil.rmtree(sys.argv[1], ignore_errors=True)


def _say(**message: Any) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def _reap(children: dict[int, str]) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _say(name=children.pop(pid), ended=os.waitstatus_to_exitcode(status))


def _end(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # it may not have become a group of its own yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _fork(request: dict[str, Any], pipes: tuple[int, ...]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        _die_with(parent)  # before anybody can know of this process
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1):
            os.dup2(null, fd)
        for pipe in pipes:
            os.close(pipe)
        serve_kernel(request)
    finally:
        os._exit(1)  # whatever happened: a fork must never go on as the nursery


def _die_with(parent: int) -> None:
    """Have the system kill this process when the nursery ends, even where that is killed itself."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        os._exit(1)


def serve_kernel(request: dict[str, Any]) -> None:
    """Be the kernel of ``request["connection"]`` until it is killed."""
    import torch
    from ipykernel.kernelapp import IPKernelApp

    from prune_core.lessons import inside

    torch.set_num_threads(1)
    sys.argv = ["kernel"]
    app = IPKernelApp.instance()
    # no history: it would be a file that outlives the kernel
    app.initialize(["-f", request["connection"], "--HistoryManager.enabled=False", "--log-level=50"])
    inside.install(app.shell)
    limit_memory(request["memory"])
    app.start()


def limit_memory(mebibytes: int) -> None:
    """Let this process have so much more private memory than it has now; what asks for more gets an error."""
    try:
        import resource
    except ImportError:  # Windows
        return
    if sys.platform != "linux":
        return
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
        now = next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:")), 0)
    most = now + mebibytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def spawned(connection: str, memory: int) -> None:
    """A kernel in a process of its own, where none can be forked: ends when its standard input closes."""
    import threading

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    warm()
    serve_kernel({"connection": connection, "memory": memory})


def spawn(connection: str, memory: int, **options: Any) -> subprocess.Popen[bytes]:
    """Start ``spawned`` in a new process."""
    code = "import sys; from prune_core.lessons import nursery; nursery.spawned(sys.argv[1], int(sys.argv[2]))"
    command = [sys.executable, "-P", "-c", code, connection, str(memory)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **options)


if __name__ == "__main__":
    main()
