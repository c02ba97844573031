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
#     minutes: 15
#     order: 5
#     test:
#       runs: 2
#       steps: 100
# ---

# %% [markdown]
# # Pruning by magnitude: what goes, and what it costs
#
# The simplest rule removes the weights closest to zero: which ones go, from which layers, and how much accuracy they
# take with them, at once or little by little.
#
# **The question.** A trained network has tens of thousands of weights. How many of them can go before it forgets what
# it learnt, and does it matter whether they go all at once?

# %% tags=["hide-code"]
import copy

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown

import prune_core as pc
from prune_core import figures
from prune_core.comparing import differences, mean_interval
from prune_core.figures.words import count, number, percent, si
from prune_core.measuring import count_parameters, layer_table, sizes

# %% tags=["parameters"]
sparsity: float = 0.95  # Sparsity [0.1 .. 0.99, step 0.01]: share of the prunable weights that is removed
scope: str = "global"  # Scope {global, layer}: compare all weights with each other, or only within their layer
steps: int = 200  # Steps [100 .. 400, step 50] (steps): length of each training
runs: int = 4  # Seeds [2 .. 6] (seeds): how often each training is repeated from other initial weights

# %% [markdown]
# ## The rule
#
# Every weight gets a score, here its magnitude, and the lowest share $s$ of the scores goes:
#
# $$
# \begin{aligned}
# m_i &= \begin{cases}
# 0 & \text{if } |w_i| \text{ is among the lowest } s \cdot n \\ 1 & \text{otherwise}
# \end{cases} \\
# w_i &\leftarrow m_i\, w_i
# \end{aligned}
# $$
#
# $m$ is the **mask**. A removed weight is exactly zero and stays so. Biases are not pruned: there are few of them. Let
# us train LeNet-300-100, a classic of the pruning literature, on handwritten digits, and prune it once.

# %%
experiment = pc.Experiment(
    data=pc.Digits(), model=pc.LeNet300(), train=pc.Training(steps=steps, batch_size=64, lr=0.1, seed=0)
)
data = experiment.data.load()
dense = [pc.run(experiment.with_(**{"train.seed": seed}), progress=False) for seed in range(runs)]

pruned = copy.deepcopy(dense[0].model)
masks = pc.prune_(pruned, sparsity=sparsity, criterion=pc.Magnitude(), scope=scope)
counted = count_parameters(pruned, masks)

# %% tags=["hide-code"]
biggest = max(masks, key=lambda name: masks[name].numel())
weights = dense[0].model.get_parameter(biggest).detach()
reach = float(weights.abs().max())
kept, edges = np.histogram(weights[masks[biggest]], bins=80, range=(-reach, reach))
gone, _ = np.histogram(weights[~masks[biggest]], bins=80, range=(-reach, reach))
cut = float(weights[~masks[biggest]].abs().max())
figures.draw_weight_histogram(figures.weight_histogram_counts(biggest, (-reach, reach), kept, gone, cut))

# %% tags=["hide-code"]
total = sum(mask.numel() for mask in masks.values())
left = sum(int(mask.sum()) for mask in masks.values())
Markdown(
    f"Of {count(total)} prunable weights **{count(left)} are left**. In the largest layer everything up to "
    f"{number(cut)} in magnitude went; its largest weight is {number(reach)}. Most weights of a trained network are "
    "small, which is why the removed part is the middle of the heap and not its edges."
)

# %% [markdown]
# ## What it costs
#
# Three ways to the same sparsity, each from several seeds:
#
# - **at once**: train, remove the smallest, measure; nothing is trained afterwards;
# - **in training**: the share removed grows from a quarter of the training to three quarters of it; the weights that
#   are left go on learning meanwhile and afterwards, for as many steps in all;
# - **at once, at random**: the control. If random weights were as good to remove, magnitude would say nothing.

# %% tags=["hide-code"]
grid = sorted({0.5, 0.8, 0.9, 0.95, 0.98, 0.99, round(sparsity, 2)})
rows = []
for seed, result in enumerate(dense):
    for share in grid:
        for name, criterion in (("at once", pc.Magnitude()), ("at once, at random", pc.Random())):
            model = copy.deepcopy(result.model)
            pc.prune_(model, sparsity=share, criterion=criterion, scope=scope, seed=seed)
            rows.append({"method": name, "seed": seed, "share": share, "accuracy": pc.evaluate(model, data).accuracy})
        schedule = pc.Cubic(final=share, start=steps // 4, stop=3 * steps // 4, every=5)
        during = experiment.with_(**{"train.seed": seed, "prune": pc.Pruning(schedule=schedule, scope=scope)})
        rows.append(
            {
                "method": "in training",
                "seed": seed,
                "share": share,
                "accuracy": pc.run(during, progress=False).accuracy,
            }
        )
table = pd.DataFrame(rows)
before = mean_interval([r.accuracy for r in dense])
here = table[table["share"] == round(sparsity, 2)]
at = {name: mean_interval(part["accuracy"]) for name, part in here.groupby("method", sort=False)}

# %% [markdown]
# ## Predict

# %% [markdown] tags=["exercise"]
# Removed **at once** by magnitude, at your sparsity, and nothing trained afterwards: what test accuracy is left, on
# average? (Guessing blindly among ten digits gives 10 %.)
#
# ```lab
# id: left
# kind: prediction
# unit: "%"
# low: 0
# high: 100
# hint: The removed weights are small, but there are many of them.
# ```

# %% tags=["check"]
found = 100 * at["at once"].mean
answer_left = (max(0.0, found - 5), min(100.0, found + 5))
why_left = (
    f"Measured: {found:.1f} % over {runs} seeds, of {percent(before.mean)} before; within 5 points counts as right."
)

# %% tags=["hide-code", "reveal"]
figures.draw_curves(
    figures.curves_data(
        table,
        "share",
        "accuracy",
        by="method",
        title="What sparsity costs, by how the weights go",
        subtitle=f"Mean of {runs} seeds with 95 % interval; {percent(before.mean)} before; dotted: your sparsity",
        x_title="weights removed",
        y_title="test accuracy",
        ideas=dict.fromkeys(("at once", "at once, at random", "in training"), "pruning"),
        now=sparsity,
        percent="y",
        sparsity=True,
    )
)

# %% tags=["hide-code", "reveal"]
means = table.pivot_table("accuracy", "share", "method")
reached = {
    name: max((s for s in grid if means.loc[s, name] >= before.mean - 0.02), default=None)
    for name in ("at once, at random", "at once", "in training")
}
compared = [d.sentence for d in differences(here.rename(columns={"share": "cost"}), cost="cost")]
Markdown(
    """**How far it can go.** The highest sparsity measured here that costs less than 2 points on average:

"""
    + "\n".join(f"- {name}: {'none of those tried' if s is None else percent(s, 0)}" for name, s in reached.items())
    + f"""

**At your sparsity of {percent(sparsity, 0)}**, {runs} seeds, the same seeds compared one by one:

"""
    + "\n".join(f"- {s[0].upper() + s[1:]}" for s in compared)
    + f"""

The test split has {data.info.test} images, so a difference of one image is {percent(1 / data.info.test, 2)}: do not
read more from these curves than their bands allow."""
)

# %% [markdown]
# ## Which layers pay
#
# With the scope *global* all weights are compared with each other, so a layer with many small weights loses more than
# one whose weights are large. With the scope *layer* each loses the same share. The picture shows yours.

# %% tags=["hide-code"]
layers = layer_table(pruned, masks)
by_layer = [{"name": n, "numel": m.numel(), "kept": int(m.sum())} for n, m in masks.items()]
figures.draw_layer_bars(figures.layer_bars_data(by_layer))

# %% tags=["hide-code"]
shares = {layer["name"]: 1 - layer["kept"] / layer["numel"] for layer in by_layer}
pd.DataFrame(
    [
        {
            "layer": layer["name"],
            "weights": layer["numel"],
            "left": layer["kept"],
            "removed": percent(shares[layer["name"]]),
            "median magnitude before": number(
                float(dense[0].model.get_parameter(layer["name"]).detach().abs().median())
            ),
        }
        for layer in by_layer
    ]
).set_index("layer")

# %% [markdown]
# ## A pitfall: zeros take as much room as other numbers
#
# A pruned network is full of zeros, but a zero is stored in four bytes like any other number, and multiplied like any
# other. Only a format that leaves zeros out makes a file smaller. Here the same network is really written in four ways.

# %% tags=["hide-code"]
written = {"before pruning": sizes(dense[0].model), "after pruning": sizes(pruned, masks)}
names = {
    "dense_bytes": "as torch saves it",
    "gzip_bytes": "the same file through gzip",
    "csr_bytes": "compressed rows (CSR)",
    "bitmask_bytes": "a bit a weight, and the values left",
}
pd.DataFrame(
    {name: {label: si(getattr(s, field), "B") for field, label in names.items()} for name, s in written.items()}
)

# %% [markdown]
# ## Questions

# %% [markdown] tags=["exercise"]
# **1.** How many of the network's prunable weights are left at your sparsity?
#
# ```lab
# id: weights
# kind: number
# unit: weights
# low: 0
# high: 60000
# hint: The layers have 64·300, 300·100 and 100·10 weights.
# ```

# %% tags=["check"]
answer_weights = left
why_weights = f"{count(total)} prunable weights, of which {percent(sparsity, 0)} went: {count(left)} are left."

# %% [markdown] tags=["exercise"]
# **2.** Which layer lost the largest share of its weights?
#
# ```lab
# id: layer
# kind: choice
# options:
#   - 1.weight (the first)
#   - 3.weight (the second)
#   - 5.weight (the last)
#   - All the same share
# hint: Read it off the bars; with the scope "layer" there is little to choose.
# ```

# %% tags=["check"]
labels = {"1.weight": "1.weight (the first)", "3.weight": "3.weight (the second)", "5.weight": "5.weight (the last)"}
highest = max(shares.values())
same = highest - min(shares.values()) < 0.005
answer_layer = "All the same share" if same else [labels[n] for n, s in shares.items() if s > highest - 1e-3]
why_layer = ", ".join(f"{n} lost {percent(s)}" for n, s in shares.items()) + "."

# %% [markdown] tags=["exercise"]
# **3.** Which of these files does pruning make at least a tenth smaller here?
#
# ```lab
# id: file
# kind: choice
# options:
#   - As torch saves it
#   - A bit a weight, and the values left
#   - Both
#   - Neither
# hint: Compare the two columns of the table of files.
# ```

# %% tags=["check"]
shrunk = {
    field: getattr(written["after pruning"], field) < 0.9 * getattr(written["before pruning"], field)
    for field in ("dense_bytes", "bitmask_bytes")
}
answer_file = {
    (True, True): "Both",
    (True, False): "As torch saves it",
    (False, True): "A bit a weight, and the values left",
    (False, False): "Neither",
}[shrunk["dense_bytes"], shrunk["bitmask_bytes"]]
why_file = (
    f"As torch saves it: {si(written['before pruning'].dense_bytes, 'B')} before and "
    f"{si(written['after pruning'].dense_bytes, 'B')} after; with a bit a weight: "
    f"{si(written['before pruning'].bitmask_bytes, 'B')} and {si(written['after pruning'].bitmask_bytes, 'B')}."
)

# %% [markdown] tags=["exercise"]
# **4.** A network is pruned to 50 %, trained on, and half of **what is left** is removed. What is its sparsity now, of
# the whole?
#
# ```lab
# id: twice
# kind: number
# unit: "%"
# low: 0
# high: 100
# hint: Half of a half is left.
# ```

# %% tags=["check"]
half = torch.ones(1000, dtype=torch.bool)
half[:500] = False
half[torch.nonzero(half).flatten()[:250]] = False
answer_twice = 100 * (1 - half.float().mean().item())
why_twice = (
    f"{answer_twice:.0f} %. Papers that prune in rounds count either way; sparsity in this lab is always of the whole."
)

answers = {
    name: (globals()["answer_" + name], globals()["why_" + name])
    for name in ("left", "weights", "layer", "file", "twice")
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
# - Han, Pool, Tran, Dally 2015, *Learning both weights and connections for efficient neural networks*,
#   [arXiv:1506.02626](https://arxiv.org/abs/1506.02626): this network on MNIST keeps its error with 12 times fewer
#   weights, pruned and retrained in rounds.
# - Zhu, Gupta 2017, *To prune, or not to prune*, [arXiv:1710.01878](https://arxiv.org/abs/1710.01878): the cubic
#   schedule used here in training.
# - Frankle, Carbin 2019, *The lottery ticket hypothesis*, [arXiv:1803.03635](https://arxiv.org/abs/1803.03635): whether
#   what is left could have been trained alone.
