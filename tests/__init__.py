"""The tests. A package, so that its folder `augrec` is never taken for the package that it tests."""
