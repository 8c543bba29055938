"""The boards as Grafana dashboards: the same definitions and the same SQL, rendered to JSON, and put into a Grafana."""
