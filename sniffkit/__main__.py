"""The process: `sniffkit`, `python -m sniffkit`."""

import gc


def main() -> None:
    """Run the command line of this process; it does not return."""
    # Imports make much and leave no garbage: looking for it meanwhile is a good part of a short command's time.
    gc.disable()
    from sniffkit.startup import import_click

    import_click()
    from sniffkit.cli import main as run

    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
