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
#     order: 6
#     test:
#       after: 10
#       runs: 3
#       steps: 50
# ---

# %% [markdown]
# # Which weights? Criteria compared
#
# Six rules for choosing what to prune, on the same trained networks: which keeps most accuracy, how sure we can be, and
# how much of the difference is left after some more training.
#
# **The question.** A small weight may matter and a large one may not. Does it pay to look at more than magnitude?

# %% tags=["hide-code"]
import copy

import pandas as pd
import torch
from IPython.display import Markdown
from torch.nn import functional as F

import prune_core as pc
from prune_core import figures
from prune_core.comparing import differences, mean_interval
from prune_core.figures.words import number, percent
from prune_core.seeding import generator
from prune_core.training import wilson

# %% tags=["parameters"]
sparsity: float = 0.95  # Sparsity [0.5 .. 0.99, step 0.01]: share of the prunable weights that is removed
steps: int = 150  # Steps [50 .. 400, step 50] (steps): how long a network trains before it is pruned
after: int = 30  # Steps after [10 .. 200, step 10] (steps): how long it trains on once it is pruned
examples: int = 256  # Examples [16 .. 1024, step 16] (images): what criteria that look at data are shown
runs: int = 5  # Seeds [3 .. 8] (seeds): how many networks each rule is tried on

# %% [markdown]
# ## Six rules
#
# Every rule gives each weight a score; the lowest scores go, wherever in the network they are.
#
# | rule | score of a weight $w$ | looks at |
# |---|---|---|
# | random | a random number | nothing: the control |
# | magnitude | $\lvert w \rvert$ | the weight |
# | relative magnitude | $\lvert w \rvert$ divided by the mean of $\lvert w \rvert$ in its layer | the layer |
# | LAMP | $w^2$ divided by the sum of all $w^2$ of its layer that are not smaller | the layer |
# | Taylor | $\lvert w \cdot g \rvert$, with the gradient $g$ of the loss | training examples |
# | Fisher | $\tfrac{1}{2} w^2 F$, with $F$ the mean of $g^2$ over single examples | training examples |
#
# The last two estimate how the loss changes when the weight is set to zero. By Taylor's theorem, removing it alone
# changes the loss by
#
# $$
# L(w \to 0) - L \approx -\,g\,w + \tfrac{1}{2}\, h\, w^2 ,
# $$
#
# with $h$ the curvature. Taylor keeps the first term, Fisher the second, with $F$ standing in for $h$. Both are about
# *one* weight; here thousands go together.

# %%
experiment = pc.Experiment(
    data=pc.Digits(), model=pc.LeNet300(), train=pc.Training(steps=steps, batch_size=64, lr=0.1, seed=0)
)
data = experiment.data.load()
trained = [pc.run(experiment.with_(**{"train.seed": seed}), progress=False) for seed in range(runs)]
rules = {
    "random": pc.Random(),
    "magnitude": pc.Magnitude(),
    "relative magnitude": pc.RelativeMagnitude(),
    "LAMP": pc.LAMP(),
    "Taylor": pc.Taylor(examples=examples),
    "Fisher": pc.Fisher(examples=examples),
}

# %% tags=["hide-code"]
grid = sorted({0.5, 0.8, 0.9, 0.95, 0.98, round(sparsity, 2)})
rows, layers = [], {}
for seed, result in enumerate(trained):
    shown = next(data.drawn(examples, generator(seed, "lesson"), batch_size=examples))
    for name, rule in rules.items():
        for share in grid:
            model = copy.deepcopy(result.model)
            masks = pc.prune_(model, sparsity=share, criterion=rule, batch=shown, seed=seed)
            rows.append(
                {
                    "prune": name,
                    "target": share,
                    "seed": seed,
                    "accuracy": pc.evaluate(model, data).accuracy,
                }
            )
            if seed == 0 and share == round(sparsity, 2):
                layers[name] = {layer: 1 - float(mask.float().mean()) for layer, mask in masks.items()}
table = pd.DataFrame(rows)
before = mean_interval([r.accuracy for r in trained])
here = table[table["target"] == round(sparsity, 2)]
at = {name: mean_interval(part["accuracy"]) for name, part in here.groupby("prune", sort=False)}
best = max(at, key=lambda name: at[name].mean)
pairs = differences(here, method="prune", cost="target")
beaten = {d.b for d in pairs if d.a == best and d.shown}
level = [name for name in at if name == best or name not in beaten]
Markdown(
    f"{runs} networks were trained for {steps} steps; they reach {percent(before.mean)} ({percent(before.low)} to "
    f"{percent(min(1, before.high))}) of the test images. Each was pruned by each rule to each of "
    f"{', '.join(percent(s, 0) for s in grid)}, and measured without further training."
)

# %% [markdown]
# ## Predict

# %% [markdown] tags=["exercise"]
# At your sparsity, pruned at once and not trained on: which rule keeps the most accuracy?
#
# ```lab
# id: best
# kind: prediction
# options: [random, magnitude, relative magnitude, LAMP, Taylor, Fisher]
# hint: There may be more than one good answer, since rules that cannot be told apart from the best count as well.
# ```

# %% tags=["check"]
answer_best = level
why_best = (
    f"Highest on average: {best} with {percent(at[best].mean)}. "
    + (f"Not shown to be worse: {', '.join(n for n in level if n != best)}. " if len(level) > 1 else "")
    + (f"Shown to be worse, all comparisons corrected: {', '.join(sorted(beaten))}." if beaten else "")
)

# %% tags=["hide-code", "reveal"]
figures.draw_curves(
    figures.curves_data(
        table,
        "target",
        "accuracy",
        by="prune",
        title="Six rules on the same networks, pruned at once",
        subtitle=f"Mean of {runs} networks with 95 % interval; {percent(before.mean)} before; dotted: your sparsity",
        x_title="weights removed",
        y_title="test accuracy",
        now=sparsity,
        percent="y",
        sparsity=True,
    )
)

# %% tags=["hide-code", "reveal"]
pd.DataFrame(
    [
        {
            "rule": name,
            "test accuracy": percent(i.mean),
            "95 % interval": f"{percent(max(0, i.low))} to {percent(min(1, i.high))}",
            "gone from the three layers": ", ".join(percent(share, 0) for share in layers[name].values()),
        }
        for name, i in sorted(at.items(), key=lambda item: -item[1].mean)
    ]
).set_index("rule")

# %% tags=["hide-code", "reveal"]
shown_pairs = [d for d in pairs if d.shown]
among = [d for d in shown_pairs if "random" not in (d.a, d.b)]
over_random = [d.a for d in shown_pairs if d.b == "random"]
emptied = [name for name, shares in layers.items() if max(shares.values()) > 0.9995]
model = copy.deepcopy(trained[0].model)
x, y = next(data.drawn(examples, generator(0, "lesson"), batch_size=examples))
fit = F.cross_entropy(model(x), y)
fit.backward()
slopes = torch.cat([p.grad.abs().flatten() for p in model.parameters()])
Markdown(
    f"""**What {runs} networks show at {percent(sparsity, 0)}.** Networks are compared one by one, and p is corrected
for all {len(pairs)} comparisons by Holm's method. Better than random: {", ".join(over_random) or "none of them"}. Of
the {len(pairs) - 5} comparisons among the other five, {len(among)} show a difference:

"""
    + "\n".join(f"- {d.sentence[0].upper() + d.sentence[1:]}" for d in among)
    + f"""

**Why a gradient may say little.** The loss of the first network on the {len(y)} examples is {number(fit.item())}, and
half of its gradient's entries are below {number(float(slopes.median()))}. The better a network fits what it is
shown, the closer to zero the gradient is, and the less $\\lvert w g \\rvert$ tells one weight from another."""
    + (f"\n\nA layer was left with nothing, and then passes nothing on, by: {', '.join(emptied)}." if emptied else "")
)

# %% [markdown]
# ## And after some more training?
#
# Networks are rarely left as pruning leaves them. The same four rules again, now as runs: train, prune at once, train
# on. What they have in common before pruning is trained only once.

# %% tags=["hide-code", "reveal"]
whole = experiment.with_(
    **{"train.steps": steps + after, "prune": pc.Pruning(schedule=pc.OneShot(final=sparsity, at=steps))}
)
four = ("random", "magnitude", "LAMP", "Taylor")
runs_after = pc.sweep(whole, {"train.seed": range(runs), "prune.criterion": [rules[n] for n in four]}, progress=False)
recovered = pd.DataFrame(
    [
        {"prune": four[i % 4], "seed": i // 4, "target": sparsity, "accuracy": result.accuracy}
        for i, result in enumerate(runs_after)
    ]
)
then = {name: mean_interval(part["accuracy"]) for name, part in recovered.groupby("prune", sort=False)}
spread = {
    "right after pruning": max(at[n].mean for n in four[1:]) - min(at[n].mean for n in four[1:]),
    "after training on": max(then[n].mean for n in four[1:]) - min(then[n].mean for n in four[1:]),
}
pd.DataFrame(
    [
        {
            "rule": name,
            "right after pruning": percent(at[name].mean),
            f"after {after} more steps": percent(then[name].mean),
            "95 % interval": f"{percent(max(0, then[name].low))} to {percent(min(1, then[name].high))}",
        }
        for name in four
    ]
).set_index("rule")

# %% tags=["hide-code", "reveal"]
later = differences(recovered, method="prune", cost="target")
informed = [d for d in later if "random" not in (d.a, d.b)]
Markdown(
    f"""The three rules that look at something lie {100 * spread["right after pruning"]:.1f} points apart right after
pruning and {100 * spread["after training on"]:.1f} points apart after {after} more steps. Among them:

"""
    + "\n".join(f"- {d.sentence[0].upper() + d.sentence[1:]}" for d in informed)
    + "\n\nA table that compares criteria without saying how long the networks trained afterwards says little."
)

# %% [markdown]
# ## A pitfall: one network names a winner by chance
#
# With a single seed there is always a winner. Here is who would have won, network by network, at your sparsity right
# after pruning, among all six rules.

# %% tags=["hide-code", "reveal"]
by_seed = here.pivot_table("accuracy", "seed", "prune")[list(rules)]
winners = by_seed.eq(by_seed.max(axis=1), axis=0)
wins = winners.sum()
pd.DataFrame(
    {
        "wins (ties count for all)": wins.astype(int),
        "lowest accuracy": by_seed.min().map(percent),
        "highest accuracy": by_seed.max().map(percent),
    }
).rename_axis("rule")

# %% tags=["hide-code", "reveal"]
Markdown(
    f"Over {runs} networks, **{int((wins > 0).sum())} of 6 rules** win at least once; {best}, the best on average, "
    f"wins {int(wins[best])} of {runs}. The test split of {data.info.test} images adds its own noise: one network's "
    f"accuracy of {percent(at[best].mean)} has a 95 % interval of "
    f"{' to '.join(percent(v) for v in wilson(at[best].mean * data.info.test, data.info.test))}."
)

# %% [markdown]
# ## Questions

# %% [markdown] tags=["exercise"]
# **1.** Two weights: $w_1 = 0.5$ with gradient $g_1 = 0.01$, and $w_2 = 0.1$ with gradient $g_2 = 0.2$. Which goes
# first?
#
# ```lab
# id: first
# kind: choice
# options:
#   - w₁ by both rules
#   - w₂ by both rules
#   - w₂ by magnitude, w₁ by Taylor
#   - w₁ by magnitude, w₂ by Taylor
# hint: The lower score goes first. Magnitude compares 0.5 and 0.1; Taylor compares the products.
# ```

# %% tags=["check"]
pair, slope = torch.tensor([0.5, 0.1]), torch.tensor([0.01, 0.2])
lowest = {"magnitude": int(pair.abs().argmin()), "Taylor": int((pair * slope).abs().argmin())}
answer_first = (
    f"{'w₁w₂'[2 * lowest['magnitude'] : 2 * lowest['magnitude'] + 2]} by both rules"
    if lowest["magnitude"] == lowest["Taylor"]
    else "w₂ by magnitude, w₁ by Taylor"
    if lowest["magnitude"]
    else "w₁ by magnitude, w₂ by Taylor"
)
scores = [f"{v:.3g}" for v in (pair * slope).abs().tolist()]
why_first = f"Magnitudes 0.5 and 0.1: w₂ is smaller. Products {scores[0]} and {scores[1]}: the loss feels w₁ less."

# %% [markdown] tags=["exercise"]
# **2.** In how many of the comparisons between two rules, right after pruning, is a difference shown?
#
# ```lab
# id: shown
# kind: number
# unit: comparisons
# low: 0
# high: 15
# hint: Those better than random count too; the text below the first table has both.
# ```

# %% tags=["check"]
answer_shown = len(shown_pairs)
why_shown = f"{len(shown_pairs)} of {len(pairs)}, at 5 % over all of them together."

# %% [markdown] tags=["exercise"]
# **3.** Somebody tries one network, sees rule A at 91.0 % and rule B at 90.4 %, and writes "A is better". What do you
# answer?
#
# ```lab
# id: claim
# kind: choice
# options:
#   - Right, 0.6 points are 0.6 points
#   - One network and this test split cannot show it; try several seeds and test the difference
#   - Wrong, B is better
# hint: How many images are 0.6 points of this test split?
# ```

# %% tags=["check"]
low, high = wilson(0.91 * data.info.test, data.info.test)
answer_claim = (
    "One network and this test split cannot show it; try several seeds and test the difference"
    if low < 0.904 < high
    else "Right, 0.6 points are 0.6 points"
)
why_claim = (
    f"0.6 points are {0.006 * data.info.test:.0f} of {data.info.test} images; 91.0 % of one network has the interval "
    f"{percent(low)} to {percent(high)}, and seeds differ besides."
)

# %% [markdown] tags=["exercise"]
# **4.** How far apart are the three rules magnitude, LAMP and Taylor after the additional training, in points of mean
# accuracy?
#
# ```lab
# id: apart
# kind: number
# unit: points
# low: 0
# high: 100
# hint: The sentence below the second table.
# ```

# %% tags=["check"]
apart = 100 * spread["after training on"]
answer_apart = (max(0.0, apart - 0.5), apart + 0.5)
first_apart = 100 * spread["right after pruning"]
why_apart = f"{apart:.1f} points after {after} more steps; right after pruning it was {first_apart:.1f}."

answers = {
    name: (globals()["answer_" + name], globals()["why_" + name])
    for name in ("best", "first", "shown", "claim", "apart")
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
# - Lee et al. 2021, LAMP, [arXiv:2010.07611](https://arxiv.org/abs/2010.07611); Molchanov et al. 2019, Taylor,
#   [arXiv:1906.10771](https://arxiv.org/abs/1906.10771); Lee et al. 2019, SNIP: Taylor's score before any training,
#   [arXiv:1810.02340](https://arxiv.org/abs/1810.02340).
# - Blalock, Gonzalez Ortiz, Frankle, Guttag 2020, *What is the state of neural network pruning?*,
#   [arXiv:2003.03033](https://arxiv.org/abs/2003.03033): 81 papers, and how few of them can be compared.
