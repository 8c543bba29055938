"""Which failure mode is it, by what evidence, and what would confirm or refute it?"""

from models.diagnosis.engine import diagnose
from models.diagnosis.finding import Diagnosis, Evidence, Finding
from models.diagnosis.record import Channel, Machine, Record

__all__ = ["Channel", "Diagnosis", "Evidence", "Finding", "Machine", "Record", "diagnose"]
