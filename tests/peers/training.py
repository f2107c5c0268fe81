"""Times training steps in PyTorch: the same network and shapes as training.rs, which prints them with --shape.

Usage: python3 training.py SHAPE THREADS. Prints a row: framework, threads, median and worst milliseconds of a batch.
"""

import json
import sys
import time

import torch
from torch.nn import functional

shape = json.loads(sys.argv[1])
threads = int(sys.argv[2])
torch.set_num_threads(threads)
torch.manual_seed(1)
batch, steps, voices = shape["batch"], shape["steps"], shape["voices"]
times, cells = batch * steps, batch * steps * voices
head_width, vocabulary, intervals = shape["head"], shape["vocabulary"], shape["intervals"]


def parameter(*size):
    return torch.nn.Parameter(torch.randn(*size) * 0.05)


trunk_table = parameter(shape["trunk_rows"], shape["embedding"])
head_table = parameter(shape["head_rows"], head_width)
layers, width = [], shape["embedding"]
for units in shape["lstm"]:
    # As torch.lstm takes them: (4 * units, inputs), (4 * units, units), and two biases.
    layers.append([parameter(4 * units, width), parameter(4 * units, units), parameter(4 * units), parameter(4 * units)])
    width = units
head_trunk = parameter(width, head_width)
head_layers = [(parameter(head_width, head_width), parameter(head_width)) for _ in range(shape["head_layers"])]
out, out_bias, relative = parameter(head_width, vocabulary), parameter(vocabulary), parameter(head_width, intervals)
parameters = [trunk_table, head_table, head_trunk, out, out_bias, relative]
parameters += [x for layer in layers for x in layer] + [x for layer in head_layers for x in layer]
optimiser = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1, foreach=True)

trunk_rows = torch.randint(shape["trunk_rows"], (times, shape["trunk_slots"]))
head_rows = torch.randint(shape["head_rows"], (cells, shape["head_slots"]))
columns = torch.randint(intervals, (cells, vocabulary))
targets = torch.randint(vocabulary, (cells,))


def bag(table, rows):
    """Sums of table rows, of which a share is left out."""
    keep = 1.0 - shape["row_dropout"]
    kept = (torch.rand(rows.shape) < keep).float() / keep
    return functional.embedding_bag(rows, table, mode="sum", per_sample_weights=kept)


def same_units(x):
    """Dropout of the same units in all steps; x is (steps, batch, units)."""
    keep = 1.0 - shape["dropout"]
    return x * ((torch.rand(x.shape[1:]) < keep).float() / keep)


def forward():
    x = same_units(bag(trunk_table, trunk_rows).view(steps, batch, -1))
    for w_ih, w_hh, b_ih, b_hh in layers:
        units = w_hh.shape[1]
        zeros = torch.zeros(1, batch, units)
        dropped = functional.dropout(w_hh, shape["weight_dropout"])
        h, _, _ = torch.lstm(x, (zeros, zeros), [w_ih, dropped, b_ih, b_hh], True, 1, 0.0, True, False, False)
        h = same_units(h)
        x = x + h if x.shape[2] == units else h
    seen = (x.reshape(times, -1) @ head_trunk).unsqueeze(1)
    z = (bag(head_table, head_rows).view(times, voices, head_width) + seen).view(cells, head_width)
    for weight, bias in head_layers:
        z = z + torch.addmm(bias, functional.dropout(z.relu(), shape["dropout"]), weight)
    a = functional.dropout(z.relu(), shape["dropout"])
    return torch.addmm(out_bias, a, out) + (a @ relative).gather(1, columns)


taken = []
for _ in range(shape["batches"]):
    start = time.perf_counter()
    optimiser.zero_grad(set_to_none=True)
    functional.cross_entropy(forward(), targets).backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimiser.step()
    taken.append((time.perf_counter() - start) * 1e3)
taken = sorted(taken[3:])
print(f"| PyTorch {torch.__version__} | {threads} | {taken[len(taken) // 2]:.0f} | {taken[-1]:.0f} |")
