"""Captures in a web page: `View` answers what a page asks, `server` carries it, `page/` is what the browser runs."""
