"""Motor, gearbox and centrifugal compressor on one base, with lube oil: the first demo machine."""
