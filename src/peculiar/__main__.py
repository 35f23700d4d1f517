"""``python -m peculiar`` is ``peculiar``."""

from peculiar.cli import command

command()
