"""Lessons are executed on warm kernels: without a trace, within limits, once for all who ask for the same."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import papermill
import psutil
import pytest
from lab_lesson_tools import MEMORY, clipping_lesson, lesson

from prune_core.errors import ConfigError
from prune_core.lessons import Execution, Executor, Now, PoolSettings, lint, nursery, read_lesson
from prune_core.lessons.outputs import shown

PATIENCE_S = 120
TITLE = ("text", "# Title\n\nOne sentence.")


def done(execution: Execution) -> Now:
    assert execution.wait(PATIENCE_S), execution.now
    return execution.now


def run(executor: Executor, path: Path, **values: Any) -> Now:
    return done(executor.ask(read_lesson(path), values, "somebody"))


def code(path: Path, *sources: str) -> Path:
    return lesson(path, TITLE, *(("code", source) for source in sources))


def texts(now: Now) -> list[str]:
    return [o.value.strip() for s in now.cells.values() for o in s.outputs if o.kind == "text"]


def kinds(now: Now) -> dict[int, list[str]]:
    return {index: [o.kind for o in s.outputs] for index, s in now.cells.items()}


def test_outputs_are_those_of_papermill_with_the_same_values(executor: Executor, tmp_path: Path) -> None:
    path = clipping_lesson(tmp_path / "a.ipynb")
    values = {"threshold": 0.5, "entries": 100, "way": "norm"}
    now = run(executor, path, **values)
    assert now.state == "done", now.trouble
    assert kinds(now) == {1: [], 2: [], 3: ["figure"], 4: ["table"], 5: ["text"], 7: [], 9: []}
    theirs = papermill.execute_notebook(
        path, None, values, kernel_name="python3", progress_bar=False, cwd=tmp_path,
    )  # fmt: skip
    code_cells = [c for c in theirs.cells if "injected-parameters" not in c.metadata.tags]
    for index, ours in now.cells.items():
        if code_cells[index].metadata.tags == ["check"]:
            continue
        for a, b in zip(ours.outputs, shown(code_cells[index].outputs).outputs, strict=True):
            if a.kind == "figure":
                assert a.value["data"] == b.value["data"]
                assert a.value["layout"]["title"] == b.value["layout"]["title"]
            elif a.kind == "table":  # data here, html there: the numbers are the same
                html = [float(number) for number in re.findall("<td>(.*?)</td>", b.value)]
                assert html == pytest.approx(a.value["data"][0], abs=1e-5)
            else:
                assert a.value == b.value
    assert now.answers["what"].right == "the update"
    assert now.answers["what"].why == "All 100 entries are still there."
    assert texts(now)[0].startswith(f"{now.answers['share'].right:.3f}")
    assert "template" not in now.cells[3].outputs[0].value["layout"]
    assert now.cells[3].outputs[0].value["layout"]["meta"]["theme"] == "light"


def test_nothing_is_left_of_an_execution(executor: Executor, tmp_path: Path) -> None:
    leaves = (
        "import builtins, os, torch, prune_core as pc\nbuiltins.left = 1\nos.environ['LEFT'] = '1'\n"
        "torch.manual_seed(7); mine = 1\n"
        "@pc.register('left_over', label='L', reference='R')\nclass Left(pc.Criterion):\n"
        "    'Left.'\n    def score(self, at):\n        return {}"
    )
    looks = (
        "import builtins, os, torch, prune_core as pc\n"
        "found = [hasattr(builtins, 'left'), 'LEFT' in os.environ, 'mine' in globals(),\n"
        "         any(e.name == 'left_over' for e in pc.Criterion.registry), torch.initial_seed() == 7]\n"
        "print(found, os.getcwd(), 'Out' in globals() and len(Out))"
    )
    assert run(executor, code(tmp_path / "a.ipynb", leaves)).state == "done"
    for n in range(3):  # both kernels that stood ready meanwhile, and a new one
        assert texts(run(executor, code(tmp_path / f"b{n}.ipynb", looks + f"\n# {n}"))) == [
            f"{[False] * 5} {tmp_path} 0"
        ]


def test_the_same_is_executed_once_for_all(executor: Executor, tmp_path: Path) -> None:
    path = code(tmp_path / "a.ipynb", "import time; time.sleep(0.3); import os; print(os.getpid())")
    before, found = executor.executed, []

    def visit(n: int) -> None:
        found.append(done(executor.ask(read_lesson(path), {}, f"visitor {n}")))

    visitors = [threading.Thread(target=visit, args=(n,)) for n in range(30)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert executor.executed == before + 1
    assert len({tuple(texts(now)) for now in found}) == 1
    assert executor.ask(read_lesson(path), {}, "late").now is found[0]
    other = code(tmp_path / "a.ipynb", "print('changed')")
    assert texts(run(executor, other)) == ["changed"], "another content is another result"


@pytest.mark.parametrize(
    ("source", "sentence", "lasting"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero", True),
        ("n = = 1", "SyntaxError: invalid syntax", True),
        ("import torch; torch.ones(2_000_000_000)", f"more than the {MEMORY} MiB of memory", True),
        ("x = [bytearray(10_000_000) for _ in range(1000)]", f"more than the {MEMORY} MiB of memory", True),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "The kernel ended in this cell", False),
        ("input('?')", "StdinNotImplementedError", True),
    ],
)  # fmt: skip
def test_an_error_is_a_sentence_at_its_cell(
    executor: Executor, tmp_path: Path, source: str, sentence: str, lasting: bool
) -> None:
    now = run(executor, code(tmp_path / "a.ipynb", "print('before')", source, "print('after')"))
    assert now.state == "failed"
    assert now.trouble is not None
    assert (now.trouble.cell, now.trouble.lasting) == (2, lasting)
    assert sentence in now.trouble.sentence
    assert texts(now) == ["before"]


def test_a_lesson_that_never_ends_is_stopped(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "settings", executor.settings.replace(seconds=1))
    now = run(executor, code(tmp_path / "a.ipynb", "print('before')", "while True: pass"))
    assert now.trouble is not None
    assert now.trouble.sentence.startswith("The lesson was stopped after 1 s, in this cell")
    assert now.trouble.cell == 2
    monkeypatch.undo()
    assert texts(run(executor, code(tmp_path / "b.ipynb", "print('alive')"))) == ["alive"]


def test_visitors_wait_in_their_order_and_may_leave(executor: Executor, tmp_path: Path) -> None:
    long = [read_lesson(code(tmp_path / f"{n}.ipynb", f"print({n}); import time; time.sleep(60)")) for n in range(4)]
    going = [executor.ask(one, {}, f"visitor {n}") for n, one in enumerate(long)]
    behind = executor.ask(read_lesson(code(tmp_path / "late.ipynb", "print('late')")), {}, "late")
    wait_until(lambda: all(len(e.now.cells) or e.kernel for e in going[:2]))
    assert [e.now.state for e in going] == ["running", "running", "queued", "queued"]
    assert [executor.ahead(e) for e in (*going, behind)] == [0, 0, 0, 1, 2]
    shared = executor.ask(long[0], {}, "another")
    assert shared is going[0]
    executor.leave("visitor 0")
    assert shared.now.state == "running", "somebody still waits for it"
    executor.ask(long[3], {}, "another")
    executor.ask(long[3], {}, "visitor 1")
    executor.leave("visitor 2")
    assert [e.now.state for e in going[:3]] == ["cancelled"] * 3
    for who in ("another", "visitor 1", "visitor 3"):
        executor.leave(who)
    assert texts(done(behind)) == ["late"]
    assert going[3].now.state == "cancelled"


def test_who_does_not_look_any_more_is_not_waited_for(executor: Executor, tmp_path: Path) -> None:
    long = read_lesson(code(tmp_path / "long.ipynb", "import time; time.sleep(60)"))
    other = read_lesson(code(tmp_path / "other.ipynb", "import time; time.sleep(61)"))
    busy = [executor.ask(long, {}, "a"), executor.ask(other, {}, "b")]
    wait_until(lambda: all(e.now.state == "running" for e in busy))
    gone = executor.ask(read_lesson(code(tmp_path / "gone.ipynb", "print('gone')")), {}, "gone")
    background = executor.ask(read_lesson(code(tmp_path / "back.ipynb", "print('back')")), {})
    mine = executor.ask(read_lesson(code(tmp_path / "mine.ipynb", "print('mine')")), {}, "mine")
    assert executor.ahead(background) == 2, "visitors go first"
    gone.followers["gone"] -= 3600
    executor.leave("a")
    assert texts(done(mine)) == ["mine"]
    assert done(gone).state == "cancelled"
    executor.leave("b")
    assert texts(done(background)) == ["back"]
    assert all(e.now.state == "cancelled" for e in busy)


def test_wrong_values_are_refused_before_anything_runs(executor: Executor, tmp_path: Path) -> None:
    before = executor.executed
    read = read_lesson(clipping_lesson(tmp_path / "a.ipynb"))
    with pytest.raises(ConfigError, match="entries must be a whole number from 50 to 400, got 1000000"):
        executor.ask(read, {"entries": 1_000_000}, "v")
    assert executor.executed == before


def test_only_the_newest_results_are_kept(executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prune_core.lessons.executing.MOST_RESULTS", 2)
    paths = [code(tmp_path / f"{n}.ipynb", f"print({n})") for n in range(3)]
    for path in paths:
        run(executor, path)
    before = executor.executed
    run(executor, paths[2])
    assert executor.executed == before
    run(executor, paths[0])
    assert executor.executed == before + 1
    assert len(executor._results) == 2


def test_the_linter_executes_and_finds_what_only_that_shows(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lint, "Executor", lambda settings: executor)
    monkeypatch.setattr(executor, "close", lambda: None)
    question = "How many?\n\n```lab\nid: q\nkind: number\n```"
    path = lesson(
        tmp_path / "a.ipynb", TITLE, ("text", question, "exercise"), ("code", "answer_q = 'x'; why_q = ''", "check")
    )
    seconds: list[float] = []
    found = [str(f) for f in lint.lint_lesson(path, run=True, seconds=seconds) if "a.py" not in f.sentence]
    assert found == ["cell 3: answer_q must be a number or a range (low, high), got 'x'."]
    assert seconds[0] > 0


# --- no kernel outlives the server ------------------------------------------------------------------------------------
# as it is started, but without what takes seconds: the imports, and the kernel itself
NURSERY = f"""
import importlib.util, time
spec = importlib.util.spec_from_file_location("nursery", {nursery.__file__!r})
nursery = importlib.util.module_from_spec(spec); spec.loader.exec_module(nursery)
nursery.warm, nursery.serve_kernel = lambda: None, lambda request: time.sleep(600)
nursery.main()
"""
SERVER = f"""
import json, subprocess, sys, time
nursery = subprocess.Popen([sys.executable, "-c", {NURSERY!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
nursery.stdout.readline()
nursery.stdin.write(b'{{"name": "k"}}\\n'); nursery.stdin.flush()
print(nursery.pid, json.loads(nursery.stdout.readline())["pid"], flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
@pytest.mark.parametrize("victim", ["server", "nursery"])
def test_kernels_end_with_the_server_even_where_it_is_killed(victim: str) -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
    assert server.stdout is not None
    try:
        source, kernel = map(psutil.Process, map(int, server.stdout.readline().split()))
        wait_until(lambda: os.getsid(kernel.pid) == kernel.pid)  # from then on it ends with its parent
        os.kill(server.pid if victim == "server" else source.pid, signal.SIGKILL)
        wait_until(lambda: not (running(source) or running(kernel)))
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def running(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_settings_of_the_pool_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNE_LAB_KERNELS", "3")
    monkeypatch.setenv("PRUNE_LAB_KERNEL_MB", "1000")
    assert PoolSettings.of_environment() == PoolSettings(kernels=3, memory=1000, seconds=120)
    monkeypatch.setenv("PRUNE_LAB_KERNELS", "0")
    with pytest.raises(ConfigError, match=r"PoolSettings\.kernels must be a whole number at least 1"):
        PoolSettings.of_environment()
    assert json.loads(PoolSettings().model_dump_json())["kernels"] == 2
