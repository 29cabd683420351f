"""RLMRec's models beside figures of the authors' code; `benchmarks.parity_rlmrec` is the command."""
