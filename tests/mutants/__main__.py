"""`python tests/mutants`: see mutant_runner.py beside this file."""

import sys

from mutant_runner import main

sys.exit(main())
