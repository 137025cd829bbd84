"""The manifest: what `lockgate.yaml` may say, and everything that can be wrong with it."""
