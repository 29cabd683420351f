"""Other people's layouts in and out: released files become artefacts, a run becomes files that released code reads."""
