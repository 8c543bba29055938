"""Upkeep, pure: what a type says about it, how urgent something is, when work is proven, what is due, when to do it
best."""
