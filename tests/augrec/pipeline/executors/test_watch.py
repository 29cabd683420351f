"""What is said of pieces that processes of their own are at."""

from __future__ import annotations

import os
from pathlib import Path

from augrec.pipeline.executors.watch import last_epoch


def test_a_training_in_progress_says_its_last_epoch(tmp_path: Path) -> None:
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    logs = {"gone/seed-1": None, "old/seed-1": old, "new/seed-1": new, "waiting/seed-1": tmp_path / "none.log"}
    assert last_epoch(logs, 0.0) == ""
    for path, text, written in (
        (old, "epoch 9  loss 0.5\n", 1000),
        (new, "{}\nepoch 3  loss 1.06  bpr 1\ntest  x\n", 2000),
    ):
        path.write_text(text)
        os.utime(path, (written, written))
    assert last_epoch(logs, 1500.0) == "new/seed-1 epoch 3 loss 1.06"
    assert last_epoch(logs, 2500.0) == "", "what an earlier run wrote says nothing of this one"
    new.write_text("{}\n")
    assert last_epoch(logs, 1500.0) == "new/seed-1 in its first epoch"
