"""Every claim at its default settings, put on trial through the Lab as the Claims page does: clock and processor.

The peer is the plain sum: the processor time of every training by `pc.run`, one after the other in this process,
without store, workers or shared beginnings. It runs the first seeds of each claim, and is scaled to all of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass

import psutil
import torch
from _common import machine

import prune_core as pc
from prune_core.claims import HEARD, Claim, PruningCosts
from prune_core.jobs import Lab

TARGET_S = 60.0  # live, on two quiet cores
POLL_S = 0.2


@dataclass(frozen=True)
class Tried:
    """Seconds of one trial: what was said before, by the clock, of all processors, and those of the trainings alone."""

    runs: int
    said: float
    clock: float
    processor: float
    peer: float
    word: str


def spent(pid: int) -> float:
    """Processor seconds so far of the engine's processes and of this one."""
    engine = psutil.Process(pid)
    times = [one.cpu_times() for one in (engine, *engine.children(recursive=True), psutil.Process())]
    return sum(one.user + one.system for one in times)


def tried(lab: Lab, claim: Claim, seeds: int) -> Tried:
    """Put ``claim`` on trial, wait as the page waits, and run the peer of ``seeds`` seeds."""
    asked = claim.experiments()
    said = lab.estimate(asked)
    assert lab._engine is not None
    engine = lab._engine.pid
    before, began = spent(engine), time.monotonic()
    handle = lab.trial(claim, where="workers", estimate=said)
    while (state := handle.state) in ("running", "measuring"):
        time.sleep(POLL_S)
    clock, processor = time.monotonic() - began, spent(engine) - before
    assert state == "done", handle.problem
    n = min(seeds, claim.seeds)
    mine = [m.experiment for m, (_, seed) in zip(asked.members(), claim.places(), strict=True)
            if seed < claim.first_seed + n]  # fmt: skip
    began = time.process_time()
    for experiment in mine:
        pc.run(experiment, progress=False)
    peer = (time.process_time() - began) * claim.seeds / n
    lab.store.delete(lab.runs(limit=10_000)["id"])  # the next claim finds none of them
    return Tried(asked.total, said.seconds + claim.measuring_s, clock, processor, peer, handle.verdict().word)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("claims", nargs="*", help="by name; all of them if none is given")
    parser.add_argument("--workers", type=int, default=2, help="that train")
    parser.add_argument("--seeds", type=int, default=2, help="of the peer")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"PRUNE_LAB_HOME": home, "PRUNE_LAB_PUBLISH": "off"}
        print(machine(), flush=True)
        for name in ("PRUNE_LAB_STORE", "PRUNE_LAB_SCHEDULER"):  # runs are deleted below: never in somebody's own store
            os.environ.pop(name, None)
        lab = Lab(store=f"sqlite:///{home}/lab.db", home=home, workers=given.workers).attach()
        try:
            warm = PruningCosts(seeds=2, steps=20, sparsities=(0.5, 0.9))
            lab.trial(warm, where="workers").wait(300)
            pc.run(warm.base, progress=False)
            met = []
            for name in given.claims or HEARD:
                one = tried(lab, Claim.registry[name].cls(), given.seeds)
                met.append(one.clock <= TARGET_S)
                print(
                    f"{name:<20} {one.runs:3} runs  {one.clock:6.1f} s  target {TARGET_S:g}: "
                    f"{'met' if met[-1] else 'MISSED'}  (said {one.said:.0f} s; processor {one.processor:.1f} s, "
                    f"peer {one.peer:.1f} s, {one.processor / one.peer:.2f}x; load {os.getloadavg()[0]:.1f}) "
                    f"{one.word}",
                    flush=True,
                )
        finally:
            lab.shutdown()
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
