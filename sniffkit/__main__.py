"""`python -m sniffkit` is `sniffkit`."""

from sniffkit.cli import main

main()
