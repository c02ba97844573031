"""Lines that give what a page shows: what they refuse, and the parts of the engine that they stand on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import prune_core as pc
from prune_core import export
from prune_core.claims import PruningCosts
from prune_core.errors import ConfigError, UnknownNameError
from prune_core.jobs import Lab, PreviewRequest
from prune_core.registry import Registry
from prune_core.tracking import Store, execute
from prune_core.training.sensitivity import drawn

EXPERIMENT = pc.Experiment(
    data=pc.Moons(samples=400), model=pc.MLP(width=16), clip=pc.ValueClip(threshold=0.01),
    prune=pc.Pruning(schedule=pc.OneShot(final=0.5, at=10)), train=pc.Training(steps=20, seed=3),
)  # fmt: skip


def model() -> torch.nn.Module:
    return pc.MLP(width=16).build((2,), 2, 0)


def test_a_part_of_ones_own_is_named_by_the_registry_or_refused() -> None:
    @pc.register("mine_in_code", label="Mine", reference="Made up")
    class Mine(pc.Criterion):
        """Mine."""

        power: int = 2

        def score(self, at):  # type: ignore[no-untyped-def]
            return {n: w.abs() ** self.power for n, w in at.weights.items()}

    class Unnamed(Mine):
        """Without a name."""

    registry: Registry[pc.Criterion] = pc.Criterion.registry
    try:
        text = export.as_python(Mine(power=3))
        assert eval(text, {"pc": pc}) == Mine(power=3)
    finally:
        del registry._entries["mine_in_code"]
    with pytest.raises(ConfigError, match="not registered"):
        export.prune_code(PreviewRequest(model=pc.MLP(), data=pc.Moons(), criterion=Unnamed(), sparsity=0.5))


def test_the_command_says_what_it_can_say() -> None:
    assert (
        export.claim_command(PruningCosts(seeds=2, steps=60))
        == "python -m prune_core claim pruning_costs --seeds 2 --steps 60"
    )
    assert export.claim_command(PruningCosts()) == "python -m prune_core claim pruning_costs"
    assert export.claim_command(PruningCosts(sparsities=(0.5, 0.9))) == ""


def test_only_the_named_weights_go_and_the_share_is_of_them() -> None:
    pruned = model()
    names = list(pc.prunable(pruned))
    masks = pc.prune_(pruned, 0.5, among=names[:1])
    assert list(masks) == names[:1] and pc.sparsity_of(masks) == 0.5
    assert all(p.count_nonzero() == p.numel() for n, p in pc.prunable(pruned).items() if n != names[0])
    with pytest.raises(UnknownNameError, match="prunable weight"):
        pc.prune_(pruned, 0.5, among=["nowhere"])


def test_a_data_set_gives_a_criterion_the_examples_that_a_run_gives_it() -> None:
    data = pc.Moons(samples=400).load(seed=0)
    criterion = pc.Taylor(examples=200)
    (batch,) = drawn(data, 5, 200)
    one, other = model().eval(), model().eval()
    pc.prune_(one, 0.7, criterion, batch=data, seed=5)
    pc.prune_(other, 0.7, criterion, batch=list(batch), seed=5)  # type: ignore[arg-type]  # as torch's DataLoader does
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    with pytest.raises(ConfigError):
        pc.prune_(model(), 0.7, pc.Taylor())


def test_a_run_hands_out_its_model_and_its_gradients(home: Path) -> None:
    store = Store()
    run_id = store.create(EXPERIMENT)
    execute(store, run_id)
    run = Lab(store=store, home=home).handle(run_id)
    trained, masks = run.load()
    assert not trained.training and pc.sparsity_of(masks) == 0.5
    data = EXPERIMENT.data.load(seed=3)
    assert pc.evaluate(trained, data).accuracy == run.record.accuracy
    again = pc.gradient_at(EXPERIMENT, 20, examples=32, seed=1)
    for found in (run.gradient(examples=32, seed=1), run.gradient(20, examples=32, seed=1), again):
        assert (found.values == again.values).all() and (found.norms == again.norms).all()
    assert (run.gradient(5).values == pc.gradient_at(EXPERIMENT, 5).values).all()


def test_clipping_a_gradient_leaves_it_and_is_what_torch_does() -> None:
    gradient = pc.gradient_at(EXPERIMENT, 3)
    before = gradient.values.copy()
    report = gradient.clip(pc.ValueClip(threshold=0.001))
    clipped = torch.from_numpy(before).clamp(-0.001, 0.001)
    assert float(report.norm_after) == pytest.approx(float(clipped.double().norm()), rel=1e-6)
    assert (gradient.values == before).all()
    assert float(gradient.clip(pc.ValueClip(), threshold=0.001).norm_after) == float(report.norm_after)
    with pytest.raises(ConfigError, match="every example"):
        gradient.clip(pc.PerSampleClip())
    with pytest.raises(ConfigError, match="at most 20, got 21"):
        pc.gradient_at(EXPERIMENT, 21)
