"""``run``: train what a file says, in this process or in the lab's engine."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from prune_core import training
from prune_core.cli.paper import console, pairs
from prune_core.cli.records import print_record
from prune_core.errors import ConfigError
from prune_core.events import ENDED
from prune_core.experiment import Experiment

POLL_S = 0.25  # how often a run in the lab is looked at


def run(
    file: Annotated[Path, typer.Argument(help="The experiment, in YAML or JSON.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one field: --set clip.threshold=0.1; may be repeated."),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Keep the state in this file; where it exists already, go on from it.")
    ] = None,
    in_lab: Annotated[
        bool, typer.Option("--in-lab", help="Train in the lab's engine: the run is recorded and outlives this command.")
    ] = False,
    name: Annotated[str, typer.Option(help="A name for the run (with --in-lab).")] = "",
) -> None:
    """Train as FILE says and print what came out."""
    experiment = Experiment.from_yaml(file)  # JSON is YAML
    if changes:
        experiment = experiment.with_(**dict(_change(text) for text in changes))
    if not in_lab:
        if name:
            raise ConfigError("--name needs --in-lab: only a run in the lab is recorded.")
        _print_result(training.run(experiment, checkpoint=checkpoint))
        return
    if checkpoint is not None:
        raise ConfigError("--checkpoint does not go with --in-lab: the lab keeps checkpoints of its own.")
    _run_in_lab(experiment, name)


def _change(text: str) -> tuple[str, Any]:
    """``clip.threshold=0.1`` → ("clip.threshold", 0.1). Values are YAML; numbers such as 1e-3 count as numbers too."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set needs KEY=VALUE, such as --set train.steps=200, got {text!r}.")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {key}: {value!r} is not a value in YAML.") from None
    if isinstance(parsed, str):
        with contextlib.suppress(ValueError):
            parsed = float(parsed)
    return key.strip(), parsed


def _print_result(result: training.Result) -> None:
    total = sum(p.numel() for p in result.model.parameters())
    prunable = sum(mask.numel() for mask in result.masks.values())
    removed = sum(int((~mask).sum()) for mask in result.masks.values())
    n = result.experiment.data.info.test
    low, high = training.wilson(result.accuracy * n, n)
    rows = {
        "status": f"{result.status}: {result.reason}",
        "accuracy": f"{result.accuracy:.2%} of {n:,} test examples (95 % interval {low:.2%} to {high:.2%})",
        "loss": f"{result.loss:.4f}",
        "parameters": f"{total:,}; clipping removes none of them",
        "pruned": f"{removed:,} of {prunable:,} prunable weights ({result.sparsity:.2%})" if prunable else "nothing",
        "time": f"{result.seconds:.1f} s, {result.step / max(result.seconds, 1e-9):,.0f} steps/s on {result.device}",
        "digest": result.digest,
    }
    console().print(pairs("Result", rows))


def _run_in_lab(experiment: Experiment, name: str) -> None:
    from prune_core.jobs import Lab  # a second of imports that nothing else here needs

    out = console()
    lab = Lab()
    try:
        handle = lab.launch(experiment, name=name)
        out.print(f"Run [bold]{handle.id}[/] is in the queue; Ctrl+C leaves it running.")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=out, disable=not out.is_terminal) as bar:
            task = bar.add_task("queued", total=experiment.train.steps)
            while (record := handle.record).status not in ENDED:
                bar.update(task, description=record.status, completed=record.step)
                time.sleep(POLL_S)
            bar.update(task, description=record.status, completed=record.step)
    except KeyboardInterrupt:
        out.print(f"\nThe run goes on. Look at it with: show {handle.id}")
        return
    finally:
        lab.close()
    print_record(record)
    if record.status == "failed":
        sys.exit(1)
