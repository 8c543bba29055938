"""How do figures become something a person can look at?

Plots and pages shared by reports and boards. Gets plain objects of the core, never a database connection.
"""
