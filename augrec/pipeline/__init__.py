"""The conductor: what a config says, the stages in their order, who does their pieces, and studies of several runs."""
