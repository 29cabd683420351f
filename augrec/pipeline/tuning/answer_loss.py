"""The loss of the answers' tokens, with the vocabulary's scores computed where an answer has a token, and only there.

A prompt has hundreds of tokens and an answer a few. trl leaves the prompt's positions out on GPUs alone; on a processor
it scores every position against the whole vocabulary, which is more than a third of the time that a model of 135
million parameters takes. The numbers are the same up to the order of sums.
"""

from __future__ import annotations

import inspect
from typing import Any

from augrec.pipeline.tuning.settings import TrainerSettings

IGNORED = -100
"""The label of tokens that have no loss."""


def answer_loss(model: Any, inputs: dict[str, Any], count: Any) -> Any:
    """The cross-entropy of the labelled tokens, in nats, over a number of tokens.

    Args:
        model: a causal language model whose `forward` takes `logits_to_keep`.
        inputs: `input_ids` and `labels` of shape (instructions, tokens), padded on the right, and what else `forward`
            takes. Labels are those of the tokens themselves; `IGNORED` has no loss.
        count: what the sum is divided by, the labelled tokens of the whole batch; None: of these instructions.

    Returns:
        A tensor with one number that can be differentiated.
    """
    from torch.nn.functional import cross_entropy

    following = inputs["labels"][:, 1:]
    known = following != IGNORED
    places = known.any(dim=0).nonzero().flatten()  # several instructions of unlike lengths: wherever one has a token
    others = {name: value for name, value in inputs.items() if name != "labels"}
    logits = model(**others, logits_to_keep=places, use_cache=False).logits
    total = cross_entropy(
        logits.flatten(0, 1).float(), following[:, places].flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total / (known.sum() if count is None else count)


def trainer_class(settings: TrainerSettings, model: Any, *, on_cpu: bool) -> Any:
    """The trainer to be used: trl's, on a processor with the loss above where the model can leave positions out."""
    from trl import SFTTrainer

    if not on_cpu or settings.liger or "logits_to_keep" not in inspect.signature(model.forward).parameters:
        return SFTTrainer

    class AnswerTrainer(SFTTrainer):
        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            assert not return_outputs, "nothing is evaluated"
            loss = answer_loss(model, inputs, num_items_in_batch)
            # The count is that of all processes, and gradients are averaged over them.
            return loss if num_items_in_batch is None else loss * self.accelerator.num_processes

    return AnswerTrainer
