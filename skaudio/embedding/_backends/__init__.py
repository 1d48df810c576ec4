"""Networks behind `PretrainedEmbedder`, one module per kind."""
