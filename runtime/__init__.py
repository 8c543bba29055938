"""How does it all start, and how does it stop?

The one place that wires the other rooms together, the command line, and the local processes (database, broker) of
the embedded host.
"""
