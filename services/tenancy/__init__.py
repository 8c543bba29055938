"""Organisations, their sites and machines: who is asking, what is registered, who else may see it."""
