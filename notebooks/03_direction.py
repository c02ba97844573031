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
#     order: 3
#     test:
#       batches: 3
#       runs: 2
# ---

# %% [markdown]
# # Value against norm: what happens to the direction
#
# Two ways to make a gradient shorter, compared at exactly the same length: one keeps its direction, one turns it; we
# measure by how many degrees, and what that costs.
#
# **The question.** "Gradient clipping" names two different operations. If both leave a gradient of the same length, do
# they lead to the same place?

# %% tags=["hide-code"]
import math

import pandas as pd
import torch
from IPython.display import Markdown
from torch.nn import functional as F

import prune_core as pc
from prune_core import figures
from prune_core.comparing import differences, mean_interval
from prune_core.figures.words import count, percent
from prune_core.seeding import generator

# %% tags=["parameters"]
threshold: float = 0.01  # Value threshold α [0.0001 .. 1, log]: no entry of the gradient may be larger than this
batch_size: int = 64  # Batch size [8 .. 256, step 8] (images): examples that one gradient is the mean of
warmup: int = 50  # Steps before we look [10 .. 200, step 10] (steps): how long the network has trained already
batches: int = 12  # Batches [3 .. 30] (batches): how many gradients are measured
runs: int = 5  # Seeds [2 .. 8] (seeds): how often each training is repeated from other initial weights

# %% [markdown]
# ## The two operations
#
# $$
# \begin{aligned}
# \text{by value:}\quad & g_i \leftarrow \min(\max(g_i, -\alpha), \alpha) \\
# \text{by norm:}\quad & g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert}\right)
# \end{aligned}
# $$
#
# By norm, every entry is multiplied by the same number. By value, the large entries are cut and the small ones stay, so
# the proportions between them change. Take $g = (3,\; 0.5)$ and $\alpha = 1$: it becomes $(1,\; 0.5)$. It pointed 9.5
# degrees away from the first axis, and now points 26.6 degrees away. Clipped by norm to the same length it would be
# $(1.10,\; 0.18)$, still at 9.5 degrees.
#
# The angle $\theta$ between what was, $g$, and what is left, $\tilde g$, follows from
# $\cos\theta = \dfrac{g \cdot \tilde g}{\lVert g \rVert\,\lVert \tilde g \rVert}$.

# %%
experiment = pc.Experiment(
    data=pc.Digits(), model=pc.MLP(width=64, depth=1), train=pc.Training(steps=warmup, batch_size=64, lr=0.1, seed=0)
)
model = pc.run(experiment, progress=False).model
data = experiment.data.load()
drawn = [b for b in data.drawn(batches * batch_size, generator(0, "lesson"), batch_size) if len(b[1]) == batch_size]
parameters = list(model.parameters())
total = sum(p.numel() for p in parameters)


def gradient(x, y):
    """Loss of a batch, and its gradient as one vector; each parameter keeps its part."""
    model.zero_grad()
    loss = F.cross_entropy(model(x), y)
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


def degrees(a, b):
    """Angle between two vectors."""
    cosine = (a.double() @ b.double() / (a.double().norm() * b.double().norm())).item()
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


# %% tags=["hide-code"]
thresholds = torch.logspace(-5, 0, 21, dtype=torch.float64).tolist()
distances = torch.logspace(-2, 1, 16, dtype=torch.float64).tolist()
turns, steps, at_yours = [], [], []
for x, y in drawn:
    before, g = gradient(x, y)
    for alpha in [*thresholds, threshold]:
        by_value = g.clamp(-alpha, alpha)
        by_norm = g * (by_value.norm() / g.norm())  # the same length
        if alpha != threshold:
            turns.append({"name": "by value", "alpha": alpha, "angle": degrees(g, by_value)})
            turns.append({"name": "by norm, to the same length", "alpha": alpha, "angle": degrees(g, by_norm)})
    by_value = g.clamp(-threshold, threshold)
    turned = degrees(g, by_value)
    at_yours.append((turned, math.cos(math.radians(turned)), (by_value.norm() / g.norm()).item()))
    for distance in distances:
        for name, vector in (("by norm", g), ("by value", by_value)):
            left = loss_after(vector * (distance / vector.norm()), x, y)
            promise = distance * g.norm().item()
            steps.append(
                {"name": name, "distance": distance, "change": left - before, "kept": (before - left) / promise}
            )
turns, steps = pd.DataFrame(turns), pd.DataFrame(steps)
angle, cosine, left = (mean_interval([row[i] for row in at_yours]) for i in range(3))

# %% [markdown]
# ## Predict

# %% [markdown] tags=["exercise"]
# The gradient of a real network has thousands of entries. By how many degrees does clipping by value at your threshold
# $\alpha$ turn it, on average over the batches? (0 is not at all, 90 is as far from it as any unrelated direction.)
#
# ```lab
# id: angle
# kind: prediction
# unit: degrees
# low: 0
# high: 90
# hint: The more entries are larger than α, the more proportions change.
# ```

# %% tags=["check"]
answer_angle = (max(0.0, angle.mean - 5), min(90.0, angle.mean + 5))
why_angle = (
    f"Measured: {angle.mean:.1f} degrees on average over {len(drawn)} batches (95 % interval "
    f"{max(0, angle.low):.1f} to {angle.high:.1f}); a guess within 5 degrees counts as right."
)

# %% tags=["hide-code", "reveal"]
figures.draw_curves(
    figures.curves_data(
        turns,
        "alpha",
        "angle",
        title="By value, the gradient turns; by norm it does not",
        subtitle=f"Mean of {len(drawn)} batches of {batch_size} images with 95 % interval; dotted: your threshold",
        x_title="value threshold α (log scale)",
        y_title="angle to the unclipped gradient (degrees)",
        ideas={"by value": "clipping", "by norm, to the same length": "baseline"},
        now=threshold,
        log="x",
    )
)

# %% tags=["hide-code", "reveal"]
signs = [degrees(gradient(x, y)[1], gradient(x, y)[1].sign()) for x, y in drawn]
sign_angle = mean_interval(signs)
smallest = mean_interval(turns[(turns["name"] == "by value") & (turns["alpha"] == thresholds[0])]["angle"])
Markdown(
    f"""At your threshold, α = {threshold:g}, clipping by value leaves {percent(left.mean)} of the gradient's length and
turns it by **{angle.mean:.1f} degrees** ({max(0, angle.low):.1f} to {angle.high:.1f}), so that
$\\cos\\theta \\approx {cosine.mean:.3f}$.

At the left end, α = {thresholds[0]:g}, almost every entry is cut to ±α and only its **sign** is left. The vector of the
gradient's signs is {sign_angle.mean:.1f} degrees away from the gradient, and the curve ends at {smallest.mean:.1f}:
with a very small threshold, value clipping turns gradient descent into descent by signs."""
)

# %% [markdown]
# ## What does the turn cost?
#
# For a short step of length $d$ in the direction of $\tilde g$ the loss falls by about
#
# $$
# L(w) - L\left(w - d\,\frac{\tilde g}{\lVert \tilde g \rVert}\right) \approx d\,\lVert g \rVert \cos\theta .
# $$
#
# So a turned step of the same length should lower the loss by only $\cos\theta$ of what the straight one does. That is
# a statement about *short* steps. The figure makes steps of equal length in both directions, from short ones to long
# ones, and shows which share of $d\,\lVert g \rVert$ the loss really fell by: 1 is all that a straight line promises.

# %% tags=["hide-code"]
change = steps.pivot_table("change", "distance", "name")
figures.draw_curves(
    figures.curves_data(
        steps[steps["distance"] <= 2 * change["by norm"].idxmin()],
        "distance",
        "kept",
        title="Steps of equal length, straight and turned",
        subtitle=f"One step from the same weights, mean of {len(drawn)} batches with 95 % interval",
        x_title="length d of the step (log scale)",
        y_title="fall of the loss as a share of d · ‖g‖",
        ideas={"by value": "clipping", "by norm": "baseline"},
        log="x",
    )
)

# %% tags=["hide-code", "reveal"]
short = distances[0]
ratio = change.loc[short, "by value"] / change.loc[short, "by norm"]
per_batch = steps.assign(batch=steps.groupby(["name", "distance"]).cumcount())
deepest = per_batch.groupby(["name", "batch"])["change"].min().unstack("name")
gap = mean_interval(deepest["by norm"] - deepest["by value"])
if gap.low > 0:
    found = "the turned direction reaches lower"
elif gap.high < 0:
    found = "the straight direction reaches lower"
else:
    found = "no difference is shown"
Markdown(
    f"""**Short steps.** At length {short:g} the turned step lowers the loss by {ratio:.3f} of what the straight one
does; the formula says $\\cos\\theta = {cosine.mean:.3f}$.

**Long steps.** The formula knows no curvature: a gradient points where it is steepest here, not where it stays steep.
Let each direction have its own best length for each batch. Then the loss falls by {-deepest["by norm"].mean():.3g}
straight on and by {-deepest["by value"].mean():.3g} turned. The difference, batch by batch (above 0: turned is better),
is {gap.mean:.3g} ({gap.low:.3g} to {gap.high:.3g}): **{found}**. A turned gradient is a different one, which is not the
same as a worse one."""
)

# %% [markdown]
# ## Over a whole training
#
# Now 150 steps, from several seeds. The norm threshold $c$ is the mean length that value clipping leaves in
# its own run, so that both shorten by about as much, and what differs is above all the direction.

# %% tags=["hide-code"]
plain = experiment.with_(**{"train.steps": 150, "train.batch_size": batch_size})
trained = {}
for s in range(runs):
    own = plain.with_(**{"train.seed": s})
    trained["by value", s] = pc.run(own.with_(clip=pc.ValueClip(threshold=threshold)), progress=False)
    c = float(trained["by value", s].history["grad_norm_after"].mean())
    trained["by norm", s] = pc.run(own.with_(clip=pc.NormClip(max_norm=c)), progress=False)
    trained["no clipping", s] = pc.run(own, progress=False)
figures.draw_overlay(
    figures.overlay_data(
        [{"name": name, "idea": "clipping", "history": trained[name, 0].history} for name in ("by value", "by norm")],
        "cosine",
    )
)

# %% tags=["hide-code"]
table = pd.DataFrame(
    [
        {
            "method": name,
            "seed": s,
            "sparsity": 0.0,
            "accuracy": r.accuracy,
            "cosine": r.history["cosine"].mean(),
            "after": r.history["grad_norm_after"].mean(),
        }
        for (name, s), r in trained.items()
    ]
)
rows = []
for name, part in table.groupby("method", sort=False):
    i = mean_interval(part["accuracy"])
    rows.append(
        {
            "": name,
            "mean norm after clipping": f"{part['after'].mean():.3g}",
            "mean cosine": f"{part['cosine'].mean():.3f}",
            "test accuracy": percent(i.mean),
            "95 % interval": f"{percent(i.low)} to {percent(min(1, i.high))}",
        }
    )
pd.DataFrame(rows).set_index("")

# %% tags=["hide-code"]
sentences = [d.sentence for d in differences(table)]
Markdown(
    f"What {runs} seeds say, the same seeds compared one by one and corrected for three comparisons:\n\n"
    + "\n".join(f"- {s[0].upper() + s[1:]}" for s in sentences)
    + "\n\n“No difference shown” is not “no difference”: with few seeds only large ones show."
)

# %% [markdown]
# ## A pitfall: “by norm” of what?
#
# Norm clipping keeps the direction only if the norm is that of **all parameters together**. Some code clips each layer
# by its own norm. Then layers with long gradients are shortened and others are not, the proportions between layers
# change, and the whole gradient turns. Here both use the same $c$, a quarter of the length of the whole gradient.

# %% tags=["hide-code"]
rows = []
for x, y in drawn:
    _, g = gradient(x, y)
    c = 0.25 * g.norm().item()
    for name, clip in (
        ("all parameters together", pc.NormClip(max_norm=c)),
        ("layer by layer", pc.LayerNormClip(max_norm=c)),
    ):
        gradient(x, y)
        report = clip.clip_(parameters)
        rows.append(
            {"norm of": name, "cosine": float(report.cosine), "after": float(report.norm_after) / float(g.norm())}
        )
pitfall = pd.DataFrame(rows)
layerwise = mean_interval(pitfall[pitfall["norm of"] == "layer by layer"]["cosine"])
together = mean_interval(pitfall[pitfall["norm of"] == "all parameters together"]["cosine"])
pitfall.groupby("norm of").mean().rename(
    columns={"cosine": "mean cosine to the whole gradient", "after": "mean share of its length left"}
).round(4)

# %% [markdown]
# ## Questions

# %% [markdown] tags=["exercise"]
# **1.** The gradient is $g = (3, 4)$. Clip it by value at $\alpha = 3$. What is the cosine of the angle between before
# and after?
#
# ```lab
# id: cosine
# kind: number
# low: 0
# high: 1
# hint: After clipping it is (3, 3). Multiply entry by entry, add, and divide by both lengths.
# ```

# %% tags=["check"]
hand = torch.tensor([3.0, 4.0], dtype=torch.float64)
cut = hand.clamp(-3, 3)
exact = (hand @ cut / hand.norm() / cut.norm()).item()
answer_cosine = (exact - 0.003, exact + 0.003)
why_cosine = f"(3·3 + 4·3) / (5 · √18) = 21 / 21.213 = {exact:.4f}: a turn of {degrees(hand, cut):.1f} degrees."

# %% [markdown] tags=["exercise"]
# **2.** The same $g = (3, 4)$ is clipped by norm to $c = 1$. What is its second entry afterwards?
#
# ```lab
# id: second
# kind: number
# low: 0
# high: 4
# hint: Its length is 5; every entry is multiplied by the same number.
# ```

# %% tags=["check"]
answer_second = (hand * (1 / hand.norm()))[1].item()
why_second = f"Both entries are multiplied by 1/5: (0.6, {answer_second:.2g}), which points where (3, 4) points."

# %% [markdown] tags=["exercise"]
# **3.** Which of these leaves the direction of the gradient exactly as it was?
#
# ```lab
# id: keeps
# kind: choice
# options:
#   - Clipping by value
#   - Clipping by the norm of all parameters together
#   - Clipping each layer by its own norm
#   - All three
# hint: Look at the cosines of both tables.
# ```

# %% tags=["check"]
keeping = {
    "Clipping by value": min(math.cos(math.radians(a)) for a in turns[turns["name"] == "by value"]["angle"]),
    "Clipping by the norm of all parameters together": together.mean,
    "Clipping each layer by its own norm": layerwise.mean,
}
kept = [name for name, cosine in keeping.items() if cosine > 1 - 1e-9]
answer_keeps = "All three" if len(kept) == 3 else kept[0]
why_keeps = "Measured cosines: " + "; ".join(
    f"{name[0].lower() + name[1:]} {'down to' if 'value' in name else 'on average'} {cosine:.4f}"
    for name, cosine in keeping.items()
)

# %% [markdown] tags=["exercise"]
# **4.** You make $\alpha$ smaller and smaller and raise the learning rate so that $\eta\alpha$ stays the same. Which
# update does clipping by value tend to?
#
# ```lab
# id: limit
# kind: choice
# options:
#   - The gradient itself, only shorter
#   - The same distance for every weight whose gradient is not zero, in the direction of its sign
#   - No update at all
# hint: What is left of an entry that is far larger than α?
# ```

# %% tags=["check"]
_, g = gradient(*drawn[0])
tiny = g.clamp(-1e-12, 1e-12)
to_sign, to_gradient = degrees(tiny, g.sign()), degrees(tiny, g)
answer_limit = (
    "The same distance for every weight whose gradient is not zero, in the direction of its sign"
    if to_sign < to_gradient
    else "The gradient itself, only shorter"
)
why_limit = (
    f"At α = 1e-12 the clipped gradient is {to_sign:.1f} degrees from the vector of signs and {to_gradient:.1f} "
    f"degrees from the gradient, over {count(total)} entries."
)

answers = {
    name: (globals()["answer_" + name], globals()["why_" + name])
    for name in ("angle", "cosine", "second", "keeps", "limit")
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
#   [arXiv:1211.5063](https://arxiv.org/abs/1211.5063): clipping by norm.
# - Bernstein, Wang, Azizzadenesheli, Anandkumar 2018, *signSGD: Compressed optimisation for non-convex problems*,
#   [arXiv:1802.04434](https://arxiv.org/abs/1802.04434): when descent by signs is a good idea.
# - Brock, De, Smith, Simonyan 2021, [arXiv:2102.06171](https://arxiv.org/abs/2102.06171): adaptive clipping, unit by
#   unit, relative to the weights.
