"""Remote diagnosis: waveforms, what can be seen in them, and cases."""
