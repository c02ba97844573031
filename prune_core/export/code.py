"""What stands on a page as Python that gives the same figures: a few lines to read, to change and to run."""

from __future__ import annotations

from collections.abc import Iterable

from prune_core.claims import Claim
from prune_core.clipping import ClipStrategy
from prune_core.export.python import as_python
from prune_core.jobs import GradientRequest, PreviewRequest
from prune_core.pruning import Weights
from prune_core.sweeping import Search, Sweep
from prune_core.training.sensitivity import RECALIBRATED

START = "import prune_core as pc"


def prune_code(
    request: PreviewRequest, *, among: Iterable[str] = (), limit: int | None = None, recalibrate: bool = False
) -> str:
    """The model of ``request``, pruned and measured as the preview does it.

    ``among`` are the names of the weights that may go, all where none are named; ``limit`` says how many test examples
    are measured; ``recalibrate`` measures batch normalisation anew. Raises ConfigError for a part without a name.
    """
    run, measured = bool(request.run), bool(request.run) or request.data is not None
    asks = request.scope == "sensitivity" or "data" in request.criterion.needs
    given = [
        "model",
        f"sparsity={request.sparsity or 0.0!r}",
        f"criterion={as_python(request.criterion, depth=1)}",
        f'scope="{request.scope}"',
    ]
    given += [f"granularity={as_python(request.granularity, depth=1)}"] * (request.granularity != Weights())
    given += [f"among={list(among)!r}"] * bool(among)
    given += ["masks=gone"] * run
    given += ["batch=data"] * asks
    given += [f"seed={request.seed}"] * bool(request.seed)
    lines = [_loaded(request), ""]
    evaluated = f"pc.evaluate(model, data{'' if limit is None else f', limit={limit}'})"
    lines += [f"dense = {evaluated}"] * measured
    lines.append("masks = pc.prune_(\n" + "".join(f"    {part},\n" for part in given) + ")")
    if not measured:
        lines.append('print(f"{pc.sparsity_of(masks):.1%} of the prunable weights removed")')
        return "\n".join([START, "", *lines])
    if recalibrate:
        seed = f", seed={request.seed}" if request.seed else ""
        lines.append(
            f"pc.recalibrate_(model, data{seed}, examples={RECALIBRATED})  # mean and variance of batch normalisation"
        )
    lines.append(f"pruned = {evaluated}")
    lines.append('print(f"{pc.sparsity_of(masks):.1%} of the prunable weights removed")')
    lines.append('print(f"test accuracy {dense.accuracy:.1%}, then {pruned.accuracy:.1%}")')
    return "\n".join([START, "", *lines])


def _loaded(request: PreviewRequest) -> str:
    if request.run:
        return (
            f'run = pc.Lab().handle("{request.run}")\n'
            "model, gone = run.load()  # its last checkpoint; what the run itself removed stays removed\n"
            "experiment = run.record.experiment\n"
            "data = experiment.data.load(seed=experiment.train.seed)"
        )
    assert request.model is not None, "checked by PreviewRequest"
    model = as_python(request.model)
    if request.data is None:
        return f"model = {model}.build((3, 224, 224), 1000, {request.seed}).eval()"
    return (
        f"data = {as_python(request.data)}.load(seed={request.seed})\n"
        f"model = {model}.build(data.info.shape, data.info.classes, {request.seed}).eval()"
    )


def clip_code(request: GradientRequest, strategy: ClipStrategy, threshold: float, *, remembers: bool = False) -> str:
    """The gradient of ``request``, clipped by ``strategy`` at ``threshold``, and what that did.

    With ``remembers`` the steps before are met with the strategy's own threshold. Raises ConfigError for a strategy
    without a name.
    """
    draw = f"examples={request.examples}, seed={request.seed}"
    if request.run:
        step = "" if request.step is None else f"step={request.step}, "
        found = f'gradient = pc.Lab().handle("{request.run}").gradient({step}{draw})'
    else:
        assert request.experiment is not None, "checked by GradientRequest"
        step = f"{request.experiment.train.steps if request.step is None else request.step}"
        found = f"experiment = {as_python(request.experiment)}\ngradient = pc.gradient_at(experiment, {step}, {draw})"
    at = as_python(strategy.with_threshold(threshold), full=True)
    given = f"{as_python(strategy)}, threshold={threshold!r}" if remembers else at
    note = "  # it has seen the norms of the steps before" if remembers else ""
    lines = [
        START, "", found, f"report = gradient.clip({given}){note}",
        'print(f"{report.changed:.1%} of the entries changed, cosine {report.cosine:.4f}")',
        'print(f"length {report.norm_before:.4g}, then {report.norm_after:.4g}")',
        "",
        "# in a training loop of your own, after loss.backward():",
        *(f"# {line}" for line in f"report = {at}.clip_(model.parameters(){', state' * remembers})".splitlines()),
    ]  # fmt: skip
    return "\n".join(lines)


def claim_code(claim: Claim) -> str:
    """The trial of ``claim`` in this process, and in the lab's workers. Raises ConfigError for one without a name."""
    return (
        f"{START}\n\nclaim = {as_python(claim)}\n"
        f"trial = pc.trial(claim)  # {claim.experiments().total} runs in this process, one after the other\n"
        "print(trial.verdict.word, trial.verdict.on, trial.verdict.sentence)\n"
        "trial.table  # every figure that was measured\n\n"
        "# in the lab's workers, where runs that are there already are not made again:\n"
        "# verdict = pc.Lab().trial(claim).wait().verdict()"
    )


def claim_command(claim: Claim) -> str:
    """The same as a command; empty where settings differ that the command does not take."""
    plain = type(claim)()
    options = {n: getattr(claim, n) for n in ("seeds", "steps") if getattr(claim, n) != getattr(plain, n)}
    if plain.replace(**options) != claim or not claim.registered:
        return ""
    return " ".join(["python -m prune_core claim", claim.registered_as, *(f"--{n} {v}" for n, v in options.items())])


def sweep_code(sweep: Sweep, cost: str = "sparsity") -> str:
    """``sweep``, run where it has not been run yet, and how its points are read against ``cost``."""
    alone = (
        "\n\n# in this process and without a store, result by result:\n"
        f"# for result in pc.sweep(sweep.experiment, sweep.space{', halving=sweep.halving' * bool(sweep.halving)}):\n"
        "#     print(result)"
    )
    return (
        f"{START}\nfrom prune_core import figures\n\nsweep = {as_python(sweep)}\n"
        "handle = pc.Lab().sweep(sweep)  # what the lab has run already is not run again\n"
        "handle.wait()\n"
        "results = handle.results()  # a row a run, as a DataFrame\n\n"
        f'data = figures.trade_off_data(results, "{cost}")\n'
        "data.points  # a row a setting: the mean over its seeds, with its 95 % interval\n"
        "for point in data.points.iloc[list(data.front)].itertuples():  # nothing beats these\n"
        f'    print(f"{{point.name}}: {cost} {{point.x:.4g}}, accuracy {{point.accuracy:.1%}}")'
        f"{'' if isinstance(sweep.space, Search) else alone}"
    )
