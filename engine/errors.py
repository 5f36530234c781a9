"""The errors a person may see: what happened, why, and what to do."""


class ZionError(Exception):
    """A failure that can be told in one line.

    Parameters
    ----------
    what : str
        What went wrong, naming the thing (file, symbol, setting).
    why : str
        The cause, where it is known.
    hint : str
        What the reader can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint


class UsageError(ZionError):
    """The command was called wrongly."""

    exit_code = 2


class DataError(ZionError):
    """Configuration or data cannot be used."""

    exit_code = 3


class PromiseBroken(ZionError):  # noqa: N818 - it names the event, as the exit code does
    """A promise of the product did not hold: parity, an invariant."""

    exit_code = 4
