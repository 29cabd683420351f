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
    margins: np.ndarray,
) -> None:
    """Moves the rows of two tables (float32 [n, d]) and the items' biases (float32 [n_items]) in place, along triplets
    (int32 [b] each) in their order, and fills in `margins` (float32 [b]): x of each triplet before its own step.
    """
    kept = np.float32(1) - rate * l2  # what the penalty leaves of a number
    for place in range(len(user)):
        u, i, j = np.uint64(user[place]), np.uint64(positive[place]), np.uint64(negative[place])  # of signs nobody asks
        p, q, r = users[u], items[i], items[j]
        x = biases[i] - biases[j]
        for k in range(users.shape[1]):
            x += p[k] * (q[k] - r[k])
        margins[place] = x
        step = rate / (np.float32(1) + np.exp(x))  # exp may be infinite: no step is left then
        for k in range(users.shape[1]):
            of_user, of_positive, of_negative = p[k], q[k], r[k]
            p[k] = kept * of_user + step * (of_positive - of_negative)
            q[k] = kept * of_positive + step * of_user
            r[k] = kept * of_negative - step * of_user
        biases[i] = kept * biases[i] + step
        biases[j] = kept * biases[j] - step
