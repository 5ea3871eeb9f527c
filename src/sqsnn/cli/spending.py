"""A question before device time is spent."""

from collections.abc import Callable

from rich.console import Console
from rich.prompt import Confirm
from rich.text import Text

from sqsnn.errors import HardwareError


def asking(console: Console, yes: bool) -> Callable[[str, bool], None]:
    """Print an estimate, and ask before device time is spent."""

    def confirm(estimate: str, billed: bool) -> None:
        console.print(Text(estimate), soft_wrap=True)
        if not billed or yes:
            return
        try:
            agreed = Confirm.ask("Spend this device time?", console=console, default=False)
        except EOFError:
            agreed = False
        if not agreed:
            raise HardwareError("nothing was sent: device time is spent with a yes, or with --yes")

    return confirm
