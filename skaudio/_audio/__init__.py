"""Sound in: files are decoded, and clips become waveforms at one sampling rate."""
