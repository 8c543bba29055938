"""The whole set of a cluster on one machine: the parts of ``servitize up`` with Kafka, several ingests and workers."""
