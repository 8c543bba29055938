"""Which failure mode is it, by what evidence, and what would confirm or refute it?"""

from models.diagnosis.record import Channel, Machine, Record

__all__ = ["Channel", "Machine", "Record"]
