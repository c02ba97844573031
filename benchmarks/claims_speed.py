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

from _common import machine

TARGET_S = 60.0  # live, on two quiet cores
LOOK_S = 1.0  # as often as the page looks


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
    import psutil

    engine = psutil.Process(pid)
    times = [one.cpu_times() for one in (engine, *engine.children(recursive=True), psutil.Process())]
    return sum(one.user + one.system for one in times)


def tried(lab, claim, seeds: int) -> Tried:  # type: ignore[no-untyped-def]
    """Put ``claim`` on trial, wait as the page waits, and run the peer of ``seeds`` seeds."""
    import prune_core as pc

    asked = claim.experiments()
    said = lab.estimate(asked)
    engine = lab._engine.pid
    before, began = spent(engine), time.monotonic()
    handle = lab.trial(claim, where="workers", estimate=said)
    while (state := handle.state) in ("running", "measuring"):
        time.sleep(min(LOOK_S, 0.2))
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
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"PRUNE_LAB_HOME": home, "PRUNE_LAB_PUBLISH": "off"}
        import torch

        from prune_core.claims import HEARD, Claim, PruningCosts
        from prune_core.jobs import Lab

        torch.set_num_threads(1)
        print(machine(), flush=True)
        lab = Lab(home=home, workers=given.workers).attach()
        try:
            lab.trial(PruningCosts(seeds=2, steps=20, sparsities=(0.5, 0.9)), where="workers").wait(300)  # warm
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
