"""Published pruning figures again, on MNIST, through the public API: five seeds, the published value beside ours.

    python benchmarks/reproductions.py [--results FILE] [--processes 2] [--seeds 5] [--only han snip ...]

Needs MNIST's files (PRUNE_LAB_DATA) and about half an hour of one quiet core. Every trial ends with a line in FILE, so
that what was interrupted goes on where it was, and what is there already is not computed again; ``--table`` computes
nothing. Accuracies are those after the last step, never the best on the test split. A claim that does not hold says so
and ends with exit code 1; a figure that is not reached stands in the table as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from _common import machine
from _papers import collapse, grasp, han, lottery, snip
from _papers.study import Study

import prune_core as pc

STUDIES = {
    "han": han.STUDY,
    "collapse": collapse.STUDY,
    "grasp": grasp.STUDY,
    "snip": snip.STUDY,
    "lottery": lottery.STUDY,
}
Key = tuple[str, str, int]


def main() -> bool:
    """Run what is missing, print the tables; whether all claims hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "reproductions.jsonl")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--table", action="store_true", help="print what FILE holds, compute nothing")
    args = parser.parse_args()
    if not args.table:
        try:
            pc.MNIST().load()
        except pc.DataMissingError as missing:
            print(f"Nothing to reproduce without MNIST. {missing}")
            return True
        # seed by seed: whatever is interrupted has every row for the seeds that are done
        wanted = [(s, t, seed) for seed in range(args.seeds) for s in args.only for t in STUDIES[s].trials]
        work([key for key in wanted if key not in read(args.results)], args.results, args.processes)
    found = read(args.results)
    return all([table(name, found) for name in args.only])


def work(keys: list[Key], results: Path, processes: int) -> None:
    """Run trials, a line in ``results`` for each; one thread a process."""
    print(machine(), f"\n{len(keys)} trials in {processes} processes, results in {results}", flush=True)
    if processes == 1:
        for key in keys:
            keep(results, *one(key))
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for done in as_completed(pool.submit(one, key) for key in keys):
            keep(results, *done.result())


def one(key: Key) -> tuple[Key, dict[str, float], float, float]:
    """One trial: its figures, seconds on the clock and of the processor."""
    torch.set_num_threads(1)
    study, trial, seed = key
    began, spent = time.perf_counter(), time.process_time()
    figures = STUDIES[study].trials[trial](seed)
    return key, figures, time.perf_counter() - began, time.process_time() - spent


def keep(results: Path, key: Key, figures: dict[str, float], seconds: float, cpu: float) -> None:
    """Add a line."""
    study, trial, seed = key
    line = {"study": study, "trial": trial, "seed": seed, "figures": figures, "seconds": seconds, "cpu": cpu}
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(f"{seconds:6.1f} s  seed {seed}  {trial}: {figures}", flush=True)


def read(results: Path) -> dict[Key, dict]:
    """Lines by study, trial and seed."""
    lines: Iterable[str] = results.read_text(encoding="utf-8").splitlines() if results.is_file() else ()
    found = map(json.loads, lines)
    return {(line["study"], line["trial"], line["seed"]): line for line in found}


def table(name: str, found: dict[Key, dict]) -> bool:
    """Print one study's means and deviations over the seeds, as Markdown; whether its claims hold."""
    study: Study = STUDIES[name]
    lines = [found[key] for key in found if key[0] == name and key[1] in study.trials]
    values: dict[str, list[float]] = defaultdict(list)
    for line in sorted(lines, key=lambda line: list(study.trials).index(line["trial"])):
        for row, value in line["figures"].items():
            values[row].append(value)
    spent = sum(line["cpu"] for line in lines)
    print(f"\n{study.name} ({study.source}); {spent:,.0f} s of one core\n\n| {study.unit} | ours | seeds | published |")
    print("|---|---|---|---|")
    for row, given in values.items():
        spread = f" ± {statistics.stdev(given):.2f}" if len(given) > 1 else ""
        print(f"| {row} | {statistics.mean(given):,.2f}{spread} | {len(given)} | {study.published.get(row, '–')} |")
    means = {row: statistics.mean(given) for row, given in values.items()}
    held = []
    for claim in study.claims:
        try:
            held.append(claim.holds(means))
        except KeyError:  # not all trials have been run
            continue
        print(f"\n{'Holds' if held[-1] else 'DOES NOT HOLD'}: {claim.sentence}.")
    return all(held)


if __name__ == "__main__":
    sys.exit(not main())
