"""What does a service engineer see at a glance?

Health boards as data: one definition, rendered to Grafana and to the web board. Queries are named here and written
in `storage/queries`.
"""
