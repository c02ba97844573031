"""Put every claim on trial as it ships, and write what came out to assets/samples/claims.json. Run it after a change.

.venv/bin/python scripts/make_sample_claims.py            # all of them
.venv/bin/python scripts/make_sample_claims.py NAME ...   # these anew, the others as they are
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ["OMP_NUM_THREADS"] = "1"

import torch

from prune_core.claims import Claim, trial

PATH = ROOT / "assets" / "samples" / "claims.json"
torch.set_num_threads(1)


def rounded(value: float) -> float | None:
    """Seven digits, which is what float32 has; None where it is not finite."""
    return float(f"{value:.7g}") if abs(value) < float("inf") else None


known = json.loads(PATH.read_text(encoding="utf-8")) if PATH.is_file() else {}
names = sys.argv[1:] or Claim.registry.names()
for name in names:
    began = time.perf_counter()
    found = trial(name, progress=False)
    runs = [
        {"digest": run.id, "status": run.status, **{k: rounded(v) for k, v in run.values.items()}} for run in found.runs
    ]
    columns = list(dict.fromkeys(key for run in runs for key in run))
    table = found.table.assign(run=found.table["run"].str[:16], value=found.table["value"].map(rounded))
    known[name] = {
        "claim": found.claim.to_dict(),
        "verdict": {"word": found.verdict.word, "sentence": found.verdict.sentence, "on": found.verdict.on},
        "runs": {"columns": columns, "data": [[run.get(c) for c in columns] for run in runs]},
        "table": json.loads(table.to_json(orient="split", index=False, double_precision=10)),
    }
    ordered = {key: known[key] for key in Claim.registry.names() if key in known}
    PATH.write_text(json.dumps(ordered, separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{name}: {found.verdict.word}, {len(runs)} runs, {time.perf_counter() - began:.0f} s", flush=True)
    print(f"   {found.verdict.sentence} {found.verdict.on}", flush=True)
print(f"{PATH.name}: {PATH.stat().st_size / 1000:.0f} KB")
