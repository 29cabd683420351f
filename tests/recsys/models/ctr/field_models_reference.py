"""The rating models' equations in loops over pairs, fields and dimensions, in float64, from a model's parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from recsys.fields.fields import EntityFields, FieldValues

Vector = list[float]
Matrix = list[Vector]
State = dict[str, np.ndarray]


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def times(a: Vector, b: Vector) -> Vector:
    return [x * y for x, y in zip(a, b, strict=True)]


def plus(*vectors: Vector) -> Vector:
    return [sum(parts) for parts in zip(*vectors, strict=True)]


def relu(a: Vector) -> Vector:
    return [max(x, 0.0) for x in a]


def softmax(a: Vector) -> Vector:
    powers = [math.exp(x - max(a)) for x in a]
    return [power / sum(powers) for power in powers]


def layers(state: State, name: str, x: Vector) -> Vector:
    """A network; [] where the model has none."""
    number = 0
    while f"{name}.linear.{number}.weight" in state:
        weight, bias = state[f"{name}.linear.{number}.weight"], state[f"{name}.linear.{number}.bias"]
        x = relu([dot(list(row), x) + b for row, b in zip(weight, bias, strict=True)])
        number += 1
    return x if number else []


def products(v: Matrix) -> list[Vector]:
    return [times(v[f], v[g]) for f in range(len(v)) for g in range(f + 1, len(v))]


def joined(v: Matrix) -> Vector:
    return [x for row in v for x in row]


def deepfm(state: State, v: Matrix, options: Any) -> float:
    second = sum(sum(product) for product in products(v))
    deep = layers(state, "network", joined(v))
    return second + (dot(list(state["output.weight"]), deep) if deep else 0.0)


def nfm(state: State, v: Matrix, options: Any) -> float:
    pooled = plus(*products(v))
    return dot(list(state["output.weight"]), layers(state, "network", pooled) or pooled)


def dcn(state: State, v: Matrix, options: Any) -> float:
    first = joined(v)
    x = first
    for number in range(options.crosses):
        along = dot(x, list(state[f"crosses.weights.{number}.weight"]))
        x = plus([value * along for value in first], list(state["crosses.biases"][number]), x)
    return dot(list(state["output.weight"]), [*x, *layers(state, "network", first)])


def afm(state: State, v: Matrix, options: Any) -> float:
    weight, bias, h = state["hidden.weight"], state["hidden.bias"], list(state["attention.weight"])
    pairs = products(v)
    hidden = [relu([dot(list(row), pair) + b for row, b in zip(weight, bias, strict=True)]) for pair in pairs]
    attention = softmax([dot(h, unit) for unit in hidden])
    pooled = plus(*([a * x for x in pair] for a, pair in zip(attention, pairs, strict=True)))
    return dot(list(state["output.weight"]), pooled)


def xdeepfm(state: State, v: Matrix, options: Any) -> float:
    maps, shown = v, []
    for k, size in enumerate(options.cin):
        weight, bias = state[f"cin.layers.{k}.weight"], state[f"cin.layers.{k}.bias"]
        made = [[float(b)] * len(v[0]) for b in bias]
        for h in range(size):
            for i, before in enumerate(maps):
                for f, field in enumerate(v):
                    made[h] = plus(made[h], [weight[h, i * len(v) + f] * x for x in times(before, field)])
        made = [relu(row) for row in made]
        last = k == len(options.cin) - 1
        half = size // 2 if options.split_half and not last else 0
        maps = made[:half] if half else made
        shown += [sum(row) for row in made[half:]]
    return dot(list(state["output.weight"]), [*shown, *layers(state, "network", joined(v))])


def autoint(state: State, v: Matrix, options: Any) -> float:
    x, dim, size = v, len(v[0]), len(v[0]) // options.heads
    for number in range(options.layers):
        matrix = state[f"attention.{number}.projection"]
        made = [[dot(row, list(matrix[:, column])) for column in range(matrix.shape[1])] for row in x]
        query, key, value, own = ([row[part * dim : (part + 1) * dim] for row in made] for part in range(4))
        after = []
        for f in range(len(x)):
            heard: Vector = []
            for head in range(options.heads):
                of = slice(head * size, (head + 1) * size)
                scale = 1 / math.sqrt(size) if options.scaled else 1.0
                attention = softmax([scale * dot(query[f][of], key[g][of]) for g in range(len(x))])
                heard += plus(*([a * y for y in value[g][of]] for g, a in enumerate(attention)))
            after.append(relu(plus(heard, own[f]) if own[f] else heard))
        x = after
    return dot(list(state["output.weight"]), [*joined(x), *layers(state, "network", joined(v))])


INTERACTIONS: dict[str, Callable[[State, Matrix, Any], float]] = {
    "deepfm": deepfm,
    "nfm": nfm,
    "dcn": dcn,
    "afm": afm,
    "xdeepfm": xdeepfm,
    "autoint": autoint,
}


def in_table_order(fields: EntityFields) -> list[tuple[int, FieldValues]]:
    """Whose (0 a user's, 1 an item's) and which field, as the tables hold them: those with one value come first."""
    both = [(side, field) for side, group in enumerate((fields.users, fields.items)) for field in group]
    return [pair for single in (True, False) for pair in both if pair[1].single is single]


def embedded(table: np.ndarray, fields: EntityFields, pair: tuple[int, int], pooling: str) -> Matrix:
    """The embeddings of a pair's fields."""
    rows: Matrix = []
    first = 0
    for side, field in in_table_order(fields):
        places = field.places[field.start[pair[side]] : field.start[pair[side] + 1]]
        vectors = [list(table[first + place]) for place in places]
        pooled = plus(*vectors)
        rows.append([x / len(vectors) for x in pooled] if pooling == "mean" else pooled)
        first += len(field.values)
    return rows


def rating_and_squares(
    family: str, state: State, fields: EntityFields, pair: tuple[int, int], options: Any
) -> tuple[float, float]:
    """A pair's rating, and the squares of the embeddings and weights that it reads."""
    v = embedded(state["embedding.weight"], fields, pair, options.fields.pooling)
    rating, squares = float(state["bias"]) + INTERACTIONS[family](state, v, options), dot(joined(v), joined(v))
    if options.linear:
        w = joined(embedded(state["first_order.weight"], fields, pair, options.fields.pooling))
        rating, squares = rating + sum(w), squares + dot(w, w)
    return rating, squares
