"""tcpdump's flags for lines of frames that several commands take."""

from __future__ import annotations

import click

times_option = click.option(
    "-t",
    "times",
    count=True,
    help="-t no time, -tt seconds since 1970, -ttt since the line before, -tttt with the "
    "date, -ttttt since the first line.",
)
absolute_option = click.option("-S", "absolute", is_flag=True, help="TCP sequence numbers as they stand in the header.")
