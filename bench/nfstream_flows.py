"""Peer: read a capture into NFStream's flows. Run by the Python of .tools/nfstream, which does not know sniffkit."""

import sys

from nfstream import NFStreamer  # type: ignore[import-not-found]  # installed only in .tools/nfstream

if __name__ == "__main__":
    # No DPI and no statistics: the least that it can do.
    streamer = NFStreamer(source=sys.argv[1], n_dissections=0, statistical_analysis=False)
    print(sum(1 for _ in streamer), "flows")
