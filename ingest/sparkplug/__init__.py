"""How does telemetry of Sparkplug edge nodes get in? Our part of the protocol: a host application.

``host`` is the whole of it as a pure state machine (nodes, births, sequence, deaths, rebirth requests), ``state`` says
that we are online, ``session`` is its own connection, ``channel`` the place where it joins the rest of ingest. What it
keeps of the specification, and the rule that maps groups to equipment, is docs/reference/sparkplug.md.
"""
