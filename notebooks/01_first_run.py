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
#   lab:
#     minutes: 10
#     order: 1
#     test:
#       steps: 50
# ---

# %% [markdown]
# # Clipping and pruning are two things
#
# One small network is trained four times, from the same initial weights and with the same order of examples: as it is,
# with clipping, with pruning, and with both.
#
# **The question.** Many texts treat *gradient clipping* and *pruning* as one. What does each of them do to a network,
# and how can one tell them apart by counting?

# %% tags=["hide-code"]
import pandas as pd
from IPython.display import Markdown

import prune_core as pc
from prune_core import figures
from prune_core.figures.words import count, percent
from prune_core.measuring import count_parameters, layer_table, sizes
from prune_core.training import wilson

# %% tags=["parameters"]
threshold: float = 0.01  # Clip threshold α [0.0001 .. 1, log]: no entry of the gradient may be larger than this
sparsity: float = 0.9  # Sparsity [0.5 .. 0.98, step 0.01]: share of the prunable weights that is removed
steps: int = 400  # Steps [50 .. 400, step 50] (steps): length of each training
seed: int = 0  # Seed [0 .. 99]: decides initial weights and the order of the examples

# %% [markdown]
# ## Two operations
#
# Clipping limits an **update**: it changes the gradient $g$ before a step is made. Pruning removes **parameters**: a
# mask $m$ of zeros and ones says which weights are left.
#
# $$
# \begin{aligned}
# \text{clipping:}\quad & w \leftarrow w - \eta \cdot \text{clip}(g) \\
# \text{pruning:}\quad & w \leftarrow m \odot w
# \end{aligned}
# $$
#
# An `Experiment` holds everything that decides a run: data, model, clipping, pruning, training. Two experiments with
# the same digest give the same result, bit for bit, on one machine with one number of threads.

# %%
baseline = pc.Experiment(
    data=pc.Digits(),  # 1,797 images of 8×8 pixels, part of scikit-learn
    model=pc.SmallCNN(),
    train=pc.Training(steps=steps, batch_size=64, lr=0.1, seed=seed),
)
schedule = pc.Cubic(final=sparsity, start=steps // 4, stop=3 * steps // 4)
clipping = baseline.with_(clip=pc.ValueClip(threshold=threshold))
pruning = baseline.with_(prune=pc.Pruning(criterion=pc.Magnitude(), schedule=schedule))
both = pruning.with_(clip=pc.ValueClip(threshold=threshold))

experiments = {"baseline": baseline, "clipping": clipping, "pruning": pruning, "both": both}
results = {name: pc.run(experiment, progress=False) for name, experiment in experiments.items()}

# %% [markdown]
# A mistake in an experiment is a sentence that says what to change:

# %%
try:
    clipping.with_(**{"clip.threshold": -1})
except pc.ConfigError as error:
    print(error)

# %% tags=["hide-code"]
counts = {name: count_parameters(result.model, result.masks) for name, result in results.items()}
total = counts["baseline"].total
Markdown(f"The network has **{count(total)} parameters**. All four runs made {steps} steps.")

# %% [markdown]
# ## Predict

# %% [markdown] tags=["exercise"]
# In the run with **clipping**, at your threshold: how many of the parameters are not zero after training?
#
# ```lab
# id: kept
# kind: prediction
# options:
#   - As many as without clipping
#   - Fewer than without, but more than after pruning
#   - About as many as after pruning
# hint: Which of the two formulas above changes how many weights there are?
# ```

# %% tags=["check"]
nonzero = {name: counted.nonzero for name, counted in counts.items()}
between = (nonzero["baseline"] + nonzero["pruning"]) / 2
answer_kept = (
    "As many as without clipping"
    if nonzero["clipping"] > 0.99 * nonzero["baseline"]
    else "Fewer than without, but more than after pruning"
    if nonzero["clipping"] > between
    else "About as many as after pruning"
)
why_kept = (
    f"Not zero are {count(nonzero['clipping'])} with clipping, {count(nonzero['baseline'])} without, and "
    f"{count(nonzero['pruning'])} with pruning."
)

# %% tags=["hide-code", "reveal"]
test = baseline.data.info.test


def interval(result):
    """The test accuracy's 95 % interval, in words."""
    low, high = wilson(result.accuracy * test, test)
    return f"{percent(low)} to {percent(high)}"


pd.DataFrame(
    {
        name: {
            "parameters": count(counts[name].total),
            "not zero": count(nonzero[name]),
            "of prunable weights removed": percent(result.sparsity),
            "test accuracy": percent(result.accuracy),
            "95 % interval": interval(result),
        }
        for name, result in results.items()
    }
).T

# %% tags=["hide-code", "reveal"]
Markdown(
    f"""**Clipping did not remove one parameter**: the network after it is as large as before, and
{count(nonzero["clipping"])} of its {count(total)} parameters are not zero. Pruning set {percent(sparsity, 0)} of the
prunable weights to exactly zero, and they stay there.

Be careful with the accuracies: the test split has {test} images, so the intervals are wide. Where two of them overlap
by much, one seed does not show that either is better."""
)

# %% [markdown]
# Every idea has its colour everywhere: baseline grey, clipping orange, pruning teal, both purple.

# %% tags=["hide-code"]
runs = [{"name": name, "idea": name, "history": result.history} for name, result in results.items()]
figures.draw_overlay(figures.overlay_data(runs, "accuracy"))

# %% [markdown]
# ## What clipping does
#
# Value clipping is `clamp(g, -α, α)`. It makes a gradient shorter, and it *turns* it: large entries
# shrink and small ones stay. The cosine between the gradient before and after says by how much; 1 is not at all.

# %% tags=["hide-code"]
history = results["clipping"].history
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
        for name, r in {f"by value, {threshold:g}": results["clipping"], "by norm, 0.1": by_norm}.items()
    }
).T.round(4)

# %% [markdown]
# ## What pruning does
#
# The schedule raises sparsity from a quarter of the training to three quarters of it, fast at first; what is left then
# recovers. Magnitude pruning takes the smallest weights wherever they are, so layers end up with very different shares:

# %%
layers = layer_table(results["pruning"].model, results["pruning"].masks)
layers[["layer", "shape", "weights", "kept", "sparsity"]]

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
stored = {name: sizes(results[name].model, results[name].masks) for name in results}
pd.DataFrame({name: vars(size) for name, size in stored.items()}).T

# %% [markdown]
# ## A pitfall: removing is not all of pruning
#
# `prune_` works on every `nn.Module`, in one line. But without training afterwards accuracy suffers: compare with the
# run above, which pruned the same share *while* it trained.

# %%
model = results["baseline"].model
dataset = baseline.data.load(seed=seed)
before = pc.evaluate(model, dataset).accuracy
pc.prune_(model, sparsity=sparsity, criterion=pc.Magnitude(), scope="global")
after = pc.evaluate(model, dataset).accuracy

# %% tags=["hide-code"]
Markdown(
    f"With all weights: {percent(before)}. With {percent(sparsity, 0)} removed **at once**: {percent(after)}; removed "
    f"**in training**: {percent(results['pruning'].accuracy)}."
)

# %% [markdown]
# Same experiment, same bits:

# %%
again = pc.run(both, progress=False)
assert again.digest == results["both"].digest
assert again.accuracy == results["both"].accuracy
assert again.history.equals(results["both"].history)
Markdown("The run with both, made again: equal to the last bit, at every step.")

# %% [markdown]
# ## Questions

# %% [markdown] tags=["exercise"]
# **1.** How many parameters does the network have after training with **clipping and no pruning**, zeros included?
#
# ```lab
# id: total
# kind: number
# unit: parameters
# low: 0
# high: 100000
# hint: The same as before training.
# ```

# %% tags=["check"]
answer_total = counts["clipping"].total
why_total = f"{count(answer_total)} before and after: clipping limits a step, and a step removes nothing."

# %% [markdown] tags=["exercise"]
# **2.** Which of the two makes the stored network at least a tenth smaller, written as a bit a weight and the values
# that are left?
#
# ```lab
# id: file
# kind: choice
# options: [Clipping, Pruning, Both, Neither]
# hint: Read the column `bitmask_bytes` of the table of sizes.
# ```

# %% tags=["check"]
smaller = {n: stored[n].bitmask_bytes < 0.9 * stored["baseline"].bitmask_bytes for n in ("clipping", "pruning")}
answer_file = {(True, True): "Both", (True, False): "Clipping", (False, True): "Pruning", (False, False): "Neither"}[
    smaller["clipping"], smaller["pruning"]
]
why_file = (
    f"{count(stored['baseline'].bitmask_bytes)} bytes of the baseline, {count(stored['clipping'].bitmask_bytes)} with "
    f"clipping and {count(stored['pruning'].bitmask_bytes)} with pruning."
)

# %% [markdown] tags=["exercise"]
# **3.** What is the cosine between a gradient and what clipping by **norm** leaves of it?
#
# ```lab
# id: cosine
# kind: number
# low: 0
# high: 1
# hint: All entries are multiplied by the same factor.
# ```

# %% tags=["check"]
mean_cosine = by_norm.history["cosine"].mean()
answer_cosine = (min(0.999, mean_cosine), 1.0)
why_cosine = f"Measured over all steps: {mean_cosine:.4f}. The gradient becomes shorter and points where it pointed."

answers = {
    name: (globals()["answer_" + name], globals()["why_" + name]) for name in ("kept", "total", "file", "cosine")
}
Markdown(
    "**Answers**\n\n"
    + "\n".join(
        f"- *{name}*: {f'{right}. ' if isinstance(right, str) else ''}{why}" for name, (right, why) in answers.items()
    )
)

# %% [markdown]
# ## Further reading
#
# - Pascanu, Mikolov, Bengio 2013, *On the difficulty of training recurrent neural networks*,
#   [arXiv:1211.5063](https://arxiv.org/abs/1211.5063): why anybody clips.
# - Han, Pool, Tran, Dally 2015, *Learning both weights and connections for efficient neural networks*,
#   [arXiv:1506.02626](https://arxiv.org/abs/1506.02626): why anybody prunes.
# - Zhu, Gupta 2017, *To prune, or not to prune*, [arXiv:1710.01878](https://arxiv.org/abs/1710.01878): the cubic
#   schedule used here.
