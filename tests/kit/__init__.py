"""What tests of several rooms share: toy data and configs, finished runs, engines and servers without models, waits."""
