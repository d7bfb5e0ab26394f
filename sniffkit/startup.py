"""A quick start: modules that click imports, and that a command hardly ever uses, wait until something asks for them.

A third of a short command's time went into `inspect`, `uuid`, `gettext` and what these import in turn: click asks the
first to strip its help texts, knows a type for the second (no option here has it), and translates through the third
(there are no translations, and our own texts are English).
"""

from __future__ import annotations

import _thread
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class Waiting(ModuleType):
    """Stands for a module until an attribute is asked for that it was not given: then the real one is imported."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # what `from … import` asks first: whether it is a package
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def waiting(**modules: dict[str, Any]) -> Iterator[dict[str, Waiting]]:
    """Inside, an `import` of these modules gives one that waits, with the attributes given here.

    Behind it, whoever imports them gets the real ones; who got one that waits keeps it, and can do with it what the
    real one can. A module that is there already does not wait.
    """
    given = {name: Waiting(name) for name in modules if name not in sys.modules}
    for name, module in given.items():
        module.__dict__.update(modules[name])
    sys.modules.update(given)
    try:
        yield given
    finally:
        for name, module in given.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def import_click() -> None:
    """Import click without what its use here does without."""
    texts: dict[str, Callable[..., str]] = {"gettext": same, "ngettext": one_or_more}
    threads = {"local": _thread._local}  # what it is in `threading` too
    with waiting(inspect={"cleandoc": cleandoc}, uuid={"UUID": object}, gettext=texts, threading=threads) as given:
        importlib.import_module("click")
    if "uuid" in given:
        vars(given["uuid"]).pop("UUID", None)  # it was there for click's annotations


def cleandoc(text: str) -> str:
    """As `inspect.cleandoc`, which is only imported for more than a line."""
    if "\n" in text:
        import inspect

        return inspect.cleandoc(text)
    return text.expandtabs().lstrip()


def same(text: str) -> str:
    """As `gettext.gettext` where there is no translation."""
    return text


def one_or_more(one: str, more: str, count: int) -> str:
    """As `gettext.ngettext` where there is no translation."""
    return one if count == 1 else more
