"""How does telemetry get in, with nothing lost and nothing taken twice?

MQTT sessions, coalescing of messages into batches, the ledger that acknowledges a message only when its readings are
durable, and the cache of the registry that says which equipment and point a topic belongs to.
"""
