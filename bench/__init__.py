"""Measurements against the peers: `make bench`, or `.venv/bin/python -m bench --help`."""
