"""CL4SRec: SASRec, whose states of two disturbed views of a sequence are to find each other.

Paper: Xie et al., "Contrastive Learning for Sequential Recommendation", ICDE 2022.
Equations: a view of a sequence of n items is one of: a piece of eta n consecutive items; gamma n items hidden; a piece
    of beta n items in another order (5-7). With s', s'' the states of the newest items of two views of a window,
    contrast = -mean ln exp(s'.s'') / (exp(s'.s'') + sum over the other windows' views of exp(s'.s-)) (4).
Loss: `sasrec`'s, plus `contrast` times the above.
Deviations: views are made of the shown items of a window, not of the one behind them; `contrast_temperature` and
`cosine` are ours, with the paper's form as defaults.
Relations: without the contrast it is `sasrec`; `sgl` contrasts views of a graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recsys.batches.next_items import NextItemBatches, NextItems
from recsys.batches.sequence_views import ViewedBatches, ViewedNextItems
from recsys.batches.sequences import Windows
from recsys.models.sequential.sasrec import SASRec
from recsys.objectives.nt_xent import nt_xent

if TYPE_CHECKING:
    from recsys.data.dataset import Dataset
    from recsys.models.options.cl4srec import Cl4SrecOptions
    from recsys.training.job import FitJob


class CL4SRec(SASRec):
    """See the module, and `SequenceRecommender` for the arguments."""

    options: Cl4SrecOptions

    def __init__(self, dataset: Dataset, options: Cl4SrecOptions, generator: torch.Generator) -> None:
        super().__init__(dataset, options, generator)
        self.hide_items(generator)

    def batches(self, job: FitJob) -> NextItemBatches | ViewedBatches:  # type: ignore[override]
        """See `TrainedRecommender.batches`."""
        inner, options = super().batches(job), self.options
        if not options.contrast:
            return inner
        return ViewedBatches(
            inner, crop=options.crop, hide=options.hide, reorder=options.reorder, generator=job.generator("views")
        )

    def loss(self, batch: NextItems) -> dict[str, Tensor]:
        """SASRec's term and, of a batch with views, `contrast`; see `TrainedRecommender.loss`."""
        terms = super().loss(batch)
        if isinstance(batch, ViewedNextItems) and batch.views is not None:
            first, second = (self._newest(view) for view in batch.views)
            options = self.options
            between = nt_xent(first, second, options.contrast_temperature, cosine=options.cosine)
            terms["contrast"] = options.contrast * between
        return terms

    def _newest(self, windows: Windows) -> Tensor:
        """[b, d], the state of every window's newest item."""
        rows = torch.arange(len(windows), device=windows.length.device)
        return self.states(windows)[rows, windows.length - 1]
