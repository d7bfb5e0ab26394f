"""`python -m sniffkit` is the `sniffkit` command."""

from sniffkit.cli import main

if __name__ == "__main__":
    main()
