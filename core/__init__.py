"""The words of the domain, and the ports to the outside: what an equipment, a reading, a condition and an alarm *are*.

Nothing in this room does I/O or reads a clock. Every other room may import it; it imports none of them.
"""
