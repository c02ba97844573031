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
#     minutes: 20
#     order: 4
#     test:
#       runs: 2
#       steps: 50
# ---

# %% [markdown]
# # Exploding gradients, and when clipping saves a run
#
# A recurrent network is trained at learning rates from modest to far too high, with and without clipping: where long
# gradients come from, what a limit on their norm rescues, and what it cannot do.
#
# **The question.** Clipping became known as the remedy for recurrent networks whose gradients explode. When does it
# save a run, and when is it only another name for a smaller learning rate?

# %% tags=["hide-code"]
import pandas as pd
import torch
from IPython.display import Markdown
from torch.nn import functional as F

import prune_core as pc
from prune_core import figures
from prune_core.comparing import differences, mean_interval
from prune_core.figures.words import percent
from prune_core.seeding import generator

# %% tags=["parameters"]
lr: float = 3.0  # Learning rate η [0.1 .. 10, log]: how far one update goes along the gradient
max_norm: float = 0.1  # Norm threshold c [0.01 .. 10, log]: the gradient of all parameters is at most this long
gain: float = 4.0  # Gain [0.5 .. 16, log]: size of the recurrent weights at the start
steps: int = 150  # Steps [50 .. 200, step 50] (steps): length of each training
runs: int = 3  # Seeds [2 .. 4] (seeds): how often each training is repeated from other initial weights

# %% [markdown]
# ## Where long gradients come from
#
# The network reads an image row by row, eight rows for a digit, and passes on a state $h_t$. After the last row it
# names the digit. To know how an early state influenced the loss, backpropagation goes back through every row between:
#
# $$
# \frac{\partial L}{\partial h_t} =
# \frac{\partial L}{\partial h_8} \;\prod_{k=t+1}^{8} \frac{\partial h_k}{\partial h_{k-1}}
# $$
#
# A product of many factors: if they shrink what passes through, the gradient **vanishes** on its way back; if they
# stretch it, it **explodes**. How large the recurrent weights are decides which. The figure measures it on 256 images,
# before any training.

# %%
experiment = pc.Experiment(
    data=pc.Digits(),
    model=pc.RowLSTM(hidden=32, gain=gain),
    train=pc.Training(steps=steps, batch_size=64, lr=lr, seed=0),
)
data = experiment.data.load()
images, labels = next(data.drawn(256, generator(0, "lesson")))
rows = images.permute(0, 2, 1, 3).flatten(2)  # (images, 8 rows, 8 pixels)


def back_through_rows(gain, seed):
    """Length of the loss's gradient with respect to the state after each row, mean over the images."""
    model = pc.RowLSTM(hidden=32, gain=gain).build(data.info.shape, data.info.classes, seed)
    h, c = torch.zeros(1, len(rows), 32), torch.zeros(1, len(rows), 32)
    states = []
    for t in range(rows.shape[1]):
        _, (h, c) = model.lstm(rows[:, t : t + 1], (h, c))
        h.retain_grad()
        states.append(h)
    F.cross_entropy(model.classifier(h[0]), labels, reduction="sum").backward()
    return [state.grad.norm(dim=2).mean().item() for state in states]


# %% tags=["hide-code"]
gains = dict.fromkeys([1.0, round(gain, 2), 12.0])
through = pd.DataFrame(
    [
        {"name": f"gain {g:g}", "back": 8 - t, "norm": norm}
        for g in gains
        for seed in range(3)
        for t, norm in enumerate(back_through_rows(g, seed), start=1)
    ]
)
figures.draw_curves(
    figures.curves_data(
        through,
        "back",
        "norm",
        title="Backpropagation through the rows of a digit",
        subtitle="Untrained networks, mean of 3 seeds with 95 % interval",
        x_title="rows back from the last one",
        y_title="gradient of one image's loss (L2, log scale)",
        log="y",
    )
)

# %% tags=["hide-code"]
levels = through.groupby(["name", "back"])["norm"].mean()


def per_row(g):
    """By what factor the gradient changes from one row to the one before, on average over the seven."""
    return (levels[f"gain {g:g}", 7] / levels[f"gain {g:g}", 0]) ** (1 / 7)


yours = per_row(round(gain, 2))
trend = "vanishes" if yours < 0.95 else "grows" if yours > 1.05 else "keeps its size"
Markdown(
    f"""From row to row the gradient is multiplied by {per_row(1.0):.2f} on average with a gain of 1, by **{yours:.2f}**
with yours of {gain:.3g}, and by {per_row(12.0):.2f} with 12. Over seven rows that makes a factor of {yours**7:.3g} for
yours: on its way back the gradient {trend}.
These are eight rows; in a text of a thousand words the same factor acts a thousand times."""
)

# %% [markdown]
# ## Train it fast
#
# Training changes the weights, and one long step can throw them where gradients are longer still. We train from
# several seeds with the learning rate you set and momentum 0.9: without clipping, and with the norm of the gradient
# limited to $c$. After clipping, an update without momentum is never longer than $\eta c$.

# %% tags=["hide-code"]
grid = [0.1, 0.3, 1.0, 3.0, 10.0]
plain, clip = experiment, pc.NormClip(max_norm=max_norm)
results = {
    (name, rate, seed): pc.run(
        plain.with_(**{"clip": clip if name == "with clipping" else None, "train.lr": rate, "train.seed": seed}),
        progress=False,
    )
    for rate in sorted({*grid, lr})
    for name in ("without clipping", "with clipping")
    for seed in range(runs)
}
table = pd.DataFrame(
    [
        {
            "method": name,
            "lr": rate,
            "seed": seed,
            "accuracy": r.accuracy,
            "clipped": (r.history["grad_norm_before"] > 1.0001 * r.history["grad_norm_after"]).mean(),
            "before": r.history["grad_norm_before"].mean(),
            "after": r.history["grad_norm_after"].mean(),
            "longest": r.history["grad_norm_before"].max(),
            "diverged": r.status == "diverged",
        }
        for (name, rate, seed), r in results.items()
    ]
)
here = table[table["lr"] == lr]
mean = {name: mean_interval(part["accuracy"]) for name, part in here.groupby("method")}
gained = mean["with clipping"].mean - mean["without clipping"].mean

# %% [markdown]
# ## Predict

# %% [markdown] tags=["exercise"]
# With your learning rate and your threshold: how does clipping change the test accuracy after training, on average?
#
# ```lab
# id: saved
# kind: prediction
# options:
#   - It is more than 5 points better with clipping
#   - It is less than 5 points better or worse
#   - It is more than 5 points worse with clipping
# hint: With clipping a step is at most ηc long. A gradient of length 1 at a learning rate of 0.1 steps by 0.1.
# ```

# %% tags=["check"]
answer_saved = (
    "It is more than 5 points better with clipping"
    if gained > 0.05
    else "It is more than 5 points worse with clipping"
    if gained < -0.05
    else "It is less than 5 points better or worse"
)
why_saved = (
    f"Mean accuracy over {runs} seeds: {percent(mean['without clipping'].mean)} without and "
    f"{percent(mean['with clipping'].mean)} with clipping, {100 * gained:+.1f} points."
)

# %% tags=["hide-code", "reveal"]
figures.draw_overlay(
    figures.overlay_data(
        [
            {"name": name, "idea": idea, "history": results[name, lr, 0].history}
            for name, idea in (("without clipping", "baseline"), ("with clipping", "clipping"))
        ],
        "loss",
    )
)

# %% tags=["hide-code", "reveal"]
figures.draw_gradient_norm(
    figures.gradient_norm_data(results["with clipping", lr, 0].history, threshold=max_norm, steps=steps)
)

# %% tags=["hide-code", "reveal"]
verdict = differences(here.assign(cost=lr), cost="cost")[0].sentence
longest = here.groupby("method")["longest"].max()
lost = int(here["diverged"].sum())
acted = 100 * here.loc[here["method"] == "with clipping", "clipped"].mean()
Markdown(
    f"""**At η = {lr:g}, c = {max_norm:g}.** Without clipping the runs end at {percent(mean["without clipping"].mean)}
({percent(max(0, mean["without clipping"].low))} to {percent(min(1, mean["without clipping"].high))}, 95 % over {runs}
seeds), with clipping at {percent(mean["with clipping"].mean)} ({percent(max(0, mean["with clipping"].low))} to
{percent(min(1, mean["with clipping"].high))}). {verdict[0].upper() + verdict[1:]}

Clipping acted in {acted:.0f} % of the steps. The longest gradient was {longest["without clipping"]:.3g} without
clipping and {longest["with clipping"]:.3g}, before it was cut, with clipping. {lost} of {2 * runs} runs ended with a
loss that was not a number; a run can be lost without that, when its weights end up where no gradient leads back."""
)

# %% [markdown]
# ## How far does the rescue reach?
#
# One learning rate says little. Here the same two ways are trained at several, from 0.1 to 10.

# %% tags=["hide-code", "reveal"]
figures.draw_curves(
    figures.curves_data(
        table,
        "lr",
        "accuracy",
        by="method",
        title="Accuracy by learning rate, without and with clipping",
        subtitle=f"{steps} steps, mean of {runs} seeds with 95 % interval; dotted: your learning rate",
        x_title="learning rate η (log scale)",
        y_title="test accuracy",
        ideas={"without clipping": "baseline", "with clipping": "clipping"},
        now=lr,
        log="x",
        percent="y",
    )
)

# %% tags=["hide-code", "reveal"]
by_rate = table.pivot_table("accuracy", "lr", "method")
best = {name: by_rate[name].idxmax() for name in by_rate}
at_best = pd.concat([table[(table["method"] == n) & (table["lr"] == best[n])] for n in best]).assign(cost=0)
best_verdict = differences(at_best, cost="cost")[0]
top = by_rate.max().max()
fine = {n: ", ".join(f"{r:g}" for r in by_rate.index if by_rate[n][r] > top - 0.05) or "none" for n in by_rate}
Markdown(
    f"""Within 5 points of the best mean seen here ({percent(top)}): **without clipping** at η =
{fine["without clipping"]}; **with clipping** at η = {fine["with clipping"]}.

Each at its own best learning rate, {best["without clipping"]:g} without and {best["with clipping"]:g} with clipping:
{best_verdict.sentence}"""
)

# %% [markdown]
# ## A pitfall: a learning rate in disguise
#
# If nearly every step is clipped, all gradients leave with the same length, and $\eta$ and $c$ act only through their
# product: half the threshold is half the step. Then clipping did not catch rare spikes, it set the step size. The
# control: no clipping, but a learning rate lowered so that the mean step is as long as it was with clipping,
# $\eta' = \eta \cdot \overline{\lVert \tilde g \rVert} \,/\, \overline{\lVert g \rVert}$.

# %% tags=["hide-code", "reveal"]
clipped_here = here[here["method"] == "with clipping"]
lowered = lr * clipped_here["after"].mean() / clipped_here["before"].mean()
control = [
    pc.run(plain.with_(**{"train.lr": lowered, "train.seed": seed}), progress=False).accuracy for seed in range(runs)
]
disguise = pd.concat(
    [
        here[["method", "seed", "accuracy"]],
        pd.DataFrame({"method": "without clipping, lower rate", "seed": range(runs), "accuracy": control}),
    ]
)
shown = {name: mean_interval(part["accuracy"]) for name, part in disguise.groupby("method", sort=False)}
rates = {"without clipping": lr, "with clipping": lr, "without clipping, lower rate": lowered}
pd.DataFrame(
    [
        {
            "": name,
            "learning rate": f"{rates[name]:.3g}",
            "test accuracy": percent(i.mean),
            "95 % interval": f"{percent(max(0, i.low))} to {percent(min(1, i.high))}",
        }
        for name, i in shown.items()
    ]
).set_index("")

# %% tags=["hide-code", "reveal"]
against = differences(disguise[disguise["method"] != "without clipping"].assign(cost=0), cost="cost")[0]
Markdown(
    f"{against.sentence[0].upper() + against.sentence[1:]} Clipping acted in "
    f"{percent(clipped_here['clipped'].mean(), 0)} of its steps. Only where it acts in few of them does it do what no "
    "learning rate can: leave ordinary steps alone and shorten the rare long one. So look at the share of steps "
    "clipped before you thank the threshold."
)

# %% [markdown]
# ## Questions

# %% [markdown] tags=["exercise"]
# **1.** With your learning rate and threshold and **no** momentum, how long can one update of all weights together be
# at most?
#
# ```lab
# id: step
# kind: number
# low: 0
# high: 100
# hint: The update is the learning rate times the clipped gradient.
# ```

# %% tags=["check"]
answer_step = lr * max_norm
why_step = f"ηc = {lr:g} · {max_norm:g} = {lr * max_norm:.3g}. With momentum 0.9 the updates add up to ten times that."

# %% [markdown] tags=["exercise"]
# **2.** At which of these learning rates did clipping gain most accuracy over no clipping?
#
# ```lab
# id: most
# kind: choice
# options: ["0.1", "0.3", "1", "3", "10"]
# hint: Where are the two curves farthest apart, with clipping above?
# ```

# %% tags=["check"]
gains_at = (by_rate["with clipping"] - by_rate["without clipping"]).loc[grid]
# a difference of less than a point from the largest is as good an answer
answer_most = [f"{r:g}" for r in grid if gains_at[r] > gains_at.max() - 0.01]
why_most = "With minus without clipping: " + ", ".join(f"{100 * gains_at[r]:+.1f} points at {r:g}" for r in grid) + "."

# %% [markdown] tags=["exercise"]
# **3.** Each way at its own best learning rate: what do these runs show?
#
# ```lab
# id: tuned
# kind: choice
# options:
#   - Better with clipping
#   - Better without clipping
#   - No difference is shown
# hint: The sentence below the picture of learning rates tests it.
# ```

# %% tags=["check"]
answer_tuned = (
    "No difference is shown"
    if not best_verdict.shown
    else "Better with clipping"
    if best_verdict.a == "with clipping"
    else "Better without clipping"
)
why_tuned = (
    best_verdict.sentence + " The best rates were picked on the same runs, which flatters both; a careful study picks "
    "them on other seeds."
)

# %% [markdown] tags=["exercise"]
# **4.** In what share of its steps did clipping act at your learning rate, on average over the seeds?
#
# ```lab
# id: share
# kind: number
# unit: "%"
# low: 0
# high: 100
# hint: The text below the gradient's norm says it.
# ```

# %% tags=["check"]
answer_share = (float(max(0.0, acted - 2)), float(min(100.0, acted + 2)))
why_share = f"In {acted:.1f} % of the steps the gradient was longer than c = {max_norm:g}."

answers = {
    name: (globals()["answer_" + name], globals()["why_" + name])
    for name in ("saved", "step", "most", "tuned", "share")
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
#   [arXiv:1211.5063](https://arxiv.org/abs/1211.5063): the product of factors above, and clipping by norm against it.
# - Zhang, He, Sra, Jadbabaie 2019, *Why gradient clipping accelerates training*,
#   [arXiv:1905.11881](https://arxiv.org/abs/1905.11881): when clipping provably beats any fixed learning rate.
# - Seetharaman et al. 2020, *AutoClip*, [arXiv:2007.14469](https://arxiv.org/abs/2007.14469): a threshold that follows
#   the gradients seen so far.
