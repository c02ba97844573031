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
#     order: 7
#     test:
#       rounds: 20
#       runs: 2
#       width: 128
# ---

# %% [markdown]
# # From mask to milliseconds
#
# Weights are gone, and nothing is faster: three ways to store a pruned layer, timed side by side on the machine that
# runs this lesson, and what it takes to turn sparsity into speed.
#
# **The question.** A network with a tenth of its weights needs a tenth of the multiplications. When does it need a
# tenth of the time?

# %% tags=["hide-code"]
import time
import warnings

import pandas as pd
import torch
from IPython.display import Markdown
from torch import nn

import prune_core as pc
from prune_core import figures
from prune_core.comparing import mean_interval
from prune_core.figures.words import count, percent
from prune_core.measuring import macs, median_interval

warnings.filterwarnings("ignore", message="Sparse CSR")  # torch says that it may change

# %% tags=["parameters"]
sparsity: float = 0.9  # Sparsity [0.5 .. 0.98, step 0.01]: share of the layer's weights that is removed
width: int = 512  # Width [128 .. 1024, step 128] (units): inputs and outputs of the layer
batch: int = 64  # Batch [1 .. 128] (examples): how many examples pass through at once
rounds: int = 60  # Rounds [20 .. 120, step 20] (rounds): how often each way is timed
runs: int = 3  # Seeds [2 .. 5] (seeds): how many networks are trained in the second part

# %% [markdown]
# ## One layer, four ways
#
# A linear layer computes $y = Wx + b$: every weight takes part in one multiplication for each example. Remove the share
# $s$ of the weights and only $(1 - s)$ of the multiplications are left to do, *if* somebody leaves the others out:
#
# - **dense**: the layer as it was;
# - **masked**: the same layer with zeros where weights were removed;
# - **sparse (CSR)**: only what is not zero is stored, row by row, with the column of each value, and a kernel for such
#   matrices does the work;
# - **smaller**: as many weights removed, but as whole rows, so that what is left is an ordinary, smaller dense layer.
#
# They are timed round after round, in random order, each against the dense layer of the same round: when the machine
# slows down, both feel it. The speed-up is the median over the rounds, with a 95 % interval from order statistics.
# **Times vary**: other machines, and this one at another moment, give other numbers.

# %%
torch.manual_seed(0)
x = torch.randn(batch, width)
dense = nn.Linear(width, width)


def ways(share):
    """The layer with ``share`` of its weights removed, in each of the ways: name -> what computes it."""
    masked = nn.Linear(width, width)
    masked.load_state_dict(dense.state_dict())
    pc.prune_(masked, sparsity=share, criterion=pc.Magnitude())
    values, bias = masked.weight.detach().to_sparse_csr(), masked.bias.detach()
    smaller = nn.Linear(width, max(1, round((1 - share) * width)))
    found = {
        "dense again": lambda: dense(x),
        "masked": lambda: masked(x),
        "sparse (CSR)": lambda: (values @ x.T).T + bias,
        "smaller": lambda: smaller(x),
    }
    with torch.no_grad():
        assert torch.allclose(found["masked"](), found["sparse (CSR)"](), atol=1e-4)  # the same layer
    return found, masked


def timed(work):
    """Milliseconds that one call takes."""
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


@torch.no_grad()
def race(base, others, rounds):
    """Times of ``base`` and ``others``, interleaved: {name: [ms]}; the first five rounds warm up and do not count."""
    times = {name: [] for name in ("base", *others)}
    entrants = [("base", base), *others.items()]
    draw = torch.Generator().manual_seed(0)
    for turn in range(rounds + 5):
        # a fixed order would favour whoever finds in the cache what the one before it used
        for place in torch.randperm(len(entrants), generator=draw).tolist():
            name, work = entrants[place]
            took = timed(work)
            if turn >= 5:
                times[name].append(took)
    return times


def speed_up(times, name):
    """Median of the ratios base / name, round by round, and its 95 % interval."""
    ratios = [b / t for b, t in zip(times["base"], times[name], strict=True)]
    return float(torch.tensor(ratios).median()), *median_interval(ratios)


# %% tags=["hide-code"]
threads = torch.get_num_threads()
torch.set_num_threads(1)
grid = sorted({0.5, 0.8, 0.9, 0.95, 0.98, round(sparsity, 2)})
rows, measured = [], {}
for share in grid:
    others, masked = ways(share)
    times = race(lambda: dense(x), others, rounds)
    for name in others:
        middle, low, high = speed_up(times, name)
        rows.append({"name": name, "share": share, "speed": middle, "low": low, "high": high})
        measured[name, share] = (middle, low, high, float(torch.tensor(times[name]).median()))
    if share == round(sparsity, 2):
        counted = macs(masked, (width,))
        dense_ms = float(torch.tensor(times["base"]).median())
table = pd.DataFrame(rows)
at = {name: measured[name, round(sparsity, 2)] for name in others}

# %% [markdown]
# ## Predict

# %% [markdown] tags=["exercise"]
# At your sparsity, compared with the dense layer: how fast is the **masked** one, the layer full of zeros?
#
# ```lab
# id: masked
# kind: prediction
# options:
#   - Slower, by more than a fifth
#   - As fast, within a fifth
#   - Faster, by more than a fifth
# hint: What does the processor do when it multiplies by zero?
# ```

# %% tags=["check"]
factor = at["masked"][0]
answer_masked = (
    "Slower, by more than a fifth"
    if factor < 0.8
    else "Faster, by more than a fifth"
    if factor > 1.2
    else "As fast, within a fifth"
)
why_masked = (
    f"Measured: {factor:.2f} times as fast (95 % interval {at['masked'][1]:.2f} to {at['masked'][2]:.2f}). A zero is "
    "multiplied like any other number."
)

# %% tags=["hide-code", "reveal"]
figures.draw_curves(
    figures.curves_data(
        table,
        "share",
        "speed",
        title="Speed against the dense layer, by how the zeros are stored",
        subtitle=f"{width} × {width} weights, batch {batch}, one thread; median of {rounds} rounds with 95 % interval",
        x_title="weights removed",
        y_title="times as fast as dense (log scale)",
        ideas={"dense again": "baseline", **dict.fromkeys(("masked", "sparse (CSR)", "smaller"), "pruning")},
        now=sparsity,
        log="y",
        sparsity=True,
    )
)

# %% tags=["hide-code", "reveal"]
pays = [s for s in grid if measured["sparse (CSR)", s][1] > 1]
found = f"is faster than dense here at {', '.join(percent(s, 0) for s in pays) or 'none of the sparsities tried'}"
Markdown(
    f"""| at {percent(sparsity, 0)} removed | median time | times as fast as dense | 95 % interval |
|---|---|---|---|
| dense | {dense_ms:.3f} ms | 1 | |
"""
    + "\n".join(
        f"| {name} | {t:.3f} ms | {m:.2f} | {low:.2f} to {high:.2f} |" for name, (m, low, high, t) in at.items()
    )
    + f"""

One example needs {count(counted.dense)} multiplications in the dense layer and would need {count(counted.effective)}
if every zero were left out: {counted.dense / counted.effective:.1f} times fewer. That is a bound, and no promise. The
sparse kernel has to look up where each value belongs, and {found}. The smaller layer needs no
lookup: it is dense, only less of it."""
)

# %% [markdown]
# ## A whole network, made smaller for real
#
# Rows that are whole are units of a network: **neurons**. Here networks on handwritten digits lose whole neurons while
# they train. What is left is then copied into a smaller network. A removed neuron still passes on a constant, what its
# bias gives through the ReLU; that constant is added to the biases of the next layer, so that the small network
# computes the same function:
#
# $$
# b' = b + W_{\text{removed}}\,\max(0,\, b_{\text{removed}})
# $$

# %%
experiment = pc.Experiment(
    data=pc.Digits(),
    model=pc.MLP(width=width, depth=2),
    prune=pc.Pruning(
        granularity=pc.Neurons(),
        criterion=pc.L2Norm(),
        scope="layer",  # compared over all layers, one of them can lose all its neurons
        schedule=pc.Cubic(final=sparsity, start=20, stop=100, every=10),
    ),
    train=pc.Training(steps=150, batch_size=64, lr=0.05, seed=0),
)


@torch.no_grad()
def smaller_network(model, masks):
    """An ordinary network without the removed neurons of ``model``, a flatten and linear layers with ReLU between."""
    layers = [(name, layer) for name, layer in model.named_children() if isinstance(layer, nn.Linear)]
    built, inputs, passed_on = [nn.Flatten()], torch.ones(layers[0][1].in_features, dtype=torch.bool), None
    for i, (name, layer) in enumerate(layers):
        mask = masks.get(f"{name}.weight")
        outputs = torch.ones(layer.out_features, dtype=torch.bool) if mask is None else mask.any(1)
        bias = layer.bias if passed_on is None else layer.bias + layer.weight[:, ~inputs] @ passed_on
        new = nn.Linear(int(inputs.sum()), int(outputs.sum()))
        new.weight.copy_(layer.weight[outputs][:, inputs])
        new.bias.copy_(bias[outputs])
        built += [new] if i == len(layers) - 1 else [new, nn.ReLU()]
        inputs, passed_on = outputs, bias[~outputs].relu()
    return nn.Sequential(*built).eval()


# %% tags=["hide-code"]
data = experiment.data.load()
images = next(iter(data.test_batches(batch)))[0]
accuracies = []
for seed in range(runs):
    pruned = pc.run(experiment.with_(**{"train.seed": seed}), progress=False)
    whole = pc.run(experiment.with_(**{"train.seed": seed, "prune": None}), progress=False)
    small = smaller_network(pruned.model, pruned.masks)
    with torch.no_grad():
        apart = float((pruned.model(images) - small(images)).abs().max())
    accuracies.append(
        {
            "dense": whole.accuracy,
            "neurons masked": pruned.accuracy,
            "neurons taken out": pc.evaluate(small, data).accuracy,
            "apart": apart,
        }
    )
accuracies = pd.DataFrame(accuracies)
networks = {"dense": whole.model, "neurons masked": pruned.model, "neurons taken out": small}
calls = {name: (lambda model=model: model(images)) for name, model in networks.items() if name != "dense"}
times = race(lambda: whole.model(images), calls, rounds)
torch.set_num_threads(threads)
multiplications = {name: macs(model, data.info.shape).dense for name, model in networks.items()}
speed = {"dense": "1", **{n: "{:.2f} ({:.2f} to {:.2f})".format(*speed_up(times, n)) for n in calls}}
lines = []
for name in networks:
    ms = float(torch.tensor(times["base" if name == "dense" else name]).median())
    i = mean_interval(accuracies[name])
    accuracy = f"{percent(i.mean)} ({percent(max(0, i.low))} to {percent(min(1, i.high))})"
    lines.append(f"| {name} | {count(multiplications[name])} | {ms:.3f} ms | {speed[name]} | {accuracy} |")
Markdown(
    "| network | multiplications | median time | times as fast | test accuracy |\n|---|---|---|---|---|\n"
    + "\n".join(lines)
)

# %% tags=["hide-code"]
fewer = multiplications["dense"] / multiplications["neurons taken out"]
taken = speed_up(times, "neurons taken out")
comment = (
    "It gains less than it saves: each call has costs that no removed weight takes away, such as starting every layer."
    if taken[0] < 0.9 * fewer
    else "Here the time follows the multiplications closely; with small layers or batches it falls behind."
)
Markdown(
    f"""The outputs of the masked and of the small network differ by at most {accuracies["apart"].max():.1e}, which is
rounding. Accuracies are means over {runs} networks with 95 % intervals; times are of the last of them, with
intervals over the rounds.

The small network does {fewer:.1f} times fewer multiplications and is **{taken[0]:.2f} times as fast**
({taken[1]:.2f} to {taken[2]:.2f}). {comment}"""
)

# %% [markdown]
# ## A pitfall: a speed-up without a control
#
# “Dense again” is the dense layer timed against itself. Whatever it shows is noise, and any speed-up of that size is
# noise too. Below the table is what happens without pairing: the dense network's fastest and slowest rounds.

# %% tags=["hide-code"]
base = torch.tensor(times["base"])
again = {s: measured["dense again", s] for s in grid}
tenths = torch.quantile(base, torch.tensor([0.1, 0.9]))
Markdown(
    "| sparsity of the race | dense against itself | 95 % interval |\n|---|---|---|\n"
    + "\n".join(f"| {percent(s, 0)} | {m:.3f} | {low:.3f} to {high:.3f} |" for s, (m, low, high, _) in again.items())
    + f"\n\nThe dense network alone took at most {tenths[0]:.3f} ms in its fastest tenth of rounds and at least "
    f"{tenths[1]:.3f} ms in its slowest: a factor of {tenths[1] / tenths[0]:.2f} without any change to it. Two timings "
    "taken one after the other can differ by as much for no reason at all."
)

# %% [markdown]
# ## Questions

# %% [markdown] tags=["exercise"]
# **1.** How many multiplications of one example would be left in the layer of the first part, at your sparsity, if
# every zero were left out?
#
# ```lab
# id: left
# kind: number
# unit: multiplications
# low: 0
# high: 600000
# hint: Width times width, times the share that is left.
# ```

# %% tags=["check"]
answer_left = counted.effective
why_left = f"{width} · {width} = {count(counted.dense)} weights, of which {percent(1 - sparsity, 0)} are left."

# %% [markdown] tags=["exercise"]
# **2.** From which of these sparsities on is the sparse (CSR) layer faster than the dense one here?
#
# ```lab
# id: pays
# kind: choice
# options: ["50 %", "80 %", "90 %", "95 %", "98 %", None of these]
# hint: Look where its curve crosses 1, the line of "dense again".
# ```

# %% tags=["check"]
fixed = [0.5, 0.8, 0.9, 0.95, 0.98]
sure = next((f"{100 * s:.0f} %" for s in fixed if measured["sparse (CSR)", s][1] > 1), "None of these")
middle = next((f"{100 * s:.0f} %" for s in fixed if measured["sparse (CSR)", s][0] > 1), "None of these")
answer_pays = sorted({sure, middle})  # where an interval holds 1, both are fair readings
why_pays = "Times as fast as dense: " + ", ".join(
    f"{measured['sparse (CSR)', s][0]:.2f} at {100 * s:.0f} %" for s in fixed
)

# %% [markdown] tags=["exercise"]
# **3.** One layer takes 60 % of a network's time. You make this layer 10 times as fast. How many times as fast is the
# network?
#
# ```lab
# id: amdahl
# kind: number
# unit: times
# low: 1
# high: 10
# hint: The other 40 % take as long as before.
# ```

# %% tags=["check"]
answer_amdahl = 1 / (0.4 + 0.6 / 10)
why_amdahl = f"1 / (0.4 + 0.06) = {answer_amdahl:.2f}: what is not pruned soon takes most of the time (Amdahl's law)."

# %% [markdown] tags=["exercise"]
# **4.** You need a network that is faster on ordinary hardware, at 80 % sparsity. What do you remove?
#
# ```lab
# id: remove
# kind: choice
# options:
#   - Single weights, and keep the mask
#   - Single weights, and store them as CSR
#   - Whole neurons or channels, and copy the rest into a smaller network
# hint: Compare the three curves at 80 %.
# ```

# %% tags=["check"]
choices = {
    "masked": "Single weights, and keep the mask",
    "sparse (CSR)": "Single weights, and store them as CSR",
    "smaller": "Whole neurons or channels, and copy the rest into a smaller network",
}
answer_remove = choices[max(choices, key=lambda name: measured[name, 0.8][0])]
why_remove = "Times as fast as dense at 80 %: " + ", ".join(f"{n} {measured[n, 0.8][0]:.2f}" for n in choices) + "."

answers = {
    name: (globals()["answer_" + name], globals()["why_" + name])
    for name in ("masked", "left", "pays", "amdahl", "remove")
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
# - Blalock, Gonzalez Ortiz, Frankle, Guttag 2020, *What is the state of neural network pruning?*,
#   [arXiv:2003.03033](https://arxiv.org/abs/2003.03033): how speed and size are reported, and how they should be.
# - Han, Pool, Tran, Dally 2015, [arXiv:1506.02626](https://arxiv.org/abs/1506.02626): single weights, retrained.
# - Li et al. 2017, *Pruning filters for efficient ConvNets*, [arXiv:1608.08710](https://arxiv.org/abs/1608.08710):
#   whole filters, so that what is left is dense.
