# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: jupytext,kernelspec,lab,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Clipping and pruning are two things
#
# Many texts treat *gradient clipping* and *pruning* as one. They are not:
#
# - **clipping** limits an **update** and leaves every parameter in place,
# - **pruning** removes **parameters**.
#
# This lesson trains one small network four times, from the same initial weights and with the same order of examples,
# and reads off what each of the two does. It takes about half a minute on one core.

# %%
import pandas as pd

import prune_core as pc
from prune_core import figures
from prune_core.measuring import count_parameters, layer_table, sizes
from prune_core.training import wilson

# %% [markdown]
# ## One value decides a run
#
# An `Experiment` holds everything: data, model, clipping, pruning, training. Two experiments with the same digest give
# the same result, bit for bit, on one machine with one number of threads.

# %%
baseline = pc.Experiment(
    data=pc.Digits(),  # 1,797 images of 8×8 pixels, part of scikit-learn
    model=pc.SmallCNN(),
    train=pc.Training(steps=400, batch_size=64, lr=0.1, seed=0),
)
clipping = baseline.with_(clip=pc.ValueClip(threshold=0.01))
pruning = baseline.with_(prune=pc.Pruning(criterion=pc.Magnitude(), schedule=pc.Cubic(final=0.9, start=100, stop=300)))
both = pruning.with_(clip=pc.ValueClip(threshold=0.01))

clipping.differences(baseline)

# %% [markdown]
# A mistake is a sentence that says what to change:

# %%
try:
    clipping.with_(**{"clip.threshold": -1})
except pc.ConfigError as error:
    print(error)

# %% [markdown]
# ## Four runs

# %%
experiments = {"baseline": baseline, "clipping": clipping, "pruning": pruning, "both": both}
results = {name: pc.run(experiment, progress=False) for name, experiment in experiments.items()}


def summary(result: pc.Result) -> dict[str, object]:
    n = result.experiment.data.info.test
    low, high = wilson(result.accuracy * n, n)
    count = count_parameters(result.model, result.masks)
    return {
        "parameters": count.total,
        "of these not zero": count.nonzero,
        "test accuracy": f"{result.accuracy:.1%}",
        "95 % interval": f"{low:.1%} to {high:.1%}",
        "sparsity of prunable weights": f"{result.sparsity:.1%}",
    }


table = pd.DataFrame({name: summary(result) for name, result in results.items()}).T
table

# %% [markdown]
# **Clipping did not remove one parameter**: the network after it is as large as before. Pruning set nine of ten
# prunable weights to exactly zero, and they stay there.
#
# Be careful with the accuracies: the test split is small, so the intervals are wide. Where two intervals overlap
# by much, one seed does not show that either is better.

# %%
assert table.loc["clipping", "of these not zero"] > 0.99 * table.loc["baseline", "of these not zero"]
assert table.loc["pruning", "of these not zero"] < 0.15 * table.loc["baseline", "of these not zero"]

# %% [markdown]
# A figure has two functions: one makes the data, one draws it; the app shows the same ones. Every idea has its colour
# everywhere: baseline grey, clipping orange, pruning teal, both purple.

# %%
runs = [{"name": name, "idea": name, "history": result.history} for name, result in results.items()]
figures.draw_overlay(figures.overlay_data(runs, "accuracy"))

# %% [markdown]
# ## What clipping does
#
# Value clipping is the article's `clamp(g, -α, α)`. It makes a gradient shorter, and it *turns* it: large entries
# shrink and small ones stay. The cosine between the gradient before and after says by how much; 1 is not at all.

# %%
history = results["clipping"].history
history[["step", "loss", "grad_norm_before", "grad_norm_after", "clipped", "cosine"]].iloc[[0, 9, 99, 199, 399]].round(
    4
)

# %%
figures.draw_gradient_norm(figures.gradient_norm_data(history))

# %% [markdown]
# Norm clipping limits the length of the whole gradient and keeps its direction. Where it acts it changes every entry,
# all by the same factor:

# %%
by_norm = pc.run(baseline.with_(clip=pc.NormClip(max_norm=0.1)), progress=False)
pd.DataFrame(
    {
        name: {
            "cosine, mean": r.history["cosine"].mean(),
            "entries changed, mean share": r.history["clipped"].mean(),
            "norm after, largest": r.history["grad_norm_after"].max(),
        }
        for name, r in {"value 0.01": results["clipping"], "norm 0.1": by_norm}.items()
    }
).T.round(4)

# %% [markdown]
# ## What pruning does
#
# The schedule raises sparsity from step 100 to step 300, fast at first; what is left then recovers for 100 steps.

# %%
pruned = results["pruning"].history
pruned.loc[pruned["accuracy"].notna(), ["step", "sparsity", "loss", "accuracy"]].round(3)

# %% [markdown]
# Global magnitude pruning takes the smallest weights wherever they are, so layers end up with very different shares:

# %%
layer_table(results["pruning"].model, results["pruning"].masks)

# %% [markdown]
# The events of a run hold histograms of every layer. `pc.stream` hands them out while the run goes on; here we keep the
# last one. What was removed is drawn at the values it had when it went.

# %%
for event in pc.stream(pruning):
    if isinstance(event, pc.SnapshotEvent):
        snapshot = event
largest = max(snapshot.layers, key=lambda layer: layer.numel)
figures.draw_weight_histogram(figures.weight_histogram_data(largest))

# %% [markdown]
# Zeros do not make a file smaller by themselves: stored as they are they take the same room. They have to be stored
# as what they are.

# %%
pd.DataFrame({name: vars(sizes(results[name].model, results[name].masks)) for name in ("baseline", "pruning")}).T

# %% [markdown]
# ## Pruning any model, in one line
#
# `prune_` works on every `nn.Module`. Without training afterwards accuracy suffers: compare with the run above, which
# pruned the same share *while* it trained.

# %%
model = results["baseline"].model
dataset = baseline.data.load(seed=0)
before = pc.evaluate(model, dataset).accuracy
pc.prune_(model, sparsity=0.9, criterion=pc.Magnitude(), scope="global")
after = pc.evaluate(model, dataset).accuracy
in_training = results["pruning"].accuracy
print(f"all weights: {before:.1%}; 90 % pruned at once: {after:.1%}; 90 % pruned in training: {in_training:.1%}")

# %% [markdown]
# ## The same again
#
# Same experiment, same bits:

# %%
again = pc.run(both, progress=False)
assert again.digest == results["both"].digest
assert again.accuracy == results["both"].accuracy
assert again.history.equals(results["both"].history)
