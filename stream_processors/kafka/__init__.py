"""The cluster host: ingest's records over Kafka to workers, each partition a stream of its own in the database.

Room by room: ``topics`` (which there are, as data), ``partitions`` (whose records lie where), ``sink`` (ingest's side),
``tail`` (what a restarted ingest must know), ``host`` (a worker's partitions), ``outbox`` (events for others).
The Faust app itself is :mod:`stream_processors.faust_app`.
"""
