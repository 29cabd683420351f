"""LearnBPR: gradient descent along one triplet after the other (Rendle et al., UAI 2009, figure 4).

For a user u, its item i and another item j, with x = p_u . (q_i - q_j) + b_i - b_j and z = sigmoid(-x), all move at
once: p_u += rate (z (q_i - q_j) - l2 p_u), q_i += rate (z p_u - l2 q_i), q_j += rate (-z p_u - l2 q_j), and the biases
b_i += rate (z - l2 b_i), b_j += rate (-z - l2 b_j).
"""

from __future__ import annotations

import numpy as np

from recsys.compiled import compiled


@compiled(any_order=True)
def descend(
    users: np.ndarray,
    items: np.ndarray,
    biases: np.ndarray,
    user: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
    rate: np.float32,
    l2: np.float32,
) -> float:
    """Moves the rows of two tables (float32 [n, d]) and the items' biases (float32 [n_items]) in place, along triplets
    (int32 [b] each) in their order.

    Returns:
        The sum of -ln sigmoid(x), of each triplet before its own step.
    """
    total = 0.0
    for place in range(len(user)):
        p, q, r = users[user[place]], items[positive[place]], items[negative[place]]
        x = biases[positive[place]] - biases[negative[place]]
        for k in range(users.shape[1]):
            x += p[k] * (q[k] - r[k])
        small = np.exp(-abs(x))  # for both signs of x, without overflow
        total += np.log1p(small) + max(-x, np.float32(0))
        z = (small if x > 0 else np.float32(1)) / (np.float32(1) + small)
        for k in range(users.shape[1]):
            of_user, of_positive, of_negative = p[k], q[k], r[k]
            p[k] = of_user + rate * (z * (of_positive - of_negative) - l2 * of_user)
            q[k] = of_positive + rate * (z * of_user - l2 * of_positive)
            r[k] = of_negative - rate * (z * of_user + l2 * of_negative)
        biases[positive[place]] += rate * (z - l2 * biases[positive[place]])
        biases[negative[place]] -= rate * (z + l2 * biases[negative[place]])
    return total
