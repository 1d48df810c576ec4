"""Everything that knows skorch: training loop, callbacks, state."""
