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
#     order: 2
#     test:
#       runs: 2
#       warmup: 10
# ---

# %% [markdown]
# # What a gradient step is, and what clipping does to it
#
# One update of a small network, taken apart by hand: how far it goes, how far it should go, and what changes when the
# gradient is clipped before it.
#
# **The question.** A network learns by thousands of small updates. What decides how large one update is, and what
# exactly does a clip threshold take away from it? By the end you can say which numbers bound the movement of a weight,
# and why clipping leaves every weight in the network.

# %% tags=["hide-code"]
import pandas as pd
import torch
from IPython.display import Markdown
from torch.nn import functional as F

import prune_core as pc
from prune_core import figures
from prune_core.comparing import differences, mean_interval
from prune_core.figures.words import count, number, percent
from prune_core.seeding import generator

# %% tags=["parameters"]
threshold: float = 0.01  # Clip threshold α [0.0001 .. 1, log]: no entry of the gradient may be larger than this
lr: float = 0.1  # Learning rate η [0.001 .. 10, log]: how far one update goes along the gradient
warmup: int = 20  # Steps before we look [10 .. 200, step 10] (steps): how long the network has trained already
runs: int = 5  # Seeds [2 .. 8] (seeds): how often each training is repeated from other initial weights
seed: int = 0  # First seed [0 .. 99]: decides initial weights and the order of the examples

# %% [markdown]
# ## One step, by hand
#
# The network has weights $w$, all of them written below each other in one long vector. On a batch of images it makes
# some mistakes, and the loss $L(w)$ (cross entropy, averaged over the batch) says how bad they are. The **gradient**
# $g = \nabla L(w)$ has one entry for each weight: by how much the loss would rise if this weight rose by one. So we go
# the other way:
#
# $$
# w \leftarrow w - \eta\, g
# $$
#
# If the loss were a straight line from here on, the step would lower it by
#
# $$
# L(w) - L(w - \eta g) \approx \eta\, \lVert g \rVert^2 .
# $$
#
# Let us take a network that has trained for a moment on handwritten digits, and measure.

# %%
experiment = pc.Experiment(
    data=pc.Digits(),
    model=pc.MLP(width=64, depth=1),
    train=pc.Training(steps=warmup, batch_size=64, lr=0.1, seed=seed),
)
for event in pc.stream(experiment):
    if isinstance(event, pc.SnapshotEvent):
        snapshot = event  # keeps the last one, with histograms of its gradient
model = pc.run(experiment, progress=False).model
data = experiment.data.load(seed=seed)
batches = list(data.drawn(8 * 64, generator(seed, "lesson"), batch_size=64))
parameters = list(model.parameters())
total = sum(p.numel() for p in parameters)


def gradient(x, y, reduction="mean"):
    """Loss of a batch, and its gradient as one vector."""
    model.zero_grad()
    loss = F.cross_entropy(model(x), y, reduction=reduction)
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in parameters])


@torch.no_grad()
def loss_after(step, x, y):
    """Loss of the same batch if the weights moved by ``-step``; they are put back afterwards."""
    held = torch.nn.utils.parameters_to_vector(parameters)
    torch.nn.utils.vector_to_parameters(held - step, parameters)
    loss = F.cross_entropy(model(x), y).item()
    torch.nn.utils.vector_to_parameters(held, parameters)
    return loss


# %% tags=["hide-code"]
rates = torch.logspace(-3, 1, 25, dtype=torch.float64).tolist()
falls, at_lr, lengths = [], [], []
for x, y in batches:
    loss, g = gradient(x, y)
    clipped = g.clamp(-threshold, threshold)
    lengths.append((loss, g.norm().item(), clipped.norm().item()))
    at_lr.append((lr * g.norm().item() ** 2, loss - loss_after(lr * g, x, y), loss - loss_after(lr * clipped, x, y)))
    for rate in rates:
        falls.append({"name": "gradient", "rate": rate, "loss": loss_after(rate * g, x, y)})
        falls.append({"name": "clipped gradient", "rate": rate, "loss": loss_after(rate * clipped, x, y)})
falls = pd.DataFrame(falls)
before, length, clipped_length = (float(pd.DataFrame(lengths)[i].mean()) for i in range(3))
predicted, fell, fell_clipped = (mean_interval([row[i] for row in at_lr]) for i in range(3))
curve = falls.groupby(["name", "rate"])["loss"].mean()
best = {name: curve[name].idxmin() for name in ("gradient", "clipped gradient")}

Markdown(
    f"The network has **{count(total)} weights and biases**. Over {len(batches)} batches of 64 images the loss is "
    f"{before:.3f} on average and the gradient has length $\\lVert g \\rVert = {length:.3f}$. With $\\eta = {lr:g}$ "
    f"the straight line promises a fall of $\\eta \\lVert g \\rVert^2 = {predicted.mean:.3g}$ per step."
)

# %% [markdown]
# ## Predict

# %% [markdown] tags=["exercise"]
# The learning rate $\eta$ is now raised from 0.001 to 10, and each time one single step is made from the same weights.
# What will the loss after that step look like, from the smallest $\eta$ to the largest?
#
# ```lab
# id: shape
# kind: prediction
# options:
#   - It falls in proportion to η, however large η is
#   - It falls first, is lowest at some η, and then rises above where it started
#   - It rises from the smallest η on
# hint: The straight line is the slope at one point. How far can one walk downhill in a straight line?
# ```

# %% tags=["check"]
ends = curve["gradient"]
if ends.iloc[0] >= before:
    answer_shape = "It rises from the smallest η on"
elif ends.iloc[-1] > before:
    answer_shape = "It falls first, is lowest at some η, and then rises above where it started"
else:
    answer_shape = "It falls in proportion to η, however large η is"
why_shape = (
    f"The loss starts at {before:.3f}, is lowest ({ends.min():.3f}) after a step with η = {best['gradient']:.2g}, and "
    f"is {ends.iloc[-1]:.3g} after a step with η = {rates[-1]:g}."
)

# %% tags=["hide-code", "reveal"]
figures.draw_curves(
    figures.curves_data(
        falls,
        "rate",
        "loss",
        title="One step from the same weights: how far is too far?",
        subtitle=f"Mean of {len(batches)} batches with 95 % interval; dotted: your learning rate",
        x_title="learning rate η (log scale)",
        y_title="loss after the step (log scale)",
        ideas={"gradient": "baseline", "clipped gradient": "clipping"},
        now=lr,
        log="xy",
    )
)

# %% tags=["hide-code", "reveal"]
inside = [r for r in rates if before - curve["gradient"][r] > 0.9 * r * length**2]
reach = f"up to about η = {max(inside):.2g}" if inside else "at none of the learning rates tried here"


def moved(i):
    """A mean change of the loss with its interval, in words."""
    if i.mean < 0:
        return f"rises by {-i.mean:.3g} ({-i.high:.3g} to {-i.low:.3g})"
    return f"falls by {i.mean:.3g} ({i.low:.3g} to {i.high:.3g})"


stretch = best["clipped gradient"] / best["gradient"]
Markdown(
    f"""**Reading the grey curve.** The straight line keeps nine tenths of its promise {reach}. At your η = {lr:g} it
promises a fall of {predicted.mean:.3g}, and the loss {moved(fell)}: the mean and its 95 % interval over the batches.
The best single step tried here has η = {best["gradient"]:.2g}; beyond it the ground curves up.

**Reading the orange curve.** The gradient was clipped at α = {threshold:g} first, which made it
{percent(1 - clipped_length / length)} shorter. Its best learning rate is {best["clipped gradient"]:.2g}, that is
{stretch:.2g} times that of the whole gradient. After a clipped step with your η the loss {moved(fell_clipped)}.
Clipping did not switch anything off: it made the step shorter, and a larger η makes it longer again."""
)

# %% [markdown]
# ## What clipping does to the gradient
#
# Clipping by value looks at every entry alone and cuts what sticks out:
#
# $$
# g_i \leftarrow \min(\max(g_i, -\alpha),\; \alpha)
# $$
#
# Most entries of a gradient are small and few are large. The histogram shows the magnitude of every entry of one layer
# on a logarithmic axis, and where the threshold cuts.

# %% tags=["hide-code"]
largest = max(snapshot.layers, key=lambda layer: layer.numel)
figures.draw_gradient_histogram(figures.gradient_histogram_data(largest, threshold))

# %% [markdown]
# The report of `clip_` says for every parameter tensor what the cut did: its length before and after, the share of its
# entries that changed, and the cosine of the angle between before and after (1 means the direction stayed).

# %%
gradient(*batches[0])
report = pc.ValueClip(threshold=threshold).clip_(model.named_parameters())
pd.DataFrame(
    {
        "entries": [p.numel() for p in parameters],
        "norm before": report.layer_norm_before.tolist(),
        "norm after": report.layer_norm_after.tolist(),
        "share changed": report.layer_changed.tolist(),
        "cosine": report.layer_cosine.tolist(),
    },
    index=pd.Index(report.names, name="parameter"),
).round(4)

# %% tags=["hide-code"]
changed = float(report.changed)
Markdown(
    f"Clipping changed **{percent(changed)}** of the gradient's {count(total)} entries. The network still has "
    f"**{count(sum(p.numel() for p in model.parameters()))} parameters**, and the clipped gradient still moves all of "
    f"them that the whole one moved. With plain gradient descent no weight moves by more than "
    f"$\\eta\\alpha = {lr:g} \\cdot {threshold:g} = {lr * threshold:.3g}$ in one step."
)

# %% [markdown]
# ## Does it matter for the result?
#
# Now whole trainings of 200 steps (with momentum 0.9, as is usual), from several seeds, at your learning rate: without
# clipping and with your threshold. Each pair begins with the same weights and sees the same batches.

# %% tags=["hide-code"]
plain = experiment.with_(**{"train.steps": 200, "train.lr": lr})
trained = {"without clipping": plain, "with clipping": plain.with_(clip=pc.ValueClip(threshold=threshold))}
results = {
    (name, s): pc.run(e.with_(**{"train.seed": s}), progress=False)
    for s in range(seed, seed + runs)
    for name, e in trained.items()
}
figures.draw_gradient_norm(figures.gradient_norm_data(results["with clipping", seed].history, steps=200))

# %% tags=["hide-code"]
table = pd.DataFrame(
    [
        {"method": name, "seed": s, "accuracy": r.accuracy, "sparsity": 0.0, "status": r.status}
        for (name, s), r in results.items()
    ]
)
means = {name: mean_interval(part["accuracy"]) for name, part in table.groupby("method")}
verdict = differences(table)[0].sentence
weights_moved = float(
    (torch.nn.utils.parameters_to_vector(results["with clipping", seed].model.parameters()) != 0).sum()
)
Markdown(
    f"""| after 200 steps | mean test accuracy | 95 % interval over {runs} seeds |
|---|---|---|
"""
    + "\n".join(
        f"| {name} | {percent(means[name].mean)} | {percent(means[name].low)} to {percent(min(1, means[name].high))} |"
        for name in trained
    )
    + f"""

**{verdict[0].upper() + verdict[1:]}** The test split has {data.info.test} images, so one image is
{percent(1 / data.info.test, 2)}. After the clipped training {count(weights_moved)} of {count(total)} parameters are
not zero: clipping is not pruning."""
)

# %% [markdown]
# ## A pitfall: a threshold has a unit
#
# $\alpha$ is compared with entries of the gradient, so it means nothing without the loss that the gradient is of. Sum
# the loss over the batch instead of averaging it, and every entry is 64 times as large; the same $\alpha$ then cuts a
# different share. The same happens with a loss that is scaled for half precision: unscale first, then clip.

# %% tags=["hide-code"]
rows = []
for reduction in ("mean", "sum"):
    _, g = gradient(*batches[0], reduction)
    rows.append(
        {
            "loss is": "averaged over the batch" if reduction == "mean" else "summed over the batch",
            "norm of the gradient": g.norm().item(),
            "entries above α": percent((g.abs() > threshold).float().mean().item()),
            "of the norm left": percent((g.clamp(-threshold, threshold).norm() / g.norm()).item()),
        }
    )
units = pd.DataFrame(rows).set_index("loss is")
units.assign(**{"norm of the gradient": units["norm of the gradient"].map(number)})

# %% [markdown]
# ## Questions

# %% [markdown] tags=["exercise"]
# **1.** How many parameters did the network lose by clipping at your threshold?
#
# ```lab
# id: lost
# kind: number
# unit: parameters
# low: 0
# high: 10000
# hint: Compare the number of parameters before and after; the cell above counts them.
# ```

# %% tags=["check"]
answer_lost = total - sum(p.numel() for p in results["with clipping", seed].model.parameters())
why_lost = f"The model had {count(total)} parameters before and after: clipping shortens a step and removes nothing."

# %% [markdown] tags=["exercise"]
# **2.** Plain gradient descent without momentum, learning rate 0.5, value clipping at $\alpha = 0.02$. What is the
# farthest that one weight can move in 10 steps?
#
# ```lab
# id: farthest
# kind: number
# low: 0
# high: 10
# hint: In one step it moves by at most ηα.
# ```

# %% tags=["check"]
answer_farthest = 10 * 0.5 * 0.02
why_farthest = "Each step moves it by at most ηα = 0.5 · 0.02 = 0.01, and all ten may point the same way."

# %% [markdown] tags=["exercise"]
# **3.** A colleague sums the loss over batches of 64 where you average it. Which threshold does she need so that value
# clipping cuts exactly the same entries as yours?
#
# ```lab
# id: unit
# kind: choice
# options:
#   - α / 64
#   - α
#   - 8 α
#   - 64 α
# hint: The table above has both norms; their ratio is the answer.
# ```

# %% tags=["check"]
same = gradient(*batches[0], "sum")[1].norm() / gradient(*batches[0])[1].norm()
answer_unit = {1 / 64: "α / 64", 1: "α", 8: "8 α", 64: "64 α"}[min((1 / 64, 1, 8, 64), key=lambda f: abs(f - same))]
why_unit = f"Every entry of her gradient is {same:.4g} times as large as yours, so her threshold must be too."

# %% [markdown] tags=["exercise"]
# **4.** At your settings, what share of the gradient's entries did clipping change (first batch, in per cent)?
#
# ```lab
# id: share
# kind: number
# unit: "%"
# low: 0
# high: 100
# hint: The sentence below the table of the report says it.
# ```

# %% tags=["check"]
answer_share = (max(0.0, 100 * changed - 1), min(100.0, 100 * changed + 1))
why_share = f"The report counts {percent(changed)} of {count(total)} entries that were larger than α = {threshold:g}."

answers = {
    name: (globals()["answer_" + name], globals()["why_" + name])
    for name in ("shape", "lost", "farthest", "unit", "share")
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
#   [arXiv:1211.5063](https://arxiv.org/abs/1211.5063): why gradients need a limit at all.
# - Zhang, He, Sra, Jadbabaie 2019, *Why gradient clipping accelerates training*,
#   [arXiv:1905.11881](https://arxiv.org/abs/1905.11881): where the ground curves more, the gradient is longer.
