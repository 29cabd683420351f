"""`python -m augrec` is the command `augrec`."""

from augrec.cli import main

if __name__ == "__main__":
    main()
