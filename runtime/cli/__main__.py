"""``python -m runtime.cli``: the same as ``servitize``; how a detached instance starts itself."""

from runtime.cli import main

main()
