"""Learning from stored history, and deciding which model speaks: what ``servitize train|models|promote|rollback``
do."""
