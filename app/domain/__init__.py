"""The pure heart: standard library only. Facts in, decisions out; no clock, no database, no network."""
